/* SPDX-License-Identifier: MIT */
/*
 * A source that was refused, looked at again in another form, for where the same error is
 * in that. Runs under the GIL where programs are compiled, on what is hostile, before
 * anything of it runs.
 */
#define Py_BUILD_CORE
#include "importer/types.h"

#include <internal/pycore_interp.h>

/* ---- warnings: they have been said ---- */

/* (action, message, category, module, line), as the module warnings has them; NULL: it is
 * none of these. */
static PyObject *action_of(PyObject *filter)
{
    return PyTuple_Check(filter) && PyTuple_GET_SIZE(filter) == 5 &&
                   PyUnicode_Check(PyTuple_GET_ITEM(filter, 0))
               ? PyTuple_GET_ITEM(filter, 0)
               : NULL;
}

static PyObject *ignoring(PyObject *filter)
{
    return Py_BuildValue("(sOOOO)", "ignore", PyTuple_GET_ITEM(filter, 1),
                         PyTuple_GET_ITEM(filter, 2), PyTuple_GET_ITEM(filter, 3),
                         PyTuple_GET_ITEM(filter, 4));
}

static bool add(PyObject *list, PyObject *item) /* whose reference it takes */
{
    bool added = item != NULL && PyList_Append(list, item) == 0;

    Py_XDECREF(item);
    return added;
}

/* Those of the filters that make an error of a warning, each in its place, and nothing is
 * shown. New, or NULL with an exception. */
static PyObject *only_errors(PyObject *filters)
{
    Py_ssize_t count =
        filters != NULL && PyList_Check(filters) ? PyList_GET_SIZE(filters) : 0;
    PyObject *kept = PyList_New(0), *filter, *action;
    bool done = kept != NULL;

    for (Py_ssize_t i = 0; done && i < count; i++) {
        filter = PyList_GET_ITEM(filters, i);
        action = action_of(filter);
        if (action == NULL) {
            break; /* nothing has come so far */
        }
        done = add(kept, PyUnicode_CompareWithASCIIString(action, "error") == 0
                             ? Py_NewRef(filter)
                             : ignoring(filter));
    }
    if (!done || !add(kept, Py_BuildValue("(sOOOi)", "ignore", Py_None, PyExc_Warning,
                                          Py_None, 0))) {
        Py_CLEAR(kept);
    }
    return kept;
}

/* The interpreter has the filters that were in force last, and asks the module warnings,
 * or whatever a program has put in its place, for others: it is not there meanwhile. */
#define MODULE "warnings"

struct silence {
    PyObject *filters, *module; /* as they were; owned, NULL: none */
};

static bool begin_silence(struct silence *silence)
{
    PyInterpreterState *interpreter = PyInterpreterState_Get();
    PyObject *modules = PyImport_GetModuleDict();
    PyObject *kept = only_errors(interpreter->warnings.filters);

    silence->module = Py_XNewRef(PyDict_GetItemString(modules, MODULE));
    if (kept == NULL || PyDict_SetItemString(modules, MODULE, Py_None) != 0) {
        Py_XDECREF(kept);
        Py_XDECREF(silence->module);
        return false;
    }
    silence->filters = interpreter->warnings.filters;
    interpreter->warnings.filters = kept;
    return true;
}

static void end_silence(const struct silence *silence)
{
    PyInterpreterState *interpreter = PyInterpreterState_Get();
    PyObject *modules = PyImport_GetModuleDict();

    Py_XSETREF(interpreter->warnings.filters, silence->filters);
    if ((silence->module != NULL ? PyDict_SetItemString(modules, MODULE, silence->module)
                                 : PyDict_DelItemString(modules, MODULE)) != 0) {
        PyErr_Clear();
    }
    Py_XDECREF(silence->module);
}

/* ---- the same error ---- */

/* Leaves the exception that is set, if there is one. No other thread may have the
 * interpreter meanwhile, and see that: it would while Python looks for a file of that
 * name, to show a line. No file's name can be encoded so. */
static void compile_quietly(PyObject *source)
{
    PyObject *nobody = PyUnicode_FromOrdinal(0xd800), *code = NULL;
    PyObject *type, *value, *traceback;
    struct silence silence;

    if (nobody != NULL && begin_silence(&silence)) {
        code =
            PyObject_CallFunctionObjArgs(importer.compile_checked, source, nobody, NULL);
        PyErr_Fetch(&type, &value, &traceback);
        end_silence(&silence);
        PyErr_Restore(type, value, traceback);
    }
    Py_XDECREF(code);
    Py_XDECREF(nobody);
}

static bool is_same(const PySyntaxErrorObject *one, const PySyntaxErrorObject *other)
{
    return one->msg != NULL && other->msg != NULL && one->lineno != NULL &&
           other->lineno != NULL &&
           PyObject_RichCompareBool(one->msg, other->msg, Py_EQ) == 1 &&
           PyObject_RichCompareBool(one->lineno, other->lineno, Py_EQ) == 1;
}

PyObject *syntax_again(PyObject *exception, PyObject *source)
{
    PyObject *type, *value, *traceback;

    compile_quietly(source);
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (value != NULL &&
        (!PyErr_GivenExceptionMatches(value, PyExc_SyntaxError) ||
         !is_same((PySyntaxErrorObject *)value, (PySyntaxErrorObject *)exception))) {
        Py_CLEAR(value);
    }
    PyErr_Clear();
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    return value;
}
