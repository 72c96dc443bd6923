/* SPDX-License-Identifier: MIT */
/*
 * Calls that are served in the program's own process: the filter answers them with
 * SECCOMP_RET_TRAP (seccomp(2)), and the handler of SIGSYS does what it can in their
 * place. It is no boundary: it runs with the program's rights, and calls the kernel as
 * the program may.
 */
#pragma once

#include <ucontext.h>

/* Installs the handler. Returns 0 or a negative errno. */
int trap_install(void);

/* rt_sigprocmask(2) of the thread whose interrupted state this is, with its first four
 * arguments; SIGSYS stays open. Returns 0 or a negative errno; the mask comes into force
 * when the handler returns. */
long trap_set_mask(const long *arguments, ucontext_t *interrupted);
