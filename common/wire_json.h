/* SPDX-License-Identifier: MIT */
/*
 * A recording as lines of JSON (JSON Lines): one object for each record, its `kind` first
 * and then its fields by their names, in the order of the record's row
 * (docs/PROTOCOL.md). Times are absolute. Text is text, `d` is Base64, a group is an
 * array of objects. Bytes that are no UTF-8 become U+FFFD, but a character of the
 * program's output that was cut in two is put together: its first part is kept back for
 * the next record of that stream.
 *
 * The command prints recordings so, and a sandbox whose job asks for `encoding=json`
 * writes them so.
 */
#pragma once

#include "common/wire.h"

/* The beginning of a character, of output that was cut within it. */
struct wire_cut {
    char bytes[4];
    size_t size;
};

/* Where the writing of lines stands: zero at the start of a recording. */
struct wire_lines {
    struct wire_cut out, err;
    uint64_t time_us; /* of the last record */
};

/* Appends the record's line, of at most LIMIT_LINE bytes; two or three where `end` shows
 * that a character will never be whole, and none where there is nothing but the beginning
 * of one. Allocates nothing if `to` has the room. */
void wire_lines_add(struct wire_lines *lines, const struct wire_decoded *record,
                    struct buffer *to);
/* No more records come: appends what was kept back, if there was no `end`. */
void wire_lines_end(struct wire_lines *lines, struct buffer *to);

/* Appends the record as one object without newline, whatever came before. */
void wire_to_json(const struct wire_decoded *record, struct buffer *to);

/* Does a recording that begins with these bytes (at least one) consist of lines? */
static inline bool wire_is_json(const char *bytes)
{
    return bytes[0] == '{';
}

/* As wire_decode, for the line at the start of `bytes`, which is unescaped in its place.
 * Reads what wire_lines_add writes, and no other JSON. */
ssize_t wire_decode_line(struct wire_reader *reader, char *bytes, size_t size,
                         struct wire_decoded *ret, struct buffer *why) must_check;
