/* SPDX-License-Identifier: MIT */
/*
 * The tracer at level `calls`. Runs in the sandbox, inside the interpreter's loop: no
 * Python is called and nothing allocated per event. Trusts nothing it reads of a
 * program's code objects but their types.
 */
#include "worker/sandbox/tracer.h"

#include "worker/sandbox/interpreter.h"
#include "worker/sandbox/recorder.h"

#include <Python.h>
#include <frameobject.h>
#include <stdbool.h>
#include <string.h>

/* What the extra slot of a code object holds: 0 not looked at yet, 1 not the program's,
 * else its function id times two. */
#define NOT_OURS ((void *)1)

static Py_ssize_t extra_slot = -1;
static uintptr_t functions;    /* ids given */
static PyObject *file_numbers; /* dict: path -> number; owned */
static PyObject *threading;    /* the module; a program may have one of its own */
static bool
    entering; /* the innermost frame's `call` is being written: it follows a `sync` */

int tracer_init(void)
{
    threading = PyImport_ImportModule("threading");
    extra_slot = _PyEval_RequestCodeExtraIndex(NULL);
    file_numbers = PyDict_New();
    if (threading == NULL) {
        return -1;
    }
    if (extra_slot < 0 || file_numbers == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "no slot for the tracer");
        return -1;
    }
    return 0;
}

static bool is_program_file(PyObject *path)
{
    Py_ssize_t size;
    const char *text = PyUnicode_AsUTF8AndSize(path, &size);

    if (text == NULL) {
        PyErr_Clear(); /* lone surrogates: no file of a ZIP has such a name */
        return false;
    }
    return strncmp(text, PROGRAM_ROOT "/", sizeof(PROGRAM_ROOT)) == 0;
}

#define NAME_MAX_BYTES 512
#define TABLE_ROOM     (2 * (NAME_MAX_BYTES + 32)) /* for a file and a function */

/* As much of a text as fits well into one record, in whole characters. */
static void write_name(struct wire_writer *record, PyObject *text)
{
    Py_ssize_t size = 0;
    const char *bytes = PyUnicode_AsUTF8AndSize(text, &size);

    if (bytes == NULL) {
        PyErr_Clear();
        bytes = "";
        size = 0;
    }
    if (size > NAME_MAX_BYTES) {
        size = NAME_MAX_BYTES;
        while ((bytes[size] & 0xc0) == 0x80) { /* within a character */
            size--;
        }
    }
    wire_bytes(record, bytes, (size_t)size);
}

static unsigned long file_number(PyObject *path)
{
    PyObject *known = PyDict_GetItemWithError(file_numbers, path);
    unsigned long number;
    struct wire_writer *record;

    if (known != NULL) {
        return PyLong_AsUnsignedLong(known);
    }
    number = (unsigned long)PyDict_GET_SIZE(file_numbers);
    known = PyLong_FromUnsignedLong(number);
    if (known == NULL || PyDict_SetItem(file_numbers, path, known) != 0) {
        PyErr_Clear(); /* out of memory: it will be named again */
    }
    Py_XDECREF(known);
    record = recorder_table(WIRE_FILE);
    wire_unsigned(record, number);
    write_name(record, path);
    recorder_publish();
    return number;
}

static void *name_function(PyCodeObject *code)
{
    unsigned long file = file_number(code->co_filename);
    uintptr_t id = ++functions;
    struct wire_writer *record = recorder_table(WIRE_FUNCTION);

    wire_unsigned(record, id);
    wire_unsigned(record, file);
    wire_unsigned(record,
                  (uint64_t)(code->co_firstlineno > 0 ? code->co_firstlineno : 0));
    write_name(record, code->co_qualname);
    recorder_publish();
    return (void *)(id << 1);
}

/* Returns the function's id, or 0 for code that is not the program's. */
static uintptr_t function_id(PyCodeObject *code)
{
    void *extra = NULL;

    if (_PyCode_GetExtra((PyObject *)code, extra_slot, &extra) != 0) {
        PyErr_Clear();
        return 0;
    }
    if (extra == NULL) {
        extra = is_program_file(code->co_filename) && recorder_has_table_room(TABLE_ROOM)
                    ? name_function(code)
                    : NOT_OURS;
        if (_PyCode_SetExtra((PyObject *)code, extra_slot, extra) != 0) {
            PyErr_Clear();
        }
    }
    return extra == NOT_OURS ? 0 : (uintptr_t)extra >> 1;
}

static uintptr_t frame_function(PyFrameObject *frame)
{
    PyCodeObject *code = PyFrame_GetCode(frame);
    uintptr_t id = function_id(code);

    Py_DECREF(code);
    return id;
}

static int on_event(PyObject *self, PyFrameObject *frame, int what, PyObject *argument)
{
    struct wire_writer *record;
    uintptr_t id;

    if (what != PyTrace_CALL && what != PyTrace_RETURN) {
        return 0;
    }
    id = frame_function(frame);
    if (id == 0) {
        return 0;
    }
    entering = what == PyTrace_CALL;
    if (entering) {
        record = recorder_trace(WIRE_CALL);
        wire_unsigned(record, id);
    } else {
        (void)recorder_trace(argument != NULL ? WIRE_RETURN : WIRE_UNWIND);
    }
    recorder_publish();
    return 0;
}

/* For `sync`: the stack of this thread, innermost last. Under the recorder's lock, so
 * only functions that are named already can be told. */
static size_t current_stack(uint32_t *ids, size_t room)
{
    PyFrameObject *frame = PyEval_GetFrame();
    uint32_t innermost_first[64];
    size_t depth = 0;

    if (frame != NULL && entering) {
        frame = PyFrame_GetBack(frame);
    } else {
        Py_XINCREF(frame);
    }
    while (frame != NULL && depth < room && depth < array_size(innermost_first)) {
        PyCodeObject *code = PyFrame_GetCode(frame);
        PyFrameObject *outer = PyFrame_GetBack(frame);
        void *extra = NULL;

        if (_PyCode_GetExtra((PyObject *)code, extra_slot, &extra) == 0 &&
            extra != NULL && extra != NOT_OURS) {
            innermost_first[depth++] = (uint32_t)((uintptr_t)extra >> 1);
        }
        Py_DECREF(code);
        Py_DECREF(frame);
        frame = outer;
    }
    Py_XDECREF(frame);
    for (size_t i = 0; i < depth; i++) {
        ids[i] = innermost_first[depth - 1 - i];
    }
    return depth;
}

/* threading calls sys.setprofile(hook) in each thread that it starts; on its first event
 * the hook puts the C function in its own place. */
static PyObject *trace_this_thread(PyObject *self, PyObject *const *args,
                                   Py_ssize_t count)
{
    PyEval_SetProfile(on_event, NULL);
    if (count == 3 && PyFrame_Check(args[0]) && PyUnicode_Check(args[1]) &&
        PyUnicode_CompareWithASCIIString(args[1], "call") == 0) {
        (void)on_event(NULL, (PyFrameObject *)args[0], PyTrace_CALL, NULL);
    }
    Py_RETURN_NONE;
}

static PyMethodDef thread_hook = {"trace_this_thread",
                                  (PyCFunction)(void (*)(void))trace_this_thread,
                                  METH_FASTCALL, NULL};

int tracer_start(enum job_trace level)
{
    PyObject *hook;
    int error;

    if (level == JOB_TRACE_OFF) {
        return 0;
    }
    hook = PyCFunction_New(&thread_hook, NULL);
    if (hook == NULL) {
        return -1;
    }
    error = PyObject_SetAttrString(threading, "_profile_hook", hook);
    Py_DECREF(hook);
    if (error == 0) {
        recorder_set_stack(current_stack);
        PyEval_SetProfile(on_event, NULL);
    }
    return error;
}

void tracer_stop(void)
{
    PyEval_SetProfile(NULL, NULL);
}
