/* SPDX-License-Identifier: MIT */
/*
 * Frames of CPython 3.11 as the interpreter itself sees them: no frame object is made for
 * looking at one. With bytecode.c all that depends on the version of Python.
 */
#pragma once

#define Py_BUILD_CORE
#include <Python.h>
#include <internal/pycore_frame.h>
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
