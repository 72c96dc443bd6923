/* SPDX-License-Identifier: MIT */
/*
 * The handler that says where a program is. Runs in the sandbox, in a signal handler that
 * may have interrupted anything: reads the interpreter's frames as they are, and takes no
 * lock, no memory and no reference. A fault in it ends a process that is to be ended.
 */
#include "worker/sandbox/frames.h" /* first: what it defines decides what Python.h has */

#include "worker/sandbox/where.h"

#include "worker/sandbox/interpreter.h"

#include <signal.h>
#include <string.h>

static struct ring_writer *ring;
static const PyThreadState *main_thread;

#define FRAMES_MAX 2000

/* The path below the program's root, where it can be had without encoding it; or NULL. */
static const char *program_path(const PyCodeObject *code)
{
    PyObject *path = code->co_filename;
    const char *text;

    if (!PyUnicode_IS_COMPACT_ASCII(path)) {
        return NULL;
    }
    text = (const char *)PyUnicode_1BYTE_DATA(path);
    return strncmp(text, PROGRAM_ROOT "/", sizeof(PROGRAM_ROOT)) == 0
               ? text + sizeof(PROGRAM_ROOT)
               : NULL;
}

static void say_where(int signo)
{
    const frame *at = frames_current(main_thread);

    for (int i = 0; at != NULL && i < FRAMES_MAX; i++, at = frames_back(at)) {
        const char *path = program_path(frames_code(at));

        if (path != NULL) {
            ring_writer_where(ring, path, frames_line(at));
            return;
        }
    }
}

void where_watch(struct ring_writer *where)
{
    struct sigaction action = {.sa_handler = say_where, .sa_flags = SA_RESTART};

    ring = where;
    main_thread = frames_thread();
    (void)sigfillset(&action.sa_mask);
    (void)sigdelset(&action.sa_mask, SIGSYS);
    (void)sigaction(RING_WHERE_SIGNAL, &action, NULL);
}
