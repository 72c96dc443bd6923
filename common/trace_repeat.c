/* SPDX-License-Identifier: MIT */
/*
 * The `repeat` records of a recording. Runs in the `paddock` command, on records that a
 * hostile program may have made: how many came again is never believed to be how many
 * there is time for. What is told of a repeat, and what becomes of it, are two things:
 * the one has the limits of whoever reads, the other is the same for all of them.
 */
#include "common/trace_parts.h"

#include <string.h>

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

/* What a round adds to the line of one call, on the way from where to where; of so short
 * a round that is no number too large. */
struct moves {
    int64_t lines, least, most;
};

/* One `repeat`, from where it begins. Its times are not told: they are spread evenly. */
struct repeat {
    uint32_t period;
    uint64_t records, done;
    uint64_t begin_us, span_us;
    int net;    /* what one round adds to the depth */
    int low;    /* the lowest level that it comes to, from where it begins: <= 0 */
    int high;   /* the highest: >= 0 */
    bool calls; /* there are others than lines in it */
    uint32_t exceptions; /* what one round adds to the number of the last one */
    /* of the calls that a round finds, by how far below the innermost each is: down to
     * the one that it leaves where it is, at `low` */
    struct moves moves[TRACE_PAST];
};

static const struct moves *moves_at(const struct repeat *repeat, int level)
{
    return &repeat->moves[-level];
}

static void measure_line(struct moves *moves, int64_t step)
{
    moves->lines += step;
    moves->least = moves->lines < moves->least ? moves->lines : moves->least;
    moves->most = moves->lines > moves->most ? moves->lines : moves->most;
}

static uint32_t exceptions_of(const struct trace_past *past)
{
    return past->kind == WIRE_EXCEPTION ? (uint32_t)past->step : 0;
}

static void measure(const struct trace *trace, struct repeat *repeat)
{
    for (uint32_t back = repeat->period; back > 0; back--) {
        const struct trace_past *past = past_at(trace, back);

        repeat->net += trace_level(past->kind);
        repeat->high = repeat->net > repeat->high ? repeat->net : repeat->high;
        repeat->low = repeat->net < repeat->low ? repeat->net : repeat->low;
        repeat->calls |= past->kind != WIRE_LINE;
        if (past->kind == WIRE_LINE && repeat->net == repeat->low) {
            measure_line(&repeat->moves[-repeat->low], past->step);
        }
        repeat->exceptions += exceptions_of(past);
    }
}

static uint64_t time_of(const struct repeat *repeat, uint64_t number)
{
    if (repeat->records <= UINT32_MAX && repeat->span_us <= UINT32_MAX) {
        return repeat->begin_us + repeat->span_us * number / repeat->records;
    }
    return repeat->begin_us + repeat->span_us / repeat->records * number;
}

static void tell_rest(struct trace *trace, const struct repeat *repeat, uint64_t count)
{
    trace_advance(trace, time_of(repeat, repeat->done + count));
    if (count > 0 && (repeat->calls || !trace->limits.calls_only)) {
        trace_tell_other(trace, (struct trace_event){.kind = WIRE_REPEAT,
                                                     .time_us = trace->time_us,
                                                     .count = count,
                                                     .period = repeat->period});
    }
}

/* As if so many had been told, from the first of a round on. */
static void pass(struct trace *trace, struct repeat *repeat, uint64_t count)
{
    trace->exception += (uint32_t)(count / repeat->period) * repeat->exceptions;
    for (uint64_t i = 0; i < count % repeat->period; i++) {
        trace->exception += exceptions_of(past_at(trace, repeat->period - (uint32_t)i));
    }
    remember_again(trace, repeat->period, count);
    repeat->done += count;
    trace->seen += count;
}

/* It is not told what a repeat has done: so of this thread nothing is known. */
static void give_up(struct trace *trace, struct repeat *repeat)
{
    tell_rest(trace, repeat, repeat->records);
    pass(trace, repeat, repeat->records);
    trace_set_known(trace, 0);
    trace_close_down_to(trace, trace->thread, 0);
}

static bool unfold(struct trace *trace, struct repeat *repeat, uint64_t count)
{
    for (uint64_t i = 0; i < count && trace->refusal == NULL; i++) {
        trace_advance(trace, time_of(repeat, ++repeat->done));
        trace_happen(trace, *past_at(trace, repeat->period));
    }
    return trace->refusal == NULL;
}

/* ---- whole rounds at once ----
 *
 * Each does what the one before it did, to the same calls or to others like them; none is
 * left out that could not be told. Where it goes deeper, two have been told before. */

/* How many steps there are from 0 to `most`, both included. */
static uint64_t steps_to(int64_t most, int64_t step)
{
    return most < 0 ? 0 : (uint64_t)(most / step) + 1;
}

static uint64_t at_most(uint64_t count, uint64_t most)
{
    return count < most ? count : most;
}

static bool holds(const struct moves *moves, const struct trace_call *call, int64_t moved)
{
    return call->lost || (trace_is_line(call->line + moved + moves->least) &&
                          trace_is_line(call->line + moved + moves->most));
}

/* Can a round begin at this height? Of the calls that it finds those above `level` are as
 * the round before has left them, and as that one found such; the line of the one at
 * `level` has moved. One of which the recording does not tell loses its line there. */
static bool can_begin(struct trace *trace, const struct repeat *repeat, int64_t height,
                      int level, int64_t moved)
{
    struct trace_stack *stack = trace_stack_of(trace);

    for (; level >= repeat->low && height + level > 0; level--) {
        uint32_t number = (uint32_t)(height + level - 1);
        bool found = number < stack->depth; /* those beyond have no line */

        if (found && !holds(moves_at(repeat, level), &stack->calls[number], moved)) {
            if (trace_is_known(trace, number)) {
                return false;
            }
            if (level == repeat->low) {
                trace_lose(trace, &stack->calls[number]);
            }
        }
        moved = 0;
    }
    return true;
}

static void go_on(struct trace_call *call, int64_t lines)
{
    call->line += call->lost ? 0 : lines;
}

/* The stack comes back to where it was: the line of one call goes on. */
static uint64_t wander(const struct moves *moves, struct trace_call *call,
                       uint64_t rounds)
{
    if (call->lost) {
        return rounds;
    }
    if (moves->lines > 0) {
        rounds =
            at_most(rounds, steps_to(INT32_MAX - moves->most - call->line, moves->lines));
    } else if (moves->lines < 0) {
        rounds = at_most(rounds,
                         steps_to(call->line + moves->least - INT32_MIN, -moves->lines));
    }
    call->line += moves->lines * (int64_t)rounds;
    return rounds;
}

/* The innermost calls, which the last round has put there. */
static uint32_t copy_top(const struct trace_stack *stack, const struct repeat *repeat,
                         struct trace_call top[TRACE_PAST])
{
    uint32_t count = (uint32_t)(repeat->net - repeat->low);

    memcpy(top, stack->calls + (stack->depth - count), count * sizeof(*top));
    return count;
}

/* Takes all calls off from the one on which the last of these rounds begins, whose line
 * goes on. */
static void fall(struct trace *trace, const struct repeat *repeat, uint32_t floor)
{
    struct trace_stack *stack = trace_stack_of(trace);

    while (stack->depth > floor) {
        trace_drop(trace);
    }
    go_on(&stack->calls[floor - 1], moves_at(repeat, repeat->low)->lines);
}

/* So many calls more as the recording may tell of. */
static uint64_t that_can_be(struct trace *trace, const struct repeat *repeat,
                            uint64_t rounds)
{
    rounds = at_most(rounds,
                     steps_to((int64_t)WIRE_DEPTH_MAX - trace_known(trace) - repeat->high,
                              repeat->net));
    return at_most(rounds, steps_to((int64_t)WIRE_OPEN_MAX - trace->known - repeat->high,
                                    repeat->net));
}

static uint64_t deepen(struct trace *trace, const struct repeat *repeat, uint32_t floor,
                       uint64_t rounds)
{
    struct trace_stack *stack = trace_stack_of(trace);
    struct trace_call top[TRACE_PAST];
    uint32_t count = copy_top(stack, repeat, top);
    int64_t reach = (int64_t)stack->depth + repeat->high;

    rounds = at_most(rounds, steps_to(TRACE_DEPTH - reach, repeat->net));
    rounds = at_most(rounds,
                     steps_to((int64_t)TRACE_CALLS - (int64_t)trace->open - repeat->high,
                              repeat->net));
    rounds = that_can_be(trace, repeat, rounds);
    if (rounds == 0) {
        return 0;
    }
    fall(trace, repeat, floor);
    for (uint64_t i = 1; i < rounds; i++) {
        for (int k = 0; k < repeat->net; k++) {
            trace_add_untold(trace, top[k]);
        }
        go_on(&stack->calls[stack->depth - 1], moves_at(repeat, repeat->low)->lines);
    }
    for (uint32_t i = 0; i < count; i++) {
        trace_add_untold(trace, top[i]);
    }
    return rounds;
}

/* Each round finds calls that none before it has found. */
static uint64_t rise(struct trace *trace, const struct repeat *repeat, uint32_t floor,
                     uint64_t rounds)
{
    struct trace_stack *stack = trace_stack_of(trace);
    struct trace_call top[TRACE_PAST];
    uint32_t count = copy_top(stack, repeat, top);
    int64_t height = stack->depth + repeat->net;
    uint64_t can = 1;

    rounds = at_most(rounds, steps_to((int64_t)floor - 1, -repeat->net));
    while (can < rounds && can_begin(trace, repeat, height, repeat->low - repeat->net,
                                     moves_at(repeat, repeat->low)->lines)) {
        height += repeat->net;
        can++;
    }
    fall(trace, repeat, (uint32_t)(floor + (int64_t)(can - 1) * repeat->net));
    for (uint32_t i = 0; i < count; i++) {
        trace_add_untold(trace, top[i]);
    }
    return can;
}

/* Calls that are counted only: none has a line. */
static uint64_t count_on(struct trace *trace, const struct repeat *repeat,
                         uint64_t rounds)
{
    struct trace_stack *stack = trace_stack_of(trace);
    int64_t floor = (int64_t)stack->over + repeat->low;

    if (floor <= 0) {
        return 0;
    }
    rounds = repeat->net > 0 ? that_can_be(trace, repeat, rounds)
                             : at_most(rounds, steps_to(floor - 1, -repeat->net));
    stack->over += (uint64_t)(repeat->net * (int64_t)rounds);
    return rounds;
}

/* Returns how many rounds that was: 0 where the next one is to be looked at. */
static uint64_t skip_rounds(struct trace *trace, const struct repeat *repeat,
                            uint64_t rounds)
{
    struct trace_stack *stack = trace_stack_of(trace);
    int64_t height = (int64_t)trace_height(stack), floor = height + repeat->low;

    if (!can_begin(trace, repeat, height, 0, 0)) {
        return 0;
    }
    if (floor <= 0) { /* every call is left, and those that come are the same each time */
        return repeat->net - repeat->low == height ? rounds : 0;
    }
    if (repeat->net == 0) {
        return floor <= stack->depth ? wander(moves_at(repeat, repeat->low),
                                              &stack->calls[floor - 1], rounds)
                                     : rounds;
    }
    if (stack->over > 0) {
        return count_on(trace, repeat, rounds);
    }
    return repeat->net > 0 ? deepen(trace, repeat, (uint32_t)floor, rounds)
                           : rise(trace, repeat, (uint32_t)floor, rounds);
}

/* The calls of so many rounds count, as if each had been told. */
static void know(struct trace *trace, const struct repeat *repeat, uint64_t rounds)
{
    int64_t known = trace_known(trace) + repeat->net * (int64_t)rounds;
    int64_t least = repeat->net - repeat->low; /* that the last one leaves there */

    trace_set_known(trace, (uint32_t)(known > least ? known : least));
}

static uint64_t skip(struct trace *trace, struct repeat *repeat)
{
    uint64_t rounds =
        skip_rounds(trace, repeat, (repeat->records - repeat->done) / repeat->period);
    uint64_t count = rounds * repeat->period;

    if (repeat->net != 0) {
        know(trace, repeat, rounds);
    }
    if (!trace->quiet) {
        tell_rest(trace, repeat, count);
    }
    pass(trace, repeat, count);
    return rounds;
}

/* How many records are made before others are skipped. */
static uint64_t first_part(const struct trace *trace, const struct repeat *repeat)
{
    uint64_t most = repeat->net == 0 ? trace->limits.repeat : trace->limits.deep;

    if (repeat->net == 0 && trace->limits.calls_only && !repeat->calls) {
        most = 0;
    }
    if (repeat->net != 0 && most < UINT64_C(2) * repeat->period) {
        most = UINT64_C(2) * repeat->period;
    }
    return repeat->records <= most || repeat->records < repeat->period
               ? repeat->records
               : most / repeat->period * repeat->period;
}

/* The rest of it is told, and nothing more but what ends. */
static void fall_quiet(struct trace *trace, const struct repeat *repeat)
{
    tell_rest(trace, repeat, repeat->records - repeat->done);
    trace->quiet = true;
}

/* Returns how many records are made one by one. Where so many, and what is left of a
 * round, are not to be told any more, none is. */
static uint64_t begin(struct trace *trace, const struct repeat *repeat)
{
    uint64_t first = first_part(trace, repeat);
    uint64_t told = at_most(repeat->records, first + repeat->period);

    if (trace->brief || told > trace->left) {
        fall_quiet(trace, repeat);
        return at_most(first, repeat->net == 0 ? 0 : UINT64_C(2) * repeat->period);
    }
    trace->left -= told;
    return first;
}

/* What is left of it, the whole rounds without looking at each. */
static void fold(struct trace *trace, struct repeat *repeat)
{
    bool goes_on = true;

    if (repeat->net != 0 && !trace->quiet) {
        fall_quiet(trace, repeat);
    }
    while (goes_on && repeat->records - repeat->done >= repeat->period) {
        goes_on = skip(trace, repeat) > 0 || unfold(trace, repeat, repeat->period);
    }
    if (goes_on) {
        (void)unfold(trace, repeat, repeat->records - repeat->done);
    }
}

/* No less than what it takes to follow it, and no matter how much of it is told: where
 * one reader gives up, all do. */
static uint64_t work_of(const struct repeat *repeat)
{
    return at_most(repeat->records, repeat->net == 0
                                        ? UINT64_C(2) * repeat->period
                                        : TRACE_DEPTH + TRACE_PAST * TRACE_PAST);
}

static bool may_follow(struct trace *trace, const struct repeat *repeat, uint64_t offset)
{
    uint64_t worked = trace->worked + work_of(repeat);

    if (worked > TRACE_WORK + TRACE_WORK_BYTE * offset) {
        return false;
    }
    trace->worked = worked;
    return true;
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
    if (!may_follow(trace, &repeat, record->offset)) {
        give_up(trace, &repeat);
        return;
    }
    first = begin(trace, &repeat);
    if (unfold(trace, &repeat, first) && first < repeat.records) {
        fold(trace, &repeat);
    }
    trace->quiet = false;
}
