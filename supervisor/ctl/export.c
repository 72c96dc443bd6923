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

const char *export_us(uint64_t ns, char to[EXPORT_US_MAX])
{
    int size = snprintf(to, EXPORT_US_MAX, "%llu", (unsigned long long)(ns / 1000));

    if (ns % 1000 > 0) {
        (void)snprintf(to + size, (size_t)(EXPORT_US_MAX - size), ".%03u",
                       (unsigned)(ns % 1000));
    }
    return to;
}

struct export
{
    const struct export_format *format;
    FILE *out;   /* borrowed */
    void *state; /* owned, the format's */
    struct decoder decoder;
};

static void on_event(void *context, const struct trace_event *event)
{
    struct export *export = context;

    export->format->event(export->state, export->decoder.trace, event);
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
    if (export->state == NULL ||
        decoder_trace(&export->decoder, format->limits, format->room,
                      format->event != NULL ? on_event : NULL, export) < 0) {
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
    decoder_done(&export->decoder);
    free(export);
}

static int take_record(void *context, const struct wire_decoded *record)
{
    struct export *export = context;

    if (export->format->record != NULL) {
        export->format->record(export->state, record);
    }
    return ferror(export->out) != 0;
}

int export_bytes(struct export *export, const char *bytes, size_t size,
                 struct buffer *why)
{
    if (decoder_bytes(&export->decoder, bytes, size, take_record, export) < 0) {
        return decoder_refuse(&export->decoder, why);
    }
    return ferror(export->out) == 0 ? 0 : -EIO;
}

bool export_began(const struct export *export)
{
    return export->decoder.reader.offset > 0;
}

int export_end(struct export *export, uint64_t end_us, struct buffer *why)
{
    trace_end(export->decoder.trace, export->decoder.reader.ended ? 0 : end_us);
    export->format->end(export->state, export->decoder.trace);
    return decoder_end(&export->decoder) < 0 ? decoder_refuse(&export->decoder, why) : 0;
}

void export_left_out(const struct export *export, struct buffer *to)
{
    if (export->format->left_out != NULL) {
        export->format->left_out(export->state, to);
    }
}
