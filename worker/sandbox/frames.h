/* SPDX-License-Identifier: MIT */
/*
 * Frames of CPython 3.11 to 3.13 as the interpreter itself sees them: no frame object is
 * made for looking at one. With what is behind points.h all that depends on the version
 * of Python.
 */
#pragma once

#define Py_BUILD_CORE
#include <Python.h>
#include <internal/pycore_code.h>
#include <internal/pycore_dict.h>
#include <internal/pycore_frame.h>
#include <internal/pycore_interp.h>
#include <internal/pycore_object.h>
#include <internal/pycore_pystate.h>
#include <internal/pycore_runtime.h>
#include <opcode.h>
#include <structmember.h>

#include <stdbool.h>
#include <stdint.h>

typedef _PyInterpreterFrame frame;

/* As at Python's own end: whoever takes the interpreter's lock from here on is ended. */
static inline void frames_stop_other_threads(void)
{
    _PyRuntimeState_SetFinalizing(&_PyRuntime, PyThreadState_Get());
}

static inline PyThreadState *frames_thread(void)
{
#if PY_VERSION_HEX >= 0x030D0000
    return PyThreadState_GetUnchecked();
#elif PY_VERSION_HEX >= 0x030C0000
    return _PyThreadState_UncheckedGet();
#else
    return _PyThreadState_GET();
#endif
}

/* The thread that runs Python's code now, or has just given way to another; NULL: none
 * does, all wait. Takes no lock: it may be gone by the time it is looked at. */
static inline const PyThreadState *frames_running(const PyThreadState *any)
{
#if PY_VERSION_HEX >= 0x030D0000
    const struct _gil_runtime_state *gil = any->interp->ceval.gil;

    return gil->locked == 1 ? gil->last_holder : NULL;
#elif PY_VERSION_HEX >= 0x030C0000
    struct _gil_runtime_state *gil = any->interp->ceval.gil;
#else
    struct _gil_runtime_state *gil = &_PyRuntime.ceval.gil;
#endif
#if PY_VERSION_HEX < 0x030D0000
    return _Py_atomic_load_relaxed(&gil->locked) == 1
               ? (const PyThreadState *)_Py_atomic_load_relaxed(&gil->last_holder)
               : NULL;
#endif
}

/* Does a trace or profile function run? It is called from where Python was about to enter
 * or to leave a call. */
static inline bool frames_are_watched(const PyThreadState *thread)
{
    return thread->tracing > 0;
}

static inline PyCodeObject *frames_code(const frame *of)
{
#if PY_VERSION_HEX >= 0x030D0000
    return (PyCodeObject *)of->f_executable; /* borrowed */
#else
    return of->f_code; /* borrowed */
#endif
}

/* From 3.12 on there is a frame for each entry into the interpreter, of no code: passed
 * over. */
static inline frame *frames_pass_over(frame *of)
{
#if PY_VERSION_HEX >= 0x030C0000
    while (of != NULL && of->owner == FRAME_OWNED_BY_CSTACK) {
        of = of->previous;
    }
#endif
    return of;
}

static inline frame *frames_current(const PyThreadState *thread)
{
#if PY_VERSION_HEX >= 0x030D0000
    return frames_pass_over(thread->current_frame);
#else
    return frames_pass_over(thread->cframe->current_frame);
#endif
}

static inline frame *frames_back(const frame *of)
{
    return frames_pass_over(of->previous);
}

/* The number of the instruction that runs. */
static inline int frames_at(const frame *of)
{
#if PY_VERSION_HEX >= 0x030D0000
    const _Py_CODEUNIT *at = of->instr_ptr;
#else
    const _Py_CODEUNIT *at = of->prev_instr;
#endif

    return (int)(at - _PyCode_CODE(frames_code(of)));
}

/* Does a call wait for another one, without running itself? What is thrown into it goes
 * into that, which finds it among its callers all the same. (Where another call runs, of
 * an instruction with a cache, it is the cache that is looked at.) */
static inline bool frames_waits(const frame *of)
{
#if PY_VERSION_HEX >= 0x030D0000
    _Py_CODEUNIT resume = *of->instr_ptr;
    bool is_suspended = resume.op.code == RESUME || resume.op.code == RESUME_CHECK ||
                        resume.op.code == INSTRUMENTED_RESUME;
    unsigned argument = resume.op.arg;
#else
    unsigned opcode = _Py_OPCODE(of->prev_instr[0]);
    bool is_suspended = opcode == YIELD_VALUE;
    unsigned argument = _Py_OPARG(of->prev_instr[1]); /* of RESUME */

#if PY_VERSION_HEX >= 0x030C0000
    is_suspended = is_suspended || opcode == INSTRUMENTED_YIELD_VALUE;
#endif
#endif
    return of->owner == FRAME_OWNED_BY_GENERATOR && is_suspended &&
           (argument & 3) >= 2; /* not a yield's own */
}

/* The line that runs, or -1; takes no memory. */
static inline int frames_line(const frame *of)
{
    return PyCode_Addr2Line(frames_code(of), frames_at(of) * (int)sizeof(_Py_CODEUNIT));
}

/* The first link of an exception's traceback, if there is one; borrowed, NULL: none. */
static inline const PyTracebackObject *frames_traceback(PyObject *exception)
{
    PyObject *first = exception != NULL && PyExceptionInstance_Check(exception)
                          ? ((PyBaseExceptionObject *)exception)->traceback
                          : NULL;

    return first != NULL && PyTraceBack_Check(first) ? (PyTracebackObject *)first : NULL;
}

/* The line of a call that runs on which an exception came to it: where there is none,
 * none was thrown into it, or no more is known, that which it is on now. */
static inline int frames_line_thrown(const frame *of, PyObject *exception)
{
    const PyTracebackObject *first = frames_traceback(exception);

    return first != NULL && first->tb_frame->f_frame == of
               ? PyCode_Addr2Line(frames_code(of), first->tb_lasti)
               : frames_line(of);
}

/* Of the instruction of this number: the int that is put on the stack where an exception
 * comes to a handler that raises it again. -1: it has no line. */
static inline int frames_line_at(const frame *of, PyObject *number)
{
    long at = PyLong_CheckExact(number) ? PyLong_AsLong(number) : -1;

    return at >= 0
               ? PyCode_Addr2Line(frames_code(of), (int)at * (int)sizeof(_Py_CODEUNIT))
               : -1;
}

/* The builtins as they were: what a program has made of them is forgotten. */
static inline void frames_put_builtins_back(void)
{
    PyInterpreterState *interpreter = PyInterpreterState_Get();

    PyDict_Clear(interpreter->builtins);
    if (PyDict_Update(interpreter->builtins, interpreter->builtins_copy) != 0) {
        PyErr_Clear();
    }
}

/* ---- variables ---- */

/* How many places for locals a function's frame has, variables of its cells included. */
static inline int frames_places(const frame *of)
{
    return frames_code(of)->co_nlocalsplus;
}

/* A local of a function's frame, borrowed; NULL: it has no value, or its function has not
 * taken over a cell yet. */
static inline PyObject *frames_local(const frame *of, int place)
{
    PyObject *value = of->localsplus[place];
    unsigned char kind =
        (unsigned char)PyBytes_AS_STRING(frames_code(of)->co_localspluskinds)[place];

    if ((kind & (CO_FAST_CELL | CO_FAST_FREE)) != 0 && value != NULL &&
        PyCell_Check(value)) {
        value = PyCell_GET(value);
    }
    return value;
}

static inline PyObject *frames_local_name(const frame *of, int place)
{
    return PyTuple_GET_ITEM(frames_code(of)->co_localsplusnames, place); /* borrowed */
}

/* The dict of a module's or a class's frame, borrowed; NULL: it is a function's, or a
 * mapping of somebody's own. */
static inline PyObject *frames_names(const frame *of)
{
    bool is_function = (frames_code(of)->co_flags & CO_OPTIMIZED) != 0;

    return !is_function && of->f_locals != NULL && PyDict_CheckExact(of->f_locals)
               ? of->f_locals
               : NULL;
}

/* Where an instance with a managed dict keeps its attributes: among the values that its
 * class names, or in a dict; *ret_dict may be NULL. Borrowed. */
static inline PyDictValues *frames_values(PyObject *object, PyObject **ret_dict)
{
#if PY_VERSION_HEX >= 0x030D0000
    bool is_inline = (Py_TYPE(object)->tp_flags & Py_TPFLAGS_INLINE_VALUES) != 0;
    PyDictValues *values = is_inline ? _PyObject_InlineValues(object) : NULL;

    *ret_dict = (PyObject *)_PyObject_ManagedDictPointer(object)->dict;
    return *ret_dict == NULL && values != NULL && values->valid ? values : NULL;
#elif PY_VERSION_HEX >= 0x030C0000
    PyDictOrValues either = *_PyObject_DictOrValuesPointer(object);
    bool is_values = _PyDictOrValues_IsValues(either) != 0;

    *ret_dict = is_values ? NULL : _PyDictOrValues_GetDict(either);
    return is_values ? _PyDictOrValues_GetValues(either) : NULL;
#else
    *ret_dict = *_PyObject_ManagedDictPointer(object);
    return *_PyObject_ValuesPointer(object);
#endif
}

/* The dict of an instance whose class keeps it in a place of its own, as types in C do;
 * borrowed, NULL: there is none. */
static inline PyObject *frames_dict(PyObject *object)
{
    PyObject **place = PyType_Check(object) ? NULL : _PyObject_GetDictPtr(object);

    return place != NULL ? *place : NULL;
}

/* The attributes of an instance, one by one from *at = 0, borrowed; runs no code of its
 * class, and makes no dict where there is none yet. */
static inline bool frames_attribute(PyObject *object, Py_ssize_t *at, PyObject **ret_name,
                                    PyObject **ret_value)
{
    PyTypeObject *type = Py_TYPE(object);
    bool is_managed = (type->tp_flags & Py_TPFLAGS_MANAGED_DICT) != 0;
    PyDictKeysObject *keys;
    PyDictValues *values = NULL;
    PyObject *dict;

    if (is_managed) {
        values = frames_values(object, &dict);
    } else {
        dict = frames_dict(object);
    }
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

/* The values in the slots of an instance's class, and of those that it is derived from,
 * one by one from {NULL, 0}, borrowed. */
struct frames_slots {
    const PyTypeObject *type;
    Py_ssize_t at;
};

static inline const PyMemberDef *frames_members(const PyTypeObject *type)
{
#if PY_VERSION_HEX >= 0x030C0000
    return PyObject_GetItemData((PyObject *)type);
#else
    return _PyHeapType_GET_MEMBERS((PyHeapTypeObject *)type);
#endif
}

static inline bool frames_slot(PyObject *object, struct frames_slots *slots,
                               PyObject **ret_name, PyObject **ret_value)
{
    const PyTypeObject *type = slots->type != NULL ? slots->type : Py_TYPE(object);

    for (; type != NULL; type = type->tp_base, slots->at = 0) {
        bool heap = (type->tp_flags & Py_TPFLAGS_HEAPTYPE) != 0;
        PyObject *names = heap ? ((PyHeapTypeObject *)type)->ht_slots : NULL;

        slots->type = type;
        while (names != NULL && slots->at < PyTuple_GET_SIZE(names)) {
            Py_ssize_t offset = frames_members(type)[slots->at].offset;

            *ret_name = PyTuple_GET_ITEM(names, slots->at++);
            *ret_value = *(PyObject **)((char *)object + offset);
            if (*ret_value != NULL) {
                return true;
            }
        }
    }
    return false;
}
