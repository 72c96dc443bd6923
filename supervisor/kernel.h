/* SPDX-License-Identifier: MIT */
/*
 * What Paddock's own processes need of the kernel besides the sandbox's layers, and a
 * container's seccomp profile, or an old kernel, may refuse: tried before anything is
 * started, because most of it would otherwise be missed only by the first job.
 */
#pragma once

/* Tries every call of the table, and logs each that is refused with its reason and what
 * it is for. Returns 0, or the negative errno of the first one. */
int kernel_try(void);
