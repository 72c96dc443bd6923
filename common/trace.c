/* SPDX-License-Identifier: MIT */
/*
 * Reading a recording as what happened. Runs in the `paddock` command, on records that a
 * hostile program may have made: no number in them is believed before it was compared
 * with what is there, and none of them decides alone how long something takes.
 */
#include "common/trace_parts.h"

#include <errno.h>
#include <stdio.h>

/* Calls that a `sync` names at most; those further out are as they were. */
#define SYNC_DEPTH 64
/* Calls: a stack of no more room is not made smaller. */
#define SMALL 16
/* Of the ring: no thread's. */
#define NO_THREAD WIRE_THREADS_MAX

#define TEXT_OF(number) #number
#define TEXT(number)    TEXT_OF(number)

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
                                .offset = trace->offset,
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
    const struct trace_stack *stack = trace_stack_of(trace);

    event.offset = trace->offset;
    event.thread = trace->thread;
    if (stack->depth > 0) {
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
    const struct trace_stack *stack = &trace->stacks[trace->thread];
    const struct trace_call *call =
        stack->depth > 0 ? &stack->calls[stack->depth - 1] : NULL;

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

static void join_ring(struct trace *trace, uint32_t thread)
{
    struct trace_stack *stacks = trace->stacks;

    stacks[thread].next = NO_THREAD;
    stacks[thread].previous = stacks[NO_THREAD].previous;
    stacks[stacks[thread].previous].next = thread;
    stacks[NO_THREAD].previous = thread;
    if (thread >= trace->threads) {
        trace->threads = thread + 1;
    }
}

static void leave_ring(struct trace *trace, uint32_t thread)
{
    struct trace_stack *stacks = trace->stacks;

    stacks[stacks[thread].previous].next = stacks[thread].next;
    stacks[stacks[thread].next].previous = stacks[thread].previous;
}

static void push(struct trace *trace, enum wire_kind kind, bool implied,
                 struct trace_call call)
{
    struct trace_stack *stack = trace_stack_of(trace);

    if (trace_height(stack) == 0) {
        join_ring(trace, (uint32_t)trace->thread);
    }
    if (!has_room(trace, stack)) {
        stack->over++;
        return;
    }
    trace->open++;
    stack->calls[stack->depth++] = call;
    if (!call.untold) {
        tell_call(trace, kind, implied, trace->thread, stack->depth - 1);
    }
}

void trace_add_untold(struct trace *trace, struct trace_call call)
{
    call.untold = true;
    push(trace, WIRE_CALL, false, call);
}

static void pop(struct trace *trace, uint64_t thread, enum wire_kind kind, bool implied)
{
    struct trace_stack *stack = &trace->stacks[thread];

    if (trace_height(stack) == 0) {
        return;
    }
    if (trace_height(stack) == 1) {
        leave_ring(trace, (uint32_t)thread);
    }
    if (stack->over > 0) {
        stack->over--;
        return;
    }
    if (!stack->calls[stack->depth - 1].untold) {
        tell_call(trace, kind, implied, thread, stack->depth - 1);
    }
    stack->depth--;
    trace->open--;
    if (stack->room > SMALL && stack->depth < stack->room / 4) {
        (void)resize(stack, stack->room / 2); /* it may as well stay as it is */
    }
}

void trace_drop(struct trace *trace)
{
    pop(trace, trace->thread, WIRE_RETURN, false);
}

/* Ends what is above the outermost `depth` calls: what became of it is not known. */
void trace_close_down_to(struct trace *trace, uint64_t thread, uint32_t depth)
{
    if (trace->stacks[thread].depth == 0 && trace->stacks[thread].over > 0) {
        leave_ring(trace, (uint32_t)thread);
    }
    trace->stacks[thread].over = 0;
    while (trace->stacks[thread].depth > depth) {
        pop(trace, thread, WIRE_RETURN, true);
    }
}

static void close_all_but(struct trace *trace, uint64_t but)
{
    uint32_t next;

    for (uint32_t at = trace->stacks[NO_THREAD].next; at != NO_THREAD; at = next) {
        next = trace->stacks[at].next;
        if (at != but) {
            trace_close_down_to(trace, at, 0);
        }
    }
}

/* ---- what there can be ---- */

/* What was open before a sync of the thread, or of other threads before a gap, does not
 * count: a reader may have begun there. */
uint32_t trace_known(struct trace *trace)
{
    struct trace_stack *stack = trace_stack_of(trace);

    if (stack->gaps != trace->gaps) {
        stack->gaps = trace->gaps;
        stack->known = 0;
    }
    return stack->known;
}

void trace_set_known(struct trace *trace, uint32_t known)
{
    trace->known = trace->known - trace_known(trace) + known;
    trace_stack_of(trace)->known = known;
}

static bool can_call(struct trace *trace)
{
    if (trace_known(trace) >= WIRE_DEPTH_MAX) {
        trace->refusal = "more than " TEXT(WIRE_DEPTH_MAX) " calls within one another";
    } else if (trace->known >= WIRE_OPEN_MAX) {
        trace->refusal = "more than " TEXT(WIRE_OPEN_MAX) " calls that are open";
    }
    return trace->refusal == NULL;
}

static bool can_be_line(struct trace *trace, int64_t line)
{
    if (!trace_is_line(line)) {
        trace->refusal = "a line beyond 2^31 - 1";
    }
    return trace->refusal == NULL;
}

static bool can_be_thread(struct trace *trace, uint64_t thread)
{
    if (thread >= WIRE_THREADS_MAX) {
        (void)snprintf(
            trace->said, sizeof(trace->said),
            "thread %llu, where there are no more than " TEXT(WIRE_THREADS_MAX),
            (unsigned long long)thread);
        trace->refusal = trace->said;
    }
    return trace->refusal == NULL;
}

/* ---- trace records ---- */

static void apply_call(struct trace *trace, const struct trace_past *past)
{
    int64_t line = (int64_t)trace_function(trace, past->number).line + past->step;

    if (can_call(trace) && can_be_line(trace, line)) {
        trace_set_known(trace, trace_known(trace) + 1);
        push(trace, past->kind, false,
             (struct trace_call){
                 .function = past->number, .untold = trace->quiet, .line = line});
    }
}

static void apply_return(struct trace *trace, const struct trace_past *past)
{
    if (trace_known(trace) > 0) {
        trace_set_known(trace, trace_known(trace) - 1);
    }
    pop(trace, trace->thread, past->kind, false);
}

void trace_lose(const struct trace *trace, struct trace_call *call)
{
    call->lost = true;
    call->line = (int64_t)trace_function(trace, call->function).line;
}

static void apply_line(struct trace *trace, const struct trace_past *past)
{
    struct trace_stack *stack = trace_stack_of(trace);
    struct trace_call *call;

    if (stack->depth == 0 || stack->over > 0) {
        return;
    }
    call = &stack->calls[stack->depth - 1];
    if (!trace_is_line(call->line + past->step) &&
        !trace_is_known(trace, stack->depth - 1)) {
        trace_lose(trace, call);
    }
    if (call->lost || !can_be_line(trace, call->line + past->step)) {
        return;
    }
    call->line += past->step;
    if (!trace->limits.calls_only && !trace->quiet && !call->untold) {
        tell_call(trace, WIRE_LINE, false, trace->thread, stack->depth - 1);
    }
}

static const struct {
    void (*apply)(struct trace *trace,
                  const struct trace_past *past); /* NULL: no trace record */
    int level;                                    /* what it adds to the depth */
} changes[WIRE_KIND_LIMIT] = {
    [WIRE_CALL] = {apply_call, 1},
    [WIRE_RESUME] = {apply_call, 1},
    [WIRE_RETURN] = {apply_return, -1},
    [WIRE_UNWIND] = {apply_return, -1},
    [WIRE_YIELD] = {apply_return, -1},
    [WIRE_LINE] = {apply_line, 0},
    [WIRE_EXCEPTION] = {trace_apply_exception, 0},
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

/* Of a function, or of the name of an exception's type; 0: there is none such. */
static uint32_t known_number(const struct trace *trace, enum wire_kind kind,
                             uint64_t number)
{
    uint64_t most = kind == WIRE_EXCEPTION ? UINT32_MAX : trace->tables.functions.count;

    return number <= most ? (uint32_t)number : 0;
}

static void take_trace(struct trace *trace, const struct wire_decoded *record)
{
    struct trace_past past = {.kind = record->kind};

    for (size_t i = 1; i < record->field_count; i++) { /* behind the time */
        const struct wire_field *field = &record->fields[i];

        if (field->type == 's') {
            past.step = field->integer;
        } else {
            past.number = known_number(trace, past.kind, field->number);
        }
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
    if (can_be_line(trace, (int64_t)record->fields[2].number)) {
        trace_keep_function(&trace->tables, record);
    }
}

static void take_name(struct trace *trace, const struct wire_decoded *record)
{
    trace_keep_name(&trace->tables, record);
}

static void take_thread(struct trace *trace, const struct wire_decoded *record)
{
    if (can_be_thread(trace, record->fields[0].number)) {
        trace->thread = record->fields[0].number;
        trace->remembered = 0;
        tell_record(trace, record, 0);
    }
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

/* Returns how many of the calls that are named had been open before, and have gone on:
 * those that stand outermost, or all of so many as a sync can name. What is above them
 * has ended. */
static uint32_t keep_same(struct trace *trace, const struct wire_decoded *record)
{
    struct trace_stack *stack = trace_stack_of(trace);
    uint32_t named = (uint32_t)record->fields[2].number;
    uint32_t from =
        named >= SYNC_DEPTH && stack->depth > named ? stack->depth - named : 0;
    uint32_t same = count_same(trace, stack, from, record);

    if (named >= SYNC_DEPTH && same < named) {
        from = same = 0;
    }
    trace_close_down_to(trace, trace->thread, from + same);
    for (uint32_t i = 0; i < same; i++) {
        stack->calls[from + i].line = named_call(trace, record, i).line;
        stack->calls[from + i].lost = false;
    }
    return same;
}

static bool can_be_sync(struct trace *trace, const struct wire_decoded *record)
{
    bool can = true;

    for (size_t i = 0; can && i < record->fields[2].number; i++) {
        can = can_be_line(trace, named_call(trace, record, i).line);
    }
    return can && can_be_thread(trace, record->fields[1].number);
}

static void take_sync(struct trace *trace, const struct wire_decoded *record)
{
    uint32_t named = (uint32_t)record->fields[2].number, same;

    if (!can_be_sync(trace, record)) {
        return;
    }
    trace->thread = record->fields[1].number;
    trace->remembered = 0;
    trace->exception = 0;
    wire_values_forget(&trace->values);
    same = keep_same(trace, record);
    trace_set_known(trace, named);
    trace_advance(trace, record->time_us);
    tell_record(trace, record, 0);
    for (uint32_t i = same; i < named; i++) {
        push(trace, WIRE_CALL, true, named_call(trace, record, i));
    }
}

/* Of the other threads. */
static void forget_known(struct trace *trace)
{
    uint32_t known = trace_known(trace);

    trace->gaps++;
    trace->known = 0;
    trace_set_known(trace, known);
}

/* What other threads have done in the meantime is not known. */
static void take_dropped(struct trace *trace, const struct wire_decoded *record)
{
    uint64_t produced = record->fields[1].number;
    uint64_t missing = produced > trace->seen ? produced - trace->seen : 0;

    trace->seen += missing;
    if (missing > 0) {
        close_all_but(trace, trace->thread);
        forget_known(trace);
    }
    tell_record(trace, record, missing);
}

static void (*const takers[WIRE_KIND_LIMIT])(struct trace *trace,
                                             const struct wire_decoded *record) = {
    [WIRE_FILE] = take_file,
    [WIRE_FUNCTION] = take_function,
    [WIRE_NAME] = take_name,
    [WIRE_CALL] = take_trace,
    [WIRE_RETURN] = take_trace,
    [WIRE_UNWIND] = take_trace,
    [WIRE_LINE] = take_trace,
    [WIRE_YIELD] = take_trace,
    [WIRE_RESUME] = take_trace,
    [WIRE_REPEAT] = trace_take_repeat,
    [WIRE_THREAD] = take_thread,
    [WIRE_SYNC] = take_sync,
    [WIRE_DROPPED] = take_dropped,
    [WIRE_EXCEPTION] = take_trace,
    [WIRE_VARIABLE] = trace_take_variable,
};

int trace_record(struct trace *trace, const struct wire_decoded *record,
                 struct buffer *why)
{
    if (trace_check_repeat(trace, record, why) < 0) {
        return -EBADMSG;
    }
    trace->offset = record->offset;
    trace->latest_us =
        record->time_us > trace->latest_us ? record->time_us : trace->latest_us;
    if (takers[record->kind] != NULL) {
        takers[record->kind](trace, record);
    } else {
        tell_record(trace, record, 0);
    }
    trace->before_us = record->time_us;
    return trace->refusal != NULL ? wire_refuse(record->offset, why, "%s", trace->refusal)
                                  : 0;
}

void trace_set_brief(struct trace *trace, bool brief)
{
    trace->brief = brief;
}

void trace_end(struct trace *trace, uint64_t end_us)
{
    trace_advance(trace, trace->latest_us);
    trace_advance(trace, end_us);
    close_all_but(trace, NO_THREAD);
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
    trace->value = (struct buffer)BUFFER_INIT(4 * LIMIT_RECORD);
    trace->context = context;
    trace->stacks[NO_THREAD] =
        (struct trace_stack){.next = NO_THREAD, .previous = NO_THREAD};
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
    for (size_t i = 0; i < trace->threads; i++) {
        free(trace->stacks[i].calls);
    }
    trace_tables_done(&trace->tables);
    buffer_done(&trace->value);
    free(trace);
}
