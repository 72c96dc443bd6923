/* SPDX-License-Identifier: MIT */
/*
 * Writing records in the form that a job asks for. Runs in the sandbox, also in the
 * handler of a write(2), on what the program chose.
 */
#include "worker/sandbox/encoding.h"

#include "common/ring.h"
#include "common/wire_json.h"
#include "worker/sandbox/recorder.h"

_Static_assert(LIMIT_LINE <= RING_DATA, "a line fits");

static struct wire_reader readers[ENCODING_PLACES];

/* Told as any reader would tell it. An `end` goes into the ring, and with it what was
 * kept back of the output. */
static struct encoding_bytes as_line(const struct wire_writer *record,
                                     enum encoding_place place)
{
    static struct wire_lines lines[ENCODING_PLACES]; /* of each, what it kept back */
    static struct wire_decoded decoded;
    static char bytes[LIMIT_LINE];
    struct buffer line = BUFFER_OVER(bytes);
    struct wire_reader *reader = &readers[place];

    reader->started = record->bytes[0] != WIRE_HEADER;
    if (wire_decode(reader, record->bytes, record->size, &decoded, NULL) > 0) {
        wire_lines_add(&lines[place], &decoded, &line);
    }
    return (struct encoding_bytes){line.data, buffer_error(&line) == 0 ? line.size : 0};
}

void encoding_join(void)
{
    readers[ENCODING_RING] = readers[ENCODING_CHUNKS];
}

void encoding_fork(void)
{
    readers[ENCODING_WILL] = readers[ENCODING_RING];
}

const struct encoding encodings[] = {
    [JOB_ENCODING_BINARY] = {.event_max = 64,
                             .sync_max = 656,
                             .part_max = LIMIT_CHUNK,
                             .folds = true},
    [JOB_ENCODING_JSON] = {.event_max = 192,
                           .sync_max = 2816,
                           .part_max = 4095, /* Base64 of whole parts can be joined */
                           .encode = as_line},
};
