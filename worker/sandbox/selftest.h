/* SPDX-License-Identifier: MIT */
/*
 * At every start, before the first job, the zygote attacks sandboxes of its own: children
 * that are locked as every other and then try what must not succeed. A layer counts as in
 * force only if its attack failed. A second child does without the filter, so that the
 * layers below it are put to the test too.
 */
#pragma once

#include "worker/sandbox/lockdown.h"
#include "worker/sandbox/sandbox.h"

#include <stdint.h>

/* Returns the layers (enum layer) that were put in place, or must be: those to attack. */
uint32_t selftest_granted(const struct sandbox_settings *settings,
                          const struct lockdown *lockdown, const struct groups *groups);
/* Tells the layers that held. Control groups that do not hold are forgotten: a sandbox
 * must not fail to be born for them. Returns 0, or a negative errno after logging why a
 * sandbox could not be born at all. */
int selftest_run(const struct sandbox_settings *settings, const struct lockdown *lockdown,
                 struct groups *groups, uint32_t *ret_layers) must_check;
