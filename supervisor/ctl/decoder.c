/* SPDX-License-Identifier: MIT */
/*
 * Decoding a recording piece by piece. Runs in the `paddock` command; trusts no byte of
 * it, and remembers that it was damaged.
 */
#include "supervisor/ctl/decoder.h"

#include "common/wire_json.h"

#include <errno.h>
#include <string.h>

void decoder_init(struct decoder *decoder)
{
    decoder->reader = (struct wire_reader){0};
    decoder->lines = false;
    decoder->trace = NULL;
    decoder->pending = BUFFER_INIT(MIB(64));
    decoder->torn = BUFFER_INIT(KIB(4));
}

void decoder_done(struct decoder *decoder)
{
    buffer_done(&decoder->pending);
    buffer_done(&decoder->torn);
    trace_free(decoder->trace);
    decoder->trace = NULL;
}

static void on_event(void *context, const struct trace_event *event)
{
    struct decoder *decoder = context;

    room_spend(&decoder->room, event);
    if (decoder->tell != NULL) {
        decoder->tell(decoder->context, event);
    }
}

int decoder_trace(struct decoder *decoder, struct trace_limits limits, uint64_t room,
                  trace_tell *tell, void *context)
{
    decoder->trace = trace_new(limits, on_event, decoder);
    decoder->room = (struct room){.base = room};
    decoder->tell = tell;
    decoder->context = context;
    return decoder->trace != NULL ? 0 : -ENOMEM;
}

/* Its form shows in its first byte. */
static ssize_t decode(struct decoder *decoder, size_t at, struct wire_decoded *ret)
{
    char *bytes = decoder->pending.data + at;
    size_t size = decoder->pending.size - at;

    if (size > 0 && !decoder->reader.started) {
        decoder->lines = wire_is_json(bytes);
    }
    return decoder->lines
               ? wire_decode_line(&decoder->reader, bytes, size, ret, &decoder->torn)
               : wire_decode(&decoder->reader, bytes, size, ret, &decoder->torn);
}

/* Tells what it means. */
static int understand(struct decoder *decoder, const struct wire_decoded *record)
{
    if (decoder->trace == NULL) {
        return 0;
    }
    decoder->room.read = decoder->reader.offset;
    if (decoder->room.base > 0) {
        trace_set_brief(decoder->trace, !room_left(&decoder->room));
    }
    return trace_record(decoder->trace, record, &decoder->torn);
}

int decoder_bytes(struct decoder *decoder, const char *bytes, size_t size,
                  decoder_taker *take, void *context)
{
    static struct wire_decoded record;
    ssize_t length = 1;
    size_t at = 0;
    int taken = 0;

    if (decoder->torn.size > 0) {
        return -EBADMSG;
    }
    buffer_add(&decoder->pending, bytes, size);
    if (buffer_error(&decoder->pending) < 0) {
        return wire_refuse(decoder->reader.offset, &decoder->torn,
                           "too much of it has come at once");
    }
    while (taken == 0 && length > 0) {
        length = decode(decoder, at, &record);
        if (length > 0) {
            taken = understand(decoder, &record);
            at += (size_t)length;
        }
        if (length > 0 && taken == 0 && take != NULL) {
            taken = take(context, &record);
        }
    }
    buffer_consume(&decoder->pending, at);
    return length < 0 || taken < 0 ? -EBADMSG : 0;
}

bool decoder_began(const struct decoder *decoder)
{
    return decoder->reader.offset + decoder->pending.size > 0;
}

int decoder_end(struct decoder *decoder)
{
    return decoder->torn.size > 0
               ? -EBADMSG
               : wire_end(&decoder->reader, decoder->pending.size, &decoder->torn);
}

int decoder_refuse(const struct decoder *decoder, struct buffer *why)
{
    buffer_add_text(why, "the recording cannot be read on, ");
    buffer_add(why, decoder->torn.data, decoder->torn.size);
    return -EBADMSG;
}
