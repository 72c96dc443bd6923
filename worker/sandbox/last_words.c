/* SPDX-License-Identifier: MIT */
/*
 * What is said of an exception that cannot be told. Runs in the sandbox: the laying down
 * on the program's main thread, the saying on one of its own, which must never call
 * Python.
 */
#include "worker/sandbox/last_words.h"

#include "common/limits.h"
#include "worker/sandbox/recorder.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#define WAIT_MS                                                                          \
    400 /* well within the grace that the relay gives (worker/relay/run.c)               \
         */
#define STACK KIB(64)
#define SAID  (1U << 31)

static struct {
    struct buffer records, text;
    size_t ends[LAST_WORDS_MAX]; /* in `records` */
    unsigned count;
    _Atomic unsigned next; /* record to be told; and SAID: by the thread */
    _Atomic bool shown;
} words = {
    .records = BUFFER_INIT(LAST_WORDS_MAX * LIMIT_RECORD),
    .text = BUFFER_INIT(LIMIT_RECORD),
};

void last_words_add(const struct wire_writer *record)
{
    if (words.count < LAST_WORDS_MAX && !record->overflow) {
        buffer_add(&words.records, record->bytes + 1, record->size - 1);
        words.ends[words.count++] = words.records.size;
    }
}

struct buffer *last_words_text(void)
{
    return &words.text;
}

void last_words_are_shown(void)
{
    words.shown = true;
}

bool last_words_turn(void)
{
    unsigned next = words.next;

    return (next & SAID) == 0 &&
           atomic_compare_exchange_strong(&words.next, &next, next + 1);
}

static void say(unsigned number)
{
    size_t start = number > 0 ? words.ends[number - 1] : 0;
    struct wire_writer *record = recorder_timed(WIRE_ERROR);

    wire_raw(record, words.records.data + start, words.ends[number] - start);
    recorder_publish();
}

static void *wait_and_say(void *unused)
{
    struct timespec wait = {.tv_nsec = WAIT_MS * 1000000L};
    unsigned next;

    (void)nanosleep(&wait, NULL);
    next = atomic_fetch_or(&words.next, SAID);
    if (!words.shown && words.text.size > 0) {
        recorder_output(WIRE_ERR, words.text.data, words.text.size);
    }
    if (next < words.count) {
        recorder_settle();
    }
    while (next < words.count) {
        say(next++);
    }
    return NULL;
}

void last_words_watch(void)
{
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, before;

    if (buffer_error(&words.records) < 0 || buffer_error(&words.text) < 0 ||
        pthread_attr_init(&attributes) != 0) {
        return;
    }
    /* Signals are the program's, but those that a thread earns itself. */
    (void)sigfillset(&all);
    (void)sigdelset(&all, SIGSYS);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    (void)pthread_attr_setstacksize(&attributes, STACK);
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    (void)pthread_create(&thread, &attributes, wait_and_say, NULL);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
}
