/* SPDX-License-Identifier: MIT */
/*
 * A growable byte buffer with a hard maximum from birth, so that no peer can make it grow
 * without end. Once an append fails the buffer stays failed (and unchanged) until
 * buffer_reset: a series of appends needs one check, at its end, by buffer_error().
 *
 * Invariant: `data` is NULL or NUL-terminated at data[size] (the NUL is not counted).
 */
#pragma once

#include "common/cleanup.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

struct buffer {
    char *data;     /* owned */
    size_t size;    /* bytes in use */
    size_t room;    /* bytes allocated */
    size_t maximum; /* `size` never exceeds this */
    int error;      /* 0, -ENOBUFS (over the maximum) or -ENOMEM */
};

#define BUFFER_INIT(max) ((struct buffer){.maximum = (max)})
/* Over an array of the caller's: for where nothing may be allocated. Not for
 * buffer_done. */
#define BUFFER_OVER(array)                                                               \
    ((struct buffer){                                                                    \
        .data = (array), .room = sizeof(array), .maximum = sizeof(array) - 1})

void buffer_done(struct buffer *buffer);
/* Empties the buffer and forgets an error; keeps the memory. */
void buffer_reset(struct buffer *buffer);

void buffer_add(struct buffer *buffer, const void *bytes, size_t size);
void buffer_add_text(struct buffer *buffer, const char *text);
void buffer_add_char(struct buffer *buffer, char c);
void buffer_printf(struct buffer *buffer, const char *format, ...) printf_like(2, 3);
void buffer_vprintf(struct buffer *buffer, const char *format, va_list args)
    printf_like(2, 0);
/* Appends a JSON string, quotes included: control characters and those that move others
 * (utf8_moves: some end a line, for Python's splitlines) escaped, invalid UTF-8 replaced
 * by U+FFFD (utf8_replaced), so that whatever a program printed can not break out of the
 * string or the line. */
void buffer_add_json_string(struct buffer *buffer, const char *bytes, size_t size);
/* The same without the quotes: part of such a string. */
void buffer_add_json_text(struct buffer *buffer, const char *bytes, size_t size);
/* Appends a text of anybody's as UTF-8: of what is none U+FFFD, as utf8_replaced() has
 * it.
 */
void buffer_add_utf8(struct buffer *buffer, const char *bytes, size_t size);
/* Appends a text of anybody's so that it is seen as what it is, on one line: control
 * characters, bytes that are no UTF-8, line separators and what turns the direction of
 * writing become \n, \x1b and the like, and a backslash becomes two. */
void buffer_add_visible(struct buffer *buffer, const char *bytes, size_t size);
/* Removes the first `size` bytes. */
void buffer_consume(struct buffer *buffer, size_t size);

/* Returns 0 or the first error since the last reset. */
static inline int buffer_error(const struct buffer *buffer)
{
    return buffer->error;
}

/* Returns the text, owned by the caller (free), and leaves the buffer empty; NULL after
 * an error. */
char *buffer_detach(struct buffer *buffer) must_check;

#define autobuffer __attribute__((cleanup(buffer_done)))
