/* SPDX-License-Identifier: MIT */
/*
 * The numbers of exceptions: the same again for the same one. Runs in the sandbox, under
 * the interpreter's lock. Holds no exception, as that would change when a program's
 * objects end, and writes into none: it knows them by their addresses, and these come
 * again. Must never follow what it has kept of them.
 *
 * One that was told before brings the traceback along that it had then: behind the link
 * that the interpreter has put before it for this call or, where it is raised again as it
 * is, without one. A new one has nothing but links that were made since. Where a library
 * takes links off again (contextlib does), that of the first time is still there.
 */
#include "worker/sandbox/tracer_parts.h"

#include "common/cleanup.h"
#include "worker/sandbox/recorder.h"

#include <stddef.h>

#define TOLD_MAX  64   /* exceptions of which something is kept */
#define LINKS_MAX 1000 /* of a traceback that are looked at */

struct link {
    const void *address; /* of the traceback's object; NULL: none */
    const void *code;    /* that it is of, */
    int at;              /* and where in it */
};

struct told {
    const void *exception;   /* NULL: nobody */
    struct link first, last; /* how its traceback began, each time that it was told */
    uint32_t number;
};

/* Where something is kept of an address is found out without looking at all that is. */
static struct {
    struct told told[TOLD_MAX];  /* each exception at most once */
    uint32_t of[TOLD_MAX];       /* hint_of() of each's exception, */
    uint32_t links[TOLD_MAX][2]; /* and of its links */
    size_t next;                 /* the place of the next one that is new */
    size_t last;                 /* of the one that was told last */
    uint32_t number;             /* the last one that was given */
} exceptions;

/* What comes next in this thread, or NULL; for its address alone. */
static _Thread_local const PyObject *again;

void exceptions_raise_again(const PyObject *exception)
{
    again = exception;
}

static struct link link_of(const PyTracebackObject *object)
{
    struct link none = {0};

    return object == NULL ? none
                          : (struct link){.address = object,
                                          .code = frames_code(object->tb_frame->f_frame),
                                          .at = object->tb_lasti};
}

static bool is_link(const struct link *link, const PyTracebackObject *object)
{
    struct link its;

    if (link->address != object) {
        return false;
    }
    its = link_of(object);
    return its.code == link->code && its.at == link->at;
}

static bool is_among(const struct told *told, const PyTracebackObject *link)
{
    for (int i = 0; link != NULL && i < LINKS_MAX; i++, link = link->tb_next) {
        if (is_link(&told->last, link) || is_link(&told->first, link)) {
            return true;
        }
    }
    return false;
}

static uint32_t hint_of(const void *address)
{
    return (uint32_t)((uintptr_t)address / _Alignof(max_align_t));
}

/* As many as there are, in a row: no branch but one. */
static bool is_hinted(const uint32_t *hints, size_t count, uint32_t hint)
{
    uint32_t found = 0;

    for (size_t i = 0; i < count; i++) {
        found |= hints[i] == hint;
    }
    return found != 0;
}

/* What is new there is nobody's whose it was. */
static void forget_link(const void *address)
{
    if (!is_hinted(exceptions.links[0], array_size(exceptions.links) * 2,
                   hint_of(address))) {
        return;
    }
    for (size_t i = 0; i < array_size(exceptions.told); i++) {
        struct told *told = &exceptions.told[i];

        if (told->first.address == address) {
            told->first.address = NULL;
            exceptions.links[i][0] = 0;
        }
        if (told->last.address == address) {
            told->last.address = NULL;
            exceptions.links[i][1] = 0;
        }
    }
}

/* The place of the one at that address, or TOLD_MAX. */
static size_t find(const PyObject *exception)
{
    size_t place = 0;

    if (exceptions.told[exceptions.last].exception == exception) {
        return exceptions.last;
    }
    if (!is_hinted(exceptions.of, array_size(exceptions.of), hint_of(exception))) {
        return TOLD_MAX;
    }
    while (place < TOLD_MAX && exceptions.told[place].exception != exception) {
        place++;
    }
    return place;
}

/* They begin again where there are no more: the last with that one is long forgotten. */
static uint32_t take_number(void)
{
    return exceptions.number = exceptions.number % (RECORDER_EXCEPTIONS - 1) + 1;
}

static void keep(size_t place, struct told told)
{
    exceptions.told[place] = told;
    exceptions.of[place] = hint_of(told.exception);
    exceptions.links[place][0] = hint_of(told.first.address);
    exceptions.links[place][1] = hint_of(told.last.address);
    exceptions.last = place;
}

/* A place for a new one: that of the one that is new the longest, which is forgotten. */
static size_t take_next(void)
{
    size_t place = exceptions.next;

    exceptions.next = (exceptions.next + 1) % array_size(exceptions.told);
    return place;
}

/* What was kept of the one that was at that address is of nobody any more. */
static void forget(size_t place)
{
    if (place < TOLD_MAX) {
        keep(place, (struct told){0});
    }
}

void exceptions_forget(void)
{
    for (size_t i = 0; i < array_size(exceptions.told); i++) {
        forget(i);
    }
}

uint32_t exceptions_number(PyObject *exception, bool is_known)
{
    const PyTracebackObject *first = frames_traceback(exception);
    bool is_again = is_known || again == exception;
    const PyTracebackObject *made = is_again ? NULL : first;
    size_t place = find(exception);
    struct told told;

    if (made != NULL) {
        forget_link(made);
    }
    if (place == TOLD_MAX ||
        !is_among(&exceptions.told[place], made != NULL ? made->tb_next : first)) {
        forget(place);
        place = take_next();
        told = (struct told){
            .exception = exception, .first = link_of(first), .number = take_number()};
    } else {
        told = exceptions.told[place];
    }
    told.last = link_of(first);
    keep(place, told);
    again = NULL;
    return told.number;
}
