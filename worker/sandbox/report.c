/* SPDX-License-Identifier: MIT */
/*
 * Telling an exception in one line. Runs in the sandbox on objects of a program that may
 * be hostile: every length is capped, and no error in it is more than a missing word.
 */
#include "worker/sandbox/report_parts.h"

#include <string.h>

#define CLASS_MAX 80 /* bytes of an exception's name in a sentence */

void report_add_class(PyObject *exception, struct buffer *to)
{
    const char *name = Py_TYPE(exception)->tp_name;
    size_t size = strlen(name);
    size_t fits = report_shown(name, size, CLASS_MAX);

    buffer_add(to, name, fits);
    buffer_add_text(to, fits < size ? "..." : "");
}

static void add_where(PyObject *exception, struct buffer *to)
{
    int line = 0;
    const char *path = report_innermost(exception, &line);

    if (path != NULL) {
        buffer_add_text(to, " (");
        buffer_add_visible(to, path, strlen(path));
        buffer_printf(to, ", line %d)", line);
    }
}

/* `message`: borrowed; NULL for none. */
static void add_line(PyObject *exception, PyObject *message, struct buffer *to)
{
    PyObject *bytes = report_encode(message);

    report_add_class(exception, to);
    if (bytes != NULL && PyBytes_GET_SIZE(bytes) > 0) {
        const char *text = PyBytes_AS_STRING(bytes);
        size_t size = (size_t)PyBytes_GET_SIZE(bytes);

        buffer_add_text(to, ": ");
        buffer_add(to, text, report_shown(text, size, REPORT_MESSAGE_MAX));
    }
    add_where(exception, to);
    Py_XDECREF(bytes);
}

/* What a SyntaxError says of its place is said anyway. */
static PyObject *own_text(PyObject *exception, PyObject *(*text_of)(PyObject *one))
{
    return report_is_syntax_error(exception)
               ? Py_XNewRef(((PySyntaxErrorObject *)exception)->msg)
               : text_of(exception);
}

static PyObject *plain_text(PyObject *exception)
{
    return report_is_plain(exception) ? report_text_of(exception) : NULL;
}

void report_brief(PyObject *exception, struct buffer *to)
{
    PyObject *message = own_text(exception, plain_text);

    add_line(exception, message, to);
    Py_XDECREF(message);
}

void report_line(PyObject *exception, struct buffer *to)
{
    PyObject *message = own_text(exception, report_said);

    add_line(exception, message, to);
    Py_XDECREF(message);
}
