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
    uint64_t number;
};

static struct {
    struct told told[TOLD_MAX]; /* each exception at most once */
    size_t next;                /* the place of the next one that is new */
    uint64_t count;             /* numbers given */
} exceptions;

static _Thread_local const PyObject *again; /* borrowed: for its address alone */

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

static void forget_link(struct link *link, const void *address)
{
    if (link->address == address) {
        link->address = NULL;
    }
}

/* The one at that address. Where `made`, the first link of a traceback, is new, nobody
 * has it any more whose it was. */
static struct told *find(const PyObject *exception, const PyTracebackObject *made)
{
    struct told *found = NULL;

    for (size_t i = 0; i < array_size(exceptions.told); i++) {
        struct told *told = &exceptions.told[i];

        if (made != NULL) {
            forget_link(&told->first, made);
            forget_link(&told->last, made);
        }
        if (told->exception == exception) {
            found = told;
        }
    }
    return found;
}

static struct told *take_next(void)
{
    struct told *told = &exceptions.told[exceptions.next];

    exceptions.next = (exceptions.next + 1) % array_size(exceptions.told);
    return told;
}

uint64_t exceptions_number(PyObject *exception)
{
    const PyTracebackObject *first = frames_traceback(exception);
    bool is_again = again == exception;
    const PyTracebackObject *made = is_again ? NULL : first;
    struct told *told = find(exception, made);

    if (told == NULL || !is_among(told, made != NULL ? made->tb_next : first)) {
        told = told != NULL ? told : take_next();
        *told = (struct told){.exception = exception,
                              .first = link_of(first),
                              .number = ++exceptions.count};
    }
    told->last = link_of(first);
    again = is_again ? NULL : again;
    return told->number;
}
