/* SPDX-License-Identifier: MIT */
/*
 * An exception that ended the program, told three times: as text on its own stderr, as
 * `error` records (one for each exception of the chain), and as one line for the claim.
 * Only frames of the program appear, those of texts that it made code of (texts.h)
 * included; source lines come from the archive and from these texts.
 */
#pragma once

#include "common/buffer.h"

#include <Python.h>
#include <stdbool.h>

#define REPORT_NO_TEXT "<its text could not be made>"

/* In the zygote: looks up traceback and linecache. 0, or -1 with an exception. */
int report_prepare(PyObject *print_exception);

/* `exception` is borrowed. Python errors on the way are swallowed: a program's __str__
 * may fail or lie. It may also hang, or end the process: before the others,
 * report_watch() sees to it that all but that one text is told even then
 * (worker/sandbox/last_words.h). report_done() lets go of it. */
void report_watch(PyObject *exception);
void report_print(PyObject *exception);
void report_record(void);
void report_done(void);
/* Whoever prints on stderr says that it has shown the frames of this one (borrowed), and
 * all that comes before it, and asks for its text now. Returns a list of lines: those
 * that `print` makes, which is called without arguments, or what is known where the text
 * has not come in time. NULL with the exception of `print`: this one is not being told.
 */
PyObject *report_ask(PyObject *exception, PyObject *print);
/* What an exception has said, or says now: a new reference, or NULL without an exception.
 */
PyObject *report_said(PyObject *exception);
/* All of report_line() that can be said without running any code of the program's: at
 * least "NameError (robot.py, line 3)". */
void report_brief(PyObject *exception, struct buffer *to);
/* "NameError: name 'x' is not defined (robot.py, line 3)" */
void report_line(PyObject *exception, struct buffer *to);

/* The following run no code of the program's. */
/* The innermost line of the program that it went through, or that a SyntaxError in the
 * program points at: a path below the program's root, or what a text is called, borrowed
 * of the exception, or NULL.
 */
const char *report_innermost(PyObject *exception, int *ret_line);
/* A MemoryError, or what Python makes of very deep recursion for which it has no memory.
 * `used`: most of the job's memory was in use at some time. */
bool report_is_memory_error(PyObject *exception, bool used);
/* A source whose brackets or operators are nested deeper than Python can read. */
bool report_is_nested_too_deep(PyObject *exception);
/* A traceback of more entries than are worth printing: Python's own limit of recursion
 * was raised. */
bool report_is_very_deep(PyObject *exception);
/* A SyntaxError in a file of the program, and not one that it has made by hand. */
bool report_is_compile_error(PyObject *exception);
