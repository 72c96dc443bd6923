/* SPDX-License-Identifier: MIT */
/*
 * Points, by which a program tells what it does: objects of ours that the interpreter
 * asks, wherever a line of the program begins, a function is entered or left, an
 * exception arrives. Code without points pays nothing.
 *
 * What is asked is an object's truth value or, where there is an exception to be told of,
 * whether it contains that. Where a line event falls is what sys.settrace of the same
 * version says of the code as it was. Positions, tracebacks and exception handling are
 * those of the code as it was; but a point of unwinding is a handler, to the interpreter,
 * which writes its traceback into the exception there: 3.11 then has lines that it would
 * forget (Python/errors.c, _PyErr_ChainStackItem). To forget them as well would take what
 * was written there before, which nobody is told.
 *
 * All that depends on the version of Python is behind this header, and in frames.h:
 *
 * - 3.11, bytecode*.c: points are put between the instructions, among the code's
 * constants (two instructions, some 5 ns); unlike under sys.settrace, instructions stay
 *   specialised.
 * - 3.12 and later, monitoring.c: sys.monitoring calls us, PEP 669, and we ask the point.
 *
 * Sources: CPython 3.11 Python/ceval.c (maybe_call_line_trace), Objects/genobject.c
 * (_PyGen_yf, _gen_throw), Objects/locations.md, Objects/exception_handling_notes.txt;
 * CPython 3.12 Python/legacy_tracing.c, PEP 669.
 */
#pragma once

#include <Python.h>

/* What a point says; several may be one. */
enum {
    POINT_CALL = 1 << 0,      /* entered */
    POINT_LINE = 1 << 1,      /* a line begins */
    POINT_RETURN = 1 << 2,    /* about to be left with a value */
    POINT_YIELD = 1 << 3,     /* about to be suspended by a yield or an await */
    POINT_RESUME = 1 << 4,    /* goes on after a yield or an await */
    POINT_EXCEPTION = 1 << 5, /* an exception has come to a handler of it */
    POINT_UNWIND = 1 << 6,    /* an exception leaves it */
    /* beside POINT_LINE: unless the call is on that line already */
    POINT_ELSEWHERE = 1 << 7,
    /* For it: an exception is about to be raised again, as if from this line; or, without
     * one, from the instruction whose number it is asked for (frames_line_at()). */
    POINT_AGAIN = 1 << 8,
    /* The exception has come to code that puts things in order on its way out, which has
     * a line to tell, or may raise another one: the exception is told of before that. */
    POINT_AHEAD = 1 << 9,
};

/* Returns a new reference to the object of a point: its truth value must be true, and,
 * for an exception's, it is asked whether it contains that. NULL with an
 * exception. `line` is that of a line's point, and of a POINT_RESUME the one that the
 * call was suspended on; 0 elsewhere, and for a POINT_RESUME of 3.12 and later, one of
 * which stands for all: there the frame has it. */
typedef PyObject *points_make(void *context, unsigned what, int line);

/* Returns a new code object with those of the points that `what` names, or `code` itself
 * (a new reference) where nothing fits it; NULL with an exception. `constants` (a list)
 * stands in for co_consts, same in number, and is appended to. */
PyObject *points_instrument(PyCodeObject *code, unsigned what, PyObject *constants,
                            points_make *make, void *context);
