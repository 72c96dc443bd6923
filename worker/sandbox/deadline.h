/* SPDX-License-Identifier: MIT */
/*
 * A deadline for code of the program's that answers a question of ours, in the thread
 * that is asked: past it a KeyboardInterrupt is raised there, and again and again until
 * it has come back. In the main thread it is a signal's handler that raises it, also
 * where the code sleeps or waits; any other thread is interrupted where it runs Python,
 * for Python has no other way (PyThreadState_SetAsyncExc()). Code in C that heeds neither
 * is not stopped.
 */
#pragma once

#include <Python.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum deadline_kind {
    /* When the program is over: these share some half of the relay's grace
     * (worker/relay/run.c), each that passes halves those that follow. */
    DEADLINE_ENDING,
    /* While it runs: long enough for who waits for the interpreter beside many others
     * that compute. */
    DEADLINE_RUNNING,
};

/* The asking thread's own, from begin to end. */
struct deadline {
    enum deadline_kind kind;
    bool is_main, passed;
    pthread_t thread;
    unsigned long ident; /* as Python knows it */
    int64_t due_ms;
    PyObject *before; /* owned: what handled the signal; may be NULL */
    struct deadline *next, **link;
};

/* In the zygote. 0, or -1 with an exception. */
int deadline_prepare(void);
/* Whether this thread has one: none begins within another. */
bool deadline_runs(void);
/* Without an exception. Where there is no thread to watch, there is no deadline. */
void deadline_begin(struct deadline *deadline, enum deadline_kind kind);
/* Whatever the code has raised is the caller's to take first. Returns whether the
 * deadline has passed. */
bool deadline_end(struct deadline *deadline);
