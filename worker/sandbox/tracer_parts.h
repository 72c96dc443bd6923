/* SPDX-License-Identifier: MIT */
/*
 * The parts of the tracer, private to them: the program's functions and their names
 * (tracer_functions.c), what its calls' variables were (tracer_variables.c), which
 * exception is which (tracer_exceptions.c), and events (tracer.c). Code that it makes of
 * a text: texts.c.
 */
#pragma once

#include "worker/sandbox/frames.h" /* first: what it defines decides what Python.h has */

#include "common/job.h"

#include <stdbool.h>
#include <stdint.h>

/* ---- tracer_functions.c ---- */

/* One code object with points; its points hold it, and it is found from the code by the
 * code's extra slot. */
struct function {
    PyObject_HEAD PyObject *path, *name; /* owned */
    int line;                            /* the first */
    uint32_t number;                     /* 0: not named yet */
    bool nameless; /* there was no room for its name: it is not traced */
    bool suspends; /* a generator or a coroutine */
    bool throws;   /* a class's own `throw`, as generators have one */
};

/* In the zygote. 0, or -1 with an exception. */
int functions_init(void);
/* Of code as it was compiled: new, held by whoever asks; NULL with an exception. */
struct function *functions_new(const PyCodeObject *code);
/* Lets functions_of() find it from its code with points. */
void functions_bind(PyObject *code, struct function *function);
/* Likewise of a copy, which has the same points, among its constants: this one. */
void functions_adopt(PyCodeObject *code, const PyObject *point,
                     struct function *function);
/* Borrowed; NULL: the code has no points. */
struct function *functions_of(PyCodeObject *code);
/* Of code without points: the same with points, made once, a new reference. NULL: it has
 * points itself, or with an exception. */
PyObject *functions_twin(PyObject *code);
/* Gives it a number and writes its records, the first time. False: there is no room. */
bool functions_has_name(struct function *function);
/* The number of a name of anything else, as it is in the recording's table; 0: there is
 * no room for it. */
uint32_t functions_name_number(PyObject *text);
/* And of a type's name. */
uint32_t functions_type_number(const PyTypeObject *type);

/* ---- tracer_variables.c ---- */

/* What one call's variables were. */
struct known {
    struct places *places; /* a function's; owned; NULL: none looked at */
    PyObject *names;       /* of a module's or a class's, by name: dict; owned */
};

void known_done(struct known *known);
/* Tells those that have changed since the last time, for the thread of that number. `of`
 * is to be alive; that it is the call's own is not relied upon. */
void known_tell(struct known *known, const frame *of, uint32_t thread);

/* ---- tracer_exceptions.c ---- */

/* Before the first is asked for, once in a process. */
void exceptions_start(void);
/* The number of one, from 1, below RECORDER_EXCEPTIONS: the same for the same one, as
 * long as no more than 64 were asked for that are there still; of a type that a library
 * in C frees in a way of its own, a new one each time. */
uint32_t exceptions_number(const PyObject *exception);

/* ---- tracer_code.c ---- */

/* The code with points, also in what is in it; a new reference, NULL with an exception.
 */
PyObject *tracer_instrument(PyObject *code);

/* ---- tracer.c ---- */

/* The level that the job asked for. */
enum job_trace tracer_most(void);
/* What points_make() wants; of a struct function. */
PyObject *tracer_point(void *context, unsigned what, int line);
