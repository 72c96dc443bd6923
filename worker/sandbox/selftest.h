/* SPDX-License-Identifier: MIT */
/*
 * At every start, before the first job, the zygote attacks sandboxes of its own: children
 * that are locked as every other and then try what must not succeed. A layer counts as in
 * force only if its attack failed. A second child does without the filter, so that the
 * layers below it are put to the test too; the limits that are kept from outside are each
 * broken by a child of its own.
 */
#pragma once

#include "worker/sandbox/children.h"
#include "worker/sandbox/lockdown.h"

#include <stdint.h>

/* Returns the layers (enum layer) that were put in place, or must be: those to attack. */
uint32_t selftest_granted(const struct children *children,
                          const struct lockdown *lockdown);
/* Tells the layers that held. `children` has none yet, and none afterwards; `signals` is
 * the signalfd that its timers speak to. Control groups that do not hold are forgotten: a
 * sandbox must not fail to be born for them. Returns 0, or a negative errno after logging
 * why a sandbox could not be born at all, or not be ended. */
int selftest_run(struct children *children, const struct lockdown *lockdown, int signals,
                 uint32_t *ret_layers) must_check;
