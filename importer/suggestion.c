/* SPDX-License-Identifier: MIT */
/*
 * What a misspelt name may have been meant for. Runs in the sandbox after a program has
 * failed, on its exception, which may be hostile: its object is asked for its names.
 *
 * Python 3.11 knows, and says so only while it prints an exception itself, which has no
 * source lines here. So it prints one that has nothing but the name, and where it was
 * looked for. From 3.12 on the traceback module says it, and nothing is left to do.
 */
#define Py_BUILD_CORE
#include "importer/hint.h"

#include <frameobject.h>
#include <internal/pycore_pylifecycle.h>

#define MARK "Did you mean: "

static bool can_be_meant(PyObject *exception)
{
    return Py_TYPE(exception) == (PyTypeObject *)PyExc_NameError ||
           Py_TYPE(exception) == (PyTypeObject *)PyExc_AttributeError;
}

/* Returns whether there is one. */
static bool copy(PyObject *from, PyObject *to, const char *attribute)
{
    PyObject *value = PyObject_GetAttrString(from, attribute);
    bool copied = value != NULL && PyObject_SetAttrString(to, attribute, value) == 0;

    PyErr_Clear();
    Py_XDECREF(value);
    return copied;
}

/* The last entry of its traceback, a new reference; NULL: there is none, or the program
 * has taken it off. */
static PyObject *last_entry(PyObject *exception)
{
    PyObject *first = PyException_GetTraceback(exception);
    bool is_one = first != NULL && PyTraceBack_Check(first);
    PyTracebackObject *entry = is_one ? (PyTracebackObject *)first : NULL;

    while (entry != NULL && entry->tb_next != NULL) {
        entry = entry->tb_next;
    }
    Py_XINCREF(entry);
    Py_XDECREF(first);
    return (PyObject *)entry;
}

/* The same error, new, without a text or a history; NULL for none. */
static PyObject *bare(PyObject *exception)
{
    PyObject *entry = last_entry(exception);
    PyObject *one =
        entry != NULL ? PyObject_CallNoArgs((PyObject *)Py_TYPE(exception)) : NULL;

    PyErr_Clear();
    if (one != NULL && copy(exception, one, "name")) {
        (void)copy(exception, one, "obj");
        (void)PyException_SetTraceback(one, entry);
    } else {
        Py_CLEAR(one);
    }
    Py_XDECREF(entry);
    return one;
}

/* Returns the line's part behind the mark: new, or NULL. */
static PyObject *part_of(PyObject *text)
{
    PyObject *mark = PyUnicode_FromString(MARK);
    PyObject *part = NULL;
    Py_ssize_t at = -1, size = 0;

    if (text != NULL && mark != NULL) {
        size = PyUnicode_GET_LENGTH(text) - 1; /* without the last newline */
        at = PyUnicode_Find(text, mark, 0, size, -1);
    }
    if (at >= 0 && PyUnicode_FindChar(text, '\n', at, size, 1) < 0) {
        part = PyUnicode_Substring(text, at, size);
    }
    Py_XDECREF(mark);
    return part;
}

PyObject *importer_suggestion(PyObject *exception)
{
    PyObject *one = can_be_meant(exception) ? bare(exception) : NULL;
    PyObject *io = one != NULL ? PyImport_ImportModule("_io") : NULL;
    PyObject *file = io != NULL ? PyObject_CallMethod(io, "StringIO", NULL) : NULL;
    PyObject *text = NULL, *part;

    if (file != NULL) {
        _PyErr_Display(file, (PyObject *)Py_TYPE(one), one, NULL);
        text = PyObject_CallMethod(file, "getvalue", NULL);
    }
    part = part_of(text);
    PyErr_Clear();
    Py_XDECREF(text);
    Py_XDECREF(file);
    Py_XDECREF(io);
    Py_XDECREF(one);
    return part;
}
