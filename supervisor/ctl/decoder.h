/* SPDX-License-Identifier: MIT */
/*
 * A recording, in either of its forms, from bytes that come in any pieces to whole
 * records. It may be a hostile program's.
 */
#pragma once

#include "common/limits.h"
#include "common/wire.h"

#include <stdbool.h>

struct decoder {
    struct wire_reader reader;
    bool lines;            /* of JSON (common/wire_json.h) */
    struct buffer pending; /* bytes of a record that is not whole yet */
    struct buffer torn;    /* where and why it cannot be read on; empty: it can */
};

/* decoder_done() frees what it holds. */
void decoder_init(struct decoder *decoder);
void decoder_done(struct decoder *decoder);

/* Gets each record in turn. Returns 0; 1, which stops the decoding, with nothing lost; or
 * -EBADMSG with a sentence in `why`: it makes no sense there, and it cannot be read on.
 */
typedef int decoder_taker(void *context, const struct wire_decoded *record,
                          struct buffer *why);

/* Takes the next bytes. Returns 0, or -EBADMSG from when it cannot be read on, with
 * `torn`. */
int decoder_bytes(struct decoder *decoder, const char *bytes, size_t size,
                  decoder_taker *take, void *context) must_check;
/* Has any byte come? */
bool decoder_began(const struct decoder *decoder);
/* No more bytes come. Returns 0, or -EBADMSG, with `torn`. */
int decoder_end(struct decoder *decoder) must_check;
