/* SPDX-License-Identifier: MIT */
/*
 * os.devnull of the file view, for where there is no disk to have one: what
 * io.FileIO('/dev/null') would be, but for its descriptor. Runs under the GIL of whatever
 * embeds the importer, on what a program chose to write.
 */
#include "importer/view.h"

#include <errno.h>
#include <string.h>

static PyTypeObject *null_type;
static PyObject *unsupported; /* io.UnsupportedOperation */

/* 0, or -1 with the exception of a closed file. */
static int check_open(PyObject *self)
{
    PyObject *closed = PyObject_GetAttrString(self, "closed");
    int is_closed = closed != NULL ? PyObject_IsTrue(closed) : -1;

    Py_XDECREF(closed);
    if (is_closed > 0) {
        PyErr_SetString(PyExc_ValueError, "I/O operation on closed file");
    }
    return is_closed == 0 ? 0 : -1;
}

/* Is its mode one with any of these letters? 1, 0, or -1 with an exception. */
static int has_mode(PyObject *self, const char *letters)
{
    PyObject *mode = check_open(self) == 0 ? PyObject_GetAttrString(self, "mode") : NULL;
    const char *text = mode != NULL ? importer_text(mode) : NULL;
    int has = text != NULL && strpbrk(text, letters) != NULL;

    Py_XDECREF(mode);
    return mode != NULL ? has : -1;
}

/* 0, or -1 with an exception. */
static int check_mode(PyObject *self, const char *letters, const char *refusal)
{
    int has = has_mode(self, letters);

    if (has == 0) {
        PyErr_SetString(unsupported, refusal);
    }
    return has > 0 ? 0 : -1;
}

static PyObject *answer(int has)
{
    return has >= 0 ? PyBool_FromLong(has) : NULL;
}

static PyObject *readable(PyObject *self, PyObject *ignored)
{
    return answer(has_mode(self, "r+"));
}

static PyObject *writable(PyObject *self, PyObject *ignored)
{
    return answer(has_mode(self, "wa+"));
}

static PyObject *seekable(PyObject *self, PyObject *ignored)
{
    return answer(check_open(self) == 0 ? 1 : -1);
}

static PyObject *read_into(PyObject *self, PyObject *ignored)
{
    return check_mode(self, "r+", "File not open for reading") == 0 ? PyLong_FromLong(0)
                                                                    : NULL;
}

static PyObject *write_bytes(PyObject *self, PyObject *args)
{
    PyObject *result = NULL;
    Py_buffer bytes;

    if (check_mode(self, "wa+", "File not open for writing") == 0 &&
        PyArg_ParseTuple(args, "y*:write", &bytes)) {
        result = PyLong_FromSsize_t(bytes.len);
        PyBuffer_Release(&bytes);
    }
    return result;
}

/* To wherever: it is at its start, as it says of itself in Linux. */
static PyObject *seek(PyObject *self, PyObject *ignored)
{
    return check_open(self) == 0 ? PyLong_FromLong(0) : NULL;
}

static PyObject *refuse_truncating(PyObject *self, PyObject *ignored)
{
    if (check_mode(self, "wa+", "File not open for writing") == 0) {
        errno = EINVAL;
        PyErr_SetFromErrno(PyExc_OSError);
    }
    return NULL;
}

static PyMethodDef null_methods[] = {
    {"readable", readable, METH_NOARGS, NULL},
    {"writable", writable, METH_NOARGS, NULL},
    {"seekable", seekable, METH_NOARGS, NULL},
    {"readinto", read_into, METH_O, NULL},
    {"write", write_bytes, METH_VARARGS, NULL},
    {"seek", seek, METH_VARARGS, NULL},
    {"truncate", refuse_truncating, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot null_slots[] = {{Py_tp_methods, null_methods}, {0, NULL}};

static PyType_Spec null_spec = {
    .name = "paddock_importer.NullFile",
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = null_slots,
};

/* The class in C that io.RawIOBase is made of, whose metaclass asks for no Python; the
 * type is registered as one of the latter, as io.FileIO is. */
static PyObject *raw_base(PyObject *raw)
{
    PyObject *base = (PyObject *)((PyTypeObject *)raw)->tp_base;

    return PyTuple_Pack(1, base);
}

int view_null_init(void)
{
    PyObject *io = PyImport_ImportModule("io");
    PyObject *raw = io != NULL ? PyObject_GetAttrString(io, "RawIOBase") : NULL;
    PyObject *bases = raw != NULL ? raw_base(raw) : NULL;
    PyObject *registered = NULL;

    if (bases != NULL) {
        unsupported = PyObject_GetAttrString(io, "UnsupportedOperation");
        null_type = (PyTypeObject *)PyType_FromSpecWithBases(&null_spec, bases);
    }
    if (unsupported != NULL && null_type != NULL) {
        registered = PyObject_CallMethod(raw, "register", "O", null_type);
    }
    Py_XDECREF(bases);
    Py_XDECREF(raw);
    Py_XDECREF(io);
    Py_XDECREF(registered);
    return registered != NULL ? 0 : -1;
}

PyObject *view_null_file(const struct view_place *place, const char *mode)
{
    PyObject *file = PyObject_CallNoArgs((PyObject *)null_type);

    if (file != NULL && view_name_file(file, place, mode) != 0) {
        Py_CLEAR(file);
    }
    return file;
}
