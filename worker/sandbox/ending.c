/* SPDX-License-Identifier: MIT */
/*
 * The end of a program, as Py_FinalizeEx has it. Runs in the sandbox on what a hostile
 * program has left, in the relay's grace: all of it may hang, fail, or end the process.
 */
#include "worker/sandbox/ending.h"

#include "common/cleanup.h"

#include <stdbool.h>

/* What a program changes if it gives the end something to do: a list, dict or set of
 * Python's, and how it was before there was a program. */
struct watched {
    PyObject *container; /* owned */
    Py_ssize_t size;
    PyObject *first; /* of a list; owned, lest another one gets its address */
};

static struct watched threads[3]; /* of threading: living, to be joined, exit functions */
static struct watched handlers;   /* of logging */
static PyObject *shutdown_threads;   /* threading._shutdown */
static PyObject *shutdown_logging;   /* logging.shutdown, or None */
static PyObject *run_exit_functions; /* atexit._run_exitfuncs */

static PyObject *first_of(PyObject *container)
{
    return PyList_Check(container) && PyList_GET_SIZE(container) > 0
               ? PyList_GET_ITEM(container, 0)
               : NULL;
}

static int watch(PyObject *container, struct watched *ret)
{
    *ret = (struct watched){.container = Py_XNewRef(container)};
    if (container == NULL) {
        return -1;
    }
    ret->size = PyObject_Size(container);
    ret->first = Py_XNewRef(first_of(container));
    return ret->size >= 0 ? 0 : -1;
}

static bool has_changed(const struct watched *watched)
{
    return PyObject_Size(watched->container) != watched->size ||
           first_of(watched->container) != watched->first;
}

static int watch_threads(PyObject *all)
{
    if (all == NULL || !PyTuple_Check(all) ||
        PyTuple_GET_SIZE(all) != array_size(threads)) {
        return -1;
    }
    for (size_t i = 0; i < array_size(threads); i++) {
        if (watch(PyTuple_GET_ITEM(all, i), &threads[i]) != 0) {
            return -1;
        }
    }
    return 0;
}

int ending_prepare(PyObject *globals)
{
    PyObject *atexit = PyImport_ImportModule("atexit");

    if (atexit != NULL) {
        run_exit_functions = PyObject_GetAttrString(atexit, "_run_exitfuncs");
        Py_DECREF(atexit);
    }
    shutdown_threads = Py_XNewRef(PyDict_GetItemString(globals, "shutdown_threads"));
    shutdown_logging = Py_XNewRef(PyDict_GetItemString(globals, "shutdown_logging"));
    if (run_exit_functions == NULL || shutdown_threads == NULL ||
        shutdown_logging == NULL ||
        watch_threads(PyDict_GetItemString(globals, "threads")) != 0) {
        return -1;
    }
    return watch(PyDict_GetItemString(globals, "handlers"), &handlers);
}

/* ---- threads, exit functions, streams ---- */

static void call_and_forget(PyObject *function)
{
    PyObject *result = PyObject_CallNoArgs(function);

    Py_XDECREF(result);
    PyErr_Clear();
}

static bool has_threads(void)
{
    bool has = false;

    for (size_t i = 0; i < array_size(threads); i++) {
        has = has || has_changed(&threads[i]);
    }
    return has;
}

void ending_join_threads(void)
{
    if (has_threads()) {
        call_and_forget(shutdown_threads);
    }
}

static void flush(const char *name)
{
    PyObject *file = PySys_GetObject(name);
    PyObject *result =
        file != NULL && file != Py_None ? PyObject_CallMethod(file, "flush", NULL) : NULL;

    Py_XDECREF(result);
    PyErr_Clear();
}

void ending_flush(void)
{
    flush("stdout");
    flush("stderr");
}

/* What modules that were loaded ahead would do is left out where a program gave them
 * nothing to do: it takes as long as the smallest program. */
void ending_run(void)
{
    ending_join_threads();
    call_and_forget(run_exit_functions);
    if (has_changed(&handlers)) {
        call_and_forget(shutdown_logging);
    }
    ending_flush();
}
