/* SPDX-License-Identifier: MIT */
/*
 * No filters: what policy_compile, which makes them, is linked with. Runs at build time
 * only; nothing that takes a filter from here can put it on, because an empty program is
 * refused by the kernel.
 */
#include "worker/sandbox/policy_filters.h"

#include <stddef.h>

const struct policy_filter policy_notify_filter = {NULL, 0};
const struct policy_filter policy_sandbox_filter = {NULL, 0};
