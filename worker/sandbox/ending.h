/* SPDX-License-Identifier: MIT */
/*
 * What Python does when a program has ended, of it what programs see: threads joined,
 * exit functions called, buffers flushed, its modules taken down, with which __del__ and
 * the `finally` of suspended generators run. What would only tidy up a process that is
 * about to vanish is left out.
 */
#pragma once

#include <Python.h>
#include <stdbool.h>
#include <stddef.h>

/* In the zygote: takes what it needs from bootstrap.py's globals, so that nothing is
 * looked up later. Returns 0, or -1 with an exception. */
int ending_prepare(PyObject *bootstrap_globals);

/* To be shown every source of the program: what may run at its end
 * is found by how it is written. */
void ending_read(const char *source, size_t size);

/* The following run code of the program's, and swallow its errors as Python does. */

/* Has stderr and stdout written, when the main module is over, before its error is told
 * and its threads are waited for (flush_io() of CPython's pythonrun.c). */
void ending_flush_main(void);
/* Are there threads that Python waits for? */
bool ending_has_threads(void);
/* Waits for these. The second time it does nothing. */
void ending_join_threads(void);
/* Has stdout and stderr written, as at the very end. */
void ending_flush(void);
/* All of it; nothing of the program runs on the main thread afterwards. */
void ending_run(void);
