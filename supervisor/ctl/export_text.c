/* SPDX-License-Identifier: MIT */
/*
 * A recording as a listing for people: one line per event, indented by depth, up to where
 * lines would be too long to be read: from there on a number says how deep. Runs in the
 * `paddock` command. What a program chose (names, output, messages) is shown as what it
 * is, on its line: nothing of it moves a terminal's cursor.
 */
#include "supervisor/ctl/export.h"

#include <string.h>

#define INDENT_MAX 40 /* levels; what is deeper has its number in front */

struct text {
    FILE *out;
    uint64_t thread; /* whose events were written last */
    struct buffer line;
    const struct trace *trace; /* during an event */
};

static void *text_new(FILE *out)
{
    struct text *text = calloc(1, sizeof(*text));

    if (text != NULL) {
        text->out = out;
        text->line = BUFFER_INIT(8 * LIMIT_RECORD);
    }
    return text;
}

static void text_free(void *state)
{
    struct text *text = state;

    buffer_done(&text->line);
    free(text);
}

static void end_line(struct text *text)
{
    buffer_add_char(&text->line, '\n');
    if (buffer_error(&text->line) == 0) {
        (void)fwrite(text->line.data, 1, text->line.size, text->out);
    }
    buffer_reset(&text->line);
}

static void begin_line(struct text *text, const struct trace_event *event)
{
    size_t level = event->depth < INDENT_MAX ? event->depth : INDENT_MAX;

    buffer_printf(&text->line, "%8llu.%03u  %*s",
                  (unsigned long long)(event->time_us / 1000),
                  (unsigned)(event->time_us % 1000), (int)(2 * level), "");
    if (event->depth > INDENT_MAX) {
        buffer_printf(&text->line, "%zu: ", event->depth);
    }
}

static void add_name(struct text *text, const char *name)
{
    char cut[ROOM_TEXT];
    const char *shown = room_name(name, cut);

    buffer_add_visible(&text->line, shown, strlen(shown));
}

static void add_path(struct text *text, const char *path)
{
    char cut[ROOM_TEXT];
    const char *shown = room_path(path, cut);

    buffer_add_visible(&text->line, shown, strlen(shown));
}

static void add_field(struct text *text, const struct trace_event *event,
                      const char *name)
{
    const struct wire_field *field = wire_find(event->record, name);

    buffer_add_visible(&text->line, field->bytes, field->size);
}

static uint64_t number_of(const struct trace_event *event, const char *name)
{
    return wire_find(event->record, name)->number;
}

/* ---- calls and lines ---- */

static void write_call(struct text *text, const struct trace_event *event)
{
    buffer_add_text(&text->line,
                    event->implied ? "open " : wire_records[event->kind].name);
    buffer_add_text(&text->line, event->implied ? "" : " ");
    add_name(text, event->call.name);
    buffer_add_text(&text->line, " (");
    add_path(text, event->call.path);
    buffer_printf(&text->line, ":%llu)", (unsigned long long)event->call.line);
    if (event->implied || event->line != (int64_t)event->call.line) {
        buffer_printf(&text->line, ", at line %lld", (long long)event->line);
    }
}

/* The last line says something where lines are traced, and the call did not end well. */
static void write_leave(struct text *text, const struct trace_event *event)
{
    buffer_printf(&text->line, "%s ",
                  event->implied ? "unfinished" : wire_records[event->kind].name);
    add_name(text, event->call.name);
    if (event->kind != WIRE_RETURN || event->implied) {
        if (event->line != (int64_t)event->call.line) {
            buffer_printf(&text->line, ", at line %lld", (long long)event->line);
        }
    }
}

static void write_line(struct text *text, const struct trace_event *event)
{
    buffer_printf(&text->line, "  line %lld", (long long)event->line);
}

static void write_repeat(struct text *text, const struct trace_event *event)
{
    buffer_printf(&text->line, "the last %llu again, %llu in all",
                  (unsigned long long)event->period, (unsigned long long)event->count);
}

/* ---- other records ---- */

static void write_header(struct text *text, const struct trace_event *event)
{
    add_field(text, event, "engine");
    buffer_add_text(&text->line, ", trace level ");
    add_field(text, event, "level");
}

static void write_level(struct text *text, const struct trace_event *event)
{
    buffer_add_text(&text->line, "trace level ");
    add_field(text, event, "level");
}

static void write_output(struct text *text, const struct trace_event *event)
{
    buffer_printf(&text->line, "%s \"", wire_records[event->kind].name);
    add_field(text, event, "data");
    buffer_add_char(&text->line, '"');
}

static void write_exception(struct text *text, const struct trace_event *event)
{
    buffer_add_text(&text->line, "exception ");
    add_name(text, trace_name(text->trace, event->type));
}

static void write_error(struct text *text, const struct trace_event *event)
{
    const struct wire_field *fields = event->record->fields;
    size_t frames = (size_t)wire_find(event->record, "frames")->number;

    buffer_add_text(&text->line, "error ");
    add_field(text, event, "type");
    buffer_add_text(&text->line, ": ");
    add_field(text, event, "message");
    for (size_t i = 0; i < frames; i++) {
        const struct wire_field *frame = &fields[5 + 7 * i];

        end_line(text);
        begin_line(text, event);
        buffer_add_text(&text->line, "  in ");
        buffer_add_visible(&text->line, frame[5].bytes, frame[5].size);
        buffer_add_text(&text->line, " (");
        buffer_add_visible(&text->line, frame[0].bytes, frame[0].size);
        buffer_printf(&text->line, ":%llu): ", (unsigned long long)frame[1].number);
        buffer_add_visible(&text->line, frame[6].bytes, frame[6].size);
    }
}

static void write_dropped(struct text *text, const struct trace_event *event)
{
    buffer_printf(&text->line, "%llu trace records are missing before this",
                  (unsigned long long)event->count);
}

static void write_end(struct text *text, const struct trace_event *event)
{
    buffer_printf(&text->line, "end, after %llu trace records",
                  (unsigned long long)number_of(event, "produced"));
}

static void write_variable(struct text *text, const struct trace_event *event)
{
    add_name(text, trace_name(text->trace, event->name));
    if (event->type == 0) {
        buffer_add_text(&text->line, " is gone");
        return;
    }
    buffer_add_text(&text->line, ": ");
    add_name(text, trace_name(text->trace, event->type));
    buffer_add_text(&text->line, " = ");
    buffer_add_visible(&text->line, event->text, event->text_size);
}

static void write_input(struct text *text, const struct trace_event *event)
{
    buffer_add_text(&text->line, "waits for input");
}

static void write_input_end(struct text *text, const struct trace_event *event)
{
    buffer_add_text(&text->line, "waits for input no longer");
}

static void write_host(struct text *text, const struct trace_event *event)
{
    buffer_add_text(&text->line, "host ");
    add_field(text, event, "json");
}

static void write_value(struct text *text, const struct trace_event *event)
{
    buffer_printf(&text->line,
                  "value, %zu of %llu bytes: ", wire_find(event->record, "part")->size,
                  (unsigned long long)number_of(event, "total"));
    add_field(text, event, "part");
}

static void write_saved(struct text *text, const struct trace_event *event)
{
    buffer_add_text(&text->line, "saved ");
    add_field(text, event, "name");
    buffer_add_text(&text->line, " (");
    add_field(text, event, "media_type");
    buffer_printf(&text->line, "), %zu of %llu bytes",
                  wire_find(event->record, "part")->size,
                  (unsigned long long)number_of(event, "total"));
}

static void (*const writers[WIRE_KIND_LIMIT])(struct text *text,
                                              const struct trace_event *event) = {
    [WIRE_HEADER] = write_header,     [WIRE_CALL] = write_call,
    [WIRE_RESUME] = write_call,       [WIRE_RETURN] = write_leave,
    [WIRE_UNWIND] = write_leave,      [WIRE_YIELD] = write_leave,
    [WIRE_LINE] = write_line,         [WIRE_REPEAT] = write_repeat,
    [WIRE_VARIABLE] = write_variable, [WIRE_OUT] = write_output,
    [WIRE_ERR] = write_output,        [WIRE_EXCEPTION] = write_exception,
    [WIRE_ERROR] = write_error,       [WIRE_DROPPED] = write_dropped,
    [WIRE_END] = write_end,           [WIRE_LEVEL] = write_level,
    [WIRE_INPUT] = write_input,       [WIRE_INPUT_END] = write_input_end,
    [WIRE_HOST] = write_host,         [WIRE_VALUE] = write_value,
    [WIRE_SAVED] = write_saved,
};

static void text_event(void *state, const struct trace *trace,
                       const struct trace_event *event)
{
    struct text *text = state;

    /* A switch of threads shows with what comes next, a `sync` with the calls it names.
     */
    if (writers[event->kind] == NULL ||
        (event->kind == WIRE_DROPPED && event->count == 0)) {
        return;
    }
    if (event->thread != text->thread) {
        text->thread = event->thread;
        buffer_printf(&text->line, "%12s  thread %llu", "",
                      (unsigned long long)event->thread);
        end_line(text);
    }
    text->trace = trace;
    begin_line(text, event);
    writers[event->kind](text, event);
    end_line(text);
}

static void text_end(void *state, const struct trace *trace)
{
}

const struct export_format export_text = {
    .name = "text",
    .limits = {.repeat = 12, .deep = 4096, .total = 1 << 24},
    .room = ROOM_READ,
    .new_state = text_new,
    .free_state = text_free,
    .event = text_event,
    .end = text_end,
};
