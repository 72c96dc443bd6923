/* SPDX-License-Identifier: MIT */
/*
 * A recording as what happened: the stack of calls of each thread, names and line numbers
 * in the place of steps and table numbers, and `repeat` records unfolded. Works on the
 * records that wire_decode() gives; docs/PROTOCOL.md ("The stack", "Repeats", "Size") is
 * the specification.
 *
 * The recording may be a hostile program's. Memory is bounded by the constants below,
 * time by the recording's size and trace_limits; what does not fit is shown as unknown,
 * and what the specification forbids ends the reading: at the same record, whatever the
 * limits, which bound but what is told. Of every recording holds:
 *  - the calls that are told nest: per thread each RETURN, UNWIND or YIELD is told of the
 *    innermost call that was told and not left, with the same function;
 *  - their times, and those of lines, never decrease.
 *
 * Output and other records in the ring go on while the trace is kept in chunks, and so
 * may be later than the trace that follows them: their times are the records' own.
 */
#pragma once

#include "common/trace_table.h"

/* Of one thread; calls beyond it are counted, not told: what was open before a `sync`, as
 * far as can be known, stays open, and so there can be more than WIRE_DEPTH_MAX. */
#define TRACE_DEPTH 131072
#define TRACE_CALLS 1048576 /* open calls of all threads, likewise */

/* Of repeats that go deeper, or come back: so many records are followed, and so many more
 * for each byte of the recording. Where a program does more than that, which is hostile,
 * the stack of its thread is forgotten. */
#define TRACE_WORK      (1 << 24)
#define TRACE_WORK_BYTE 256

struct trace_limits {
    uint64_t repeat; /* records of one `repeat` that are told; the rest is one event */
    uint64_t deep;   /* likewise, of one that goes deeper or comes back: two rounds at
                      * least. Of the calls that then begin nothing is told */
    uint64_t total;  /* records of all repeats together; where it is used up, a repeat is
                      * one event (trace_set_brief) */
    bool calls_only; /* lines are not told; repeats of nothing but lines are one event */
};

#define TRACE_LIMITS_INIT                                                                \
    ((struct trace_limits){.repeat = 4096, .deep = 4096, .total = 1 << 26})

/*
 * What is told. By its kind:
 *   CALL, RESUME            a call begins: `call` is it, `depth` its own (0: outermost;
 *                           those that are not told count)
 *   RETURN, UNWIND, YIELD   a call is left: `call`, `depth`, `line` its last one
 *   LINE                    `line` of the innermost call, which is `call`, begins
 *   EXCEPTION               `exception` has come to the innermost call, as above
 *   VARIABLE                `name` of the innermost call is `text` now; `type` 0: is gone
 *   REPEAT                  `count` records of a repeat, which came again after `period`
 *                           records, are not told one by one
 *   every other kind        `record` is it; `call` the innermost one, `depth` how many
 *                           are open; `count` of a `dropped`: the records missing here
 */
struct trace_event {
    enum wire_kind kind;
    bool implied; /* CALL, RETURN: told by no record of its own: open at a `sync`, or at
                   * the end; or unknown from here on */
    uint64_t offset; /* of the record that it comes of */
    uint64_t time_us;
    uint64_t thread;
    size_t depth;
    uint32_t function; /* number of `call`; 0: not known */
    struct trace_function call;
    int64_t line;
    uint32_t exception; /* its number, the same for the same one */
    uint64_t type;      /* of it: a name's number, for trace_name() */
    uint64_t name;      /* likewise, of a variable */
    const char *text;   /* its value, UTF-8, valid until the next record */
    size_t text_size;
    uint64_t count, period;
    const struct wire_decoded *record; /* NULL for what is told by no record alone */
};

typedef void trace_tell(void *context, const struct trace_event *event);

struct trace;

/* Returns NULL when memory is short; to be freed by trace_free. `tell` gets every event,
 * in order. */
struct trace *trace_new(struct trace_limits limits, trace_tell *tell,
                        void *context) must_check;
void trace_free(struct trace *trace);

/* Takes the next record of the recording, and tells what it means. Returns 0, or -EBADMSG
 * with a sentence in `why` (may be NULL) that names the record's offset: a repeat of what
 * is not remembered, of which nothing is told; more calls, more threads or another line
 * than there can be. */
int trace_record(struct trace *trace, const struct wire_decoded *record,
                 struct buffer *why) must_check;
/* From here on, each repeat is told as one event, and of the calls that begin in it
 * nothing; or again as the limits have it. */
void trace_set_brief(struct trace *trace, bool brief);
/* The recording is over: tells the end of every call that is open, at `end_us`, or where
 * the recording itself goes on to a later time, at that (0: nothing else is known). */
void trace_end(struct trace *trace, uint64_t end_us);

/* The innermost call of the thread that the last record was of, and its line. False:
 * there is none, or it is not known. */
bool trace_where(const struct trace *trace, struct trace_function *ret_call,
                 int64_t *ret_line);

/* Functions are numbered from 1 to trace_functions(). */
uint32_t trace_functions(const struct trace *trace);
struct trace_function trace_function(const struct trace *trace, uint32_t number);
/* The text of a `name` record; valid until the next record, "?" where there is none. */
const char *trace_name(const struct trace *trace, uint64_t number);
