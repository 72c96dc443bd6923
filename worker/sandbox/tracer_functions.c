/* SPDX-License-Identifier: MIT */
/*
 * The program's functions, and the recording's tables of names. Runs in the sandbox. Each
 * name is written once, before its first use; how many there can be is bounded by the
 * room that the recording has for them.
 */
#include "worker/sandbox/tracer_parts.h"

#include "common/cleanup.h"
#include "worker/sandbox/recorder.h"

#include <stddef.h>
#include <string.h>

static struct {
    Py_ssize_t extra;   /* slot of code with points: its function */
    Py_ssize_t twins;   /* slot of code without: the same with points; owned there */
    PyObject *files;    /* dict: path -> number; owned */
    PyObject *names;    /* dict: text -> number; owned */
    uint32_t functions; /* numbers given */
} numbers;

#define NAME_MAX_BYTES 512
#define TABLE_ROOM     (2 * (NAME_MAX_BYTES + 32)) /* for a file and a function */

/* As much of a text as fits well into one record, in whole characters. */
static void write_name(struct wire_writer *record, PyObject *text)
{
    PyObject *encoded = PyUnicode_AsEncodedString(text, "utf-8", "backslashreplace");
    const char *bytes = encoded != NULL ? PyBytes_AS_STRING(encoded) : "";
    Py_ssize_t size = encoded != NULL ? PyBytes_GET_SIZE(encoded) : 0;

    PyErr_Clear();
    if (size > NAME_MAX_BYTES) {
        size = NAME_MAX_BYTES;
        while ((bytes[size] & 0xc0) == 0x80) { /* within a character */
            size--;
        }
    }
    wire_bytes(record, bytes, (size_t)size);
    Py_XDECREF(encoded);
}

/* The number of a text in a dict, from `first` on; *ret_new where it had none. */
static uint32_t number_of(PyObject *table, PyObject *text, uint32_t first, bool *ret_new)
{
    PyObject *known = PyDict_GetItemWithError(table, text);
    uint32_t number = first + (uint32_t)PyDict_GET_SIZE(table);

    *ret_new = known == NULL;
    if (known != NULL) {
        return (uint32_t)PyLong_AsUnsignedLong(known);
    }
    known = PyLong_FromUnsignedLong(number);
    if (known == NULL || PyDict_SetItem(table, text, known) != 0) {
        PyErr_Clear(); /* out of memory: it will be named again */
    }
    Py_XDECREF(known);
    return number;
}

static uint32_t file_number(PyObject *path)
{
    bool is_new;
    uint32_t number = number_of(numbers.files, path, 0, &is_new);

    if (is_new) {
        struct wire_writer *record = recorder_table(WIRE_FILE);

        wire_unsigned(record, number);
        write_name(record, path);
        recorder_publish_table();
    }
    return number;
}

/* Of a text that is no more than a name: without room it is 0, which is none. */
uint32_t functions_name_number(PyObject *text)
{
    bool is_new;
    uint32_t number;
    struct wire_writer *record;

    if (!recorder_has_table_room(TABLE_ROOM)) {
        return 0;
    }
    number = number_of(numbers.names, text, 1, &is_new);
    if (is_new) {
        record = recorder_table(WIRE_NAME);
        wire_unsigned(record, number);
        write_name(record, text);
        recorder_publish_table();
    }
    return number;
}

static void name_function(struct function *function)
{
    uint32_t file;
    struct wire_writer *record;

    if (!recorder_has_table_room(TABLE_ROOM)) {
        function->nameless = true;
        return;
    }
    file = file_number(function->path);
    function->number = ++numbers.functions;
    record = recorder_table(WIRE_FUNCTION);
    wire_unsigned(record, function->number);
    wire_unsigned(record, file);
    wire_unsigned(record, (uint64_t)function->line);
    write_name(record, function->name);
    recorder_publish_table();
}

bool functions_has_name(struct function *function)
{
    if (function->number == 0 && !function->nameless) {
        name_function(function);
    }
    return function->number != 0;
}

/* ---- functions ---- */

static void function_free(PyObject *self)
{
    struct function *function = (struct function *)self;

    Py_DECREF(function->path);
    Py_DECREF(function->name);
    PyObject_Free(self);
}

static PyTypeObject function_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "paddock.function",
    .tp_basicsize = sizeof(struct function),
    .tp_dealloc = function_free,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
};

static void twin_free(void *twin)
{
    Py_XDECREF((PyObject *)twin);
}

int functions_init(void)
{
    numbers.extra = _PyEval_RequestCodeExtraIndex(NULL);
    numbers.twins = _PyEval_RequestCodeExtraIndex(twin_free);
    numbers.files = PyDict_New();
    numbers.names = PyDict_New();
    if (numbers.extra < 0 || numbers.twins < 0) {
        PyErr_SetString(PyExc_RuntimeError, "no slot for the tracer");
        return -1;
    }
    return numbers.files != NULL && numbers.names != NULL ? PyType_Ready(&function_type)
                                                          : -1;
}

#define SUSPENDS                                                                         \
    (CO_GENERATOR | CO_COROUTINE | CO_ITERABLE_COROUTINE | CO_ASYNC_GENERATOR)

struct function *functions_new(const PyCodeObject *code)
{
    struct function *function = PyObject_New(struct function, &function_type);

    if (function != NULL) {
        function->path = Py_NewRef(code->co_filename);
        function->name = Py_NewRef(code->co_qualname);
        function->line = recorder_line(code->co_firstlineno);
        function->number = 0;
        function->nameless = false;
        function->suspends = (code->co_flags & SUSPENDS) != 0;
        function->throws = !function->suspends &&
                           PyUnicode_CompareWithASCIIString(code->co_name, "throw") == 0;
    }
    return function;
}

void functions_bind(PyObject *code, struct function *function)
{
    if (_PyCode_SetExtra(code, numbers.extra, function) != 0) {
        PyErr_Clear(); /* out of memory: what calls it is told as if it had begun just now
                        */
    }
}

struct function *functions_of(PyCodeObject *code)
{
    void *function = NULL;

    if (_PyCode_GetExtra((PyObject *)code, numbers.extra, &function) != 0) {
        PyErr_Clear();
        return NULL;
    }
    return function;
}

void functions_adopt(PyCodeObject *code, const PyObject *point, struct function *function)
{
    Py_ssize_t count = PyTuple_GET_SIZE(code->co_consts), at = 0;

    while (at < count && PyTuple_GET_ITEM(code->co_consts, at) != point) {
        at++;
    }
    if (at < count) { /* whoever has a point may ask it */
        functions_bind((PyObject *)code, function);
    }
}

PyObject *functions_twin(PyObject *code)
{
    void *known = NULL;
    PyObject *twin;

    if (functions_of((PyCodeObject *)code) != NULL ||
        _PyCode_GetExtra(code, numbers.twins, &known) != 0) {
        return NULL;
    }
    if (known != NULL) {
        return Py_NewRef((PyObject *)known);
    }
    twin = tracer_instrument(code);
    if (twin != NULL && twin != code &&
        _PyCode_SetExtra(code, numbers.twins, Py_NewRef(twin)) != 0) {
        Py_DECREF(twin);
        PyErr_Clear(); /* out of memory: it is made again */
    }
    return twin;
}

/* Kept by its letters: where a type was there may be another one by now. */
uint32_t functions_type_number(const PyTypeObject *type)
{
    static struct {
        char name[64];
        uint32_t number;
    } kept[4];
    size_t place = (uintptr_t)type / _Alignof(max_align_t) % array_size(kept);
    size_t size = strlen(type->tp_name) + 1;
    bool is_short = size <= sizeof(kept[place].name);
    PyObject *name;
    uint32_t number;

    if (is_short && kept[place].number != 0 &&
        memcmp(kept[place].name, type->tp_name, size) == 0) {
        return kept[place].number;
    }
    name = PyUnicode_FromString(type->tp_name);
    number = name != NULL ? functions_name_number(name) : 0;
    PyErr_Clear();
    Py_XDECREF(name);
    if (is_short) {
        memcpy(kept[place].name, type->tp_name, size);
        kept[place].number = number;
    }
    return number;
}
