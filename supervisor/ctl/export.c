/* SPDX-License-Identifier: MIT */
/*
 * From the bytes of a recording to one of its forms. Runs in the `paddock` command;
 * trusts no byte: decoding ends at the first one that makes no sense, and what stood
 * before it is written.
 */
#include "supervisor/ctl/export.h"

#include <errno.h>
#include <string.h>

static const struct export_format *const formats[] = {
    &export_text, &export_json, &export_chrome, &export_speedscope, &export_flame,
};

const struct export_format *export_format_by_name(const char *name)
{
    for (size_t i = 0; i < array_size(formats); i++) {
        if (strcmp(formats[i]->name, name) == 0) {
            return formats[i];
        }
    }
    return NULL;
}

void export_format_names(struct buffer *to)
{
    for (size_t i = 0; i < array_size(formats); i++) {
        buffer_printf(to, " %s", formats[i]->name);
    }
}

struct export
{
    const struct export_format *format;
    FILE *out;           /* borrowed */
    void *state;         /* owned, the format's */
    struct trace *trace; /* owned; NULL for a form of records */
    struct wire_reader reader;
    struct buffer pending; /* bytes of a record that is not whole yet */
    struct buffer torn;    /* why it cannot be read on */
    struct wire_decoded record;
};

static void on_event(void *context, const struct trace_event *event)
{
    struct export *export = context;

    export->format->event(export->state, export->trace, event);
}

struct export *export_new(const struct export_format *format, FILE *out)
{
    struct export *export = calloc(1, sizeof(*export));

    if (export == NULL) {
        return NULL;
    }
    export->format = format;
    export->out = out;
    export->pending = BUFFER_INIT(MIB(64));
    export->torn = BUFFER_INIT(KIB(4));
    export->state = format->new_state(out);
    if (format->event != NULL) {
        export->trace = trace_new(format->limits, on_event, export);
    }
    if (export->state == NULL || (format->event != NULL && export->trace == NULL)) {
        export_free(export);
        return NULL;
    }
    return export;
}

void export_free(struct export *export)
{
    if (export == NULL) {
        return;
    }
    if (export->state != NULL) {
        export->format->free_state(export->state);
    }
    trace_free(export->trace);
    buffer_done(&export->pending);
    buffer_done(&export->torn);
    free(export);
}

static int refuse(const struct export *export, struct buffer *why)
{
    buffer_add_text(why, "the recording cannot be read on, ");
    buffer_add(why, export->torn.data, export->torn.size);
    return -EBADMSG;
}

static void take_record(struct export *export)
{
    if (export->trace != NULL) {
        trace_record(export->trace, &export->record);
    } else {
        export->format->record(export->state, &export->record);
    }
}

int export_bytes(struct export *export, const char *bytes, size_t size,
                 struct buffer *why)
{
    size_t at = 0;
    ssize_t length = 1;

    if (export->torn.size > 0) {
        return refuse(export, why);
    }
    buffer_add(&export->pending, bytes, size);
    if (buffer_error(&export->pending) < 0) {
        buffer_add_text(&export->torn, "too much of it has come at once");
        return refuse(export, why);
    }
    while (length > 0 && ferror(export->out) == 0) {
        length = wire_decode(&export->reader, export->pending.data + at,
                             export->pending.size - at, &export->record, &export->torn);
        if (length > 0) {
            take_record(export);
            at += (size_t)length;
        }
    }
    buffer_consume(&export->pending, at);
    if (length < 0) {
        return refuse(export, why);
    }
    return ferror(export->out) == 0 ? 0 : -EIO;
}

int export_end(struct export *export, struct buffer *why)
{
    if (export->trace != NULL) {
        trace_end(export->trace);
    }
    export->format->end(export->state, export->trace);
    if (export->torn.size > 0) {
        return refuse(export, why);
    }
    return wire_end(&export->reader, export->pending.size, &export->torn) < 0
               ? refuse(export, why)
               : 0;
}

void export_left_out(const struct export *export, struct buffer *to)
{
    if (export->format->left_out != NULL) {
        export->format->left_out(export->state, to);
    }
}

/* ---- json: the records ---- */

static void *json_new(FILE *out)
{
    return out;
}

static void json_free(void *out)
{
}

static void json_record(void *out, const struct wire_decoded *record)
{
    autobuffer struct buffer line = BUFFER_INIT(8 * LIMIT_RECORD);

    wire_to_json(record, &line);
    buffer_add_char(&line, '\n');
    if (buffer_error(&line) == 0) {
        (void)fwrite(line.data, 1, line.size, out);
    }
}

static void json_end(void *out, const struct trace *trace)
{
}

const struct export_format export_json = {.name = "json",
                                          .new_state = json_new,
                                          .free_state = json_free,
                                          .record = json_record,
                                          .end = json_end};
