/* SPDX-License-Identifier: MIT */
/*
 * Calls and returns of the program's own functions, by PyEval_SetProfile (which, unlike
 * PyEval_SetTrace, leaves lines untaxed). Code of the program is code whose file lies
 * under PROGRAM_ROOT; that is decided once per code object and remembered in its extra
 * slot (_PyCode_SetExtra).
 *
 * A service to honest programs: a hostile one may blind it and gains nothing.
 */
#pragma once

#include "common/job.h"

/* In the zygote: reserves the slot. 0, or -1 with an exception. */
int tracer_init(void);
/* In the prologue: traces this thread and, by threading's profile hook, those that it
 * starts. 0, or -1 with an exception. */
int tracer_start(enum job_trace level);
void tracer_stop(void);
