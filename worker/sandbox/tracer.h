/* SPDX-License-Identifier: MIT */
/*
 * What a program does: calls and returns, lines, exceptions, changed variables, by points
 * that are put into its code as it is compiled (points.h). Only code of the program has
 * any: the library, and a program that is not traced, run as if there was no tracer.
 * Every thread is traced, and nothing that a program does to sys.settrace or
 * sys.setprofile changes that: they are its own, and see its code as they would without.
 *
 * A service to honest programs: a hostile one may blind it and gains nothing.
 *
 * The tracer keeps a stack of its own for each thread: of a coroutine that is suspended
 * because another one waits, no instruction tells; it is seen when the next call has
 * another caller.
 * While the level is off the ends of what is on it are told all the same, so that nothing
 * on it is ever gone.
 */
#pragma once

#include "common/job.h"

#include <Python.h>

/* In the zygote. 0, or -1 with an exception. */
int tracer_init(void);
/* In the prologue: what is compiled from the program's archive from here on has points.
 */
void tracer_start(enum job_trace level);
void tracer_stop(void);

/* The level that is recorded now; none above the one that it was started with. */
enum job_trace tracer_level(void);
/* Records as much from here on, at most what the job asked for. */
void tracer_set_level(enum job_trace level);
