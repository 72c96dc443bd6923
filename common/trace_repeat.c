/* SPDX-License-Identifier: MIT */
/*
 * The `repeat` records of a recording. Runs in the `paddock` command, on records that a
 * hostile program may have made: how many came again is never believed to be how many
 * there is time for.
 */
#include "common/trace_parts.h"

static const struct trace_past *past_at(const struct trace *trace, uint32_t back)
{
    return &trace->past[(trace->past_end - back) % TRACE_PAST];
}

/* The last `period` of these, over and over, `count` in all. */
static void remember_again(struct trace *trace, uint32_t period, uint64_t count)
{
    if (count > TRACE_PAST) { /* those before are forgotten by then */
        count = TRACE_PAST + (count - TRACE_PAST) % period;
    }
    while (count-- > 0) {
        trace_remember(trace, *past_at(trace, period));
    }
}

/* One `repeat`, from where it begins. Its times are not told: they are spread evenly. */
struct repeat {
    uint32_t period;
    uint64_t records, done;
    uint64_t begin_us, span_us;
    int net;       /* what one period adds to the depth */
    int low;       /* the lowest level that it comes to, from where it begins: <= 0 */
    int64_t lines; /* what it adds to the line of the call that it finds there */
    bool calls;    /* there are others than lines in it */
};

static void measure(const struct trace *trace, struct repeat *repeat)
{
    for (uint32_t back = repeat->period; back > 0; back--) {
        const struct trace_past *past = past_at(trace, back);

        repeat->net += trace_level(past->kind);
        repeat->calls |= past->kind != WIRE_LINE;
        if (repeat->net < repeat->low) {
            repeat->low = repeat->net;
            repeat->lines = 0;
        }
        if (repeat->net == repeat->low) {
            repeat->lines = trace_add_lines(repeat->lines, past->step);
        }
    }
}

static uint64_t time_of(const struct repeat *repeat, uint64_t number)
{
    if (repeat->records <= UINT32_MAX && repeat->span_us <= UINT32_MAX) {
        return repeat->begin_us + repeat->span_us * number / repeat->records;
    }
    return repeat->begin_us + repeat->span_us / repeat->records * number;
}

static void tell_rest(struct trace *trace, struct repeat *repeat, uint64_t count)
{
    repeat->done += count;
    trace->seen += count;
    trace_advance(trace, time_of(repeat, repeat->done));
    if (count > 0 && (repeat->calls || !trace->limits.calls_only)) {
        trace_tell_other(trace, (struct trace_event){.kind = WIRE_REPEAT,
                                                     .time_us = trace->time_us,
                                                     .count = count,
                                                     .period = repeat->period});
    }
}

/* It is not told what a repeat has done: so of this thread nothing is known. */
static void give_up(struct trace *trace, struct repeat *repeat)
{
    remember_again(trace, repeat->period, repeat->records - repeat->done);
    tell_rest(trace, repeat, repeat->records - repeat->done);
    if (trace->thread < TRACE_THREADS) {
        trace_close_down_to(trace, trace->thread, 0);
    }
}

/* Of so many records, how many may have to be told: where each period goes deeper, no
 * more than until it is too deep. */
static uint64_t most_told(const struct trace *trace, const struct repeat *repeat,
                          uint64_t count)
{
    uint64_t until_too_deep = (uint64_t)repeat->period * (WIRE_DEPTH_MAX + 1);
    bool deepens = repeat->net > 0 && trace->thread < TRACE_THREADS;

    return deepens && count > until_too_deep ? until_too_deep : count;
}

static bool unfold(struct trace *trace, struct repeat *repeat, uint64_t count)
{
    if (most_told(trace, repeat, count) > trace->left) {
        give_up(trace, repeat);
        return false;
    }
    for (uint64_t i = 0; i < count && !trace->too_deep; i++) {
        trace->left--;
        trace_advance(trace, time_of(repeat, ++repeat->done));
        trace_happen(trace, *past_at(trace, repeat->period));
    }
    return true;
}

/* Whole periods that come back to the depth where they began, as the one before them did,
 * which was told: nothing is other after them but a line number. */
static void skip(struct trace *trace, struct repeat *repeat, uint64_t periods)
{
    struct trace_stack *stack = trace_stack_of(trace, trace->thread);
    uint64_t count = periods * repeat->period;
    int64_t depth;

    if (stack != NULL) {
        depth = (int64_t)trace_height(stack) - 1 + repeat->low;
        if (depth >= 0 && depth < (int64_t)stack->depth) {
            stack->calls[depth].line = trace_add_lines(
                stack->calls[depth].line, (int64_t)((uint64_t)repeat->lines * periods));
        }
    }
    remember_again(trace, repeat->period, count);
    tell_rest(trace, repeat, count);
}

/* How many records are told before others are skipped. Half of limits.total is kept for
 * those without which a stack would not be known. */
static uint64_t first_part(const struct trace *trace, const struct repeat *repeat)
{
    uint64_t most = trace->limits.repeat;

    if (repeat->net != 0 || repeat->records < repeat->period) {
        return repeat->records;
    }
    if (trace->left < trace->limits.total / 2 ||
        (trace->limits.calls_only && !repeat->calls)) {
        most = 0;
    }
    return repeat->records <= most ? repeat->records
                                   : most / repeat->period * repeat->period;
}

int trace_check_repeat(const struct trace *trace, const struct wire_decoded *record,
                       struct buffer *why)
{
    uint64_t period = record->fields[1].number;

    if (record->kind != WIRE_REPEAT || (period > 0 && period <= trace->remembered)) {
        return 0;
    }
    return wire_refuse(record->offset, why,
                       "a repeat of the last %llu records, where there are %u",
                       (unsigned long long)period, trace->remembered);
}

void trace_take_repeat(struct trace *trace, const struct wire_decoded *record)
{
    struct repeat repeat = {.period = (uint32_t)record->fields[1].number,
                            .records = record->fields[2].number};
    uint64_t first;

    if (repeat.records == 0) {
        return;
    }
    trace_advance(trace, trace->before_us);
    repeat.begin_us = trace->time_us;
    if (record->time_us > repeat.begin_us) {
        repeat.span_us = record->time_us - repeat.begin_us;
    }
    measure(trace, &repeat);
    first = first_part(trace, &repeat);
    if (!unfold(trace, &repeat, first) || first == repeat.records) {
        return;
    }
    skip(trace, &repeat, (repeat.records - first) / repeat.period);
    (void)unfold(trace, &repeat, repeat.records - repeat.done);
}
