/* SPDX-License-Identifier: MIT */
/*
 * Growable buffers. Used by every process; what goes in may come from anybody, so the
 * maximum is checked before any allocation.
 */
#include "common/buffer.h"

#include "common/utf8.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

void buffer_done(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = BUFFER_INIT(buffer->maximum);
}

void buffer_reset(struct buffer *buffer)
{
    buffer->size = 0;
    buffer->error = 0;
    if (buffer->data != NULL) {
        buffer->data[0] = '\0';
    }
}

/* Makes room for `more` bytes and the NUL. Returns false with the error set. */
static bool reserve(struct buffer *buffer, size_t more)
{
    size_t wanted;
    char *data;

    if (buffer->error != 0) {
        return false;
    }
    if (more > buffer->maximum || buffer->size > buffer->maximum - more) {
        buffer->error = -ENOBUFS;
        return false;
    }
    if (buffer->size + more < buffer->room) {
        return true;
    }
    wanted = (buffer->size + more + 1) * 3 / 2 + 32;
    wanted = wanted <= buffer->maximum + 1 ? wanted : buffer->maximum + 1;
    data = realloc(buffer->data, wanted);
    if (data == NULL) {
        buffer->error = -ENOMEM;
        return false;
    }
    buffer->data = data;
    buffer->room = wanted;
    return true;
}

void buffer_add(struct buffer *buffer, const void *bytes, size_t size)
{
    if (!reserve(buffer, size)) {
        return;
    }
    if (size > 0) {
        memcpy(buffer->data + buffer->size, bytes, size);
    }
    buffer->size += size;
    buffer->data[buffer->size] = '\0';
}

void buffer_add_text(struct buffer *buffer, const char *text)
{
    buffer_add(buffer, text, strlen(text));
}

void buffer_add_char(struct buffer *buffer, char c)
{
    buffer_add(buffer, &c, 1);
}

void buffer_printf(struct buffer *buffer, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    buffer_vprintf(buffer, format, args);
    va_end(args);
}

void buffer_vprintf(struct buffer *buffer, const char *format, va_list args)
{
    va_list again;
    int size;

    va_copy(again, args);
    size = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (size >= 0 && reserve(buffer, (size_t)size)) {
        (void)vsnprintf(buffer->data + buffer->size, (size_t)size + 1, format, args);
        buffer->size += (size_t)size;
    }
}

/* The characters that JSON has a short escape for. */
static const char *short_escape(unsigned char c)
{
    static const char *const escapes[] = {
        ['"'] = "\\\"", ['\\'] = "\\\\", ['\b'] = "\\b", ['\f'] = "\\f",
        ['\n'] = "\\n", ['\r'] = "\\r",  ['\t'] = "\\t",
    };

    return c < array_size(escapes) ? escapes[c] : NULL;
}

/* Appends the character at `bytes`; returns how many bytes it took. */
static size_t add_json_character(struct buffer *buffer, const char *bytes, size_t size)
{
    unsigned char first = (unsigned char)bytes[0];
    const char *escape = short_escape(first);
    int length;

    if (escape != NULL) {
        buffer_add_text(buffer, escape);
        return 1;
    }
    if (first < 0x20 || first == 0x7f) {
        buffer_printf(buffer, "\\u%04x", first);
        return 1;
    }
    length = utf8_sequence(bytes, size);
    if (length <= 0) {
        buffer_add_text(buffer, "\xef\xbf\xbd"); /* U+FFFD */
        return utf8_replaced(bytes, size);
    }
    if (utf8_moves(bytes, (size_t)length)) {
        buffer_printf(buffer, "\\u%04x", utf8_decode(bytes, (size_t)length));
        return (size_t)length;
    }
    buffer_add(buffer, bytes, (size_t)length);
    return (size_t)length;
}

void buffer_add_json_text(struct buffer *buffer, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size && buffer->error == 0;) {
        i += add_json_character(buffer, bytes + i, size - i);
    }
}

void buffer_add_json_string(struct buffer *buffer, const char *bytes, size_t size)
{
    buffer_add_char(buffer, '"');
    buffer_add_json_text(buffer, bytes, size);
    buffer_add_char(buffer, '"');
}

void buffer_add_utf8(struct buffer *buffer, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size;) {
        int length = utf8_sequence(bytes + i, size - i);

        if (length > 0) {
            buffer_add(buffer, bytes + i, (size_t)length);
            i += (size_t)length;
        } else {
            buffer_add_text(buffer, "\xef\xbf\xbd");
            i += utf8_replaced(bytes + i, size - i);
        }
    }
}

/* Appends the character at `bytes`; returns how many bytes it took. */
static size_t add_visible_character(struct buffer *buffer, const char *bytes, size_t size)
{
    unsigned char first = (unsigned char)bytes[0];
    const char *escape = first != '"' ? short_escape(first) : NULL;
    int length = utf8_sequence(bytes, size);

    if (escape != NULL) {
        buffer_add_text(buffer, escape);
        return 1;
    }
    if (length <= 0 || first < 0x20 || first == 0x7f ||
        utf8_moves(bytes, (size_t)length)) {
        buffer_printf(buffer, "\\x%02x", first);
        return 1;
    }
    buffer_add(buffer, bytes, (size_t)length);
    return (size_t)length;
}

void buffer_add_visible(struct buffer *buffer, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size && buffer->error == 0;) {
        i += add_visible_character(buffer, bytes + i, size - i);
    }
}

void buffer_consume(struct buffer *buffer, size_t size)
{
    size = size < buffer->size ? size : buffer->size;
    if (size > 0) {
        memmove(buffer->data, buffer->data + size, buffer->size - size + 1);
        buffer->size -= size;
    }
}

char *buffer_detach(struct buffer *buffer)
{
    char *text;

    buffer_add(buffer, "", 0); /* an empty buffer still is a text */
    if (buffer->error != 0) {
        return NULL;
    }
    text = steal_ptr(buffer->data);
    buffer->size = buffer->room = 0;
    return text;
}
