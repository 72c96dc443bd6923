/* SPDX-License-Identifier: MIT */
/*
 * The numbers of exceptions: the same again for the same one. Runs in the sandbox, under
 * the interpreter's lock. Holds no exception, as that would change when a program's
 * objects end, and writes into none: it knows each by its address, until it is freed. It
 * hears of that as it stands between the interpreter and the functions by which the types
 * of Python's own exceptions free them; those of classes derived from these do it by the
 * same ones (CPython Objects/typeobject.c, subtype_dealloc).
 */
#include "worker/sandbox/tracer_parts.h"

#include "common/cleanup.h"
#include "worker/sandbox/recorder.h"

#define TOLD_MAX 64 /* exceptions that are known at once: as many as `taken` has bits */

static struct {
    const PyObject *told[TOLD_MAX]; /* not held: known as long as they are there */
    uint32_t numbers[TOLD_MAX];     /* theirs */
    uint64_t came[TOLD_MAX];        /* when they were asked for last, counted in these */
    uint64_t taken;                 /* places of these that are somebody's, as bits */
    uint64_t asked;                 /* times that one was asked for */
    uint32_t number;                /* the last one that was given */
} exceptions;

/* Its place, or TOLD_MAX. */
static size_t find(const PyObject *exception)
{
    for (uint64_t left = exceptions.taken; left != 0; left &= left - 1) {
        size_t place = (size_t)__builtin_ctzll(left);

        if (exceptions.told[place] == exception) {
            return place;
        }
    }
    return TOLD_MAX;
}

/* ---- their end ---- */

/* A function of ours for each of the interpreter's: the types share some ten. */
#define FREES(X)                                                                         \
    X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
#define FREE(n)                                                                          \
    static void free_##n(PyObject *exception)                                            \
    {                                                                                    \
        end(exception, n);                                                               \
    }
#define ADDRESS(n) free_##n,

static void end(PyObject *exception, size_t of);

FREES(FREE)
static const destructor ours[] = {FREES(ADDRESS)};
static destructor theirs[array_size(ours)];
static destructor of_classes; /* it calls that of the first base that is none */

/* Long chains of exceptions, by their contexts, are freed in turns, not within one
 * another: the interpreter's own functions see to that only where they are the type's. */
static void end(PyObject *exception, size_t of)
{
    size_t place = find(exception);

    if (place < TOLD_MAX) {
        exceptions.taken &= ~(UINT64_C(1) << place);
    }
    PyObject_GC_UnTrack(exception); /* who may have to wait is nobody's to look at */
    Py_TRASHCAN_BEGIN(exception, ours[of]);
    PyObject_GC_Track(exception);
    theirs[of](exception);
    Py_TRASHCAN_END;
}

static bool is_ours(destructor function)
{
    bool is = false;

    for (size_t i = 0; i < array_size(ours); i++) {
        is |= ours[i] == function;
    }
    return is;
}

static void listen_to(PyTypeObject *type)
{
    size_t of = 0;

    while (of < array_size(theirs) && theirs[of] != NULL &&
           theirs[of] != type->tp_dealloc) {
        of++;
    }
    if (of < array_size(theirs)) {
        theirs[of] = type->tp_dealloc;
        type->tp_dealloc = ours[of];
    }
}

/* Is it heard of when one of this type ends? Not of those that a library in C frees in a
 * way of its own. */
static bool is_heard(const PyTypeObject *type)
{
    while (type->tp_dealloc == of_classes) {
        type = type->tp_base;
    }
    return is_ours(type->tp_dealloc);
}

/* One of them, ExceptionGroup, is a class as a program's are. */
void exceptions_start(void)
{
    PyObject *name, *value;
    Py_ssize_t at = 0;

    while (PyDict_Next(PyEval_GetBuiltins(), &at, &name, &value)) {
        PyTypeObject *type = (PyTypeObject *)value;

        if (!PyExceptionClass_Check(value)) {
            continue;
        }
        if (PyType_HasFeature(type, Py_TPFLAGS_HEAPTYPE)) {
            of_classes = type->tp_dealloc;
        } else if (!is_ours(type->tp_dealloc)) {
            listen_to(type);
        }
    }
}

/* ---- their numbers ---- */

/* They begin again where there are no more. */
static uint32_t take_number(void)
{
    return exceptions.number = exceptions.number % (RECORDER_EXCEPTIONS - 1) + 1;
}

/* A place for a new one: where none is free, that of whom nobody has seen the longest. */
static size_t take_place(void)
{
    size_t place = 0;

    if (~exceptions.taken != 0) {
        return (size_t)__builtin_ctzll(~exceptions.taken);
    }
    for (size_t i = 1; i < TOLD_MAX; i++) {
        place = exceptions.came[i] < exceptions.came[place] ? i : place;
    }
    return place;
}

uint32_t exceptions_number(const PyObject *exception)
{
    size_t place = find(exception);

    if (place == TOLD_MAX) {
        if (!is_heard(Py_TYPE(exception))) {
            return take_number();
        }
        place = take_place();
        exceptions.told[place] = exception;
        exceptions.numbers[place] = take_number();
        exceptions.taken |= UINT64_C(1) << place;
    }
    exceptions.came[place] = ++exceptions.asked;
    return exceptions.numbers[place];
}
