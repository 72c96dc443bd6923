/* SPDX-License-Identifier: MIT */
/*
 * Which code is the program's: that of its archive, what it makes of a text by compile(),
 * exec() or eval() itself, and other code that it runs by these and that is of no file
 * (changed by replace(), or read back by marshal). What others make of texts is theirs,
 * also where a program asks for it: the library makes functions so (of named tuples, of
 * dataclasses), and nobody wants to see those among his own.
 *
 * The three functions are stood in for, for all programs: they note on the code what text
 * it was made of. In every other way they are Python's.
 */
#pragma once

#include <Python.h>
#include <stdbool.h>

/* In the zygote, when the importer has what it needs of Python's own. 0, or -1 with an
 * exception. */
int texts_init(void);
/* From here on what the program's own code runs by exec and eval has points as well
 * (worker/sandbox/tracer.h). */
void texts_trace(void);

/* The following take no lock and no memory: also for a signal's handler. */

/* The path (any object, or NULL) is that of a file of the program. */
bool texts_is_program_file(PyObject *path);
bool texts_is_of_program(PyCodeObject *code);
/* What it was made of, str or bytes, borrowed of it; NULL where that is not known. */
PyObject *texts_source(PyCodeObject *code);
