/* SPDX-License-Identifier: MIT */
/*
 * Records that are laid down, to be said should the process be ended. Runs in the
 * sandbox; who reads them then is the relay (common/chunk.h).
 */
#include "worker/sandbox/recorder_parts.h"

#include "common/chunk.h"

static struct {
    struct ring_shared *shared;
    const struct encoding *encoding;
} will;

void recorder_will_start(struct ring_shared *shared, const struct encoding *encoding)
{
    will.shared = shared;
    will.encoding = encoding;
}

static struct encoding_bytes encode(const struct wire_writer *record)
{
    return record->overflow ? (struct encoding_bytes){0}
           : will.encoding->encode != NULL
               ? will.encoding->encode(record, ENCODING_WILL)
               : (struct encoding_bytes){record->bytes, record->size};
}

size_t recorder_lay_down(const struct wire_writer *record)
{
    struct encoding_bytes out;
    size_t end;

    (void)recorder_enter();
    if (will.shared->will.size == 0) {
        encoding_fork();
    }
    out = encode(record);
    end = out.size > 0 ? chunk_will_append(will.shared, out.bytes, out.size) : 0;
    recorder_leave();
    return end;
}

void recorder_lay_anew(void)
{
    chunk_will_clear(will.shared);
}

void recorder_strike(size_t end)
{
    chunk_will_strike(will.shared, end);
}
