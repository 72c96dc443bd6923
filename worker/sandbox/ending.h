/* SPDX-License-Identifier: MIT */
/*
 * What Python does when a program has ended, of it what programs see: threads joined,
 * exit functions called, buffers flushed, its modules taken down, with which __del__ and
 * the `finally` of suspended generators run. What would only tidy up a process that is
 * about to vanish is left out.
 */
#pragma once

#include <Python.h>
#include <stddef.h>

/* In the zygote: takes what it needs from bootstrap.py's globals, so that nothing is
 * looked up later. Returns 0, or -1 with an exception. */
int ending_prepare(PyObject *bootstrap_globals);

/* To be shown every source of the program: what may run at its end
 * is found by how it is written. */
void ending_read(const char *source, size_t size);

/* The following run code of the program's, and swallow its errors as Python does. */

/* What has been printed comes before the error that the program ends with (flush_io() of
 * CPython's pythonrun.c). Each stream has a deadline. */
void ending_flush_before_error(void);
/* Waits for the threads that Python waits for, with what has been printed written before.
 * The second time it does nothing. */
void ending_join_threads(void);
/* Has stdout and stderr written. */
void ending_flush(void);
/* All of it; nothing of the program runs on the main thread afterwards. */
void ending_run(void);
