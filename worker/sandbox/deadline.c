/* SPDX-License-Identifier: MIT */
/*
 * Deadlines. Runs in the sandbox, in the main thread and in one of its own, which knows
 * no Python; trusts nothing that the program may have made of signals.
 */
#include "worker/sandbox/deadline.h"

#include "common/clock.h"

#include <Python.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define FIRST_MS 300
#define LEAST_MS 10
#define AGAIN_MS 20 /* for who has caught it */
#define SIGNAL   SIGPWR
#define STACK    (64 << 10)

static struct {
    pthread_mutex_t lock;
    pthread_cond_t change;
    pthread_t main;
    bool tried, watches; /* there is a thread, or there was to be */
    PyObject *set;       /* Python's own way to say who handles a signal */
    PyObject *function;  /* ours for it, and the program's, while a deadline runs */
    PyObject *before;
    int64_t due_ms;  /* 0: there is no deadline */
    int64_t next_ms; /* what the next one has */
    bool passed;
} deadline = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .change = PTHREAD_COND_INITIALIZER,
    .next_ms = FIRST_MS,
};

static void *watch(void *unused)
{
    (void)pthread_mutex_lock(&deadline.lock);
    for (;;) {
        if (deadline.due_ms == 0) {
            (void)pthread_cond_wait(&deadline.change, &deadline.lock);
        } else if (clock_now_ms() < deadline.due_ms) {
            const struct timespec until = {deadline.due_ms / 1000,
                                           deadline.due_ms % 1000 * 1000000};

            (void)pthread_cond_clockwait(&deadline.change, &deadline.lock,
                                         CLOCK_MONOTONIC, &until);
        } else {
            deadline.passed = true;
            deadline.due_ms += AGAIN_MS;
            (void)pthread_kill(deadline.main, SIGNAL);
        }
    }
    return NULL;
}

static PyObject *interrupt(PyObject *self, PyObject *args)
{
    PyErr_SetNone(PyExc_KeyboardInterrupt);
    return NULL;
}

static PyMethodDef handler = {"interrupt", interrupt, METH_VARARGS, NULL};

int deadline_prepare(void)
{
    PyObject *module = PyImport_ImportModule("_signal");

    deadline.set = module != NULL ? PyObject_GetAttrString(module, "signal") : NULL;
    deadline.function = PyCFunction_New(&handler, NULL);
    Py_XDECREF(module);
    return deadline.set != NULL && deadline.function != NULL ? 0 : -1;
}

/* Its handler in C says so to whatever waits. Returns what was the signal's before, None
 * where Python does not know, or NULL. */
static PyObject *handle_signal(PyObject *function)
{
    PyObject *before = PyObject_CallFunction(deadline.set, "iO", SIGNAL, function);

    PyErr_Clear();
    return before;
}

/* All signals are the program's, and come to its threads. */
static bool start_thread(void)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    pthread_t thread;
    bool done;

    if (pthread_attr_init(&attributes) != 0) {
        return false;
    }
    (void)sigfillset(&all);
    (void)sigdelset(&all, SIGSYS);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    done = pthread_attr_setstacksize(&attributes, STACK) == 0 &&
           pthread_create(&thread, &attributes, watch, NULL) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
    return done;
}

/* One that is under way arrives at once. */
static void let_through(void)
{
    sigset_t one;

    (void)sigemptyset(&one);
    (void)sigaddset(&one, SIGNAL);
    (void)pthread_sigmask(SIG_UNBLOCK, &one, NULL);
}

static void set_due(int64_t due_ms)
{
    (void)pthread_mutex_lock(&deadline.lock);
    deadline.due_ms = due_ms;
    (void)pthread_cond_signal(&deadline.change);
    (void)pthread_mutex_unlock(&deadline.lock);
}

/* Each time: what was asked before may have kept the signal out. */
void deadline_begin(void)
{
    if (!deadline.tried) {
        deadline.tried = true;
        deadline.main = pthread_self();
        deadline.watches = start_thread();
    }
    if (!deadline.watches) {
        return;
    }
    let_through();
    Py_XSETREF(deadline.before, handle_signal(deadline.function));
    if (deadline.before != NULL) {
        set_due(clock_now_ms() + deadline.next_ms);
    }
}

/* One that came at the last moment is not to reach what follows. */
bool deadline_end(void)
{
    bool passed;

    if (deadline.before == NULL) {
        return false;
    }
    set_due(0);
    let_through();
    if (PyErr_CheckSignals() < 0) {
        PyErr_Clear();
    }
    if (deadline.before != Py_None) {
        Py_XDECREF(handle_signal(deadline.before));
    }
    Py_CLEAR(deadline.before);
    passed = deadline.passed;
    deadline.passed = false;
    if (passed && deadline.next_ms > LEAST_MS) {
        deadline.next_ms /= 2;
    }
    return passed;
}
