/* SPDX-License-Identifier: MIT */
/*
 * Reading a recording as what happened. Runs in the `paddock` command, on records that a
 * hostile program may have made: no number in them is believed before it was compared
 * with what is there, and none of them decides alone how long something takes.
 */
#include "common/trace_parts.h"

#include <errno.h>

/* Calls that a `sync` names at most; those further out are as they were. */
#define SYNC_DEPTH 64
/* Calls: a stack of no more room is not made smaller. */
#define SMALL 1024

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

/* Tells of call number `depth` of a thread; its line is that of the event. */
static void tell_call(struct trace *trace, enum wire_kind kind, bool implied,
                      uint64_t thread, uint32_t depth)
{
    const struct trace_call *call = &trace->stacks[thread].calls[depth];
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

void trace_tell_other(struct trace *trace, struct trace_event event)
{
    const struct trace_stack *stack = trace_stack_of(trace, trace->thread);

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
    trace_tell_other(trace, (struct trace_event){.kind = record->kind,
                                                 .time_us = record->time_us,
                                                 .count = count,
                                                 .record = record});
}

bool trace_where(const struct trace *trace, struct trace_function *ret_call,
                 int64_t *ret_line)
{
    const struct trace_stack *stack =
        trace->thread < TRACE_THREADS ? &trace->stacks[trace->thread] : NULL;
    const struct trace_call *call =
        stack != NULL && stack->depth > 0 ? &stack->calls[stack->depth - 1] : NULL;

    if (call == NULL || call->function == 0) {
        return false;
    }
    *ret_call = trace_function(trace, call->function);
    *ret_line = call->line;
    return true;
}

/* ---- the stack ---- */

static bool resize(struct trace_stack *stack, uint32_t room)
{
    struct trace_call *calls = realloc(stack->calls, room * sizeof(*calls));

    if (calls != NULL) {
        stack->calls = calls;
        stack->room = room;
    }
    return calls != NULL;
}

static bool has_room(const struct trace *trace, struct trace_stack *stack)
{
    if (stack->over > 0 || stack->depth == TRACE_DEPTH || trace->open == TRACE_CALLS) {
        return false;
    }
    return stack->depth < stack->room ||
           resize(stack, stack->room > 0 ? stack->room * 2 : 16);
}

static void push(struct trace *trace, enum wire_kind kind, bool implied,
                 struct trace_call call)
{
    struct trace_stack *stack = trace_stack_of(trace, trace->thread);

    if (stack == NULL) {
        return;
    }
    if (trace_height(stack) - stack->below >= WIRE_DEPTH_MAX) {
        trace->too_deep = true;
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
    struct trace_stack *stack = trace_stack_of(trace, thread);

    if (stack == NULL || (stack->over == 0 && stack->depth == 0)) {
        return;
    }
    if (stack->below == trace_height(stack)) {
        stack->below--;
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
void trace_close_down_to(struct trace *trace, uint64_t thread, uint32_t depth)
{
    trace->stacks[thread].over = 0;
    trace->stacks[thread].below = 0;
    while (trace->stacks[thread].depth > depth) {
        pop(trace, thread, WIRE_RETURN, true);
    }
}

static void close_all_but(struct trace *trace, uint64_t but)
{
    for (uint32_t thread = 0; thread < trace->threads; thread++) {
        if (thread != but) {
            trace_close_down_to(trace, thread, 0);
        }
    }
}

/* ---- trace records ---- */

static void apply_call(struct trace *trace, const struct trace_past *past)
{
    uint64_t line = trace_function(trace, past->function).line;

    push(trace, past->kind, false,
         (struct trace_call){.function = past->function, .line = (int64_t)line});
}

static void apply_return(struct trace *trace, const struct trace_past *past)
{
    pop(trace, trace->thread, past->kind, false);
}

static void apply_line(struct trace *trace, const struct trace_past *past)
{
    struct trace_stack *stack = trace_stack_of(trace, trace->thread);
    struct trace_call *call;

    if (stack == NULL || stack->depth == 0 || stack->over > 0) {
        return;
    }
    call = &stack->calls[stack->depth - 1];
    call->line = trace_add_lines(call->line, past->step);
    if (!trace->limits.calls_only) {
        tell_call(trace, WIRE_LINE, false, trace->thread, stack->depth - 1);
    }
}

static const struct {
    void (*apply)(struct trace *trace,
                  const struct trace_past *past); /* NULL: no trace record */
    int level;                                    /* what it adds to the depth */
} changes[WIRE_KIND_LIMIT] = {
    [WIRE_CALL] = {apply_call, 1},      [WIRE_RESUME] = {apply_call, 1},
    [WIRE_RETURN] = {apply_return, -1}, [WIRE_UNWIND] = {apply_return, -1},
    [WIRE_YIELD] = {apply_return, -1},  [WIRE_LINE] = {apply_line, 0},
};

int trace_level(enum wire_kind kind)
{
    return changes[kind].level;
}

void trace_remember(struct trace *trace, struct trace_past past)
{
    trace->past[trace->past_end++ % TRACE_PAST] = past;
    trace->remembered += trace->remembered < WIRE_PERIOD_MAX;
}

void trace_happen(struct trace *trace, struct trace_past past)
{
    trace->seen++;
    changes[past.kind].apply(trace, &past);
    trace_remember(trace, past);
}

static void take_trace(struct trace *trace, const struct wire_decoded *record)
{
    const struct wire_field *operand = &record->fields[1];
    struct trace_past past = {.kind = record->kind};

    if (record->kind == WIRE_LINE) {
        past.step = operand->integer;
    } else if (record->field_count > 1 &&
               operand->number <= trace->tables.functions.count) {
        past.function = (uint32_t)operand->number;
    }
    trace_advance(trace, record->time_us);
    trace_happen(trace, past);
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
static struct trace_call named_call(const struct trace *trace,
                                    const struct wire_decoded *record, size_t index)
{
    const struct wire_field *fields = &record->fields[3 + 2 * index];

    return (struct trace_call){.function =
                                   fields[0].number <= trace->tables.functions.count
                                       ? (uint32_t)fields[0].number
                                       : 0,
                               .line = (int64_t)fields[1].number};
}

/* How many calls of the stack, from its number `from` on, are those that are named. */
static uint32_t count_same(const struct trace *trace, const struct trace_stack *stack,
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
    struct trace_stack *stack;

    trace->thread = record->fields[1].number;
    trace->remembered = 0;
    stack = trace_stack_of(trace, trace->thread);
    if (stack != NULL) {
        from = named >= SYNC_DEPTH && stack->depth > named ? stack->depth - named : 0;
        same = count_same(trace, stack, from, record);
        if (named >= SYNC_DEPTH && same < named) {
            from = same = 0;
        }
        trace_close_down_to(trace, trace->thread, from + same);
        for (uint32_t i = 0; i < same; i++) {
            stack->calls[from + i].line = named_call(trace, record, i).line;
        }
        stack->below = from;
    }
    trace_advance(trace, record->time_us);
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
    const struct trace_stack *stack = trace_stack_of(trace, trace->thread);

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
    [WIRE_RESUME] = take_trace,    [WIRE_REPEAT] = trace_take_repeat,
    [WIRE_THREAD] = take_thread,   [WIRE_SYNC] = take_sync,
    [WIRE_DROPPED] = take_dropped,
};

int trace_record(struct trace *trace, const struct wire_decoded *record,
                 struct buffer *why)
{
    if (trace_check_repeat(trace, record, why) < 0) {
        return -EBADMSG;
    }
    trace->latest_us =
        record->time_us > trace->latest_us ? record->time_us : trace->latest_us;
    if (takers[record->kind] != NULL) {
        takers[record->kind](trace, record);
    } else {
        tell_record(trace, record, 0);
    }
    trace->before_us = record->time_us;
    return trace->too_deep
               ? wire_refuse(record->offset, why, "more than %d calls within one another",
                             WIRE_DEPTH_MAX)
               : 0;
}

void trace_end(struct trace *trace)
{
    trace_advance(trace, trace->latest_us);
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
