/* SPDX-License-Identifier: MIT */
/*
 * Records of the recording. The encoder runs in the sandbox, the decoder in the `paddock`
 * command, on bytes that a hostile program may have made: it never reads beyond what it
 * was given, and bounds every count.
 */
#include "common/wire.h"

#include "common/wire_parts.h"

#include <errno.h>
#include <string.h>

const struct wire_record wire_records[WIRE_KIND_LIMIT] = {
#define WIRE_ROW(number, id, name, fields, help) [number] = {name, fields, help},
    WIRE_RECORDS(WIRE_ROW)
#undef WIRE_ROW
};

/* ---- encoder ---- */

static void add(struct wire_writer *record, const void *bytes, size_t size)
{
    if (size > wire_room(record)) {
        record->overflow = true;
        return;
    }
    memcpy(record->bytes + record->size, bytes, size);
    record->size += size;
}

void wire_begin(struct wire_writer *record, enum wire_kind kind)
{
    record->size = 1;
    record->overflow = false;
    record->bytes[0] = (unsigned char)kind;
}

void wire_unsigned(struct wire_writer *record, uint64_t value)
{
    unsigned char bytes[10];
    size_t size = 0;

    while (value >= 0x80) {
        bytes[size++] = (unsigned char)(value | 0x80);
        value >>= 7;
    }
    bytes[size++] = (unsigned char)value;
    add(record, bytes, size);
}

void wire_signed(struct wire_writer *record, int64_t value)
{
    wire_unsigned(record, wire_zigzag(value));
}

void wire_bytes(struct wire_writer *record, const void *bytes, size_t size)
{
    wire_unsigned(record, size);
    add(record, bytes, size);
}

void wire_text(struct wire_writer *record, const char *text)
{
    wire_bytes(record, text, strlen(text));
}

void wire_raw(struct wire_writer *record, const void *bytes, size_t size)
{
    add(record, bytes, size);
}

/* ---- decoder ---- */

#define TEXT_OF(number)  #number
#define TEXT(number)     TEXT_OF(number)
#define TOO_MANY_FIELDS  "a record of more than " TEXT(WIRE_FIELDS_MAX) " fields"
#define TOO_MANY_BYTES   "a record of more than 32768 bytes"
#define NUMBER_TOO_LARGE "a number beyond 2^53 - 1"
#define TIME_TOO_LARGE   "a time beyond 2^53 - 1"

_Static_assert(LIMIT_RECORD == 32768, "as it is told");

/* Where decoding stands. Functions return 1 when done, 0 when more bytes are needed, or
 * -EBADMSG, as soon as it is known, with `wrong`: all decoders have the same words. */
struct cursor {
    const unsigned char *bytes;
    size_t size;
    size_t at;
    uint64_t time_us;  /* that times are counted from */
    const char *wrong; /* what makes no sense */
};

static int refuse(struct cursor *cursor, const char *wrong)
{
    cursor->wrong = wrong;
    return -EBADMSG;
}

static int need(struct cursor *cursor, uint64_t size)
{
    if (size > LIMIT_RECORD - cursor->at) {
        return refuse(cursor, TOO_MANY_BYTES);
    }
    return size <= cursor->size - cursor->at;
}

static int take_varint(struct cursor *cursor, uint64_t *ret)
{
    uint64_t value = 0;
    int result;

    for (unsigned shift = 0; (result = need(cursor, 1)) == 1; shift += 7) {
        unsigned char byte = cursor->bytes[cursor->at++];

        if (shift == 63 && byte > 1) {
            return refuse(cursor, "a number of more than 64 bits");
        }
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *ret = value;
            return value <= WIRE_NUMBER_MAX ? 1 : refuse(cursor, NUMBER_TOO_LARGE);
        }
    }
    return result;
}

static int take_number(struct cursor *cursor, struct wire_field *field)
{
    return take_varint(cursor, &field->number);
}

/* Relative on the wire and absolute here. */
static int take_time(struct cursor *cursor, struct wire_field *field)
{
    int result = take_varint(cursor, &field->number);

    field->number += cursor->time_us;
    return result == 1 && field->number > WIRE_NUMBER_MAX ? refuse(cursor, TIME_TOO_LARGE)
                                                          : result;
}

static int take_signed(struct cursor *cursor, struct wire_field *field)
{
    int result = take_varint(cursor, &field->number);

    field->integer = (int64_t)(field->number >> 1) ^ -(int64_t)(field->number & 1);
    return result;
}

static int take_bytes(struct cursor *cursor, struct wire_field *field)
{
    uint64_t size;
    int result = take_varint(cursor, &size);

    if (result == 1) {
        result = need(cursor, size);
    }
    if (result != 1) {
        return result;
    }
    field->bytes = (const char *)cursor->bytes + cursor->at;
    field->size = (size_t)size;
    cursor->at += (size_t)size;
    return 1;
}

static const struct {
    char letter;
    int (*take)(struct cursor *cursor, struct wire_field *field);
} letters[] = {
    {'u', take_number}, {'t', take_time},  {'s', take_signed}, {'b', take_bytes},
    {'d', take_bytes},  {'x', take_bytes}, {'[', take_number},
};

bool wire_next_word(const char **fields, struct wire_word *ret)
{
    size_t size = strcspn(*fields, " ");

    if (size == 0) {
        return false;
    }
    *ret = (struct wire_word){.letter = **fields};
    if (size > 2) {
        ret->name = *fields + 2;
        ret->name_size = size - 2;
    }
    *fields += size;
    *fields += strspn(*fields, " ");
    return true;
}

struct wire_field *wire_add_field(struct wire_decoded *record,
                                  const struct wire_word *word)
{
    struct wire_field *field;

    if (record->field_count == WIRE_FIELDS_MAX) {
        return NULL;
    }
    field = &record->fields[record->field_count++];
    *field = (struct wire_field){
        .type = word->letter, .name = word->name, .name_size = word->name_size};
    return field;
}

static int take_field(struct cursor *cursor, const struct wire_word *word,
                      struct wire_decoded *ret)
{
    struct wire_field *field = wire_add_field(ret, word);

    if (field == NULL) {
        return refuse(cursor, TOO_MANY_FIELDS);
    }
    for (size_t i = 0; i < array_size(letters); i++) {
        if (letters[i].letter == word->letter) {
            return letters[i].take(cursor, field);
        }
    }
    return -EBADMSG; /* no row has another letter */
}

/* Known by the group's count, before any of its fields has come; each has a byte. */
static int check_count(struct cursor *cursor, const struct wire_decoded *record,
                       const char *group, uint64_t count)
{
    size_t left = WIRE_FIELDS_MAX - record->field_count;
    struct wire_word word;
    size_t words = 0;

    while (wire_next_word(&group, &word) && word.letter != ']') {
        words++;
    }
    if (words > 0 && count > left / words) {
        return refuse(cursor, TOO_MANY_FIELDS);
    }
    return need(cursor, count * words);
}

static int take_group(struct cursor *cursor, const char **fields, uint64_t count,
                      struct wire_decoded *ret)
{
    const char *inner = *fields;
    struct wire_word word;
    int result = check_count(cursor, ret, inner, count);

    for (uint64_t i = 0; i < count && result == 1; i++) {
        inner = *fields;
        while (result == 1 && wire_next_word(&inner, &word) && word.letter != ']') {
            result = take_field(cursor, &word, ret);
        }
    }
    /* Past the group, also when it is empty. */
    while (wire_next_word(fields, &word) && word.letter != ']') {
    }
    return result;
}

static int take_fields(struct cursor *cursor, const char *fields,
                       struct wire_decoded *ret)
{
    struct wire_word word;
    int result = 1;

    while (result == 1 && wire_next_word(&fields, &word)) {
        result = take_field(cursor, &word, ret);
        if (result == 1 && word.letter == '[') {
            result = take_group(cursor, &fields, ret->fields[ret->field_count - 1].number,
                                ret);
        }
    }
    return result;
}

int wire_refuse(uint64_t offset, struct buffer *why, const char *format, ...)
{
    va_list args;

    if (why != NULL) {
        buffer_printf(why, "at byte %llu: ", (unsigned long long)offset);
        va_start(args, format);
        buffer_vprintf(why, format, args);
        va_end(args);
    }
    return -EBADMSG;
}

int wire_refuse_start(const struct wire_reader *reader, struct buffer *why)
{
    return wire_refuse(reader->offset, why, "this is not the beginning of a recording");
}

int wire_refuse_more(const struct wire_reader *reader, struct buffer *why)
{
    return wire_refuse(reader->offset, why, "there is more behind its end");
}

int wire_check_header(const struct wire_reader *reader, const struct wire_decoded *record,
                      struct buffer *why)
{
    const struct wire_field *magic = &record->fields[0], *version = &record->fields[1];

    if (record->field_count > 0 && (magic->size != strlen(WIRE_MAGIC) ||
                                    memcmp(magic->bytes, WIRE_MAGIC, magic->size) != 0)) {
        return wire_refuse(reader->offset, why, "this is not a recording of Paddock");
    }
    if (record->field_count > 1 && version->number > WIRE_NUMBER_MAX) {
        return wire_refuse(reader->offset, why, "%s", NUMBER_TOO_LARGE);
    }
    if (record->field_count > 1 && version->number != WIRE_VERSION) {
        return wire_refuse(
            reader->offset, why,
            "a recording of version %llu, where this reader knows version %d",
            (unsigned long long)version->number, WIRE_VERSION);
    }
    return 0;
}

/* What stands behind a magic or a version that is not ours is not ours to read. */
static int check_header_so_far(const struct wire_reader *reader, struct cursor cursor,
                               struct wire_decoded *ret, struct buffer *why)
{
    const char *fields = wire_records[WIRE_HEADER].fields;
    struct wire_word word;
    int error = 0, taken = 1;

    while (error == 0 && taken == 1 && wire_next_word(&fields, &word)) {
        taken = take_field(&cursor, &word, ret);
        error = taken == 1 ? wire_check_header(reader, ret, why) : 0;
    }
    ret->field_count = 0;
    return error;
}

static int refuse_second_header(const struct wire_reader *reader, struct buffer *why)
{
    return wire_refuse(reader->offset, why, "a second header");
}

static int check_place(const struct wire_reader *reader,
                       const struct wire_decoded *record, struct buffer *why)
{
    if (!reader->started) {
        return record->kind == WIRE_HEADER ? wire_check_header(reader, record, why)
                                           : wire_refuse_start(reader, why);
    }
    return record->kind == WIRE_HEADER ? refuse_second_header(reader, why) : 0;
}

static int check_numbers(const struct wire_reader *reader,
                         const struct wire_decoded *record, struct buffer *why)
{
    for (size_t i = 0; i < record->field_count; i++) {
        if (record->fields[i].number > WIRE_NUMBER_MAX) {
            return wire_refuse(reader->offset, why, "%s",
                               record->fields[i].type == 't' ? TIME_TOO_LARGE
                                                             : NUMBER_TOO_LARGE);
        }
    }
    return 0;
}

ssize_t wire_accept(struct wire_reader *reader, struct wire_decoded *record,
                    size_t length, struct buffer *why)
{
    const struct wire_field *time = wire_find(record, "time");
    int error = check_place(reader, record, why);

    if (error == 0) {
        error = check_numbers(reader, record, why);
    }
    if (error < 0) {
        return error;
    }
    reader->time_us = time != NULL ? time->number : reader->time_us;
    record->time_us = reader->time_us;
    record->offset = reader->offset;
    reader->started = true;
    reader->ended = record->kind == WIRE_END;
    reader->offset += length;
    return (ssize_t)length;
}

/* As its long form with the time of the record before. */
static ssize_t decode_short_line(struct wire_reader *reader, unsigned char byte,
                                 struct wire_decoded *ret)
{
    int64_t step = (int)byte - WIRE_SHORT_LINE;

    ret->kind = WIRE_LINE;
    ret->offset = reader->offset;
    ret->time_us = reader->time_us;
    ret->field_count = 2;
    ret->fields[0] = (struct wire_field){
        .type = 't', .name = "time", .name_size = 4, .number = reader->time_us};
    ret->fields[1] =
        (struct wire_field){.type = 's', .name = "step", .name_size = 4, .integer = step};
    reader->offset++;
    return 1;
}

ssize_t wire_decode(struct wire_reader *reader, const void *bytes, size_t size,
                    struct wire_decoded *ret, struct buffer *why)
{
    struct cursor cursor = {
        .bytes = bytes, .size = size, .at = 1, .time_us = reader->time_us};
    int result;

    if (size == 0) {
        return 0;
    }
    if (!reader->started && cursor.bytes[0] != WIRE_HEADER) {
        return wire_refuse_start(reader, why);
    }
    if (reader->ended) {
        return wire_refuse_more(reader, why);
    }
    if (cursor.bytes[0] >= 128) {
        return decode_short_line(reader, cursor.bytes[0], ret);
    }
    if (cursor.bytes[0] >= WIRE_KIND_LIMIT ||
        wire_records[cursor.bytes[0]].name == NULL) {
        return wire_refuse(reader->offset, why,
                           "a record of kind %d, which this reader does not know",
                           cursor.bytes[0]);
    }
    ret->kind = (enum wire_kind)cursor.bytes[0];
    ret->field_count = 0;
    if (reader->started && ret->kind == WIRE_HEADER) {
        return refuse_second_header(reader, why);
    }
    if (ret->kind == WIRE_SYNC) {
        cursor.time_us = 0;
    }
    if (!reader->started && check_header_so_far(reader, cursor, ret, why) < 0) {
        return -EBADMSG;
    }
    result = take_fields(&cursor, wire_records[ret->kind].fields, ret);
    if (result < 0) {
        return wire_refuse(reader->offset, why, "%s", cursor.wrong);
    }
    if (result == 0) {
        return 0;
    }
    return wire_accept(reader, ret, cursor.at, why);
}

int wire_end(const struct wire_reader *reader, size_t left, struct buffer *why)
{
    if (reader->offset > 0 && left == 0) {
        return 0;
    }
    return wire_refuse(reader->offset, why, "%s",
                       left > 0 ? "a record that is cut off" : "there is nothing in it");
}

const struct wire_field *wire_find(const struct wire_decoded *record, const char *name)
{
    for (size_t i = 0; i < record->field_count; i++) {
        const struct wire_field *field = &record->fields[i];

        if (field->name_size == strlen(name) &&
            memcmp(field->name, name, field->name_size) == 0) {
            return field;
        }
    }
    return NULL;
}
