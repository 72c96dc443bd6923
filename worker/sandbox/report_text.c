/* SPDX-License-Identifier: MIT */
/*
 * Texts of an exception. Runs in the sandbox, on what may be the program's own word:
 * every length is capped, and what cannot be had is left out.
 */
#include "common/utf8.h"
#include "worker/sandbox/report_parts.h"

#include <string.h>

PyObject *report_encode(PyObject *text)
{
    PyObject *bytes = text != NULL && PyUnicode_Check(text)
                          ? PyUnicode_AsEncodedString(text, "utf-8", "backslashreplace")
                          : NULL;

    PyErr_Clear();
    return bytes;
}

size_t report_shown(const char *bytes, size_t size, size_t most)
{
    return size <= most ? size : utf8_whole(bytes, most);
}

/* Returns how many bytes are left of it: `most` at most, the mark included. */
static size_t cut(const char *bytes, size_t size, size_t most,
                  char to[REPORT_MESSAGE_MAX])
{
    size = report_shown(bytes, size, most - strlen(REPORT_CUT));
    memcpy(to, bytes, size);
    memcpy(to + size, REPORT_CUT, strlen(REPORT_CUT));
    return size + strlen(REPORT_CUT);
}

static void write_bytes(struct wire_writer *record, const char *bytes, size_t size,
                        size_t most)
{
    char shorter[REPORT_MESSAGE_MAX];

    if (size > most) {
        size = cut(bytes, size, most, shorter);
        bytes = shorter;
    }
    wire_bytes(record, bytes, size);
}

void report_write_text(struct wire_writer *record, PyObject *text, size_t most)
{
    PyObject *bytes = report_encode(text);

    write_bytes(record, bytes != NULL ? PyBytes_AS_STRING(bytes) : "",
                bytes != NULL ? (size_t)PyBytes_GET_SIZE(bytes) : 0, most);
    Py_XDECREF(bytes);
}

void report_write_class(struct wire_writer *record, PyObject *exception)
{
    const char *name = Py_TYPE(exception)->tp_name;

    write_bytes(record, name, strlen(name), REPORT_TEXT_MAX);
}

/* Takes a str, or NULL. */
static PyObject *shortened(PyObject *text)
{
    bool is_long = text != NULL && PyUnicode_GET_LENGTH(text) > REPORT_MESSAGE_MAX;
    PyObject *part =
        is_long ? PyUnicode_Substring(text, 0, REPORT_MESSAGE_MAX + 1) : Py_XNewRef(text);
    PyObject *bytes = report_encode(part);
    char shorter[REPORT_MESSAGE_MAX];

    if (bytes != NULL && PyBytes_GET_SIZE(bytes) > REPORT_MESSAGE_MAX) {
        size_t size = cut(PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes),
                          REPORT_MESSAGE_MAX, shorter);

        Py_XSETREF(part, PyUnicode_DecodeUTF8(shorter, (Py_ssize_t)size, NULL));
    }
    PyErr_Clear();
    Py_XDECREF(bytes);
    Py_XDECREF(text);
    return part;
}

/* A str of a class of the program's is copied: what becomes of it is not heard. */
PyObject *report_text_of(PyObject *object)
{
    PyObject *text = PyObject_Str(object), *plain;

    plain = text != NULL ? PyUnicode_FromObject(text) : NULL;
    PyErr_Clear();
    Py_XDECREF(text);
    return shortened(plain);
}

/* ---- lines of them ---- */

static bool ends_line(PyObject *line)
{
    Py_ssize_t size = PyUnicode_GET_LENGTH(line);

    return size > 0 && PyUnicode_READ_CHAR(line, size - 1) == '\n';
}

/* As it is, where it is not too long. New reference, or NULL. */
static PyObject *shorter_line(PyObject *line)
{
    PyObject *text = shortened(Py_NewRef(line));

    if (text != NULL && ends_line(line) && !ends_line(text)) {
        Py_SETREF(text, PyUnicode_FromFormat("%U\n", text));
    }
    PyErr_Clear();
    return text;
}

/* Returns how many bytes there are of the line now, which is put in its place. */
static size_t shorten(PyObject *lines, Py_ssize_t i)
{
    PyObject *line = PyList_GET_ITEM(lines, i);
    PyObject *shorter = PyUnicode_Check(line) ? shorter_line(line) : NULL;
    PyObject *bytes = report_encode(shorter);
    size_t size = bytes != NULL ? (size_t)PyBytes_GET_SIZE(bytes) : 0;

    if (shorter != NULL) {
        (void)PyList_SetItem(lines, i, Py_NewRef(shorter));
    }
    Py_XDECREF(bytes);
    Py_XDECREF(shorter);
    return size;
}

PyObject *report_shorten(PyObject *lines)
{
    Py_ssize_t i = 0;
    size_t size = 0;

    if (lines == NULL || !PyList_CheckExact(lines)) {
        return lines;
    }
    while (i < PyList_GET_SIZE(lines) && size <= REPORT_SHOWN_MAX) {
        size += shorten(lines, i++);
    }
    if (size > REPORT_SHOWN_MAX) {
        PyObject *mark = Py_BuildValue("[s]", REPORT_CUT "\n");

        (void)PyList_SetSlice(lines, i - 1, PY_SSIZE_T_MAX, mark);
        PyErr_Clear();
        Py_XDECREF(mark);
    }
    return lines;
}

PyObject *report_notes(PyObject *exception)
{
    PyObject *members = ((PyBaseExceptionObject *)exception)->dict;
    PyObject *notes = members != NULL ? report_item(members, "__notes__") : NULL;

    return notes != NULL && PyList_Check(notes) ? notes : NULL;
}
