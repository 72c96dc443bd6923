/* SPDX-License-Identifier: MIT */
/*
 * Records as JSON, written and read. Written in the sandbox and in the `paddock` command,
 * read in the command: bytes that a hostile program may have made, of which nothing is
 * believed that is not as Paddock writes it.
 */
#include "common/wire_json.h"

#include "common/base64.h"
#include "common/utf8.h"
#include "common/wire_parts.h"

#include <errno.h>
#include <string.h>

/* ---- writing ---- */

static void add_number(const struct wire_field *field, struct buffer *to)
{
    buffer_printf(to, "%llu", (unsigned long long)field->number);
}

static void add_signed(const struct wire_field *field, struct buffer *to)
{
    buffer_printf(to, "%lld", (long long)field->integer);
}

static void add_text(const struct wire_field *field, struct buffer *to)
{
    buffer_add_json_string(to, field->bytes, field->size);
}

static void add_data(const struct wire_field *field, struct buffer *to)
{
    buffer_add_char(to, '"');
    base64_add(to, field->bytes, field->size);
    buffer_add_char(to, '"');
}

/* Where reading stands. Functions return false where it is not as we write it. */
struct cursor {
    char *at;
    const char *end;
};

static bool take_number(struct cursor *cursor, struct wire_field *field);
static bool take_signed(struct cursor *cursor, struct wire_field *field);
static bool take_text(struct cursor *cursor, struct wire_field *field);
static bool take_data(struct cursor *cursor, struct wire_field *field);

static const struct letter {
    char letter;
    void (*add)(const struct wire_field *field, struct buffer *to);
    bool (*take)(struct cursor *cursor, struct wire_field *field);
} letters[] = {
    {'u', add_number, take_number}, {'t', add_number, take_number},
    {'s', add_signed, take_signed}, {'b', add_text, take_text},
    {'x', add_text, take_text},     {'d', add_data, take_data},
};

static const struct letter *letter_of(char letter)
{
    for (size_t i = 0; i < array_size(letters); i++) {
        if (letters[i].letter == letter) {
            return &letters[i];
        }
    }
    return NULL;
}

static void add_name(const struct wire_field *field, struct buffer *to)
{
    buffer_printf(to, "\"%.*s\":", (int)field->name_size, field->name);
}

/* The group's fields stand behind its '[' field, `number` times as many as the row has
 * words. */
static size_t add_group(const struct wire_decoded *record, size_t at, struct buffer *to)
{
    uint64_t count = record->fields[at].number;
    size_t words = count > 0 ? (record->field_count - at - 1) / (size_t)count : 0;

    buffer_add_char(to, '[');
    for (size_t i = 0; i < (size_t)count * words; i++) {
        const struct wire_field *field = &record->fields[at + 1 + i];

        buffer_add_text(to, i % words == 0 ? (i == 0 ? "{" : "},{") : ",");
        add_name(field, to);
        letter_of(field->type)->add(field, to);
    }
    buffer_add_text(to, count > 0 && words > 0 ? "}]" : "]");
    return at + 1 + (size_t)count * words;
}

static void add_kind(enum wire_kind kind, struct buffer *to)
{
    buffer_printf(to, "{\"kind\":\"%s\"", wire_records[kind].name);
}

void wire_to_json(const struct wire_decoded *record, struct buffer *to)
{
    add_kind(record->kind, to);
    for (size_t i = 0; i < record->field_count;) {
        const struct wire_field *field = &record->fields[i];

        buffer_add_char(to, ',');
        add_name(field, to);
        if (field->type == '[') {
            i = add_group(record, i, to);
        } else {
            letter_of(field->type)->add(field, to);
            i++;
        }
    }
    buffer_add_char(to, '}');
}

/* ---- output, whose characters may be cut ---- */

/* Adds to the character that was begun. Returns how many bytes that takes, with `whole`
 * where there is no more of it to come: it is complete, or goes on as none can. */
static size_t complete(struct wire_cut *cut, const char *bytes, size_t size, bool *whole)
{
    size_t takes = 0;

    *whole = cut->size == 0;
    while (!*whole && takes < size) {
        int length;

        cut->bytes[cut->size] = bytes[takes];
        length = utf8_sequence(cut->bytes, cut->size + 1);
        *whole = length >= 0;
        if (length == 0) { /* this byte is of what follows */
            return takes;
        }
        cut->size++;
        takes++;
    }
    return takes;
}

static void add_output(enum wire_kind kind, uint64_t time_us, struct wire_cut *cut,
                       const char *bytes, size_t size, struct buffer *to)
{
    if (cut->size + size > 0) {
        add_kind(kind, to);
        buffer_printf(to, ",\"time\":%llu,\"data\":\"", (unsigned long long)time_us);
        buffer_add_json_text(to, cut->bytes, cut->size);
        buffer_add_json_text(to, bytes, size);
        buffer_add_text(to, "\"}\n");
    }
    cut->size = 0;
}

static void add_cut_output(struct wire_cut *cut, const struct wire_decoded *record,
                           struct buffer *to)
{
    const struct wire_field *data = &record->fields[1];
    bool whole;
    size_t at = complete(cut, data->bytes, data->size, &whole);
    const char *rest = data->bytes + at;
    size_t size = utf8_whole(rest, data->size - at);

    if (whole) {
        add_output(record->kind, record->time_us, cut, rest, size, to);
        cut->size = data->size - at - size;
        memcpy(cut->bytes, rest + size, cut->size);
    }
}

void wire_lines_end(struct wire_lines *lines, struct buffer *to)
{
    add_output(WIRE_OUT, lines->time_us, &lines->out, "", 0, to);
    add_output(WIRE_ERR, lines->time_us, &lines->err, "", 0, to);
}

void wire_lines_add(struct wire_lines *lines, const struct wire_decoded *record,
                    struct buffer *to)
{
    lines->time_us = record->time_us;
    if (record->kind == WIRE_OUT || record->kind == WIRE_ERR) {
        add_cut_output(record->kind == WIRE_OUT ? &lines->out : &lines->err, record, to);
        return;
    }
    if (record->kind == WIRE_END) {
        wire_lines_end(lines, to);
    }
    wire_to_json(record, to);
    buffer_add_char(to, '\n');
}

/* ---- reading ---- */

static bool expect(struct cursor *cursor, const char *text, size_t size)
{
    if ((size_t)(cursor->end - cursor->at) < size ||
        memcmp(cursor->at, text, size) != 0) {
        return false;
    }
    cursor->at += size;
    return true;
}

static bool expect_char(struct cursor *cursor, char c)
{
    return expect(cursor, &c, 1);
}

static bool take_digits(struct cursor *cursor, uint64_t *ret)
{
    const char *first = cursor->at;
    uint64_t value = 0;

    while (cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9') {
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*cursor->at - '0'), &value)) {
            return false;
        }
        cursor->at++;
    }
    *ret = value;
    return cursor->at > first;
}

static bool take_number(struct cursor *cursor, struct wire_field *field)
{
    return take_digits(cursor, &field->number);
}

static bool take_signed(struct cursor *cursor, struct wire_field *field)
{
    bool negative = expect_char(cursor, '-');
    uint64_t value;

    if (!take_digits(cursor, &value) ||
        value > (uint64_t)INT64_MAX + (negative ? 1 : 0)) {
        return false;
    }
    field->integer = (int64_t)(negative ? 0 - value : value);
    field->number = wire_zigzag(field->integer);
    return true;
}

/* The four digits of \uXXXX, of which we write but control characters, and those above
 * ASCII that move others. Returns how many bytes it is, or 0. */
static size_t take_code(struct cursor *cursor, char *to)
{
    static const char hex[] = "0123456789abcdef";
    unsigned code = 0;
    size_t size;

    for (int i = 0; i < 4; i++, cursor->at++) {
        const char *found =
            cursor->at < cursor->end ? memchr(hex, *cursor->at, sizeof(hex) - 1) : NULL;

        if (found == NULL) {
            return 0;
        }
        code = code << 4 | (unsigned)(found - hex);
    }
    size = utf8_encode(code, to);
    return size == 1 || utf8_moves(to, size) ? size : 0;
}

/* What stands behind a backslash. Returns how many bytes it means: 0 for no escape of
 * ours. */
static size_t take_escape(struct cursor *cursor, char *to)
{
    static const char names[] = "bfnrt\"\\", meant[] = "\b\f\n\r\t\"\\";
    const char *found;

    if (expect_char(cursor, 'u')) {
        return take_code(cursor, to);
    }
    found =
        cursor->at < cursor->end ? memchr(names, *cursor->at, sizeof(names) - 1) : NULL;
    if (found == NULL) {
        return 0;
    }
    *to = meant[found - names];
    cursor->at++;
    return 1;
}

/* Unescaped where it stands: no escape is shorter than what it means. */
static bool take_text(struct cursor *cursor, struct wire_field *field)
{
    size_t size;
    char *to;

    if (!expect_char(cursor, '"')) {
        return false;
    }
    field->bytes = to = cursor->at;
    while (cursor->at < cursor->end && *cursor->at != '"') {
        if ((unsigned char)*cursor->at < 0x20) {
            return false;
        }
        if (*cursor->at != '\\') {
            *to++ = *cursor->at++;
            continue;
        }
        cursor->at++;
        size = take_escape(cursor, to);
        if (size == 0) {
            return false;
        }
        to += size;
    }
    field->size = (size_t)(to - field->bytes);
    return expect_char(cursor, '"');
}

static bool take_data(struct cursor *cursor, struct wire_field *field)
{
    ssize_t size = take_text(cursor, field)
                       ? base64_decode((char *)field->bytes, field->size)
                       : -EBADMSG;

    field->size = size >= 0 ? (size_t)size : 0;
    return size >= 0;
}

/* "name":value. What is not as we write it is no field of the record. */
static bool take_field(struct cursor *cursor, const struct wire_word *word,
                       struct wire_decoded *ret)
{
    struct wire_field *field = wire_add_field(ret, word);
    bool holds = field != NULL && expect_char(cursor, '"') &&
                 expect(cursor, word->name, word->name_size) &&
                 expect(cursor, "\":", 2) &&
                 (word->letter == '[' || letter_of(word->letter)->take(cursor, field));

    ret->field_count -= field != NULL && !holds;
    return holds;
}

/* {"name":value,...}, whose words begin at `fields`. */
static bool take_object(struct cursor *cursor, const char *fields,
                        struct wire_decoded *ret)
{
    struct wire_word word;
    char before = '{';

    while (wire_next_word(&fields, &word) && word.letter != ']') {
        if (!expect_char(cursor, before) || !take_field(cursor, &word, ret)) {
            return false;
        }
        before = ',';
    }
    return expect_char(cursor, '}');
}

/* [{...},...]; its own field is the last that there is. */
static bool take_group(struct cursor *cursor, const char **fields,
                       struct wire_decoded *ret)
{
    struct wire_field *group = &ret->fields[ret->field_count - 1];
    struct wire_word word;
    bool holds = expect_char(cursor, '[');

    while (holds &&
           (group->number == 0 ? *cursor->at == '{' : expect_char(cursor, ','))) {
        holds = take_object(cursor, *fields, ret);
        group->number++;
    }
    while (wire_next_word(fields, &word) && word.letter != ']') {
    }
    return holds && expect_char(cursor, ']');
}

/* `kind` and its quotes, and what belongs to it. */
static bool take_kind(struct cursor *cursor, struct wire_decoded *ret)
{
    static const char before[] = "{\"kind\":";
    struct wire_field kind;

    if (!expect(cursor, before, sizeof(before) - 1) || !take_text(cursor, &kind)) {
        return false;
    }
    for (int i = 0; i < WIRE_KIND_LIMIT; i++) {
        const char *name = wire_records[i].name;

        if (name != NULL && strlen(name) == kind.size &&
            memcmp(name, kind.bytes, kind.size) == 0) {
            ret->kind = (enum wire_kind)i;
            return true;
        }
    }
    return false;
}

static bool take_line(struct cursor *cursor, struct wire_decoded *ret)
{
    struct wire_word word;
    const char *fields;

    ret->field_count = 0;
    if (!take_kind(cursor, ret)) {
        return false;
    }
    fields = wire_records[ret->kind].fields;
    while (wire_next_word(&fields, &word)) {
        if (!expect_char(cursor, ',') || !take_field(cursor, &word, ret) ||
            (word.letter == '[' && !take_group(cursor, &fields, ret))) {
            return false;
        }
    }
    return expect_char(cursor, '}') && cursor->at == cursor->end;
}

/* As far as it has come. */
static bool begins_as_header(const char *bytes, size_t size)
{
    static const char header[] = "{\"kind\":\"header\",";
    size_t compared = size < sizeof(header) - 1 ? size : sizeof(header) - 1;

    return memcmp(bytes, header, compared) == 0;
}

/* By the fields that could be read: of another version all others may differ. */
static ssize_t refuse_line(const struct wire_reader *reader,
                           const struct wire_decoded *record, struct buffer *why)
{
    if (reader->started) {
        return wire_refuse(reader->offset, why, "a line that is no record");
    }
    if (record->field_count > 0 && record->kind == WIRE_HEADER &&
        wire_check_header(reader, record, why) < 0) {
        return -EBADMSG;
    }
    return wire_refuse_start(reader, why);
}

ssize_t wire_decode_line(struct wire_reader *reader, char *bytes, size_t size,
                         struct wire_decoded *ret, struct buffer *why)
{
    const char *end = memchr(bytes, '\n', size < LIMIT_LINE ? size : LIMIT_LINE);
    struct cursor cursor = {.at = bytes, .end = end};

    if (reader->ended && size > 0) {
        return wire_refuse_more(reader, why);
    }
    if (!reader->started && !begins_as_header(bytes, size)) {
        return wire_refuse_start(reader, why);
    }
    if (end == NULL) {
        return size < LIMIT_LINE ? 0
                                 : wire_refuse(reader->offset, why, "a line without end");
    }
    if (!take_line(&cursor, ret)) {
        return refuse_line(reader, ret, why);
    }
    return wire_accept(reader, ret, (size_t)(end + 1 - bytes), why);
}
