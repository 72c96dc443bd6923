/* SPDX-License-Identifier: MIT */
/*
 * What CPython 3.11 forgets of a traceback, forgotten with points, too. Runs in the
 * sandbox, where an exception leaves a call. Trusts nothing of frames and code objects
 * but their types.
 *
 * An exception on its way has two tracebacks: the interpreter's own, and that which a
 * handler has written into it last. What is thrown through a generator that waits for
 * another, within an `except`, goes on with the latter (Python/errors.c,
 * _PyErr_ChainStackItem). Our point of unwinding is a handler, and none of the program's.
 */
#include "worker/sandbox/frames.h" /* first: what it defines decides what Python.h has */

#include "worker/sandbox/bytecode_parts.h"
#include "worker/sandbox/exception_table.h"

/* ---- what handles an exception ---- */

enum handled {
    UNHANDLED,
    BY_POINT, /* of unwinding, and by nothing else */
    BY_CODE,
};

/* Past the LOAD_CONST of a point, which may have a long argument. */
static Py_ssize_t behind_point(const _Py_CODEUNIT *units, Py_ssize_t at, Py_ssize_t count)
{
    while (at < count && _Py_OPCODE(units[at]) == EXTENDED_ARG) {
        at++;
    }
    return at + 1;
}

/* As bytecode_write.c puts it: the end of the code, and nothing but a point. */
static bool is_unwinding(PyCodeObject *code, Py_ssize_t target)
{
    static const unsigned char rest[] = {CONTAINS_OP, POP_TOP, RERAISE};
    const _Py_CODEUNIT *units = _PyCode_CODE(code);
    Py_ssize_t count = Py_SIZE(code);
    Py_ssize_t at = behind_point(units, target + 1, count);
    bool is = target < count && _Py_OPCODE(units[target]) == COPY &&
              at + (Py_ssize_t)sizeof(rest) == count;

    for (size_t i = 0; is && i < sizeof(rest); i++) {
        is = _PyOpcode_Deopt[_Py_OPCODE(units[at + (Py_ssize_t)i])] == rest[i];
    }
    return is;
}

/* Of what is raised by the instruction of that number. */
static enum handled handled(PyCodeObject *code, int at)
{
    struct exception_table table = exception_table_of(code);
    struct exception_range range;

    while (exception_table_next(&table, &range) && (int)range.start <= at) {
        if (at < (int)(range.start + range.size)) {
            return is_unwinding(code, range.target) ? BY_POINT : BY_CODE;
        }
    }
    return UNHANDLED;
}

/* ---- what is forgotten ---- */

/* Of a call that is thrown through. */
static bool forgets(const frame *of)
{
    PyObject *handles = _PyFrame_GetGenerator((frame *)of)->gi_exc_state.exc_value;

    return handles != NULL && handles != Py_None;
}

/* An exception passes many calls, and is asked for at each with points. */
static _Thread_local struct {
    const PyObject *exception; /* only compared: it may be gone, and so may be */
    const frame *next;         /* the next call with points that it leaves, */
    const frame *handler;      /* and the one that handles it; NULL: nobody does */
} passing;

/* Will the interpreter forget that it has left this call? Nobody who handles it comes
 * before that. */
static bool is_forgotten(const frame *of, const PyObject *exception)
{
    bool known = passing.exception == exception && passing.next == of;
    const frame *handler = known ? passing.handler : NULL, *next = NULL;
    enum handled by = UNHANDLED;

    of = frames_back(of);
    while (of != handler && (!known || next == NULL)) {
        if (!known && frames_waits(of) && forgets(of)) {
            return true;
        }
        by = handled(frames_code(of), frames_at(of));
        if (by == BY_CODE) {
            handler = of;
            break;
        }
        if (by == BY_POINT && next == NULL) {
            next = of;
        }
        of = frames_back(of);
    }
    passing.exception = exception;
    passing.next = next;
    passing.handler = handler;
    return false;
}

/* The traceback but for what no handler has written into it: this call, and calls without
 * points before it. */
static PyObject *written(const PyTracebackObject *first)
{
    const PyTracebackObject *at = first;

    while (at != NULL) {
        PyCodeObject *code = at->tb_frame->f_frame->f_code;
        enum handled by = handled(code, at->tb_lasti / (int)sizeof(_Py_CODEUNIT));

        if (by == BY_CODE || (by == BY_POINT && at != first)) {
            break;
        }
        at = at->tb_next;
    }
    return at != NULL ? (PyObject *)at : Py_None;
}

void points_unwind(PyObject *exception)
{
    const frame *of = frames_current(frames_thread());
    const PyTracebackObject *first = frames_traceback(exception);

    if (first != NULL && first->tb_frame->f_frame == of && is_forgotten(of, exception)) {
        (void)PyException_SetTraceback(exception, written(first));
    }
}
