/* SPDX-License-Identifier: MIT */
/*
 * From the bytes of a recording to one of its forms. Runs in the `paddock` command;
 * trusts no byte: decoding ends at the first one that makes no sense, and what stood
 * before it is written.
 */
#include "supervisor/ctl/export.h"

#include "supervisor/ctl/decoder.h"

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
    struct decoder decoder;
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
    decoder_init(&export->decoder);
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
    decoder_done(&export->decoder);
    free(export);
}

static int refuse(const struct export *export, struct buffer *why)
{
    buffer_add_text(why, "the recording cannot be read on, ");
    buffer_add(why, export->decoder.torn.data, export->decoder.torn.size);
    return -EBADMSG;
}

static int take_record(void *context, const struct wire_decoded *record,
                       struct buffer *why)
{
    struct export *export = context;
    int error = 0;

    if (export->trace != NULL) {
        error = trace_record(export->trace, record, why);
    } else {
        export->format->record(export->state, record);
    }
    return error < 0 ? error : ferror(export->out) != 0;
}

int export_bytes(struct export *export, const char *bytes, size_t size,
                 struct buffer *why)
{
    if (decoder_bytes(&export->decoder, bytes, size, take_record, export) < 0) {
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
    return decoder_end(&export->decoder) < 0 ? refuse(export, why) : 0;
}

void export_left_out(const struct export *export, struct buffer *to)
{
    if (export->format->left_out != NULL) {
        export->format->left_out(export->state, to);
    }
}
