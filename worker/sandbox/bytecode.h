/* SPDX-License-Identifier: MIT */
/*
 * The bytecode of CPython 3.11, rewritten so that a program tells what it does: points
 * are put between its instructions, each an object of ours among the code's constants, of
 * which the interpreter asks the truth value (two instructions, some 5 ns) or, where
 * there is an exception to be told of, whether it contains that. Code without points pays
 * nothing, and neither does code with points pay where it has none: unlike under
 * sys.settrace, instructions stay specialised.
 *
 * Where a line event falls is what sys.settrace of the same version says of the code as
 * it was: wherever the line changes from one instruction to the next, and on every jump
 * back. Positions, tracebacks and exception handling are those of the code as it was.
 *
 * All that depends on the version of Python is in this file and bytecode.c, and in
 * frames.h.
 *
 * Sources: CPython 3.11 Python/ceval.c (maybe_call_line_trace), Objects/genobject.c
 * (_PyGen_yf, _gen_throw), Objects/locations.md, Objects/exception_handling_notes.txt.
 */
#pragma once

#include <Python.h>

/* What a point says; several may be one. */
enum {
    POINT_CALL = 1 << 0,      /* entered */
    POINT_LINE = 1 << 1,      /* a line begins */
    POINT_RETURN = 1 << 2,    /* about to be left with a value */
    POINT_YIELD = 1 << 3,     /* about to be suspended by a yield of its own */
    POINT_RESUME = 1 << 4,    /* goes on after a yield or an await */
    POINT_EXCEPTION = 1 << 5, /* an exception has come to a handler of it */
    POINT_UNWIND = 1 << 6,    /* an exception leaves it */
};

/* Returns a new reference to the object of a point: its truth value must be true, and,
 * for the last two, it is asked whether it contains the exception. NULL with an
 * exception. `line` is 0 where the point is not of a line. */
typedef PyObject *bytecode_make_point(void *context, unsigned what, int line);

/* Returns a new code object with those of the points that `what` names, or `code` itself
 * (a new reference) where nothing fits it; NULL with an exception. `constants` (a list)
 * stands in for co_consts, same in number, and is appended to. */
PyObject *bytecode_instrument(PyCodeObject *code, unsigned what, PyObject *constants,
                              bytecode_make_point *make, void *context);
