/* SPDX-License-Identifier: MIT */
/*
 * Which exceptions are told, and in which order. Runs in the sandbox on objects of a
 * program that may be hostile, and asks none of them anything: what their classes say of
 * causes, contexts and members is not heard.
 */
#include "worker/sandbox/report_parts.h"

#include <stdio.h>
#include <string.h>

/* Returns the exception (new reference) that is told before this one, and how it relates
 * to this one. */
static PyObject *earlier(PyObject *exception, const char **ret_relation)
{
    PyObject *cause = PyException_GetCause(exception);

    *ret_relation = "cause";
    if (cause != NULL) {
        return cause;
    }
    *ret_relation = "context";
    if (((PyBaseExceptionObject *)exception)->suppress_context) {
        return NULL;
    }
    return PyException_GetContext(exception);
}

/* False also where there is no memory to remember it. */
static bool is_new(PyObject *seen, PyObject *exception)
{
    PyObject *address = seen != NULL ? PyLong_FromVoidPtr(exception) : NULL;
    bool is = address != NULL && PySet_Contains(seen, address) == 0 &&
              PySet_Add(seen, address) == 0;

    PyErr_Clear();
    Py_XDECREF(address);
    return is;
}

/* Steps from one to the one before it, which takes its place; false: there is none that
 * was not seen. */
static bool step(PyObject *seen, PyObject **one, const char **ret_relation)
{
    PyObject *next = earlier(*one, ret_relation);

    Py_SETREF(*one, next);
    return next != NULL && is_new(seen, next);
}

void report_walk(PyObject *exception, bool (*visit)(PyObject *one, void *context),
                 void *context)
{
    PyObject *seen = PySet_New(NULL);
    PyObject *one = Py_NewRef(exception);
    const char *relation;
    bool goes_on = true;

    PyErr_Clear();
    (void)is_new(seen, one);
    while (goes_on) {
        goes_on = visit(one, context) && step(seen, &one, &relation);
    }
    Py_XDECREF(one);
    Py_XDECREF(seen);
}

/* ---- telling ---- */

struct link {
    PyObject *exception; /* owned */
    const char *relation;
};

/* Those of a chain that are told: the newest in their order from the last one, the oldest
 * as a ring. */
struct chain {
    size_t count;
    const char *relation; /* of the last one that is left out, if any is */
    struct link newest[REPORT_NEWEST], oldest[REPORT_OLDEST];
};

struct telling {
    void (*tell)(PyObject *one, const char *relation, size_t left_out);
    PyObject *seen; /* owned; addresses */
    size_t left;    /* records */
};

static struct link *link_at(struct chain *chain, size_t i)
{
    return i < REPORT_NEWEST ? &chain->newest[i] : &chain->oldest[i % REPORT_OLDEST];
}

static void find_chain(PyObject *exception, PyObject *seen, struct chain *ret)
{
    PyObject *one = Py_NewRef(exception);
    const char *relation = "";

    *ret = (struct chain){0};
    do {
        struct link *link = link_at(ret, ret->count++);

        Py_XSETREF(link->exception, Py_NewRef(one));
        link->relation = relation;
        if (ret->count == REPORT_NEWEST + 1) {
            ret->relation = relation;
        }
    } while (step(seen, &one, &relation));
    Py_XDECREF(one);
}

static void forget_chain(struct chain *chain)
{
    for (size_t i = 0; i < REPORT_NEWEST; i++) {
        Py_CLEAR(chain->newest[i].exception);
    }
    for (size_t i = 0; i < REPORT_OLDEST; i++) {
        Py_CLEAR(chain->oldest[i].exception);
    }
}

static void tell_chain(struct telling *telling, PyObject *exception, const char *path,
                       unsigned depth);

static void tell_members(struct telling *telling, PyObject *exception, const char *path,
                         unsigned depth)
{
    bool is_group = PyErr_GivenExceptionMatches(exception, PyExc_BaseExceptionGroup);
    PyObject *members = is_group ? ((PyBaseExceptionGroupObject *)exception)->excs : NULL;
    Py_ssize_t count =
        members != NULL && PyTuple_Check(members) ? PyTuple_GET_SIZE(members) : 0;
    Py_ssize_t told = 0;
    char member[REPORT_RELATION_MAX];

    while (told < count && told < REPORT_MEMBERS && telling->left > 0 &&
           depth < REPORT_DEPTH) {
        PyObject *one = PyTuple_GET_ITEM(members, told++);

        (void)snprintf(member, sizeof(member), "%.*s%smember %zd",
                       REPORT_RELATION_MAX - 32, path, *path != '\0' ? " " : "", told);
        if (is_new(telling->seen, one)) {
            tell_chain(telling, one, member, depth + 1);
        }
    }
    if (told < count) {
        (void)snprintf(member, sizeof(member), "%.*s%smember", REPORT_RELATION_MAX - 32,
                       path, *path != '\0' ? " " : "");
        telling->tell(NULL, member, (size_t)(count - told));
    }
}

/* `path` is that of the newest one of its chain. */
static void relate(const char *path, const char *relation, char ret[REPORT_RELATION_MAX])
{
    (void)snprintf(ret, REPORT_RELATION_MAX, "%.*s%s%s", REPORT_RELATION_MAX - 32, path,
                   *path != '\0' && *relation != '\0' ? " " : "", relation);
}

static void tell_one(struct telling *telling, const struct link *link, const char *path,
                     unsigned depth)
{
    char relation[REPORT_RELATION_MAX];

    relate(path, link->relation, relation);
    telling->left -= telling->left > 0;
    telling->tell(link->exception, relation, 0);
    tell_members(telling, link->exception, relation, depth);
}

static void tell_chain(struct telling *telling, PyObject *exception, const char *path,
                       unsigned depth)
{
    struct chain chain;
    char relation[REPORT_RELATION_MAX];
    size_t left_out;

    find_chain(exception, telling->seen, &chain);
    left_out = chain.count > REPORT_NEWEST + REPORT_OLDEST
                   ? chain.count - REPORT_NEWEST - REPORT_OLDEST
                   : 0;
    for (size_t i = chain.count; i-- > 0;) {
        if (i >= REPORT_NEWEST && i < REPORT_NEWEST + left_out) {
            relate(path, chain.relation, relation);
            telling->tell(NULL, relation, left_out);
            i = REPORT_NEWEST;
        } else {
            tell_one(telling, link_at(&chain, i), path, depth);
        }
    }
    forget_chain(&chain);
}

void report_for_all(PyObject *exception,
                    void (*tell)(PyObject *one, const char *relation, size_t left_out))
{
    struct telling telling = {
        .tell = tell, .seen = PySet_New(NULL), .left = REPORT_RECORDS};

    PyErr_Clear();
    (void)is_new(telling.seen, exception);
    tell_chain(&telling, exception, "", 0);
    Py_XDECREF(telling.seen);
}
