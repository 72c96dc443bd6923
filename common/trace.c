/* SPDX-License-Identifier: MIT */
/*
 * Reading a recording as what happened. Runs in the `paddock` command, on records that a
 * hostile program may have made: no number in them is believed before it was compared
 * with what is there, and none of them decides alone how long something takes.
 */
#include "common/trace.h"

#define PAST 256 /* a power of two, more than WIRE_PERIOD_MAX */
/* Calls that a `sync` names at most; those further out are as they were. */
#define SYNC_DEPTH 64
/* Calls: a stack of no more room is not made smaller. */
#define SMALL 1024

/* A trace record as a `repeat` means it. */
struct past {
    enum wire_kind kind;
    uint32_t function; /* call, resume */
    int64_t step;      /* line */
};

struct call {
    uint32_t function;
    int64_t line;
};

struct stack {
    struct call *calls; /* owned */
    uint32_t depth, room;
    uint64_t over; /* calls on top of these that are counted only */
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
    uint64_t seen;          /* trace records */
    uint64_t open;          /* calls on all stacks */
    uint32_t threads;       /* one more than the highest number that had a call */
    struct past past[PAST]; /* as a ring */
    uint32_t past_end, remembered;
    struct trace_tables tables;
    struct stack stacks[TRACE_THREADS];
};

/* ---- tables ---- */

uint32_t trace_functions(const struct trace *trace)
{
    return (uint32_t)trace->tables.functions.count;
}

struct trace_function trace_function(const struct trace *trace, uint32_t number)
{
    return trace_find_function(&trace->tables, number);
}

const char *trace_name(const struct trace *trace, uint64_t number)
{
    return trace_find_name(&trace->tables, number);
}

/* ---- telling ---- */

static struct stack *stack_of(struct trace *trace, uint64_t thread)
{
    return thread < TRACE_THREADS ? &trace->stacks[thread] : NULL;
}

/* Tells of call number `depth` of a thread; its line is that of the event. */
static void tell_call(struct trace *trace, enum wire_kind kind, bool implied,
                      uint64_t thread, uint32_t depth)
{
    const struct call *call = &trace->stacks[thread].calls[depth];
    struct trace_event event = {.kind = kind,
                                .implied = implied,
                                .time_us = trace->time_us,
                                .thread = thread,
                                .depth = depth,
                                .function = call->function,
                                .call = trace_function(trace, call->function),
                                .line = call->line};

    trace->tell(trace->context, &event);
}

static void tell_other(struct trace *trace, struct trace_event event)
{
    const struct stack *stack = stack_of(trace, trace->thread);

    event.thread = trace->thread;
    if (stack != NULL && stack->depth > 0) {
        event.depth = stack->depth;
        event.function = stack->calls[stack->depth - 1].function;
        event.line = stack->calls[stack->depth - 1].line;
    }
    event.call = trace_function(trace, event.function);
    trace->tell(trace->context, &event);
}

static void tell_record(struct trace *trace, const struct wire_decoded *record,
                        uint64_t count)
{
    tell_other(trace, (struct trace_event){.kind = record->kind,
                                           .time_us = record->time_us,
                                           .count = count,
                                           .record = record});
}

bool trace_where(const struct trace *trace, struct trace_function *ret_call,
                 int64_t *ret_line)
{
    const struct stack *stack =
        trace->thread < TRACE_THREADS ? &trace->stacks[trace->thread] : NULL;
    const struct call *call =
        stack != NULL && stack->depth > 0 ? &stack->calls[stack->depth - 1] : NULL;

    if (call == NULL || call->function == 0) {
        return false;
    }
    *ret_call = trace_function(trace, call->function);
    *ret_line = call->line;
    return true;
}

/* ---- the stack ---- */

static bool resize(struct stack *stack, uint32_t room)
{
    struct call *calls = realloc(stack->calls, room * sizeof(*calls));

    if (calls != NULL) {
        stack->calls = calls;
        stack->room = room;
    }
    return calls != NULL;
}

static bool has_room(const struct trace *trace, struct stack *stack)
{
    if (stack->over > 0 || stack->depth == TRACE_DEPTH || trace->open == TRACE_CALLS) {
        return false;
    }
    return stack->depth < stack->room ||
           resize(stack, stack->room > 0 ? stack->room * 2 : 16);
}

static void push(struct trace *trace, enum wire_kind kind, bool implied, struct call call)
{
    struct stack *stack = stack_of(trace, trace->thread);

    if (stack == NULL) {
        return;
    }
    if (!has_room(trace, stack)) {
        stack->over++;
        return;
    }
    if (trace->thread >= trace->threads) {
        trace->threads = (uint32_t)trace->thread + 1;
    }
    trace->open++;
    stack->calls[stack->depth++] = call;
    tell_call(trace, kind, implied, trace->thread, stack->depth - 1);
}

static void pop(struct trace *trace, uint64_t thread, enum wire_kind kind, bool implied)
{
    struct stack *stack = stack_of(trace, thread);

    if (stack == NULL || (stack->over == 0 && stack->depth == 0)) {
        return;
    }
    if (stack->over > 0) {
        stack->over--;
        return;
    }
    tell_call(trace, kind, implied, thread, stack->depth - 1);
    stack->depth--;
    trace->open--;
    if (stack->room > SMALL && stack->depth < stack->room / 4) {
        (void)resize(stack, stack->room / 2); /* it may as well stay as it is */
    }
}

/* Ends what is above the outermost `depth` calls: what became of it is not known. */
static void close_down_to(struct trace *trace, uint64_t thread, uint32_t depth)
{
    trace->stacks[thread].over = 0;
    while (trace->stacks[thread].depth > depth) {
        pop(trace, thread, WIRE_RETURN, true);
    }
}

static void close_all_but(struct trace *trace, uint64_t but)
{
    for (uint32_t thread = 0; thread < trace->threads; thread++) {
        if (thread != but) {
            close_down_to(trace, thread, 0);
        }
    }
}

/* ---- trace records ---- */

/* Hostile steps may go anywhere: as unsigned numbers they do so without harm. */
static int64_t add_lines(int64_t line, int64_t step)
{
    return (int64_t)((uint64_t)line + (uint64_t)step);
}

static void apply_call(struct trace *trace, const struct past *past)
{
    uint64_t line = trace_function(trace, past->function).line;

    push(trace, past->kind, false,
         (struct call){.function = past->function, .line = (int64_t)line});
}

static void apply_return(struct trace *trace, const struct past *past)
{
    pop(trace, trace->thread, past->kind, false);
}

static void apply_line(struct trace *trace, const struct past *past)
{
    struct stack *stack = stack_of(trace, trace->thread);
    struct call *call;

    if (stack == NULL || stack->depth == 0 || stack->over > 0) {
        return;
    }
    call = &stack->calls[stack->depth - 1];
    call->line = add_lines(call->line, past->step);
    if (!trace->limits.calls_only) {
        tell_call(trace, WIRE_LINE, false, trace->thread, stack->depth - 1);
    }
}

static const struct {
    void (*apply)(struct trace *trace,
                  const struct past *past); /* NULL: no trace record */
    int level;                              /* what it adds to the depth */
} changes[WIRE_KIND_LIMIT] = {
    [WIRE_CALL] = {apply_call, 1},      [WIRE_RESUME] = {apply_call, 1},
    [WIRE_RETURN] = {apply_return, -1}, [WIRE_UNWIND] = {apply_return, -1},
    [WIRE_YIELD] = {apply_return, -1},  [WIRE_LINE] = {apply_line, 0},
};

static const struct past *past_at(const struct trace *trace, uint32_t back)
{
    return &trace->past[(trace->past_end - back) % PAST];
}

static void remember(struct trace *trace, struct past past)
{
    trace->past[trace->past_end++ % PAST] = past;
    trace->remembered += trace->remembered < WIRE_PERIOD_MAX;
}

static void advance(struct trace *trace, uint64_t time_us)
{
    trace->time_us = time_us > trace->time_us ? time_us : trace->time_us;
}

static void happen(struct trace *trace, struct past past)
{
    trace->seen++;
    changes[past.kind].apply(trace, &past);
    remember(trace, past);
}

static void take_trace(struct trace *trace, const struct wire_decoded *record)
{
    const struct wire_field *operand = &record->fields[1];
    struct past past = {.kind = record->kind};

    if (record->kind == WIRE_LINE) {
        past.step = operand->integer;
    } else if (record->field_count > 1 &&
               operand->number <= trace->tables.functions.count) {
        past.function = (uint32_t)operand->number;
    }
    advance(trace, record->time_us);
    happen(trace, past);
}

/* ---- repeats ---- */

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
        const struct past *past = past_at(trace, back);

        repeat->net += changes[past->kind].level;
        repeat->calls |= past->kind != WIRE_LINE;
        if (repeat->net < repeat->low) {
            repeat->low = repeat->net;
            repeat->lines = 0;
        }
        if (repeat->net == repeat->low) {
            repeat->lines = add_lines(repeat->lines, past->step);
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
    advance(trace, time_of(repeat, repeat->done));
    if (count > 0 && (repeat->calls || !trace->limits.calls_only)) {
        tell_other(trace, (struct trace_event){.kind = WIRE_REPEAT,
                                               .time_us = trace->time_us,
                                               .count = count,
                                               .period = repeat->period});
    }
}

/* Nothing is known of what a repeat has done: so of this thread nothing is. */
static void give_up(struct trace *trace, struct repeat *repeat)
{
    tell_rest(trace, repeat, repeat->records - repeat->done);
    trace->remembered = 0;
    if (trace->thread < TRACE_THREADS) {
        close_down_to(trace, trace->thread, 0);
    }
}

static bool unfold(struct trace *trace, struct repeat *repeat, uint64_t count)
{
    if (count > trace->left) {
        give_up(trace, repeat);
        return false;
    }
    trace->left -= count;
    for (uint64_t i = 0; i < count; i++) {
        advance(trace, time_of(repeat, ++repeat->done));
        happen(trace, *past_at(trace, repeat->period));
    }
    return true;
}

/* Whole periods that come back to the depth where they began, as the one before them did,
 * which was told: nothing is other after them but a line number. */
static void skip(struct trace *trace, struct repeat *repeat, uint64_t periods)
{
    struct stack *stack = stack_of(trace, trace->thread);
    uint64_t count = periods * repeat->period;
    int64_t depth;

    if (stack != NULL) {
        depth = (int64_t)(stack->depth + stack->over) - 1 + repeat->low;
        if (depth >= 0 && depth < (int64_t)stack->depth) {
            stack->calls[depth].line = add_lines(
                stack->calls[depth].line, (int64_t)((uint64_t)repeat->lines * periods));
        }
    }
    for (uint64_t i = 0; i < count && i < (uint64_t)2 * PAST; i += repeat->period) {
        for (uint32_t j = 0; j < repeat->period; j++) {
            remember(trace, *past_at(trace, repeat->period));
        }
    }
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

static void take_repeat(struct trace *trace, const struct wire_decoded *record)
{
    uint64_t period = record->fields[1].number;
    struct repeat repeat = {.records = record->fields[2].number};
    uint64_t first;

    if (repeat.records == 0) {
        return;
    }
    advance(trace, trace->before_us);
    repeat.begin_us = trace->time_us;
    if (record->time_us > repeat.begin_us) {
        repeat.span_us = record->time_us - repeat.begin_us;
    }
    if (period == 0 || period > trace->remembered) {
        give_up(trace, &repeat);
        return;
    }
    repeat.period = (uint32_t)period;
    measure(trace, &repeat);
    first = first_part(trace, &repeat);
    if (!unfold(trace, &repeat, first) || first == repeat.records) {
        return;
    }
    skip(trace, &repeat, (repeat.records - first) / period);
    (void)unfold(trace, &repeat, repeat.records - repeat.done);
}

/* ---- other records ---- */

static void take_file(struct trace *trace, const struct wire_decoded *record)
{
    trace_keep_file(&trace->tables, record);
}

static void take_function(struct trace *trace, const struct wire_decoded *record)
{
    trace_keep_function(&trace->tables, record);
}

static void take_name(struct trace *trace, const struct wire_decoded *record)
{
    trace_keep_name(&trace->tables, record);
}

static void take_thread(struct trace *trace, const struct wire_decoded *record)
{
    trace->thread = record->fields[0].number;
    trace->remembered = 0;
    tell_record(trace, record, 0);
}

/* One of the calls that a `sync` names: its fields stand behind those before the group.
 */
static struct call named_call(const struct trace *trace,
                              const struct wire_decoded *record, size_t index)
{
    const struct wire_field *fields = &record->fields[3 + 2 * index];

    return (struct call){.function = fields[0].number <= trace->tables.functions.count
                                         ? (uint32_t)fields[0].number
                                         : 0,
                         .line = (int64_t)fields[1].number};
}

/* How many calls of the stack, from its number `from` on, are those that are named. */
static uint32_t count_same(const struct trace *trace, const struct stack *stack,
                           uint32_t from, const struct wire_decoded *record)
{
    uint64_t named = record->fields[2].number;
    uint32_t same = 0;

    while (same < named && from + same < stack->depth &&
           stack->calls[from + same].function ==
               named_call(trace, record, same).function) {
        same++;
    }
    return same;
}

/* Calls that were open before and are named again have gone on: those that stand
 * outermost, or all of so many as a sync can name. */
static void take_sync(struct trace *trace, const struct wire_decoded *record)
{
    uint32_t named = (uint32_t)record->fields[2].number, same = 0, from = 0;
    struct stack *stack;

    trace->thread = record->fields[1].number;
    trace->remembered = 0;
    stack = stack_of(trace, trace->thread);
    if (stack != NULL) {
        from = named >= SYNC_DEPTH && stack->depth > named ? stack->depth - named : 0;
        same = count_same(trace, stack, from, record);
        if (named >= SYNC_DEPTH && same < named) {
            from = same = 0;
        }
        close_down_to(trace, trace->thread, from + same);
        for (uint32_t i = 0; i < same; i++) {
            stack->calls[from + i].line = named_call(trace, record, i).line;
        }
    }
    advance(trace, record->time_us);
    tell_record(trace, record, 0);
    for (uint32_t i = same; i < named; i++) {
        push(trace, WIRE_CALL, true, named_call(trace, record, i));
    }
}

/* What other threads have done in the meantime is not known. */
static void take_dropped(struct trace *trace, const struct wire_decoded *record)
{
    uint64_t produced = record->fields[1].number;
    uint64_t missing = produced > trace->seen ? produced - trace->seen : 0;
    const struct stack *stack = stack_of(trace, trace->thread);

    trace->seen += missing;
    if (missing > 0 && trace->open > (stack != NULL ? stack->depth : 0)) {
        close_all_but(trace, trace->thread);
    }
    tell_record(trace, record, missing);
}

static void (*const takers[WIRE_KIND_LIMIT])(struct trace *trace,
                                             const struct wire_decoded *record) = {
    [WIRE_FILE] = take_file,       [WIRE_FUNCTION] = take_function,
    [WIRE_NAME] = take_name,       [WIRE_CALL] = take_trace,
    [WIRE_RETURN] = take_trace,    [WIRE_UNWIND] = take_trace,
    [WIRE_LINE] = take_trace,      [WIRE_YIELD] = take_trace,
    [WIRE_RESUME] = take_trace,    [WIRE_REPEAT] = take_repeat,
    [WIRE_THREAD] = take_thread,   [WIRE_SYNC] = take_sync,
    [WIRE_DROPPED] = take_dropped,
};

void trace_record(struct trace *trace, const struct wire_decoded *record)
{
    trace->latest_us =
        record->time_us > trace->latest_us ? record->time_us : trace->latest_us;
    if (takers[record->kind] != NULL) {
        takers[record->kind](trace, record);
    } else {
        tell_record(trace, record, 0);
    }
    trace->before_us = record->time_us;
}

void trace_end(struct trace *trace)
{
    advance(trace, trace->latest_us);
    close_all_but(trace, TRACE_THREADS);
}

/* ---- life ---- */

struct trace *trace_new(struct trace_limits limits, trace_tell *tell, void *context)
{
    struct trace *trace = calloc(1, sizeof(*trace));

    if (trace == NULL) {
        return NULL;
    }
    trace->limits = limits;
    trace->left = limits.total;
    trace->tell = tell;
    trace->context = context;
    if (trace_tables_init(&trace->tables) < 0) {
        trace_free(trace);
        return NULL;
    }
    return trace;
}

void trace_free(struct trace *trace)
{
    if (trace == NULL) {
        return;
    }
    for (size_t i = 0; i < TRACE_THREADS; i++) {
        free(trace->stacks[i].calls);
    }
    trace_tables_done(&trace->tables);
    free(trace);
}
