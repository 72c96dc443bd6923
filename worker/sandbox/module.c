/* SPDX-License-Identifier: MIT */
/*
 * What program_module.py stands on. Runs in the sandbox, called by a program that may be
 * hostile: it could write the same records itself, and gains nothing.
 */
#include "worker/sandbox/module.h"

#include "worker/sandbox/recorder.h"
#include "worker/sandbox/wish.h"

static PyObject *wish(PyObject *self, PyObject *argument)
{
    long wanted = PyLong_AsLong(argument);

    if (wanted < JOB_TRACE_OFF || wanted > JOB_TRACE_STEPS) {
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_ValueError, "no such level");
    }
    return wish_new((enum job_trace)wanted);
}

/* A part of a file is of no use: what does not fit into the output is an error, and no
 * end. Takes the buffer. */
static PyObject *give(enum wire_kind kind, const char *name, const char *media_type,
                      Py_buffer *bytes)
{
    PyObject *result = NULL;

    if (recorder_parts(kind, name, media_type, bytes->buf, (size_t)bytes->len)) {
        result = Py_NewRef(Py_None);
    } else {
        (void)PyErr_Format(PyExc_ValueError,
                           "%s%zd bytes are more than the job's output has left",
                           name != NULL ? "a file's name and " : "", bytes->len);
    }
    PyBuffer_Release(bytes);
    return result;
}

static PyObject *value(PyObject *self, PyObject *argument)
{
    Py_buffer bytes;

    if (PyObject_GetBuffer(argument, &bytes, PyBUF_SIMPLE) != 0) {
        return NULL;
    }
    return give(WIRE_VALUE, NULL, NULL, &bytes);
}

static PyObject *saved(PyObject *self, PyObject *args)
{
    const char *name, *media_type;
    Py_buffer bytes;

    if (!PyArg_ParseTuple(args, "ssy*", &name, &media_type, &bytes)) {
        return NULL;
    }
    return give(WIRE_SAVED, name, media_type, &bytes);
}

/* Calls the function that is `self`, and takes its frames out of what it raises. */
static PyObject *call_plainly(PyObject *self, PyObject *args, PyObject *names)
{
    PyObject *result = PyObject_Call(self, args, names);
    PyObject *type, *error, *traceback;

    if (result == NULL) {
        PyErr_Fetch(&type, &error, &traceback);
        PyErr_NormalizeException(&type, &error, &traceback);
        (void)PyException_SetTraceback(error, Py_None);
        Py_XDECREF(traceback);
        PyErr_Restore(type, error, NULL);
    }
    return result;
}

/* As a function in C, which no class makes a method of its own. */
static PyObject *call_as_it_is(PyObject *self, PyObject *args, PyObject *names)
{
    return PyObject_Call(self, args, names);
}

/* New reference to a function in C that calls this one, has its name, and lives for ever.
 */
static PyObject *make(PyObject *function, PyCFunctionWithKeywords call)
{
    PyObject *name = PyObject_GetAttrString(function, "__name__");
    PyObject *text = PyObject_GetAttrString(function, "__doc__");
    PyMethodDef *method = PyMem_Calloc(1, sizeof(*method));

    if (name == NULL || text == NULL || method == NULL) {
        return PyErr_Occurred() ? NULL : PyErr_NoMemory();
    }
    *method = (PyMethodDef){.ml_name = PyUnicode_AsUTF8(name),
                            .ml_meth = (PyCFunction)(void (*)(void))call,
                            .ml_flags = METH_VARARGS | METH_KEYWORDS,
                            .ml_doc = PyUnicode_AsUTF8(text)};
    return PyCFunction_New(method, function);
}

static PyObject *plain(PyObject *self, PyObject *function)
{
    return make(function, call_plainly);
}

static PyObject *builtin(PyObject *self, PyObject *function)
{
    return make(function, call_as_it_is);
}

static PyMethodDef methods[] = {
    {"plain", plain, METH_O, NULL},       {"builtin", builtin, METH_O, NULL},
    {"wish", wish, METH_O, NULL},         {"value", value, METH_O, NULL},
    {"saved", saved, METH_VARARGS, NULL}, {0}};
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "_host",
                                        .m_size = -1, .m_methods = methods};

PyObject *module_host(void)
{
    return wish_init() == 0 ? PyModule_Create(&definition) : NULL;
}
