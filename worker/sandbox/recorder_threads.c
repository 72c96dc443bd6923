/* SPDX-License-Identifier: MIT */
/*
 * The threads whose calls a chunk names. Runs in the sandbox, in the program's threads
 * and as each of them ends. The list is changed under the recorder's guard, and so is
 * read.
 */
#include "worker/sandbox/recorder_parts.h"

#include <pthread.h>

static struct {
    _Atomic uint32_t count; /* numbers given so far */
    struct recorder_writer *first;
    pthread_key_t key; /* its value: this thread's, once it is in the list */
    bool has_key;
    void (*end)(void *stack);
} threads;

static _Thread_local struct recorder_writer mine; /* number 0: none yet */

/* Without the interpreter's lock, which others may hold while they wait for us. */
static void forget(void *value)
{
    struct recorder_writer *writer = value;

    if (!recorder_enter()) {
        return;
    }
    *writer->link = writer->next;
    if (writer->next != NULL) {
        writer->next->link = writer->link;
    }
    threads.end(writer->stack);
    recorder_leave();
}

void recorder_threads_init(void (*end)(void *stack))
{
    threads.end = end;
    threads.has_key = pthread_key_create(&threads.key, forget) == 0;
}

struct recorder_writer *recorder_threads_mine(void)
{
    if (mine.number == 0) {
        mine.number = atomic_fetch_add(&threads.count, 1) + 1;
    }
    return &mine;
}

struct recorder_writer *recorder_threads_first(void)
{
    return threads.first;
}

uint32_t recorder_thread(void)
{
    return recorder_threads_mine()->number - 1;
}

/* Who is not in the list is named where it speaks. */
void recorder_trace_thread(void *stack)
{
    struct recorder_writer *writer = recorder_threads_mine();

    (void)recorder_enter();
    if (writer->stack == NULL && threads.has_key &&
        pthread_setspecific(threads.key, writer) == 0) {
        writer->link = &threads.first;
        writer->next = threads.first;
        if (writer->next != NULL) {
            writer->next->link = &writer->next;
        }
        threads.first = writer;
    }
    writer->stack = stack;
    recorder_leave();
}
