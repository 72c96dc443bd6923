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

/* Returns 0, or -EBADMSG, refusing the recording, where this record can not stand. */
ssize_t wire_check_place(const struct wire_reader *reader,
                         const struct wire_decoded *record,
                         struct buffer *why) must_check;
/* Refuses one that does not begin as one of ours. */
ssize_t wire_refuse_start(const struct wire_reader *reader, struct buffer *why);

/* Says in `why` (may be NULL) where and why the recording cannot be read on. Returns
 * -EBADMSG. */
ssize_t wire_refuse(const struct wire_reader *reader, struct buffer *why,
                    const char *format, ...) must_check printf_like(3, 4);
