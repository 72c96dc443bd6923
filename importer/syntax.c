/* SPDX-License-Identifier: MIT */
/*
 * The line that a SyntaxError is about. Runs where programs are compiled, on a source
 * that may be hostile, before anything of it runs.
 */
#include "importer/source.h"
#include "importer/types.h"

/* The line of that number of a source's bytes, or NULL without an exception. */
static PyObject *line_of(PyObject *source, long number)
{
    PyObject *text = PyObject_CallOneArg(importer.decode_source, source);
    Py_ssize_t size = 0;
    const char *bytes = text != NULL ? PyUnicode_AsUTF8AndSize(text, &size) : NULL;
    struct source_walk walk = {.rest = bytes, .left = (size_t)size};
    struct source_line line = {0};
    PyObject *result = NULL;

    while (bytes != NULL && line.number < number && source_next(&walk, &line)) {
    }
    if (line.text != NULL && line.number == number) {
        result = PyUnicode_DecodeUTF8(line.text, (Py_ssize_t)line.size, NULL);
    }
    Py_XDECREF(text);
    PyErr_Clear();
    return result;
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
                   ? line_of(source, PyLong_AsLong(error->lineno))
                   : NULL;
        if (line != NULL) {
            Py_XSETREF(error->text, line);
        }
    }
    PyErr_Restore(type, value, traceback);
}
