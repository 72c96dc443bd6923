/* SPDX-License-Identifier: MIT */
/*
 * The place that a SyntaxError is about. Runs where programs are compiled, on a source
 * that may be hostile, before anything of it runs.
 */
#include "common/utf8.h"
#include "importer/source.h"
#include "importer/types.h"

/* The line of that number (any object, or NULL) of a source's text, or NULL without an
 * exception. New reference. */
static PyObject *line_of(PyObject *text, PyObject *number)
{
    long wanted = number != NULL && PyLong_Check(number) ? PyLong_AsLong(number) : 0;
    Py_ssize_t size = 0;
    const char *bytes = text != NULL ? PyUnicode_AsUTF8AndSize(text, &size) : NULL;
    struct source_walk walk = {.rest = bytes, .left = (size_t)size};
    struct source_line line = {0};
    PyObject *result = NULL;

    while (bytes != NULL && line.number < wanted && source_next(&walk, &line)) {
    }
    if (line.text != NULL && line.number == wanted) {
        result = PyUnicode_DecodeUTF8(line.text, (Py_ssize_t)line.size, NULL);
    }
    PyErr_Clear();
    return result;
}

/* Both count from 1; what is no column of that line is left as it is. */
static void count_characters(PyObject **column, PyObject *line)
{
    Py_ssize_t size = 0;
    const char *bytes = line != NULL ? PyUnicode_AsUTF8AndSize(line, &size) : NULL;
    long number = *column != NULL && PyLong_Check(*column) ? PyLong_AsLong(*column) : 0;
    PyObject *counted;

    if (bytes != NULL && number > 0 && number - 1 <= size) {
        counted = PyLong_FromSize_t(utf8_characters(bytes, (size_t)number - 1) + 1);
        if (counted != NULL) {
            Py_XSETREF(*column, counted);
        }
    }
    PyErr_Clear();
}

static void show_line(PySyntaxErrorObject *error, PyObject *source)
{
    PyObject *text = PyObject_CallOneArg(importer.decode_source, source);
    PyObject *line = line_of(text, error->lineno);
    PyObject *end = line_of(text, error->end_lineno);

    count_characters(&error->offset, line);
    count_characters(&error->end_offset, end);
    if (line != NULL) {
        Py_XSETREF(error->text, line);
    }
    PyErr_Clear();
    Py_XDECREF(end);
    Py_XDECREF(text);
}

static bool is_ascii(PyObject *source)
{
    const char *bytes = PyBytes_AS_STRING(source);
    bool is = true;

    for (Py_ssize_t i = 0; i < PyBytes_GET_SIZE(source) && is; i++) {
        is = (unsigned char)bytes[i] < 0x80;
    }
    return is;
}

static bool explain(PySyntaxErrorObject *error, PyObject *source)
{
    if (error->text == NULL || error->text == Py_None) {
        show_line(error, source);
        return false;
    }
    return !is_ascii(source);
}

bool syntax_explain(PyObject *source)
{
    PyObject *type, *value, *traceback;
    bool in_bytes = false;

    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (PyErr_GivenExceptionMatches(value,
                                    PyExc_SyntaxError)) { /* it may be out of memory */
        in_bytes = explain((PySyntaxErrorObject *)value, source);
    }
    PyErr_Restore(type, value, traceback);
    return in_bytes;
}
