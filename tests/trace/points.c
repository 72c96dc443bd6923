/* SPDX-License-Identifier: MIT */
/*
 * Python with a module `points`: what is behind points.h, and frames.h, for tests in
 * Python.
 *
 * points.instrument(code, what, log): the code and all code within it with points that
 * append (what, line, name of the function, what is asked for) to the list `log`: its
 * type, or None, or with a `how` of 1 itself, or of 2 the number that the tracer gives
 * it. points.frames(): [(function, line)] of all frames, the innermost first.
 * points.variables(): {name: value} of the frame that asks.
 * points.attributes(object): {name: value}. points.line(code, at), of Python 3.11: the
 * line that a call is on at that byte of its code.
 */
#include "worker/sandbox/frames.h" /* first: what it defines decides what Python.h has */

#include "worker/sandbox/bytecode_lines.h"
#include "worker/sandbox/points.h"
#include "worker/sandbox/tracer_parts.h"

enum how { TYPE, ITSELF, NUMBER };

struct mark {
    PyObject_HEAD unsigned what;
    int line;
    enum how how;
    PyObject *name, *log; /* owned */
};

static PyObject *said_of(PyObject *asked, enum how how)
{
    if (asked == NULL) {
        return Py_NewRef(Py_None);
    }
    return how == NUMBER ? PyLong_FromUnsignedLongLong(exceptions_number(asked))
                         : Py_NewRef(how == TYPE ? (PyObject *)Py_TYPE(asked) : asked);
}

static void tell(struct mark *mark, PyObject *asked)
{
    bool is_number = mark->what == POINT_AGAIN && asked != NULL;
    int line =
        is_number ? frames_line_at(frames_current(frames_thread()), asked) : mark->line;
    PyObject *said = said_of(asked, is_number ? TYPE : mark->how);
    PyObject *entry = Py_BuildValue("(IiON)", mark->what, line, mark->name, said);

    if (entry == NULL || PyList_Append(mark->log, entry) != 0) {
        abort();
    }
    Py_DECREF(entry);
}

static int mark_is_true(PyObject *self)
{
    tell((struct mark *)self, NULL);
    return 1;
}

static int mark_contains(PyObject *self, PyObject *exception)
{
    tell((struct mark *)self, exception);
    return 1;
}

static void mark_free(PyObject *self)
{
    Py_DECREF(((struct mark *)self)->name);
    Py_DECREF(((struct mark *)self)->log);
    PyObject_Free(self);
}

static PyNumberMethods mark_number = {.nb_bool = mark_is_true};
static PySequenceMethods mark_sequence = {.sq_contains = mark_contains};
static PyTypeObject mark_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "points.mark",
    .tp_basicsize = sizeof(struct mark),
    .tp_dealloc = mark_free,
    .tp_as_number = &mark_number,
    .tp_as_sequence = &mark_sequence,
    .tp_flags = Py_TPFLAGS_DEFAULT,
};

struct making {
    PyObject *name, *log; /* borrowed */
    enum how how;
};

static PyObject *make(void *context, unsigned what, int line)
{
    const struct making *making = context;
    struct mark *mark = PyObject_New(struct mark, &mark_type);

    if (mark != NULL) {
        mark->what = what;
        mark->line = line;
        mark->how = making->how;
        mark->name = Py_NewRef(making->name);
        mark->log = Py_NewRef(making->log);
    }
    return (PyObject *)mark;
}

static PyObject *instrument_all(PyCodeObject *code, unsigned what, PyObject *log,
                                enum how how)
{
    struct making making = {code->co_qualname, log, how};
    PyObject *constants = PySequence_List(code->co_consts);
    PyObject *result = NULL;

    for (Py_ssize_t i = 0; constants != NULL && i < PyList_GET_SIZE(constants); i++) {
        PyObject *constant = PyList_GET_ITEM(constants, i);

        if (PyCode_Check(constant)) {
            PyObject *inner = instrument_all((PyCodeObject *)constant, what, log, how);

            if (inner == NULL || PyList_SetItem(constants, i, inner) != 0) {
                Py_CLEAR(constants);
            }
        }
    }
    if (constants != NULL) {
        result = points_instrument(code, what, constants, make, &making);
    }
    Py_XDECREF(constants);
    return result;
}

static PyObject *instrument(PyObject *self, PyObject *args)
{
    PyObject *code, *log;
    unsigned what, how = TYPE;

    if (!PyArg_ParseTuple(args, "O!IO!|I", &PyCode_Type, &code, &what, &PyList_Type, &log,
                          &how)) {
        return NULL;
    }
    return instrument_all((PyCodeObject *)code, what, log, (enum how)how);
}

static PyObject *list_frames(PyObject *self, PyObject *none)
{
    PyObject *list = PyList_New(0);

    for (const frame *at = frames_current(frames_thread()); at != NULL && list != NULL;
         at = frames_back(at)) {
        PyObject *entry =
            Py_BuildValue("(Oi)", frames_code(at)->co_qualname, frames_line(at));

        if (entry == NULL || PyList_Append(list, entry) != 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(entry);
    }
    return list;
}

static PyObject *variables(PyObject *self, PyObject *none)
{
    const frame *at = frames_current(frames_thread());
    PyObject *dict = PyDict_New();

    if (frames_names(at) != NULL) {
        Py_XSETREF(dict, PyDict_Copy(frames_names(at)));
        return dict;
    }
    for (int i = 0; dict != NULL && i < frames_places(at); i++) {
        PyObject *value = frames_local(at, i);

        if (value != NULL && PyDict_SetItem(dict, frames_local_name(at, i), value) != 0) {
            Py_CLEAR(dict);
        }
    }
    return dict;
}

static PyObject *attributes(PyObject *self, PyObject *object)
{
    PyObject *dict = PyDict_New(), *name, *value;
    Py_ssize_t at = 0;

    while (dict != NULL && frames_attribute(object, &at, &name, &value)) {
        if (PyDict_SetItem(dict, name, value) != 0) {
            Py_CLEAR(dict);
        }
    }
    return dict;
}

#if PY_VERSION_HEX < 0x030C0000
static PyObject *find_line(PyObject *self, PyObject *args)
{
    PyCodeObject *code;
    int at;

    return PyArg_ParseTuple(args, "O!i", &PyCode_Type, &code, &at)
               ? PyLong_FromLong(bytecode_line(code, at / (int)sizeof(_Py_CODEUNIT)))
               : NULL;
}
#endif

static PyMethodDef methods[] = {{"instrument", instrument, METH_VARARGS, NULL},
                                {"frames", list_frames, METH_NOARGS, NULL},
                                {"variables", variables, METH_NOARGS, NULL},
                                {"attributes", attributes, METH_O, NULL},
#if PY_VERSION_HEX < 0x030C0000
                                {"line", find_line, METH_VARARGS, NULL},
#endif
                                {0}};
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "points",
                                        .m_size = -1, .m_methods = methods};

static PyObject *make_module(void)
{
    exceptions_start();
    return PyType_Ready(&mark_type) == 0 ? PyModule_Create(&definition) : NULL;
}

int main(int argc, char **argv)
{
    if (PyImport_AppendInittab("points", make_module) != 0) {
        return 1;
    }
    return Py_BytesMain(argc, argv);
}
