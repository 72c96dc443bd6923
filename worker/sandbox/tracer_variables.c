/* SPDX-License-Identifier: MIT */
/*
 * Which variables have changed: for the level `steps`. Runs in the sandbox, before each
 * line of the program's. Holds on to no value, and runs no code of the program's.
 */
#include "worker/sandbox/tracer_parts.h"

#include "common/cleanup.h"
#include "worker/sandbox/recorder.h"
#include "worker/sandbox/variables.h"

#include <stdlib.h>

static void tell(PyObject *name, PyObject *value, uint32_t thread)
{
    autobuffer struct buffer text = BUFFER_INIT(KIB(4));
    PyObject *type = value != NULL ? PyUnicode_FromString(Py_TYPE(value)->tp_name) : NULL;
    uint32_t name_is = functions_name_number(name),
             type_is = type != NULL ? functions_name_number(type) : 0;

    if (value != NULL) {
        variables_text(value, &text);
    }
    PyErr_Clear();
    Py_XDECREF(type);
    if (name_is != 0 && (value == NULL || type_is != 0)) {
        recorder_variable(name_is, type_is, text.data != NULL ? text.data : "", text.size,
                          thread);
    }
}

/* Of a comprehension's ".0", and of what Python keeps for itself, nothing is told. */
static bool is_told(PyObject *name)
{
    return PyUnicode_GET_LENGTH(name) > 0 && PyUnicode_READ_CHAR(name, 0) != '.' &&
           !(PyUnicode_GET_LENGTH(name) > 1 && PyUnicode_READ_CHAR(name, 0) == '_' &&
             PyUnicode_READ_CHAR(name, 1) == '_');
}

static uint64_t print_of(PyObject *value)
{
    return value == NULL              ? 0
           : variables_is_data(value) ? variables_fingerprint(value)
                                      : VARIABLES_OPAQUE;
}

struct places {
    int count;
    uint64_t prints[]; /* fingerprints */
};

/* As many as there are in this frame, as they were known or empty; NULL: no memory. */
static struct places *places_of(struct known *known, const frame *of)
{
    int count = frames_places(of);

    if (known->places == NULL || known->places->count != count) {
        free(known->places);
        known->places = calloc(1, sizeof(*known->places) +
                                      (size_t)count * sizeof(*known->places->prints));
        if (known->places != NULL) {
            known->places->count = count;
        }
    }
    return known->places;
}

static void tell_places(struct known *known, const frame *of, uint32_t thread)
{
    struct places *places = places_of(known, of);

    for (int i = 0; places != NULL && i < places->count; i++) {
        PyObject *value = frames_local(of, i);
        uint64_t print = print_of(value);

        if (print == VARIABLES_OPAQUE && places->prints[i] == 0) {
            continue;
        }
        if (print != places->prints[i] && is_told(frames_local_name(of, i))) {
            tell(frames_local_name(of, i), value, thread);
        }
        places->prints[i] = print;
    }
}

static bool is_known(PyObject *known, PyObject *name)
{
    PyObject *before = PyDict_GetItemWithError(known, name);

    return before != NULL && before != Py_None;
}

/* Returns whether it was another one before, and remembers it. */
static bool has_changed(PyObject *known, PyObject *name, uint64_t print)
{
    PyObject *before = PyDict_GetItemWithError(known, name);
    PyObject *now;
    bool changed = before == NULL || before == Py_None ||
                   PyLong_AsUnsignedLongLongMask(before) != print;

    if (changed) {
        now = PyLong_FromUnsignedLongLong(print);
        if (now == NULL || PyDict_SetItem(known, name, now) != 0) {
            PyErr_Clear(); /* it is told again */
        }
        Py_XDECREF(now);
    }
    return changed;
}

/* The names that there are. To ask the program's dict would be to ask its keys. */
static PyObject *present_names(PyObject *names)
{
    PyObject *present = PySet_New(NULL), *name, *value;
    Py_ssize_t at = 0;

    while (present != NULL && PyDict_Next(names, &at, &name, &value)) {
        if (PyUnicode_CheckExact(name)) {
            (void)PySet_Add(present, name);
        }
    }
    PyErr_Clear();
    return present;
}

static void tell_gone(struct known *known, PyObject *names, uint32_t thread)
{
    PyObject *present = present_names(names), *name, *print;
    Py_ssize_t at = 0;

    while (present != NULL && PyDict_Next(known->names, &at, &name, &print)) {
        if (print != Py_None && PySet_Contains(present, name) == 0) {
            tell(name, NULL, thread);
            (void)PyDict_SetItem(known->names, name,
                                 Py_None); /* no new key: no new order */
        }
    }
    Py_XDECREF(present);
    PyErr_Clear();
}

static void tell_names(struct known *known, PyObject *names, uint32_t thread)
{
    PyObject *name, *value;
    Py_ssize_t at = 0, count = 0;

    if (known->names == NULL) {
        known->names = PyDict_New();
    }
    while (known->names != NULL && PyDict_Next(names, &at, &name, &value)) {
        if (PyUnicode_CheckExact(name) && is_told(name) &&
            (variables_is_data(value) || is_known(known->names, name))) {
            count++;
            if (has_changed(known->names, name, print_of(value))) {
                tell(name, value, thread);
            }
        }
    }
    if (known->names != NULL && count < PyDict_GET_SIZE(known->names)) {
        tell_gone(known, names, thread);
    }
    PyErr_Clear();
}

/* Nothing of the program's may run meanwhile, as a collection of garbage would have it.
 */
void known_tell(struct known *known, const frame *of, uint32_t thread)
{
    PyObject *names = frames_names(of);
    int collects = PyGC_Disable();

    if (names != NULL) {
        tell_names(known, names, thread);
    } else {
        tell_places(known, of, thread);
    }
    if (collects != 0) {
        (void)PyGC_Enable();
    }
}

void known_done(struct known *known)
{
    free(known->places);
    Py_CLEAR(known->names);
}
