/* SPDX-License-Identifier: MIT */
/*
 * An exception on the program's own stderr. Runs in the sandbox; all of it may be the
 * program's: the hook, the stream, and the exception's text.
 */
#include "worker/sandbox/report_parts.h"

#include "worker/sandbox/recorder.h"

static PyObject *print_function; /* traceback.print_exception */
static PyObject *original_hook;  /* sys.__excepthook__ */

int report_print_prepare(PyObject *print_exception)
{
    print_function = Py_NewRef(print_exception);
    original_hook = Py_XNewRef(PySys_GetObject("__excepthook__"));
    return original_hook != NULL ? 0 : -1;
}

struct search {
    bool (*is)(PyObject *one);
    bool found;
};

static bool look(PyObject *one, void *context)
{
    struct search *search = context;

    search->found = search->is(one);
    return !search->found;
}

static bool any_of_chain(PyObject *exception, bool (*is)(PyObject *one))
{
    struct search search = {.is = is};

    report_walk(exception, look, &search);
    return search.found;
}

/* Returns what `hook` does (new), or NULL with an exception. */
static PyObject *show(PyObject *hook, PyObject *exception)
{
    PyObject *type = Py_NewRef(Py_TYPE(exception));
    PyObject *traceback = PyException_GetTraceback(exception);
    PyObject *shown = traceback != NULL ? traceback : Py_None;
    PyObject *limit = NULL; /* stays NULL where there is none: it ends the arguments */
    PyObject *result;

    /* traceback takes some microseconds and some hundred bytes for each entry before it
     * sees that they are all alike. */
    if (hook == print_function) {
        limit = any_of_chain(exception, report_is_very_deep)
                    ? PyLong_FromLong(-REPORT_FRAMES_MAX)
                    : NULL;
    }
    result = PyObject_CallFunctionObjArgs(hook, type, exception, shown, limit, NULL);
    Py_XDECREF(limit);
    Py_XDECREF(traceback);
    Py_DECREF(type);
    return result;
}

/* Where traceback does not work any more, for a program has changed it, Python does it.
 */
static void show_built_in(PyObject *exception)
{
    PyObject *result = show(print_function, exception);

    if (result == NULL) {
        PyErr_Clear();
        recorder_tell_last();
        PyErr_Display((PyObject *)Py_TYPE(exception), exception, NULL);
    }
    PyErr_Clear();
    Py_XDECREF(result);
}

/* Shows what the program's own hook has raised, and what it was called for; as Python. */
static void show_both(PyObject *exception)
{
    PyObject *type, *value, *traceback;

    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (value != NULL && !PyErr_GivenExceptionMatches(value, PyExc_SystemExit)) {
        if (traceback != NULL) {
            (void)PyException_SetTraceback(value, traceback);
        }
        PySys_WriteStderr("Error in sys.excepthook:\n");
        show_built_in(value);
        PySys_WriteStderr("\nOriginal exception was:\n");
        show_built_in(exception);
    }
    Py_XDECREF(traceback);
    Py_XDECREF(value);
    Py_XDECREF(type);
}

/* What a hook has written without an end of line is a part of it. */
static void flush_errors(void)
{
    PyObject *errors = Py_XNewRef(PySys_GetObject("stderr"));
    PyObject *result = errors != NULL && errors != Py_None
                           ? PyObject_CallMethod(errors, "flush", NULL)
                           : NULL;

    PyErr_Clear();
    Py_XDECREF(result);
    Py_XDECREF(errors);
}

void report_print(PyObject *exception)
{
    PyObject *hook = Py_XNewRef(PySys_GetObject("excepthook"));
    PyObject *result = NULL;

    /* The built-in hook looks for source lines on the disk; a program's own is honoured.
     */
    if (hook == NULL || hook == Py_None || hook == original_hook) {
        show_built_in(exception);
    } else {
        recorder_tell_last(); /* whatever it shows is all that there is */
        result = show(hook, exception);
        if (result == NULL) {
            show_both(exception);
        }
    }
    PyErr_Clear();
    flush_errors();
    report_is_shown();
    Py_XDECREF(result);
    Py_XDECREF(hook);
}
