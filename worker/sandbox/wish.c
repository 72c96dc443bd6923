/* SPDX-License-Identifier: MIT */
/*
 * A program's wishes for its trace. Runs in the sandbox, on behalf of a program that may
 * be hostile: it could write the same records itself, and gains nothing. Must never call
 * Python: what is done here is done at once for all threads, by the interpreter's lock.
 */
#include "worker/sandbox/wish.h"

#include "worker/sandbox/tracer.h"

#include <stdbool.h>

struct wish {
    PyObject_HEAD enum job_trace level, given; /* wished, and in force when it was made */
    uint64_t made;   /* by the count of all that were; 0: it does not stand */
    uint32_t blocks; /* of it that are open */
    struct wish *earlier, *later; /* of those that stand; not owned */
};

/* A wish that is gone, and was no block's, needs no object any more: of these only the
 * last one counts. */
static struct {
    uint64_t made;
    struct wish *last; /* of those that stand; not owned */
    uint64_t settled_made;
    enum job_trace settled;
} wishes = {.settled = JOB_TRACE_STEPS};

static void apply(void)
{
    bool stands = wishes.last != NULL && wishes.last->made > wishes.settled_made;

    tracer_set_level(stands ? wishes.last->level : wishes.settled);
}

static void stand(struct wish *wish)
{
    wish->made = ++wishes.made;
    wish->earlier = wishes.last;
    wish->later = NULL;
    if (wish->earlier != NULL) {
        wish->earlier->later = wish;
    }
    wishes.last = wish;
}

static void withdraw(struct wish *wish)
{
    if (wish->made == 0) {
        return;
    }
    if (wish->earlier != NULL) {
        wish->earlier->later = wish->later;
    }
    if (wish->later != NULL) {
        wish->later->earlier = wish->earlier;
    } else {
        wishes.last = wish->earlier;
    }
    wish->made = 0;
}

static PyObject *enter(PyObject *self, PyObject *ignored)
{
    struct wish *wish = (struct wish *)self;

    if (wish->blocks++ == 0) {
        withdraw(wish);
        stand(wish);
        apply();
    }
    return Py_NewRef(self);
}

static PyObject *leave(PyObject *self, PyObject *ignored)
{
    struct wish *wish = (struct wish *)self;

    wish->blocks -= wish->blocks > 0;
    if (wish->blocks == 0) {
        withdraw(wish);
        apply();
    }
    Py_RETURN_NONE;
}

static void wish_free(PyObject *self)
{
    struct wish *wish = (struct wish *)self;

    if (wish->blocks == 0 && wish->made > wishes.settled_made) {
        wishes.settled_made = wish->made;
        wishes.settled = wish->level;
    }
    withdraw(wish);
    apply();
    PyObject_Free(self);
}

static PyObject *level(PyObject *self, void *ignored)
{
    return PyUnicode_FromString(job_trace_names[((struct wish *)self)->given]);
}

static PyObject *represent(PyObject *self)
{
    return PyUnicode_FromFormat("<paddock.trace %s>",
                                job_trace_names[((struct wish *)self)->given]);
}

/* It looks as if it might decorate a function. */
static PyObject *refuse_call(PyObject *self, PyObject *arguments, PyObject *named)
{
    PyErr_Format(PyExc_TypeError,
                 "paddock.trace() is no decorator: write `with paddock.trace(\"%s\"):` "
                 "in the function",
                 job_trace_names[((struct wish *)self)->level]);
    return NULL;
}

static PyMethodDef methods[] = {{"__enter__", enter, METH_NOARGS, NULL},
                                {"__exit__", leave, METH_VARARGS, NULL},
                                {0}};
static PyGetSetDef attributes[] = {{"level", level, NULL, NULL, NULL}, {0}};
static PyTypeObject wish_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "paddock.wish",
    .tp_basicsize = sizeof(struct wish),
    .tp_dealloc = wish_free,
    .tp_repr = represent,
    .tp_call = refuse_call,
    .tp_methods = methods,
    .tp_getset = attributes,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
};

int wish_init(void)
{
    return PyType_Ready(&wish_type);
}

PyObject *wish_new(enum job_trace wanted)
{
    struct wish *wish = PyObject_New(struct wish, &wish_type);

    if (wish != NULL) {
        wish->level = wanted;
        wish->blocks = 0;
        stand(wish);
        apply();
        wish->given = tracer_level();
    }
    return (PyObject *)wish;
}
