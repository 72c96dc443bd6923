/* SPDX-License-Identifier: MIT */
/*
 * The parts of the recorder, private to them: the trace, tables and times (recorder.c),
 * its threads (recorder_threads.c), what a program prints and gives back
 * (recorder_output.c), and what is laid down (recorder_will.c).
 */
#pragma once

#include "common/ring.h"
#include "worker/sandbox/encoding.h"
#include "worker/sandbox/guard.h"
#include "worker/sandbox/recorder.h"

/* ---- recorder.c ---- */

/* False where a signal's handler has come upon a record of its own thread; of those but
 * output says something. */
bool recorder_enter(void);
void recorder_leave(void);
/* For who could not: keeps what is printed, until the record is there. */
void recorder_keep(enum wire_kind kind, const char *bytes, size_t size);
/* For who has entered: what follows in the ring is of this thread. Returns how many bytes
 * it took to say so. */
size_t recorder_name_thread(void);
/* Likewise: a record that has a time. */
struct wire_writer *recorder_begin(enum wire_kind kind);
/* Returns how many bytes that took: 0 where a record's turn is yet to come, or where it
 * was too long. */
size_t recorder_put(const struct wire_writer *record);

/* ---- recorder_threads.c ---- */

/* A thread that has written something. Its own storage, linked while it is traced. */
struct recorder_writer {
    uint32_t number;   /* plus one */
    uint32_t named_in; /* number of the last chunk that has named its calls */
    void *stack;       /* for recorder_set_stack's functions; NULL: it is not traced */
    struct recorder_writer *next, **link; /* of those that are, the latest first */
};

/* In the zygote: `end` is called, under the guard, where a traced thread ends. */
void recorder_threads_init(void (*end)(void *stack));
/* This thread's. */
struct recorder_writer *recorder_threads_mine(void);
/* For who has entered: the list's first, or NULL. */
struct recorder_writer *recorder_threads_first(void);

/* ---- recorder_output.c ---- */

/* `part_max`: bytes of output, or of a part of a value, in one record; `left`: bytes of
 * output that are allowed. */
void recorder_output_start(struct ring_writer *ring, size_t part_max, uint64_t left);
/* For who has entered: what is kept becomes output. */
void recorder_put_kept(struct guard *guard);

/* ---- recorder_will.c ---- */

/* Once the encoding is known. */
void recorder_will_start(struct ring_shared *shared, const struct encoding *encoding);
