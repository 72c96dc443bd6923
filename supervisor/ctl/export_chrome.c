/* SPDX-License-Identifier: MIT */
/*
 * A recording as Chrome's Trace Event Format (JSON object form), which Perfetto and
 * chrome://tracing load: B and E for calls, instants for everything else, times in
 * microseconds. Runs in the `paddock` command; every text of the program becomes a JSON
 * string.
 */
#include "common/wire_json.h"
#include "supervisor/ctl/export.h"

#include <string.h>

/* When it was, and what is written for it, in thousandths of a microsecond. */
struct moment {
    uint64_t us;
    uint64_t parts;
};

#define HEAD "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n"

struct chrome {
    FILE *out;
    struct moment last;      /* of the last event */
    struct moment last_edge; /* of the last B or E */
    struct buffer line;
    bool begun;                   /* something was written */
    bool named[WIRE_THREADS_MAX]; /* threads whose name was written */
};

static void *chrome_new(FILE *out)
{
    struct chrome *chrome = calloc(1, sizeof(*chrome));

    if (chrome != NULL) {
        chrome->out = out;
        chrome->line = BUFFER_INIT(16 * LIMIT_RECORD);
    }
    return chrome;
}

static void chrome_free(void *state)
{
    struct chrome *chrome = state;

    buffer_done(&chrome->line);
    free(chrome);
}

static void add_name(struct buffer *to, const char *name)
{
    char cut[ROOM_TEXT];
    const char *shown = room_name(name, cut);

    buffer_add_json_string(to, shown, strlen(shown));
}

static void add_path(struct buffer *to, const char *path)
{
    char cut[ROOM_TEXT];
    const char *shown = room_path(path, cut);

    buffer_add_json_string(to, shown, strlen(shown));
}

/* What happens in one microsecond is told apart by parts of it: importers sort by time
 * first, and would make another order of a call's end and the next one's beginning. Where
 * there are too many for one, they go on into the next. */
static struct moment moment_of(struct chrome *chrome, const struct trace_event *event)
{
    struct moment moment = {.us = event->time_us, .parts = 1000 * event->time_us};

    if (chrome->last.us == moment.us && chrome->last.parts >= moment.parts) {
        moment.parts = chrome->last.parts + 1;
    }
    if (chrome->last_edge.us <= moment.us && chrome->last_edge.parts >= moment.parts) {
        moment.parts = chrome->last_edge.parts + 1;
    }
    chrome->last = moment;
    return moment;
}

static void add_time(struct buffer *to, struct moment moment)
{
    char text[EXPORT_US_MAX];

    buffer_printf(to, ",\"ts\":%s", export_us(moment.parts, text));
}

/* What every event has, up to its arguments, which the caller adds. */
static void begin(struct chrome *chrome, const char *name, const char *phase,
                  const struct trace_event *event)
{
    buffer_add_text(&chrome->line, chrome->begun ? ",\n" : HEAD);
    buffer_add_text(&chrome->line, "{\"name\":");
    add_name(&chrome->line, name);
    buffer_printf(&chrome->line, ",%s", phase);
    add_time(&chrome->line, moment_of(chrome, event));
    buffer_printf(&chrome->line,
                  ",\"pid\":1,\"tid\":%llu,\"args\":", (unsigned long long)event->thread);
}

static void end(struct chrome *chrome)
{
    buffer_add_char(&chrome->line, '}');
    if (buffer_error(&chrome->line) == 0) {
        (void)fwrite(chrome->line.data, 1, chrome->line.size, chrome->out);
        chrome->begun = true;
    }
    buffer_reset(&chrome->line);
}

static void name_thread(struct chrome *chrome, const struct trace_event *event)
{
    if (chrome->named[event->thread]) {
        return;
    }
    chrome->named[event->thread] = true;
    begin(chrome, "thread_name", "\"ph\":\"M\"", event);
    buffer_printf(&chrome->line, "{\"name\":\"%s %llu\"}",
                  event->thread == 0 ? "main thread" : "thread",
                  (unsigned long long)event->thread);
    end(chrome);
}

#define INSTANT(category) "\"cat\":\"" category "\",\"ph\":\"i\",\"s\":\"t\""

/* B and E of a call have the same name and arguments: importers pair them by these. How
 * it began and how it was left is their category. */
static void write_edge(struct chrome *chrome, const struct trace_event *event,
                       const char *phase, const char *how)
{
    char what[64];

    (void)snprintf(what, sizeof(what), "\"cat\":\"%s\",\"ph\":\"%s\"", how, phase);
    begin(chrome, event->call.name, what, event);
    chrome->last_edge = chrome->last;
    buffer_add_text(&chrome->line, "{\"file\":");
    add_path(&chrome->line, event->call.path);
    buffer_printf(&chrome->line, ",\"line\":%llu}", (unsigned long long)event->call.line);
    end(chrome);
}

static void write_call(struct chrome *chrome, const struct trace_event *event)
{
    write_edge(chrome, event, "B",
               event->implied ? "open" : wire_records[event->kind].name);
}

/* Where a call stood that nothing more is known of: the one thing to see of a program
 * that was killed. */
static void write_unfinished(struct chrome *chrome, const struct trace_event *event)
{
    begin(chrome, "unfinished", INSTANT("record"), event);
    buffer_add_text(&chrome->line, "{\"in\":");
    add_name(&chrome->line, event->call.name);
    buffer_printf(&chrome->line, ",\"line\":%lld}", (long long)event->line);
    end(chrome);
}

static void write_leave(struct chrome *chrome, const struct trace_event *event)
{
    if (event->implied) {
        write_unfinished(chrome, event);
    }
    write_edge(chrome, event, "E",
               event->implied ? "unfinished" : wire_records[event->kind].name);
}

static void write_record(struct chrome *chrome, const struct trace_event *event)
{
    begin(chrome, wire_records[event->kind].name, INSTANT("record"), event);
    wire_to_json(event->record, &chrome->line);
    end(chrome);
}

static void write_repeat(struct chrome *chrome, const struct trace_event *event)
{
    begin(chrome, "repeat", INSTANT("record"), event);
    buffer_printf(&chrome->line, "{\"records\":%llu,\"period\":%llu}",
                  (unsigned long long)event->count, (unsigned long long)event->period);
    end(chrome);
}

static void write_dropped(struct chrome *chrome, const struct trace_event *event)
{
    begin(chrome, "dropped", INSTANT("record"), event);
    buffer_printf(&chrome->line, "{\"records\":%llu}", (unsigned long long)event->count);
    end(chrome);
}

static void write_variable(struct chrome *chrome, const struct trace *trace,
                           const struct trace_event *event)
{
    begin(chrome, "variable", INSTANT("record"), event);
    buffer_add_text(&chrome->line, "{\"name\":");
    add_name(&chrome->line, trace_name(trace, event->name));
    if (event->type != 0) {
        buffer_add_text(&chrome->line, ",\"type\":");
        add_name(&chrome->line, trace_name(trace, event->type));
        buffer_add_text(&chrome->line, ",\"value\":");
        buffer_add_json_string(&chrome->line, event->text, event->text_size);
    }
    buffer_add_text(&chrome->line, "}");
    end(chrome);
}

/* The one record whose name says more than its kind. */
static void write_exception(struct chrome *chrome, const struct trace *trace,
                            const struct trace_event *event)
{
    begin(chrome, trace_name(trace, event->type), INSTANT("exception"), event);
    buffer_add_text(&chrome->line, "{\"in\":");
    add_name(&chrome->line, event->call.name);
    buffer_printf(&chrome->line, ",\"line\":%lld}", (long long)event->line);
    end(chrome);
}

/* A `thread` is told by the events' numbers, a `sync` by the calls that it names. */
static void (*const writers[WIRE_KIND_LIMIT])(struct chrome *chrome,
                                              const struct trace_event *event) = {
    [WIRE_CALL] = write_call,       [WIRE_RESUME] = write_call,
    [WIRE_RETURN] = write_leave,    [WIRE_UNWIND] = write_leave,
    [WIRE_YIELD] = write_leave,     [WIRE_REPEAT] = write_repeat,
    [WIRE_DROPPED] = write_dropped, [WIRE_OUT] = write_record,
    [WIRE_ERR] = write_record,      [WIRE_ERROR] = write_record,
    [WIRE_END] = write_record,      [WIRE_LEVEL] = write_record,
    [WIRE_INPUT] = write_record,    [WIRE_HOST] = write_record,
    [WIRE_VALUE] = write_record,    [WIRE_SAVED] = write_record,
    [WIRE_HEADER] = write_record,   [WIRE_INPUT_END] = write_record,
};

static void chrome_event(void *state, const struct trace *trace,
                         const struct trace_event *event)
{
    struct chrome *chrome = state;

    if (event->kind == WIRE_EXCEPTION) {
        name_thread(chrome, event);
        write_exception(chrome, trace, event);
    } else if (event->kind == WIRE_VARIABLE) {
        name_thread(chrome, event);
        write_variable(chrome, trace, event);
    } else if (writers[event->kind] != NULL) {
        name_thread(chrome, event);
        writers[event->kind](chrome, event);
    }
}

static void chrome_end(void *state, const struct trace *trace)
{
    struct chrome *chrome = state;

    (void)fputs(chrome->begun ? "\n]}\n" : HEAD "\n]}\n", chrome->out);
}

const struct export_format export_chrome = {
    .name = "chrome",
    .limits = {.repeat = 4096, .deep = 4096, .total = 1 << 21, .calls_only = true},
    .room = ROOM_FILE,
    .new_state = chrome_new,
    .free_state = chrome_free,
    .event = chrome_event,
    .end = chrome_end,
};
