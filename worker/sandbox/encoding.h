/* SPDX-License-Identifier: MIT */
/*
 * The forms in which a recording is written: its records as they are put together, or
 * each as a line of JSON (common/wire_json.h). The recorder asks on its way out, under
 * its lock. Never allocates.
 */
#pragma once

#include "common/job.h"
#include "common/wire.h"

struct encoding_bytes {
    const void *bytes; /* until the next record */
    size_t size;
};

/* What a decoder of the ring, one of the chunks and one of what would be said next knows
 * behind the last record. */
enum encoding_place {
    ENCODING_RING,
    ENCODING_CHUNKS,
    ENCODING_WILL,
    ENCODING_PLACES,
};

struct encoding {
    size_t event_max; /* bytes of a trace record with the `thread` record before it */
    size_t sync_max;  /* bytes of a `sync` that names RECORDER_SYNC_DEPTH calls */
    size_t part_max;  /* bytes of output, or of a part of a value, in one record */
    bool folds;       /* `repeat` is written: a reader has a stack to unfold it on */
    /* NULL: a record goes out as it is. */
    struct encoding_bytes (*encode)(const struct wire_writer *record,
                                    enum encoding_place place);
};

extern const struct encoding encodings[]; /* by enum job_encoding */

/* What the chunks held stands in the ring now. */
void encoding_join(void);
/* What would be said next follows what stands in the ring now. */
void encoding_fork(void);
