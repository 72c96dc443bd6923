/* SPDX-License-Identifier: MIT */
/*
 * The sandbox's end of the recording: one stream into which output and trace go in the
 * order in which they happen, from whatever thread. Serialises, stamps times, and keeps
 * the caps: program output ends hard at output_kb; trace beyond recording_kb goes to the
 * chunks, of which the last two are kept (common/ring.h), so that the last thing a
 * program did is always there.
 *
 * Callers hold the GIL or are the SIGSYS handler of a write(2), which can interrupt no
 * record.
 */
#pragma once

#include "common/job.h"
#include "common/ring.h"
#include "common/wire.h"

#include <stdbool.h>
#include <stdint.h>

void recorder_attach(struct ring_writer *ring);
/* The job begins: writes the header; times count from here. */
void recorder_start(const struct job_limits *limits);

/* Bytes that the program wrote (WIRE_OUT or WIRE_ERR). Does not return once over
 * output_kb. */
void recorder_output(enum wire_kind kind, const char *bytes, size_t size);

/* A trace record: takes the lock, begins the record with its time (and a `thread` record
 * before it where the thread has changed). To be ended by recorder_publish; between the
 * two only wire_* on it. */
struct wire_writer *recorder_trace(enum wire_kind kind);
/* Any other record that has a time, or a table's record, which has none. */
struct wire_writer *recorder_timed(enum wire_kind kind);
struct wire_writer *recorder_table(enum wire_kind kind);
/* Do so many bytes of tables fit under LIMIT_TABLES? A program can make functions without
 * end; what is not named is not traced. */
bool recorder_has_table_room(size_t size);
void recorder_publish(void);

/* What `sync` says of the stack: fills in the ids of at most `room` innermost functions
 * of this thread, innermost last, and returns how many. Set by the tracer. */
void recorder_set_stack(size_t (*stack)(uint32_t *functions, size_t room));

/* The program is over: what the chunks hold goes into the ring. */
void recorder_settle(void);
/* The last record. */
void recorder_end(void);
