/* SPDX-License-Identifier: MIT */
/*
 * The end of a program, as Py_FinalizeEx has it. Runs in the sandbox on what a hostile
 * program has left, in the relay's grace: all of it may hang, fail, or end the process.
 */
#include "worker/sandbox/ending.h"

#include "common/cleanup.h"
#include "worker/sandbox/report.h"

#include <stdbool.h>
#include <string.h>

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
static PyObject *last_ahead; /* name: the last of the modules that were loaded ahead */

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

/* sys.modules is in the order in which its names came. */
static PyObject *last_module(void)
{
    PyObject *modules = PyImport_GetModuleDict();
    PyObject *name = NULL, *module;
    Py_ssize_t at = 0;

    while (PyDict_Next(modules, &at, &name, &module)) {
    }
    return Py_XNewRef(name);
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
    last_ahead = last_module();
    if (run_exit_functions == NULL || last_ahead == NULL || shutdown_threads == NULL ||
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

/* ---- modules ---- */

/* What must be written in a program for anything of it to run when its modules go. Going
 * over all that a program has made takes as long as some small programs do, and much
 * longer where it has made much: it is done only where it can be seen. */
static const char *const running_late[] = {
    "__del__", "yield", "async", /* finalizers, suspended generators and coroutines */
    "weakref",                   /* which calls back */
    "IOBase",                    /* a stream of its own, which is closed */
    "exec",                      /* which may run any of these from elsewhere */
};
static bool runs_late;

void ending_read(const char *source, size_t size)
{
    for (size_t i = 0; i < array_size(running_late) && !runs_late; i++) {
        runs_late =
            memmem(source, size, running_late[i], strlen(running_late[i])) != NULL;
    }
}

/* Threads that nobody waits for (daemons) go on until the process ends; Python stops
 * them. What they use is left to them. */
static bool is_alone(void)
{
    return PyThreadState_Next(PyInterpreterState_ThreadHead(PyInterpreterState_Get())) ==
           NULL;
}

/* Also a package without a file: Python's library has none such. */
static bool is_of_program(PyObject *module)
{
    PyObject *dict = PyModule_Check(module) ? PyModule_GetDict(module) : NULL;
    PyObject *file = dict != NULL ? PyDict_GetItemString(dict, "__file__") : NULL;

    return dict != NULL && (file != NULL && file != Py_None
                                ? report_is_program_file(file)
                                : PyDict_GetItemString(dict, "__path__") != NULL);
}

static int append(PyObject *list, PyObject *name, PyObject *module)
{
    PyObject *reference = PyWeakref_NewRef(module, NULL);
    PyObject *pair = reference != NULL ? PyTuple_Pack(2, name, reference) : NULL;
    int error = pair != NULL ? PyList_Append(list, pair) : -1;

    Py_XDECREF(pair);
    Py_XDECREF(reference);
    return error;
}

/* The names of the program's modules in sys.modules, with weak references to these. What
 * was loaded ahead is passed over without a look at it: that takes as long as a job.
 * Nothing else may run meanwhile. */
static PyObject *program_modules(PyObject *modules)
{
    PyObject *list = PyList_New(0);
    bool is_ahead = PyDict_Contains(modules, last_ahead) == 1;
    PyObject *name, *module;
    Py_ssize_t at = 0;

    while (list != NULL && PyDict_Next(modules, &at, &name, &module)) {
        bool is_main = PyUnicode_Check(name) &&
                       PyUnicode_CompareWithASCIIString(name, "__main__") == 0;

        if ((is_main || !is_ahead) && is_of_program(module) &&
            append(list, name, module) != 0) {
            Py_CLEAR(list);
        }
        is_ahead = is_ahead && name != last_ahead;
    }
    return list;
}

static void put_back(const char *name, const char *original)
{
    PyObject *file = PySys_GetObject(original);

    (void)PySys_SetObject(name, file != NULL ? file : Py_None);
}

/* What still is there loses its names: somebody else holds it. */
static void clear_modules(PyObject *list)
{
    for (Py_ssize_t i = PyList_GET_SIZE(list) - 1; i >= 0; i--) {
        PyObject *reference = PyTuple_GET_ITEM(PyList_GET_ITEM(list, i), 1);
        PyObject *module = Py_NewRef(PyWeakref_GetObject(reference));

        if (module != Py_None) {
            _PyModule_Clear(module);
        }
        Py_DECREF(module);
    }
}

/* As finalize_modules() of CPython's (pylifecycle.c), for the modules of the program.
 * What lives in cycles, as everything does that a module with a function in it refers to,
 * is found by the collector, and is finalized with all names still there. */
static void take_down(PyObject *modules)
{
    PyObject *list;

    (void)PyGC_Disable();
    list = program_modules(modules);
    put_back("stdin", "__stdin__");
    put_back("stdout", "__stdout__");
    put_back("stderr", "__stderr__");
    for (Py_ssize_t i = 0; list != NULL && i < PyList_GET_SIZE(list); i++) {
        PyObject *name = PyTuple_GET_ITEM(PyList_GET_ITEM(list, i), 0);

        (void)PyDict_SetItem(modules, name, Py_None); /* not to be imported again */
    }
    (void)PyGC_Enable();
    (void)PyGC_Collect();
    if (list != NULL) {
        clear_modules(list);
        (void)PyGC_Collect();
    }
    Py_XDECREF(list);
    PyErr_Clear();
}

static void end_modules(void)
{
    if (!runs_late) {
        return;
    }
    (void)PyGC_Collect();
    if (is_alone()) {
        take_down(PyImport_GetModuleDict());
    }
    ending_flush();
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
    end_modules();
}
