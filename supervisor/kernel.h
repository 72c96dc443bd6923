/* SPDX-License-Identifier: MIT */
/*
 * What Paddock's own processes need of the kernel besides the sandbox's layers, and a
 * container's seccomp profile, or an old kernel, may refuse: tried before anything is
 * started, because most of it would otherwise be missed only by the first job.
 */
#pragma once

#include <stdint.h>

/* Tries every call of the table, and looks at the limits that we were started with: logs
 * each that will not do with its reason and what it is for. `memory_mb` is the most that
 * a job may have, `workers` how many there may be. Returns 0, or the negative errno of
 * the first one. */
int kernel_try(int64_t memory_mb, int64_t workers);
