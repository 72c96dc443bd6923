/* SPDX-License-Identifier: MIT */
/*
 * The sandbox's end of the recording: one stream into which output and trace go in the
 * order in which they happen, from whatever thread. Serialises, stamps times, and keeps
 * the caps: program output ends hard at output_kb; trace beyond recording_kb goes to the
 * chunks, of which the last two are kept (common/ring.h), so that the last thing a
 * program did is always there.
 *
 * Called by threads of Python's and of C's, and from the handler of a write(2), which may
 * have interrupted a record (worker/sandbox/guard.h).
 */
#pragma once

#include "common/job.h"
#include "common/ring.h"
#include "common/wire.h"

#include <stdbool.h>
#include <stdint.h>

/* In the zygote: the clock is compared with itself from here to recorder_start. */
void recorder_init(void);
void recorder_attach(struct ring_writer *ring);
/* The job begins: writes the header; times count from here. */
void recorder_start(const struct job_limits *limits);

/* Bytes that the program wrote (WIRE_OUT or WIRE_ERR). Does not return once over
 * output_kb. */
void recorder_output(enum wire_kind kind, const char *bytes, size_t size);

/* This thread tells the error that ended the program: what it prints takes of LIMIT_TOLD
 * first, and then of output_kb. What is more is left out, and nothing ends for it. */
void recorder_tell(bool begins);
/* What comes now is the error itself, and for it LIMIT_LAST are kept of that. */
void recorder_tell_last(void);

/* What a program gives back, in parts: a `value` (JSON), or with a name and a media type
 * a `saved` file. It counts as output; false: there is not so much of output_kb left. */
bool recorder_parts(enum wire_kind kind, const char *name, const char *media_type,
                    const char *bytes, size_t size);

/* What a host module says, as UTF-8 of at most so many bytes. It counts as output, and
 * does not return once over output_kb. */
#define RECORDER_HOST_MAX LIMIT_CHUNK
void recorder_host(const char *json, size_t size);

/* A step is kept in 27 bits. Code may name any line; what is beyond is told as the
 * last one that there is. */
#define RECORDER_LINE_MAX ((1 << 26) - 1)
static inline int recorder_line(int line)
{
    return line < 0 ? 0 : line < RECORDER_LINE_MAX ? line : RECORDER_LINE_MAX;
}

/* A trace record of this thread: a call of a function (its number), a line (its step), a
 * resume (both), a return, unwind or yield; 0 for what it does not have. */
void recorder_event(enum wire_kind kind, uint32_t function, int32_t step,
                    uint32_t thread);
/* A variable of the innermost call of this thread: numbers of its name and type, and its
 * value's text. */
void recorder_variable(uint32_t name, uint32_t type, const char *text, size_t size,
                       uint32_t thread);
/* An exception has come to the innermost call of this thread: its number, below
 * RECORDER_EXCEPTIONS, and that of its type's name. Told is by how much one number is
 * above the last one, so that a loop of them comes again as it came before. */
#define RECORDER_EXCEPTIONS (1 << 26) /* so that they differ by no more than a step */
void recorder_exception(uint32_t exception, uint32_t type, uint32_t thread);
/* The number of this thread, from 0. */
uint32_t recorder_thread(void);

/* Any other record that has a time, or a table's record, which has none. */
struct wire_writer *recorder_timed(enum wire_kind kind);
struct wire_writer *recorder_table(enum wire_kind kind);
/* Do so many bytes of tables fit under LIMIT_TABLES? A program can make functions without
 * end; what is not named is not traced. */
bool recorder_has_table_room(size_t size);
void recorder_publish(void);
void recorder_publish_table(void);

/* Lays a record, whose time is 0, down as one that is to be said should the process be
 * ended now. Returns what recorder_strike() is told when that is not so any more,
 * together with what was laid down before; 0: there is no room for it. */
size_t recorder_lay_down(const struct wire_writer *record);
/* Forgets what was laid down, to lay it down anew. */
void recorder_lay_anew(void);
void recorder_strike(size_t end);

/* The program waits for input, and does no longer. Returns false where nothing was said,
 * which is so over LIMIT_WAITS; what was is to have an end. */
bool recorder_wait(void);
void recorder_wait_end(void);

/* So much is traced from here on. */
void recorder_level(enum job_trace level);
/* The recording has grown over its size: of what comes, only the last is kept. */
bool recorder_is_full(void);

#define RECORDER_SYNC_DEPTH 64 /* innermost calls that a `sync` names */

/* What `sync` says of a thread: `stack` fills in at most `room` of its innermost calls,
 * innermost last, and returns how many; it is called in any thread that traces, `end` at
 * the thread's end. In the zygote. */
struct recorder_call {
    uint32_t function;
    uint32_t line;
};
void recorder_set_stack(size_t (*stack)(const void *of, struct recorder_call *calls,
                                        size_t room),
                        void (*end)(void *of));
/* From here on this is the stack of the thread that calls. */
void recorder_trace_thread(void *stack);

/* The program is over: what the chunks hold goes into the ring. */
void recorder_settle(void);
/* The last record: whoever would write another one waits for the end of the process. */
void recorder_end(void);
