/* SPDX-License-Identifier: MIT */
/*
 * Rendering. Runs in the `paddock` command. In text, a program's bytes go out as they
 * are, as running it would have done; in JSON everything is escaped, so that no program
 * can make up a line of ours.
 */
#include "supervisor/ctl/render.h"

#include "common/fd.h"
#include "common/limits.h"
#include "common/utf8.h"
#include "common/verdict.h"
#include "common/wire_json.h"
#include "supervisor/ctl/decoder.h"
#include "supervisor/ctl/json.h"
#include "supervisor/ctl/live.h"
#include "supervisor/ctl/recording.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REPEAT_SHOWN 64 /* records of what comes again: who looks on has seen it then */

struct renderer {
    bool json;
    int error;              /* of the first write to our own output that failed */
    struct decoder decoder; /* of the attempt that is shown */
    struct wire_lines lines;
    struct live live;
    bool torn;  /* which was said */
    bool asks;  /* the program, for input, in this slice */
    bool waits; /* for it, as it said */
    char wait_note[160];
};

static void text_event(void *context, const struct trace_event *event);

/* From here on it is another recording. In JSON its records are shown as they are, and a
 * trace only says which of them are none; where there is no memory for one, records of
 * JSON and output are shown. */
static void begin(struct renderer *renderer)
{
    struct trace_limits limits = TRACE_LIMITS_INIT;
    trace_tell *tell = text_event;

    renderer->torn = renderer->waits = false;
    renderer->lines = (struct wire_lines){0};
    decoder_done(&renderer->decoder);
    decoder_init(&renderer->decoder);
    limits.calls_only = true;
    limits.repeat = REPEAT_SHOWN;
    if (renderer->json) {
        limits = (struct trace_limits){0};
        tell = NULL;
    }
    (void)decoder_trace(&renderer->decoder, limits, ROOM_READ, tell, renderer);
}

struct renderer *render_new(bool json, const char *wait_note)
{
    struct renderer *renderer = calloc(1, sizeof(*renderer));

    if (renderer != NULL) {
        renderer->json = json;
        (void)snprintf(renderer->wait_note, sizeof(renderer->wait_note), "%s", wait_note);
        live_init(&renderer->live);
        decoder_init(&renderer->decoder);
        begin(renderer);
    }
    return renderer;
}

int render_error(const struct renderer *renderer)
{
    return renderer->error;
}

static void write_raw(struct renderer *renderer, int fd, const char *bytes, size_t size)
{
    if (renderer->error == 0 && size > 0) {
        renderer->error = fd_write_full(fd, bytes, size);
    }
}

static void hide_line(struct renderer *renderer)
{
    const char *erase = live_hide(&renderer->live);

    write_raw(renderer, STDERR_FILENO, erase, strlen(erase));
}

void render_queued(struct renderer *renderer)
{
    char row[LIVE_MAX];
    const char *text = "";

    if (!renderer->json && !live_waits(&renderer->live)) {
        text = live_show_wait(&renderer->live, "waiting for its turn", row);
    }
    write_raw(renderer, STDERR_FILENO, text, strlen(text));
}

void render_typed(struct renderer *renderer, const char *bytes, size_t size)
{
    const char *erase = live_typed(&renderer->live, bytes, size);

    write_raw(renderer, STDERR_FILENO, erase, strlen(erase));
}

static void write_to(struct renderer *renderer, int fd, const char *bytes, size_t size)
{
    hide_line(renderer);
    write_raw(renderer, fd, bytes, size);
    live_wrote(&renderer->live, fd, bytes, size);
}

/* Where the program is, or what it waits for, after all that came at once. */
static void show_live(struct renderer *renderer)
{
    char row[LIVE_MAX];
    const char *text = "";

    if (renderer->waits && live_waits(&renderer->live)) {
        return;
    }
    if (renderer->waits && !renderer->json) {
        text = live_show_wait(&renderer->live, renderer->wait_note, row);
    } else if (!renderer->json && renderer->decoder.trace != NULL) {
        text = live_show_line(&renderer->live, renderer->decoder.trace, row);
    }
    if (*text == '\0') {
        hide_line(renderer);
    }
    write_raw(renderer, STDERR_FILENO, text, strlen(text));
}

void render_free(struct renderer *renderer)
{
    if (renderer != NULL) {
        hide_line(renderer);
        decoder_done(&renderer->decoder);
        free(renderer);
    }
}

static void say(struct renderer *renderer, const char *format, ...) printf_like(2, 3);
static void say(struct renderer *renderer, const char *format, ...)
{
    autobuffer struct buffer text = BUFFER_INIT(KIB(64));
    va_list args;

    buffer_add_text(&text, "paddock: ");
    va_start(args, format);
    buffer_vprintf(&text, format, args);
    va_end(args);
    buffer_add_char(&text, '\n');
    if (text.data != NULL) {
        write_to(renderer, STDERR_FILENO, text.data, text.size);
    }
}

/* ---- text ---- */

static void text_output(struct renderer *renderer, const struct wire_decoded *record)
{
    const struct wire_field *data = wire_find(record, "data");

    write_to(renderer, record->kind == WIRE_ERR ? STDERR_FILENO : STDOUT_FILENO,
             data->bytes, data->size);
}

static void event_output(struct renderer *renderer, const struct trace_event *event)
{
    text_output(renderer, event->record);
}

/* As the tracer of 2010 printed them: who was called, and where it stands. */
static void event_call(struct renderer *renderer, const struct trace_event *event)
{
    autobuffer struct buffer line = BUFFER_INIT(KIB(8));
    char name[ROOM_TEXT], path[ROOM_TEXT];
    const char *shown = room_path(event->call.path, path);

    if (event->implied) {
        return;
    }
    buffer_printf(&line, "%*s", (int)(2 * (event->depth % 40)), "");
    if (event->function == 0) {
        buffer_add_char(&line, '?');
    } else {
        buffer_add_visible(&line, shown, strlen(shown));
        buffer_printf(&line, ":%llu ", (unsigned long long)event->call.line);
        shown = room_name(event->call.name, name);
        buffer_add_visible(&line, shown, strlen(shown));
    }
    buffer_add_char(&line, '\n');
    write_to(renderer, STDERR_FILENO, line.data, line.size);
}

static void event_dropped(struct renderer *renderer, const struct trace_event *event)
{
    if (event->count > 0) {
        say(renderer, "%llu steps of the trace are left out here (see --recording-kb)",
            (unsigned long long)event->count);
    }
}

static void event_repeat(struct renderer *renderer, const struct trace_event *event)
{
    say(renderer, "and so on: %llu steps of the trace", (unsigned long long)event->count);
}

static void (*const text_events[WIRE_KIND_LIMIT])(struct renderer *,
                                                  const struct trace_event *) = {
    [WIRE_OUT] = event_output,      [WIRE_ERR] = event_output,
    [WIRE_CALL] = event_call,       [WIRE_RESUME] = event_call,
    [WIRE_DROPPED] = event_dropped, [WIRE_REPEAT] = event_repeat,
};

static void text_event(void *context, const struct trace_event *event)
{
    if (text_events[event->kind] != NULL) {
        text_events[event->kind](context, event);
    }
}

/* ---- JSON ---- */

static void json_line(struct renderer *renderer, const char *json, size_t size)
{
    write_to(renderer, STDOUT_FILENO, json, size);
    write_to(renderer, STDOUT_FILENO, "\n", 1);
}

static void json_lines(struct renderer *renderer, const struct buffer *lines)
{
    if (lines->size > 0 && buffer_error(lines) == 0) {
        write_to(renderer, STDOUT_FILENO, lines->data, lines->size);
    }
}

static void json_record(struct renderer *renderer, const struct wire_decoded *record)
{
    autobuffer struct buffer lines = BUFFER_INIT(LIMIT_LINE);

    wire_lines_add(&renderer->lines, record, &lines);
    json_lines(renderer, &lines);
}

static void json_records_end(struct renderer *renderer)
{
    autobuffer struct buffer lines = BUFFER_INIT(LIMIT_LINE);

    wire_lines_end(&renderer->lines, &lines);
    json_lines(renderer, &lines);
}

/* ---- both ---- */

/* Said once for each recording. */
static int tear(struct renderer *renderer)
{
    autobuffer struct buffer why = BUFFER_INIT(KIB(8));

    if (!renderer->torn) {
        renderer->torn = true;
        (void)decoder_refuse(&renderer->decoder, &why);
        say(renderer, "%s", why.data);
    }
    return -EBADMSG;
}

static int render_record(void *context, const struct wire_decoded *record)
{
    struct renderer *renderer = context;

    if (record->kind == WIRE_INPUT || record->kind == WIRE_INPUT_END) {
        renderer->waits = record->kind == WIRE_INPUT;
        renderer->asks |= renderer->waits;
    }
    if (renderer->json) {
        json_record(renderer, record);
    } else if (renderer->decoder.trace == NULL &&
               (record->kind == WIRE_OUT || record->kind == WIRE_ERR)) {
        text_output(renderer, record);
    }
    return 0;
}

int render_slice(struct renderer *renderer, const char *bytes, size_t size)
{
    renderer->asks = false;
    if (decoder_bytes(&renderer->decoder, bytes, size, render_record, renderer) < 0) {
        return tear(renderer);
    }
    show_live(renderer);
    return renderer->asks;
}

int render_slices_end(struct renderer *renderer)
{
    hide_line(renderer);
    if (renderer->json) {
        json_records_end(renderer);
    }
    return decoder_end(&renderer->decoder) < 0 ? tear(renderer) : 0;
}

void render_state(struct renderer *renderer, const char *json, size_t size, int attempt)
{
    hide_line(renderer);
    if (renderer->json) {
        json_line(renderer, json, size);
    } else if (attempt > 1) {
        say(renderer,
            "the run was interrupted through no fault of the program; it starts again");
    }
    begin(renderer);
}

void render_cut(struct renderer *renderer)
{
    if (!renderer->json) {
        say(renderer, "the job's recording " RECORDING_CUT);
    }
}

void render_note(struct renderer *renderer, const char *text)
{
    hide_line(renderer);
    say(renderer, "%s", text);
}

static void say_dropped(struct renderer *renderer, const char *json)
{
    autobuffer struct buffer text = BUFFER_INIT(KIB(1));

    recording_describe_dropped(json, &text);
    if (text.size > 0) {
        say(renderer, "%s", text.data);
    }
}

void render_result(struct renderer *renderer, const char *json, size_t size)
{
    autobuffer struct buffer verdict = BUFFER_INIT(64), sentence = BUFFER_INIT(KIB(32));

    if (decoder_began(&renderer->decoder)) { /* one that never ran has no recording */
        (void)render_slices_end(renderer);
    }
    hide_line(renderer);
    if (renderer->json) {
        json_line(renderer, json, size);
        return;
    }
    say_dropped(renderer, json);
    if (json_text(json, "verdict", &verdict) && json_text(json, "sentence", &sentence) &&
        strcmp(verdict.data, verdict_row(VERDICT_OK)->name) != 0) {
        char clean[8192];

        (void)utf8_copy_clean(clean, sizeof(clean), sentence.data, sentence.size);
        say(renderer, "%s", clean);
    }
}
