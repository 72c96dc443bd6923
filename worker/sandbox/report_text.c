/* SPDX-License-Identifier: MIT */
/*
 * Texts of an exception. Runs in the sandbox, on what may be the program's own word:
 * every length is capped, and what cannot be had is left out.
 */
#include "common/utf8.h"
#include "worker/sandbox/report_parts.h"

#include <string.h>

#define CUT "..."

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

static void write_bytes(struct wire_writer *record, const char *bytes, size_t size,
                        size_t most)
{
    char cut[REPORT_MESSAGE_MAX];

    if (size > most) {
        size = report_shown(bytes, size, most - strlen(CUT));
        memcpy(cut, bytes, size);
        memcpy(cut + size, CUT, strlen(CUT));
        bytes = cut;
        size += strlen(CUT);
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

/* A str of a class of the program's is copied: what becomes of it is not heard. */
PyObject *report_text_of(PyObject *object)
{
    PyObject *text = PyObject_Str(object), *plain;

    PyErr_Clear();
    plain =
        text != NULL ? PyUnicode_FromObject(text) : PyUnicode_FromString(REPORT_NO_TEXT);
    PyErr_Clear();
    Py_XDECREF(text);
    return plain;
}

PyObject *report_notes(PyObject *exception)
{
    PyObject *members = ((PyBaseExceptionObject *)exception)->dict;
    PyObject *notes = members != NULL ? report_item(members, "__notes__") : NULL;

    return notes != NULL && PyList_Check(notes) ? notes : NULL;
}
