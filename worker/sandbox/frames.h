/* SPDX-License-Identifier: MIT */
/*
 * Frames of CPython 3.11 as the interpreter itself sees them: no frame object is made for
 * looking at one. With bytecode.c all that depends on the version of Python.
 */
#pragma once

#define Py_BUILD_CORE
#include <Python.h>
#include <internal/pycore_code.h>
#include <internal/pycore_dict.h>
#include <internal/pycore_frame.h>
#include <internal/pycore_object.h>
#include <internal/pycore_pystate.h>

#include <stdbool.h>
#include <stdint.h>

typedef _PyInterpreterFrame frame;

static inline PyThreadState *frames_thread(void)
{
    return _PyThreadState_GET();
}

/* There is no other thread of Python's. */
static inline bool frames_alone(const PyThreadState *thread)
{
    return thread->next == NULL && thread->prev == NULL;
}

/* Never the same twice in a process. */
static inline uint64_t frames_thread_id(const PyThreadState *thread)
{
    return thread->id;
}

static inline frame *frames_current(const PyThreadState *thread)
{
    return thread->cframe->current_frame;
}

static inline frame *frames_back(const frame *of)
{
    return of->previous;
}

static inline PyCodeObject *frames_code(const frame *of)
{
    return of->f_code; /* borrowed */
}

/* The line that runs; takes no memory. */
static inline int frames_line(const frame *of)
{
    return PyCode_Addr2Line(of->f_code,
                            _PyInterpreterFrame_LASTI(of) * (int)sizeof(_Py_CODEUNIT));
}

/* ---- variables ---- */

/* How many places for locals a function's frame has, variables of its cells included. */
static inline int frames_places(const frame *of)
{
    return of->f_code->co_nlocalsplus;
}

/* A local of a function's frame, borrowed; NULL: it has no value, or its function has not
 * taken over a cell yet. */
static inline PyObject *frames_local(const frame *of, int place)
{
    PyObject *value = of->localsplus[place];
    unsigned char kind =
        (unsigned char)PyBytes_AS_STRING(of->f_code->co_localspluskinds)[place];

    if ((kind & (CO_FAST_CELL | CO_FAST_FREE)) != 0 && value != NULL &&
        PyCell_Check(value)) {
        value = PyCell_GET(value);
    }
    return value;
}

static inline PyObject *frames_local_name(const frame *of, int place)
{
    return PyTuple_GET_ITEM(of->f_code->co_localsplusnames, place); /* borrowed */
}

/* The dict of a module's or a class's frame, borrowed; NULL: it is a function's, or a
 * mapping of somebody's own. */
static inline PyObject *frames_names(const frame *of)
{
    bool is_function = (of->f_code->co_flags & CO_OPTIMIZED) != 0;

    return !is_function && of->f_locals != NULL && PyDict_CheckExact(of->f_locals)
               ? of->f_locals
               : NULL;
}

/* The attributes of an instance, one by one from *at = 0, borrowed; runs no code of its
 * class, and makes no dict where there is none yet. */
static inline bool frames_attribute(PyObject *object, Py_ssize_t *at, PyObject **ret_name,
                                    PyObject **ret_value)
{
    PyTypeObject *type = Py_TYPE(object);
    PyDictKeysObject *keys;
    PyDictValues *values;
    PyObject *dict;

    if ((type->tp_flags & Py_TPFLAGS_MANAGED_DICT) == 0) {
        return false;
    }
    values = *_PyObject_ValuesPointer(object);
    dict = *_PyObject_ManagedDictPointer(object);
    if (values == NULL) {
        return dict != NULL && PyDict_CheckExact(dict) &&
               PyDict_Next(dict, at, ret_name, ret_value) != 0;
    }
    keys = ((PyHeapTypeObject *)type)->ht_cached_keys;
    while (*at < keys->dk_nentries) {
        *ret_name = DK_UNICODE_ENTRIES(keys)[*at].me_key;
        *ret_value = values->values[(*at)++];
        if (*ret_value != NULL) {
            return true;
        }
    }
    return false;
}
