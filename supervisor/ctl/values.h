/* SPDX-License-Identifier: MIT */
/*
 * The `value` records of a recording as a file of JSON Lines. What a hostile program says
 * is JSON is believed when it is: a line of the file is one value, and UTF-8.
 */
#pragma once

#include "supervisor/ctl/json_check.h"

#include "common/wire.h"

#include <sys/types.h>

struct values {
    int file;            /* owned; -1: none */
    uint64_t got, total; /* bytes of the value whose parts come */
    off_t begin;         /* where its line does */
    struct buffer cut;   /* of a character that goes on with the next part */
    struct json_check check;
    size_t halves; /* values that were left out: their parts did not all come ... */
    size_t wrong;  /* ... or they are no JSON; the first one's record, by its offset */
    uint64_t first_wrong;
    int error; /* of the first write that failed */
};

/* Takes the file over; nothing is written to -1. */
void values_init(struct values *values, int file);
/* Closes it. */
void values_done(struct values *values);

/* Takes the next `value` record. */
void values_take(struct values *values, const struct wire_decoded *record);
/* No more come: the one whose parts did is left out if it is not whole. */
void values_end(struct values *values);
