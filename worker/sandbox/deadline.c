/* SPDX-License-Identifier: MIT */
/*
 * Deadlines. Runs in the sandbox, in the threads that ask and in one of its own, which
 * has Python's lock only for as long as it takes to interrupt others; trusts nothing that
 * the program may have made of signals. Who holds Python's lock may wait for ours, and
 * nobody who holds ours waits for Python's.
 */
#include "worker/sandbox/deadline.h"

#include "common/cleanup.h"
#include "common/clock.h"

#include <signal.h>
#include <time.h>
#include <unistd.h>

#define AGAIN_MS 20 /* for who has caught it */
#define SIGNAL   SIGPWR
#define STACK    (64 << 10)

static const struct {
    int64_t first_ms, least_ms;
} times[] = {
    [DEADLINE_ENDING] = {300, 10},
    [DEADLINE_RUNNING] = {2000, 1000},
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t change;
    struct deadline *first;
    bool tried, watches;                /* there is a thread, or there was to be */
    bool in_main;                       /* of these one is the main thread's */
    int64_t next_ms[array_size(times)]; /* 0: none has passed yet */
    PyObject *set_signal, *interrupt;   /* functions */
} all = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .change = PTHREAD_COND_INITIALIZER,
};

static _Thread_local bool runs;

/* ---- the thread that watches ---- */

/* Whoever is not in the list any more has come back. */
static void interrupt_threads(void)
{
    PyGILState_STATE state = PyGILState_Ensure();

    (void)pthread_mutex_lock(&all.lock);
    for (struct deadline *one = all.first; one != NULL; one = one->next) {
        if (one->passed && !one->is_main) {
            (void)PyThreadState_SetAsyncExc(one->ident, PyExc_KeyboardInterrupt);
        }
    }
    (void)pthread_mutex_unlock(&all.lock);
    PyGILState_Release(state);
}

/* Returns whether threads are to be interrupted that no signal interrupts. */
static bool pass(int64_t now_ms)
{
    bool others = false;

    for (struct deadline *one = all.first; one != NULL; one = one->next) {
        if (now_ms >= one->due_ms) {
            one->passed = true;
            one->due_ms = now_ms + AGAIN_MS;
            others |= !one->is_main;
            if (one->is_main) {
                (void)pthread_kill(one->thread, SIGNAL);
            }
        }
    }
    return others;
}

static int64_t next_due_ms(void)
{
    int64_t due_ms = INT64_MAX;

    for (const struct deadline *one = all.first; one != NULL; one = one->next) {
        due_ms = one->due_ms < due_ms ? one->due_ms : due_ms;
    }
    return due_ms;
}

static void *watch(void *unused)
{
    (void)pthread_mutex_lock(&all.lock);
    for (;;) {
        int64_t due_ms = next_due_ms(), now_ms = clock_now_ms();

        if (all.first == NULL) {
            (void)pthread_cond_wait(&all.change, &all.lock);
        } else if (now_ms < due_ms) {
            const struct timespec until = {due_ms / 1000, due_ms % 1000 * 1000000};

            (void)pthread_cond_clockwait(&all.change, &all.lock, CLOCK_MONOTONIC, &until);
        } else if (pass(now_ms)) {
            (void)pthread_mutex_unlock(&all.lock);
            interrupt_threads();
            (void)pthread_mutex_lock(&all.lock);
        }
    }
    return NULL;
}

/* All signals are the program's, and come to its threads. */
static bool start_thread(void)
{
    pthread_attr_t attributes;
    sigset_t every, before;
    pthread_t thread;
    bool done;

    if (pthread_attr_init(&attributes) != 0) {
        return false;
    }
    (void)sigfillset(&every);
    (void)sigdelset(&every, SIGSYS);
    (void)pthread_sigmask(SIG_SETMASK, &every, &before);
    done = pthread_attr_setstacksize(&attributes, STACK) == 0 &&
           pthread_create(&thread, &attributes, watch, NULL) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
    return done;
}

/* ---- the signal ---- */

/* One that comes late is to reach nothing of the program's. */
static PyObject *interrupt(PyObject *self, PyObject *args)
{
    if (!all.in_main) {
        return Py_NewRef(Py_None);
    }
    PyErr_SetNone(PyExc_KeyboardInterrupt);
    return NULL;
}

int deadline_prepare(void)
{
    static PyMethodDef method = {"interrupt", interrupt, METH_VARARGS, NULL};
    PyObject *module = PyImport_ImportModule("_signal");

    all.set_signal = module != NULL ? PyObject_GetAttrString(module, "signal") : NULL;
    all.interrupt = PyCFunction_New(&method, NULL);
    Py_XDECREF(module);
    return all.set_signal != NULL && all.interrupt != NULL ? 0 : -1;
}

/* By Python's own way: its handler in C says so to whatever waits. Returns what there was
 * (new), or NULL. */
static PyObject *handle_signal(PyObject *handler)
{
    PyObject *before = PyObject_CallFunction(all.set_signal, "iO", SIGNAL, handler);

    PyErr_Clear();
    return before;
}

static void let_through(void)
{
    sigset_t one;

    (void)sigemptyset(&one);
    (void)sigaddset(&one, SIGNAL);
    (void)pthread_sigmask(SIG_UNBLOCK, &one, NULL);
}

/* ---- who asks ---- */

static int64_t *next_ms(enum deadline_kind kind)
{
    if (all.next_ms[kind] == 0) {
        all.next_ms[kind] = times[kind].first_ms;
    }
    return &all.next_ms[kind];
}

bool deadline_runs(void)
{
    return runs;
}

void deadline_begin(struct deadline *deadline, enum deadline_kind kind)
{
    *deadline = (struct deadline){
        .kind = kind,
        .is_main = gettid() == getpid(),
        .thread = pthread_self(),
        .ident = PyThread_get_thread_ident(),
    };
    if (!all.tried) {
        all.tried = true;
        all.watches = start_thread();
    }
    if (!all.watches || runs) {
        return;
    }
    runs = true;
    if (deadline->is_main) {
        all.in_main = true;
        let_through();
        deadline->before = handle_signal(all.interrupt);
    }
    (void)pthread_mutex_lock(&all.lock);
    deadline->due_ms = clock_now_ms() + *next_ms(kind);
    deadline->link = &all.first;
    deadline->next = all.first;
    if (deadline->next != NULL) {
        deadline->next->link = &deadline->next;
    }
    all.first = deadline;
    (void)pthread_cond_signal(&all.change);
    (void)pthread_mutex_unlock(&all.lock);
}

/* What is under way still is stopped: it is not to reach what follows. */
static void stop_interrupts(struct deadline *deadline)
{
    if (!deadline->is_main) {
        (void)PyThreadState_SetAsyncExc(deadline->ident, NULL);
    } else if (PyErr_CheckSignals() < 0) {
        PyErr_Clear(); /* the program's own, which has come at the same time */
    }
}

bool deadline_end(struct deadline *deadline)
{
    if (deadline->link == NULL) {
        return false;
    }
    (void)pthread_mutex_lock(&all.lock);
    *deadline->link = deadline->next;
    if (deadline->next != NULL) {
        deadline->next->link = deadline->link;
    }
    if (deadline->passed && *next_ms(deadline->kind) > times[deadline->kind].least_ms) {
        *next_ms(deadline->kind) /= 2;
    }
    (void)pthread_mutex_unlock(&all.lock);
    runs = false;
    if (deadline->is_main) {
        all.in_main = false;
    }
    if (deadline->passed) {
        stop_interrupts(deadline);
    }
    if (deadline->before != NULL) {
        Py_XDECREF(handle_signal(deadline->before));
        Py_CLEAR(deadline->before);
    }
    return deadline->passed;
}
