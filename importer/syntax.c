/* SPDX-License-Identifier: MIT */
/*
 * The line that a SyntaxError is about. Runs where programs are compiled, on a source
 * that may be hostile, before anything of it runs.
 */
#include "importer/types.h"

/* The line of that number, or NULL without an exception. */
static PyObject *line_of(PyObject *source, Py_ssize_t number)
{
    PyObject *text = PyBytes_Check(source)
                         ? PyUnicode_DecodeUTF8(PyBytes_AS_STRING(source),
                                                PyBytes_GET_SIZE(source), "replace")
                         : PyObject_Str(source);
    PyObject *lines = text != NULL ? PyUnicode_Splitlines(text, 1) : NULL;
    PyObject *line = lines != NULL && number > 0 && number <= PyList_GET_SIZE(lines)
                         ? Py_NewRef(PyList_GET_ITEM(lines, number - 1))
                         : NULL;

    Py_XDECREF(lines);
    Py_XDECREF(text);
    PyErr_Clear();
    return line;
}

void syntax_show_line(PyObject *source)
{
    PyObject *type, *value, *traceback, *line;
    PySyntaxErrorObject *error;

    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    error = (PySyntaxErrorObject *)value;
    if (error->text == NULL || error->text == Py_None) {
        line = error->lineno != NULL && PyLong_Check(error->lineno)
                   ? line_of(source, PyLong_AsSsize_t(error->lineno))
                   : NULL;
        if (line != NULL) {
            Py_XSETREF(error->text, line);
        }
    }
    PyErr_Restore(type, value, traceback);
}
