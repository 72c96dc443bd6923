/* SPDX-License-Identifier: MIT */
/*
 * Code that a program makes of a text: exec and eval, called by code with points, run
 * what they are given with points as well. Runs in the sandbox. In every other way they
 * are the functions that they stand in for; library code that uses them is not traced.
 * compile() is Python's own, so that its code can be compared and written by marshal.
 */
#include "worker/sandbox/tracer_parts.h"

#include <string.h>

static PyObject *builtin_compile, *original_exec, *original_eval; /* owned */

static bool is_called_by_program(void)
{
    const frame *caller = frames_current(frames_thread());

    return caller != NULL && functions_of(frames_code(caller)) != NULL;
}

/* As eval() does: spaces before an expression do not count. */
static PyObject *without_spaces(PyObject *text)
{
    return PyObject_CallMethod(text, "lstrip", "s", " \t");
}

/* The text compiled, a new reference; NULL with an exception. Flags of the program's
 * code, as from __future__, hold for it, too: compile() takes them from whoever called
 * us. */
static PyObject *compile_text(PyObject *text, const char *mode)
{
    bool is_expression = strcmp(mode, "eval") == 0 && PyUnicode_CheckExact(text);
    PyObject *stripped = is_expression ? without_spaces(text) : Py_NewRef(text);
    PyObject *code = stripped != NULL ? PyObject_CallFunction(builtin_compile, "Oss",
                                                              stripped, "<string>", mode)
                                      : NULL;

    Py_XDECREF(stripped);
    return code;
}

/* What is to run in the place of the first argument, a new reference; NULL with an
 * exception. Without one: that itself. */
static PyObject *with_points(PyObject *source, const char *mode, PyObject *names)
{
    PyObject *code, *result;

    if (PyCode_Check(source)) {
        return functions_twin(source);
    }
    if (names != NULL || !(PyUnicode_CheckExact(source) || PyBytes_CheckExact(source))) {
        return NULL;
    }
    code = compile_text(source, mode);
    result = code != NULL ? tracer_instrument(code) : NULL;
    Py_XDECREF(code);
    return result;
}

#define ARGUMENTS 4 /* source, globals, locals, closure= */

static PyObject *run_traced(PyObject *original, const char *mode, PyObject *const *args,
                            Py_ssize_t count, PyObject *names)
{
    Py_ssize_t all = count + (names != NULL ? PyTuple_GET_SIZE(names) : 0);
    PyObject *passed[ARGUMENTS], *code = NULL, *result;

    if (count > 0 && all <= ARGUMENTS && is_called_by_program()) {
        code = with_points(args[0], mode, names);
    }
    if (code == NULL) {
        return PyErr_Occurred()
                   ? NULL
                   : PyObject_Vectorcall(original, args, (size_t)count, names);
    }
    memcpy(passed, args, (size_t)all * sizeof(*passed));
    passed[0] = code;
    result = PyObject_Vectorcall(original, passed, (size_t)count, names);
    Py_DECREF(code);
    return result;
}

static PyObject *exec_traced(PyObject *self, PyObject *const *args, Py_ssize_t count,
                             PyObject *names)
{
    return run_traced(original_exec, "exec", args, count, names);
}

static PyObject *eval_traced(PyObject *self, PyObject *const *args, Py_ssize_t count,
                             PyObject *names)
{
    return run_traced(original_eval, "eval", args, count, names);
}

#define STAND_IN(name)                                                                   \
    {                                                                                    \
#name, (PyCFunction)(void (*)(void))name##_traced,                               \
            METH_FASTCALL | METH_KEYWORDS, NULL                                          \
    }

static struct {
    PyMethodDef method; /* its text is the original's */
    PyObject **original;
} stand_ins[] = {
    {STAND_IN(exec), &original_exec},
    {STAND_IN(eval), &original_eval},
};

int texts_trace(void)
{
    PyObject *builtins = PyImport_AddModule("builtins"); /* borrowed */
    int error;

    builtin_compile =
        builtins != NULL ? PyObject_GetAttrString(builtins, "compile") : NULL;
    error = builtin_compile != NULL ? 0 : -1;
    for (size_t i = 0; error == 0 && i < sizeof(stand_ins) / sizeof(*stand_ins); i++) {
        PyMethodDef *method = &stand_ins[i].method;
        PyObject *original = PyObject_GetAttrString(builtins, method->ml_name);
        PyObject *stand_in;

        if (original == NULL || !PyCFunction_Check(original)) {
            Py_XDECREF(original);
            continue; /* not ours to replace */
        }
        *stand_ins[i].original = original;
        method->ml_doc = ((PyCFunctionObject *)original)->m_ml->ml_doc;
        stand_in = PyCFunction_NewEx(method, ((PyCFunctionObject *)original)->m_self,
                                     ((PyCFunctionObject *)original)->m_module);
        error = stand_in != NULL
                    ? PyObject_SetAttrString(builtins, method->ml_name, stand_in)
                    : -1;
        Py_XDECREF(stand_in);
    }
    return error;
}
