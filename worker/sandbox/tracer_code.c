/* SPDX-License-Identifier: MIT */
/*
 * Code with points, of code as it was compiled. Runs in the sandbox, where the importer
 * has compiled a module of the program, or the program itself a text. Trusts the
 * compiler.
 */
#include "worker/sandbox/tracer_parts.h"

#include "worker/sandbox/points.h"

/* What catches an exception that was thrown into it goes on without a POINT_RESUME. */
static unsigned points_of(enum job_trace level, bool suspends)
{
    unsigned calls = POINT_CALL | POINT_RETURN | POINT_YIELD | POINT_RESUME |
                     POINT_UNWIND | (suspends ? POINT_EXCEPTION : 0);
    unsigned lines = calls | POINT_LINE | POINT_EXCEPTION;

    return level == JOB_TRACE_OFF ? 0 : level == JOB_TRACE_CALLS ? calls : lines;
}

/* The constants with points in those that are code. */
static PyObject *instrument_constants(PyCodeObject *code)
{
    PyObject *constants = PySequence_List(code->co_consts);

    for (Py_ssize_t i = 0; constants != NULL && i < PyList_GET_SIZE(constants); i++) {
        PyObject *constant = PyList_GET_ITEM(constants, i);
        PyObject *inner = PyCode_Check(constant) ? tracer_instrument(constant) : NULL;

        if (inner != NULL) {
            (void)PyList_SetItem(constants, i, inner); /* cannot fail here */
        } else if (PyErr_Occurred()) {
            Py_CLEAR(constants);
        }
    }
    return constants;
}

/* Deep nesting of functions is bounded by Python's compiler. */
PyObject *tracer_instrument(PyObject *object)
{
    PyCodeObject *code = (PyCodeObject *)object;
    struct function *function = functions_new(code);
    PyObject *constants = function != NULL ? instrument_constants(code) : NULL;
    PyObject *result = NULL;

    if (constants != NULL) {
        result = points_instrument(code, points_of(tracer_most(), function->suspends),
                                   constants, tracer_point, function);
    }
    /* Code that got no point does not hold it. */
    if (result != NULL && result != object) {
        functions_bind(result, function);
    }
    Py_XDECREF(constants);
    Py_XDECREF(function);
    return result;
}
