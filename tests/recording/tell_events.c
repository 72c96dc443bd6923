/* SPDX-License-Identifier: MIT */
/*
 * Tells a recording on standard input as common/trace.h has it: a line of JSON for each
 * event, in the form of the vectors, and behind them why it cannot be read on, if so.
 * `tell_events [REPEATS]`: so many records of one repeat are unfolded, or all. Run by
 * recording_test.py alone; trusts nothing. Never part of a program.
 */
#include "common/fd.h"
#include "common/number.h"
#include "common/trace.h"
#include "common/wire_json.h"

#include <stdio.h>
#include <string.h>

static void add_text(struct buffer *to, const char *name, const char *text)
{
    bool known = strcmp(text, "?") != 0;

    buffer_printf(to, ",\"%s\":", name);
    buffer_add_json_string(to, text, known ? strlen(text) : 0);
}

static void add_number(struct buffer *to, const char *name, uint64_t number)
{
    buffer_printf(to, ",\"%s\":%llu", name, (unsigned long long)number);
}

/* Its own words, as they stand in its line; a call that is told has none. */
static void add_record(struct buffer *to, const struct trace *trace,
                       const struct trace_event *event)
{
    const struct wire_field *type = wire_find(event->record, "type");
    const struct wire_field *name = wire_find(event->record, "name");

    add_number(to, "time", event->time_us);
    buffer_add_text(to, ",\"record\":");
    wire_to_json(event->record, to);
    if (type != NULL && type->type == 'u') {
        add_text(to, "type", trace_name(trace, type->number));
    }
    if (name != NULL && name->type == 'u') {
        add_text(to, "name", trace_name(trace, name->number));
    }
}

static struct trace *trace;

static void add_exception(struct buffer *to, const struct trace_event *event)
{
    add_number(to, "exception", event->exception);
    add_text(to, "type", trace_name(trace, event->type));
}

static void add_value(struct buffer *to, const struct trace_event *event)
{
    buffer_add_text(to, ",\"value\":");
    buffer_add_json_string(to, event->text, event->text_size);
}

static void on_event(void *context, const struct trace_event *event)
{
    autobuffer struct buffer line = BUFFER_INIT(KIB(512));
    bool told = event->kind == WIRE_CALL || event->kind == WIRE_RESUME ||
                event->kind == WIRE_RETURN || event->kind == WIRE_UNWIND ||
                event->kind == WIRE_YIELD || event->kind == WIRE_LINE;

    buffer_printf(&line, "{\"kind\":\"%s\"", wire_records[event->kind].name);
    add_number(&line, "thread", event->thread);
    add_number(&line, "implied", event->implied);
    add_number(&line, "depth", event->depth + told);
    add_text(&line, "function", event->call.name);
    add_text(&line, "file", event->call.path);
    buffer_printf(&line, ",\"line\":%lld", (long long)event->line);
    add_number(&line, "count", event->count);
    if (event->record != NULL) {
        add_record(&line, trace, event);
    }
    if (event->kind == WIRE_EXCEPTION) {
        add_exception(&line, event);
    }
    if (event->kind == WIRE_VARIABLE) {
        add_value(&line, event);
    }
    (void)printf("%s}\n", line.data);
}

static int tell_all(const char *bytes, size_t size, struct buffer *why)
{
    static struct wire_decoded record;
    struct wire_reader reader = {0};
    ssize_t length = 1;
    size_t at = 0;
    int error = 0;

    while (error == 0 && length > 0) {
        length = wire_decode(&reader, bytes + at, size - at, &record, why);
        if (length > 0) {
            at += (size_t)length;
            error = trace_record(trace, &record, why);
        }
    }
    return error < 0 || length < 0 ? -1 : wire_end(&reader, size - at, why);
}

int main(int argc, char **argv)
{
    struct trace_limits limits = {
        .repeat = UINT64_MAX, .deep = UINT64_MAX, .total = UINT64_MAX};
    autobuffer struct buffer why = BUFFER_INIT(1024);
    autofree char *bytes = NULL;
    int64_t repeats;
    size_t size;

    if (argc > 1) {
        if (number_parse(argv[1], 0, INT64_MAX, &repeats) < 0) {
            return 2;
        }
        limits.repeat = limits.deep = (uint64_t)repeats;
    }
    if (fd_read_all(0, MIB(1), &bytes, &size) < 0) {
        return 2;
    }
    trace = trace_new(limits, on_event, NULL);
    if (trace == NULL) {
        return 2;
    }
    if (tell_all(bytes, size, &why) < 0) {
        (void)printf("%s\n", why.data);
    }
    trace_free(trace);
    return why.size > 0 ? 1 : 0;
}
