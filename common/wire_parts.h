/* SPDX-License-Identifier: MIT */
/* What the two forms of a recording share (wire.c, wire_json.c): how a record's row is
 * read, and what holds for a record whatever its form. */
#pragma once

#include "common/wire.h"

/* One word of a `fields` string: "u:function", "[:frames" or "]". */
struct wire_word {
    char letter;
    const char *name;
    size_t name_size;
};

/* Reads the word at *fields and moves past it and the space behind it. Returns false at
 * the end. */
bool wire_next_word(const char **fields, struct wire_word *ret);

/* The next field of the record, not filled in yet, or NULL: there are too many. */
struct wire_field *wire_add_field(struct wire_decoded *record,
                                  const struct wire_word *word) must_check;

/* A signed number as it is coded. */
static inline uint64_t wire_zigzag(int64_t value)
{
    return ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
}

/* Of a record whose fields are there, `length` bytes long: may it stand here, and are its
 * numbers such as every reader takes? Returns `length`, with the reader behind it, or
 * -EBADMSG, refusing the recording. */
ssize_t wire_accept(struct wire_reader *reader, struct wire_decoded *record,
                    size_t length, struct buffer *why) must_check;
/* Is it ours, of our version, by those fields of a header that have been read? Returns 0,
 * or -EBADMSG, refusing the recording. */
int wire_check_header(const struct wire_reader *reader, const struct wire_decoded *record,
                      struct buffer *why) must_check;
/* Refuses one that does not begin as one of ours. */
int wire_refuse_start(const struct wire_reader *reader, struct buffer *why) must_check;
/* Refuses one that does not stop at its end. */
int wire_refuse_more(const struct wire_reader *reader, struct buffer *why) must_check;
