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

/* Returns NULL, or what is wrong with this record in this place. */
const char *wire_check_place(const struct wire_reader *reader,
                             const struct wire_decoded *record) must_check;

/* Says in `why` (may be NULL) where and why the recording cannot be read on. Returns
 * -EBADMSG. */
ssize_t wire_refuse(const struct wire_reader *reader, const char *reason,
                    struct buffer *why) must_check;
