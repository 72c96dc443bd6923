/* SPDX-License-Identifier: MIT */
/*
 * A recording, in either of its forms, from bytes that come in any pieces to whole
 * records. It may be a hostile program's. What makes no sense to a trace is no record
 * either: whoever reads a recording from its beginning has one, whatever he wants of it,
 * so that all refuse the same.
 */
#pragma once

#include "supervisor/ctl/room.h"

#include <stdbool.h>

struct decoder {
    struct wire_reader reader;
    struct trace *trace; /* owned; NULL: records are not looked at */
    struct room room;    /* for what the trace tells; `base` 0: for as much as there is */
    trace_tell *tell;    /* may be NULL */
    void *context;
    bool lines;            /* of JSON (common/wire_json.h) */
    struct buffer pending; /* bytes of a record that is not whole yet */
    struct buffer torn;    /* where and why it cannot be read on; empty: it can */
};

/* decoder_done() frees what it holds. */
void decoder_init(struct decoder *decoder);
void decoder_done(struct decoder *decoder);
/* From its beginning on, `tell` (may be NULL) gets what its records mean, within these
 * limits and, of repeats, while there is room of this base (0: without end). Returns 0 or
 * -ENOMEM: then there is no trace. */
int decoder_trace(struct decoder *decoder, struct trace_limits limits, uint64_t room,
                  trace_tell *tell, void *context);

/* Gets each record in turn, after what it means was told. Returns 0; or 1, which stops
 * the decoding, with nothing lost. */
typedef int decoder_taker(void *context, const struct wire_decoded *record);

/* Takes the next bytes; `take` may be NULL. Returns 0, or -EBADMSG from when it cannot be
 * read on, with `torn`. */
int decoder_bytes(struct decoder *decoder, const char *bytes, size_t size,
                  decoder_taker *take, void *context) must_check;
/* Has any byte come? */
bool decoder_began(const struct decoder *decoder);
/* No more bytes come. Returns 0, or -EBADMSG, with `torn`. Of an open call no end is told
 * here: that is trace_end's. */
int decoder_end(struct decoder *decoder) must_check;
/* Appends the sentence that it cannot be read on, where and why. Returns -EBADMSG. */
int decoder_refuse(const struct decoder *decoder, struct buffer *why);
