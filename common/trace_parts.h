/* SPDX-License-Identifier: MIT */
/* What reading a recording as what happened consists of (trace.c, trace_repeat.c,
 * trace_details.c): its state, what a repeat does with it, and what is told beside calls
 * and lines. For these alone. */
#pragma once

#include "common/trace.h"
#include "common/wire_values.h"

#define TRACE_PAST 256 /* a power of two, more than WIRE_PERIOD_MAX */

/* A trace record as a `repeat` means it. */
struct trace_past {
    enum wire_kind kind;
    uint32_t number; /* call, resume: of the function; exception: of its type's name */
    int64_t step;    /* line, resume; exception: modulo 2^32 */
};

struct trace_call {
    uint32_t function;
    bool untold; /* of a repeat of which no more was told */
    bool lost;   /* what its line is; `line` is where its function begins */
    int64_t line;
};

/* Those with calls stand in a ring, in the order in which these began. */
struct trace_stack {
    struct trace_call *calls; /* owned */
    uint32_t depth, room;
    uint32_t next, previous;
    uint64_t over;  /* calls on top of these that are counted only */
    uint32_t known; /* that the recording itself tells of, since gap number ... */
    uint64_t gaps;
};

struct trace {
    struct trace_limits limits;
    trace_tell *tell;
    void *context;
    uint64_t left;      /* of limits.total */
    uint64_t worked;    /* of TRACE_WORK, and what there is for each byte */
    uint64_t offset;    /* of the last record */
    uint64_t time_us;   /* of the last trace record */
    uint64_t before_us; /* of the record before, of any kind */
    uint64_t latest_us; /* of all records */
    uint64_t thread;
    uint64_t seen;      /* trace records */
    uint64_t open;      /* calls on all stacks */
    uint32_t known;     /* of these, that count for WIRE_OPEN_MAX */
    uint32_t exception; /* number of the last one */
    uint64_t gaps;      /* so far: records that are missing */
    uint32_t threads;   /* one more than the highest number that had a call */
    struct trace_past past[TRACE_PAST]; /* as a ring */
    uint32_t past_end, remembered;
    bool brief;          /* repeats are not told one by one */
    bool quiet;          /* calls that begin now are not told, nor are lines */
    const char *refusal; /* why it cannot be read on; NULL: it can */
    char said[80];       /* where it names a number */
    struct trace_tables tables;
    struct wire_values values;
    struct buffer value;                             /* the text of a variable */
    struct trace_stack stacks[WIRE_THREADS_MAX + 1]; /* the last one closes the ring */
};

static inline struct trace_stack *trace_stack_of(struct trace *trace)
{
    return &trace->stacks[trace->thread];
}

/* How many of its calls, the innermost, the recording itself tells of. */
uint32_t trace_known(struct trace *trace);

static inline uint64_t trace_height(const struct trace_stack *stack)
{
    return stack->depth + stack->over;
}

/* Is the call of this number one that the recording itself tells of? */
static inline bool trace_is_known(struct trace *trace, uint32_t number)
{
    return trace_height(trace_stack_of(trace)) - number <= trace_known(trace);
}

/* As CPython has them: an int. */
static inline bool trace_is_line(int64_t line)
{
    return line >= INT32_MIN && line <= INT32_MAX;
}

/* The clock, which never goes back. */
static inline void trace_advance(struct trace *trace, uint64_t time_us)
{
    trace->time_us = time_us > trace->time_us ? time_us : trace->time_us;
}

/* No line that there can be is the line of this call any more, which the recording does
 * not tell of: who has begun to read behind that call cannot know. */
void trace_lose(const struct trace *trace, struct trace_call *call);
/* What a trace record of this kind adds to the depth. */
int trace_level(enum wire_kind kind);
/* It happens: the stack changes, which is told, and it is remembered. */
void trace_happen(struct trace *trace, struct trace_past past);
void trace_remember(struct trace *trace, struct trace_past past);
/* Tells an event of the thread as it stands. */
void trace_tell_other(struct trace *trace, struct trace_event event);
/* Ends what is above the outermost `depth` calls: what became of it is not known. */
void trace_close_down_to(struct trace *trace, uint64_t thread, uint32_t depth);

/* Of the thread as it stands: takes the innermost call off, and puts calls on that are
 * not told. */
void trace_drop(struct trace *trace);
void trace_add_untold(struct trace *trace, struct trace_call call);
void trace_set_known(struct trace *trace, uint32_t known);

/* Returns 0, or -EBADMSG with a sentence in `why`: a repeat of what is not remembered. */
int trace_check_repeat(const struct trace *trace, const struct wire_decoded *record,
                       struct buffer *why) must_check;
/* One has come to the innermost call. */
void trace_apply_exception(struct trace *trace, const struct trace_past *past);
/* Tells the whole value, or refuses the recording. */
void trace_take_variable(struct trace *trace, const struct wire_decoded *record);
/* Of one that has been checked. */
void trace_take_repeat(struct trace *trace, const struct wire_decoded *record);
