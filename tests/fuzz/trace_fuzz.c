/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: what a hostile program's recording is said to mean (common/trace.h). Calls
 * must nest and times never decrease, whatever the records are; and neither where the
 * stacks and the number of the last exception stand at the end nor what is refused may
 * depend on how many records of a `repeat` are told. Run by libFuzzer.
 */
#include "common/trace.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define THREADS    8   /* whose calls are looked at */
#define DEPTH      256 /* of them */
#define RECORDS    20000
#define REPEAT_MAX 2000
#define TOTAL      (4 * REPEAT_MAX)

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

/* What was told so far. */
struct told {
    struct {
        size_t count;
        struct {
            size_t depth;
            uint32_t function;
        } calls[DEPTH];
    } threads[THREADS];
    uint64_t time_us;
    uint64_t open;      /* hash of what is open at the end */
    uint32_t exception; /* number of one at the end */
    uint64_t count;
    size_t read; /* bytes until one was refused */
    bool ending;
    bool whole; /* every call is told */
};

static void check_texts(const struct trace_event *event)
{
    require(event->call.name != NULL && event->call.path != NULL &&
            strlen(event->call.name) <= TRACE_TEXT_ONE &&
            strlen(event->call.path) <= TRACE_TEXT_ONE);
}

/* Those between it and the last one were not told. */
static void enter(struct told *told, const struct trace_event *event)
{
    size_t count = told->threads[event->thread].count++;

    if (count < DEPTH) {
        require(count == 0
                    ? event->depth == 0 || !told->whole
                    : event->depth > told->threads[event->thread].calls[count - 1].depth);
        require(event->depth == count || !told->whole);
        told->threads[event->thread].calls[count].depth = event->depth;
        told->threads[event->thread].calls[count].function = event->function;
    }
}

/* It is the innermost of those that were told. */
static void stay(struct told *told, const struct trace_event *event)
{
    size_t count = told->threads[event->thread].count;

    require(count > 0);
    require(count > DEPTH ||
            (told->threads[event->thread].calls[count - 1].depth == event->depth &&
             told->threads[event->thread].calls[count - 1].function == event->function));
}

static void leave(struct told *told, const struct trace_event *event)
{
    stay(told, event);
    told->threads[event->thread].count--;
    if (told->ending) {
        told->open =
            (told->open ^ event->function ^ (uint64_t)event->line ^ event->thread << 32) *
            UINT64_C(0x100000001b3);
    }
}

static void take_number(struct told *told, const struct trace_event *event)
{
    if (told->ending) {
        told->exception = event->exception;
    }
}

static void (*const checks[WIRE_KIND_LIMIT])(struct told *told,
                                             const struct trace_event *event) = {
    [WIRE_CALL] = enter,
    [WIRE_RESUME] = enter,
    [WIRE_RETURN] = leave,
    [WIRE_UNWIND] = leave,
    [WIRE_YIELD] = leave,
    [WIRE_LINE] = stay,
    [WIRE_EXCEPTION] = take_number,
};

static void on_event(void *context, const struct trace_event *event)
{
    struct told *told = context;

    told->count++;
    check_texts(event);
    if (checks[event->kind] == NULL) {
        return;
    }
    require(event->thread < WIRE_THREADS_MAX && event->time_us >= told->time_us);
    told->time_us = event->time_us;
    if (event->thread < THREADS) {
        checks[event->kind](told, event);
    }
}

/* One more, where all that is open is told. */
static void raise(struct trace *trace)
{
    static struct wire_decoded record = {
        .kind = WIRE_EXCEPTION,
        .field_count = 3,
        .fields = {{.type = 't'}, {.type = 's', .integer = 1}, {.type = 'u'}}};

    (void)trace_record(trace, &record, NULL);
}

/* Reads it all. Returns whether no repeat was too long to be told as a whole. */
static bool read_all(const uint8_t *data, size_t size, struct trace_limits limits,
                     struct told *told)
{
    static struct wire_decoded record;
    struct wire_reader reader = {.started = true};
    struct trace *trace = trace_new(limits, on_event, told);
    size_t at = 0, records = 0;
    uint64_t repeated = 0;
    ssize_t length = 1;

    memset(told, 0, sizeof(*told));
    told->whole = limits.deep > 0;
    while (length > 0 && records++ < RECORDS) { /* a refusal ends it, of either */
        length = wire_decode(&reader, data + at, size - at, &record, NULL);
        if (length > 0) {
            at += (size_t)length;
            if (record.kind == WIRE_REPEAT && repeated <= REPEAT_MAX) {
                repeated += record.fields[2].number < REPEAT_MAX ? record.fields[2].number
                                                                 : REPEAT_MAX;
            }
            told->whole &= repeated < REPEAT_MAX; /* more may not be told */
            length = trace_record(trace, &record, NULL) < 0 ? -1 : length;
        }
    }
    told->read = at;
    told->ending = true;
    raise(trace);
    trace_end(trace, 0);
    trace_free(trace);
    for (size_t i = 0; i < THREADS; i++) {
        require(told->threads[i].count == 0);
    }
    require(told->count <= limits.total + 1024 * RECORDS);
    return repeated < REPEAT_MAX;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct told few, all, flat, brief;
    static const struct trace_limits none = {.deep = UINT64_MAX, .total = TOTAL};
    static const struct trace_limits whole = {
        .repeat = REPEAT_MAX, .deep = UINT64_MAX, .total = TOTAL};
    static const struct trace_limits nothing = {.total = TOTAL};
    static const struct trace_limits least = {0};
    bool fits = read_all(data, size, none, &few);

    (void)read_all(data, size, whole, &all);
    (void)read_all(data, size, nothing, &flat);
    (void)read_all(data, size, least, &brief);
    require(few.read == all.read && flat.read == all.read && brief.read == all.read);
    require(!fits || (few.open == all.open && few.exception == all.exception));
    return 0;
}
