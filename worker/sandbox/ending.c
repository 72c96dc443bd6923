/* SPDX-License-Identifier: MIT */
/*
 * The end of a program, as Py_FinalizeEx has it. Runs in the sandbox on what a hostile
 * program has left, in the relay's grace: all of it may hang, fail, or end the process.
 */
#include "worker/sandbox/frames.h" /* first: what it defines decides what Python.h has */

#include "worker/sandbox/ending.h"

#include "common/cleanup.h"
#include "common/ring.h"
#include "worker/sandbox/texts.h"

#include <dlfcn.h>
#include <signal.h>
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
static struct watched finalizers; /* of multiprocessing */
static struct watched handlers;   /* of logging */
static PyObject *shutdown_threads;   /* threading._shutdown */
static PyObject *shutdown_pools;     /* multiprocessing.util._exit_function */
static PyObject *shutdown_logging;   /* logging.shutdown, or None */
static PyObject *run_exit_functions; /* atexit._run_exitfuncs */
static PyObject *get_objects;        /* gc.get_objects */
static PyObject *set_signal;         /* _signal.signal */
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

static PyObject *function_of(const char *module_name, const char *name)
{
    PyObject *module = PyImport_ImportModule(module_name);
    PyObject *function = module != NULL ? PyObject_GetAttrString(module, name) : NULL;

    Py_XDECREF(module);
    return function;
}

/* Python ends the daemons of a program that is over by pthread_exit(), which loads this,
 * and aborts where it cannot: in a sandbox there is no disk. It stays loaded. */
static void load_unwinder(void)
{
    (void)dlopen("libgcc_s.so.1", RTLD_LAZY);
}

int ending_prepare(PyObject *globals)
{
    load_unwinder();
    run_exit_functions = function_of("atexit", "_run_exitfuncs");
    get_objects = function_of("gc", "get_objects");
    set_signal = function_of("_signal", "signal");
    shutdown_threads = Py_XNewRef(PyDict_GetItemString(globals, "shutdown_threads"));
    shutdown_pools = Py_XNewRef(PyDict_GetItemString(globals, "shutdown_pools"));
    shutdown_logging = Py_XNewRef(PyDict_GetItemString(globals, "shutdown_logging"));
    last_ahead = last_module();
    if (run_exit_functions == NULL || get_objects == NULL || set_signal == NULL ||
        last_ahead == NULL || shutdown_threads == NULL || shutdown_pools == NULL ||
        shutdown_logging == NULL ||
        watch(PyDict_GetItemString(globals, "finalizers"), &finalizers) != 0 ||
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

bool ending_has_threads(void)
{
    bool has = false;

    for (size_t i = 0; i < array_size(threads); i++) {
        has = has || has_changed(&threads[i]);
    }
    return has;
}

static bool is_closed(PyObject *file)
{
    PyObject *closed = PyObject_GetAttrString(file, "closed");
    bool is = closed != NULL && PyObject_IsTrue(closed) == 1;

    Py_XDECREF(closed);
    PyErr_Clear();
    return is;
}

/* `loudly`: what fails is said, of a stream that is not closed. */
static void flush(PyObject *file, bool loudly)
{
    PyObject *result;

    if (file == NULL || file == Py_None || (loudly && is_closed(file))) {
        return;
    }
    result = PyObject_CallMethod(file, "flush", NULL);
    if (result == NULL && loudly) {
        PyErr_WriteUnraisable(file);
    }
    Py_XDECREF(result);
    PyErr_Clear();
}

/* Also one that the program has put another in the place of. */
static void flush_both(const char *name, const char *original, bool loudly)
{
    PyObject *before = Py_XNewRef(PySys_GetObject(original));
    PyObject *file = Py_XNewRef(PySys_GetObject(name));

    flush(file, loudly);
    if (before != file) {
        flush(before, false);
    }
    Py_XDECREF(file);
    Py_XDECREF(before);
}

void ending_flush(void)
{
    flush_both("stdout", "__stdout__", false);
    flush_both("stderr", "__stderr__", false);
}

void ending_flush_main(void)
{
    static const char *const names[] = {"stderr", "stdout"};

    for (size_t i = 0; i < array_size(names); i++) {
        PyObject *file = Py_XNewRef(PySys_GetObject(names[i]));

        flush(file, false);
        Py_XDECREF(file);
    }
}

void ending_join_threads(void)
{
    static bool joined;

    if (!joined && ending_has_threads()) {
        joined = true;
        call_and_forget(shutdown_threads);
    }
}

/* ---- modules ---- */

/* What must be written in a program for anything of it to run when its modules go. Going
 * over all that a program has made takes as long as some small programs do, and much
 * longer where it has made much: it is done only where it can be seen. */
static const char *const running_late[] = {
    "__del__", "yield",  "async",    /* finalizers, suspended generators and coroutines */
    "weakref",                       /* which calls back */
    "open",    "IO",     "Buffered", /* streams, which are written and closed */
    "File",    "gzip",               /* on others */
    "detach",  "buffer",             /* of stdout, whose buffer then is one */
    "exec",                          /* which may run any of these from elsewhere */
};
static bool runs_late;

void ending_read(const char *source, size_t size)
{
    for (size_t i = 0; i < array_size(running_late) && !runs_late; i++) {
        runs_late =
            memmem(source, size, running_late[i], strlen(running_late[i])) != NULL;
    }
}

/* Also a package without a file: Python's library has none such. */
static bool is_of_program(PyObject *module)
{
    PyObject *dict = PyModule_Check(module) ? PyModule_GetDict(module) : NULL;
    PyObject *file = dict != NULL ? PyDict_GetItemString(dict, "__file__") : NULL;

    return dict != NULL && (file != NULL && file != Py_None
                                ? texts_is_program_file(file)
                                : PyDict_GetItemString(dict, "__path__") != NULL);
}

static int append(PyObject *list, PyObject *name, PyObject *module)
{
    PyObject *reference = PyWeakref_NewRef(module, NULL);
    PyObject *address = PyLong_FromVoidPtr(PyModule_GetDict(module));
    PyObject *row = reference != NULL && address != NULL
                        ? PyTuple_Pack(3, name, reference, address)
                        : NULL;
    int error = row != NULL ? PyList_Append(list, row) : -1;

    Py_XDECREF(row);
    Py_XDECREF(address);
    Py_XDECREF(reference);
    return error;
}

/* The names of the program's modules in sys.modules, with weak references to these, and
 * where their dicts are. What
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

        Py_INCREF(name);
        Py_INCREF(module); /* a key of its dict may be the program's, and is compared */
        if ((is_main || !is_ahead) && is_of_program(module) &&
            append(list, name, module) != 0) {
            Py_CLEAR(list);
        }
        is_ahead = is_ahead && name != last_ahead;
        Py_DECREF(module);
        Py_DECREF(name);
    }
    return list;
}

static void put_back(const char *name, const char *original)
{
    PyObject *file = PySys_GetObject(original);

    (void)PySys_SetObject(name, file != NULL ? file : Py_None);
}

/* The module is gone; is its dict there? Its place alone may be another one's by now. */
static bool has_dict_of(PyObject *objects, PyObject *row)
{
    void *address = PyLong_AsVoidPtr(PyTuple_GET_ITEM(row, 2));

    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(objects); i++) {
        PyObject *object = PyList_GET_ITEM(objects, i);
        PyObject *name = object == address && PyDict_CheckExact(object)
                             ? PyDict_GetItemString(object, "__name__")
                             : NULL;

        if (name != NULL && PyUnicode_CheckExact(name) &&
            PyUnicode_Compare(name, PyTuple_GET_ITEM(row, 0)) == 0) {
            return true;
        }
    }
    return false;
}

/* One of a module's functions that somebody holds, a handler of a signal or a module of
 * Python's, holds all of the module's names. */
static bool is_held(PyObject *list)
{
    PyObject *objects = PyObject_CallNoArgs(get_objects);
    bool is = false;

    for (Py_ssize_t i = 0; objects != NULL && i < PyList_GET_SIZE(list) && !is; i++) {
        PyObject *row = PyList_GET_ITEM(list, i);

        is = PyWeakref_GetObject(PyTuple_GET_ITEM(row, 1)) == Py_None &&
             has_dict_of(objects, row);
    }
    Py_XDECREF(objects);
    return is;
}

static void clear_python_s(PyObject *modules)
{
    PyObject *values = PyDict_Values(modules);

    for (Py_ssize_t i = values != NULL ? PyList_GET_SIZE(values) : 0; i > 0; i--) {
        PyObject *module = PyList_GET_ITEM(values, i - 1);
        const char *name = PyModule_Check(module) ? PyModule_GetName(module) : NULL;

        if (name != NULL && strcmp(name, "sys") != 0 && strcmp(name, "builtins") != 0) {
            _PyModule_Clear(module);
        }
    }
    Py_XDECREF(values);
    PyErr_Clear();
}

/* What CPython does for all programs, and takes as long as one: Python's own modules lose
 * their names, builtins are put back, signals have no handlers. */
static void let_go(PyObject *modules)
{
    for (int signo = 1; signo < NSIG; signo++) {
        if (signo != RING_WHERE_SIGNAL) {
            Py_XDECREF(PyObject_CallFunction(set_signal, "ii", signo, 0));
            PyErr_Clear();
        }
    }
    frames_put_builtins_back();
    clear_python_s(modules);
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
        if (is_held(list)) {
            let_go(modules);
        }
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
    frames_stop_other_threads(); /* those that nobody waits for: daemons */
    (void)PyGC_Collect();
    take_down(PyImport_GetModuleDict());
    ending_flush();
}

/* What modules that were loaded ahead would do is left out where a program gave them
 * nothing to do: it takes as long as the smallest program. */
void ending_run(void)
{
    ending_join_threads();
    call_and_forget(run_exit_functions);
    if (has_changed(&finalizers)) {
        call_and_forget(shutdown_pools);
    }
    if (has_changed(&handlers)) {
        call_and_forget(shutdown_logging);
    }
    flush_both("stdout", "__stdout__", true); /* as flush_std_files() of pylifecycle.c */
    flush_both("stderr", "__stderr__", false);
    end_modules();
}
