/* SPDX-License-Identifier: MIT */
/* What reading a recording as what happened consists of (trace.c, trace_repeat.c): its
 * state, and what a repeat does with it. For these two alone. */
#pragma once

#include "common/trace.h"

#define TRACE_PAST 256 /* a power of two, more than WIRE_PERIOD_MAX */

/* A trace record as a `repeat` means it. */
struct trace_past {
    enum wire_kind kind;
    uint32_t function; /* call, resume */
    int64_t step;      /* line */
};

struct trace_call {
    uint32_t function;
    int64_t line;
};

struct trace_stack {
    struct trace_call *calls; /* owned */
    uint32_t depth, room;
    uint64_t over;  /* calls on top of these that are counted only */
    uint64_t below; /* those, outermost, that the last sync did not name */
};

struct trace {
    struct trace_limits limits;
    trace_tell *tell;
    void *context;
    uint64_t left;      /* of limits.total */
    uint64_t time_us;   /* of the last trace record */
    uint64_t before_us; /* of the record before, of any kind */
    uint64_t latest_us; /* of all records */
    uint64_t thread;
    uint64_t seen;    /* trace records */
    uint64_t open;    /* calls on all stacks */
    uint32_t threads; /* one more than the highest number that had a call */
    struct trace_past past[TRACE_PAST]; /* as a ring */
    uint32_t past_end, remembered;
    bool too_deep; /* a call was that there cannot be */
    struct trace_tables tables;
    struct trace_stack stacks[TRACE_THREADS];
};

static inline struct trace_stack *trace_stack_of(struct trace *trace, uint64_t thread)
{
    return thread < TRACE_THREADS ? &trace->stacks[thread] : NULL;
}

static inline uint64_t trace_height(const struct trace_stack *stack)
{
    return stack->depth + stack->over;
}

/* Hostile steps may go anywhere: as unsigned numbers they do so without harm. */
static inline int64_t trace_add_lines(int64_t line, int64_t step)
{
    return (int64_t)((uint64_t)line + (uint64_t)step);
}

/* The clock, which never goes back. */
static inline void trace_advance(struct trace *trace, uint64_t time_us)
{
    trace->time_us = time_us > trace->time_us ? time_us : trace->time_us;
}

/* What a trace record of this kind adds to the depth. */
int trace_level(enum wire_kind kind);
/* It happens: the stack changes, which is told, and it is remembered. */
void trace_happen(struct trace *trace, struct trace_past past);
void trace_remember(struct trace *trace, struct trace_past past);
/* Tells an event of the thread as it stands. */
void trace_tell_other(struct trace *trace, struct trace_event event);
/* Ends what is above the outermost `depth` calls: what became of it is not known. */
void trace_close_down_to(struct trace *trace, uint64_t thread, uint32_t depth);

/* Returns 0, or -EBADMSG with a sentence in `why`: a repeat of what is not remembered. */
int trace_check_repeat(const struct trace *trace, const struct wire_decoded *record,
                       struct buffer *why) must_check;
/* Of one that has been checked. */
void trace_take_repeat(struct trace *trace, const struct wire_decoded *record);
