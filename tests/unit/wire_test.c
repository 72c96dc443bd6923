/* SPDX-License-Identifier: MIT */
/*
 * The recording's records: every kind encoded and decoded again, every prefix of a
 * recording, and the bytes that a hostile program may put into its ring. Run by ctest;
 * trusts nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/wire_json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define GROUPS 2 /* how often the test repeats a group */

static struct wire_writer record;

/* The value that the test puts into field number `i` of the row. */
static uint64_t number_of(size_t i)
{
    static const uint64_t numbers[] = {0, 1, 127, 128, 300, 1 << 20, WIRE_NUMBER_MAX, 42};

    return numbers[i % array_size(numbers)];
}

static void put_field(char type, size_t i)
{
    char text[32];

    switch (type) {
    case 'u': wire_unsigned(&record, number_of(i)); break;
    case 's': wire_signed(&record, (int64_t)number_of(i)); break;
    case 't': wire_unsigned(&record, 1000); break;
    case '[': wire_unsigned(&record, GROUPS); break;
    default:
        (void)snprintf(text, sizeof(text), "text %zu", i);
        wire_text(&record, i % 3 == 2 ? "" : text);
    }
}

/* Walks the words of a row's fields, groups repeated. Calls `visit` with each type. */
static size_t walk(const char *fields, void (*visit)(char type, size_t i))
{
    const char *group = NULL;
    size_t count = 0;
    int rounds = 0;

    for (const char *at = fields; *at != '\0';) {
        if (*at == ']') {
            at = ++rounds < GROUPS ? group : at + 1;
        } else {
            visit(*at, count++);
            group = *at == '[' ? at + strcspn(at, " ") + 1 : group;
            at += strcspn(at, " ");
        }
        at += strspn(at, " ");
    }
    return count;
}

static void put_header(void)
{
    wire_begin(&record, WIRE_HEADER);
    wire_text(&record, WIRE_MAGIC);
    wire_unsigned(&record, WIRE_VERSION);
    wire_text(&record, "calls");
    wire_text(&record, "test");
}

static void put_any(enum wire_kind kind)
{
    if (kind == WIRE_HEADER) {
        put_header();
        return;
    }
    wire_begin(&record, kind);
    (void)walk(wire_records[kind].fields, put_field);
}

static struct wire_decoded decoded;

static void check_field(char type, size_t i)
{
    const struct wire_field *field = &decoded.fields[i];
    char text[32];

    assert_int_equal(field->type, type);
    assert_true(field->name_size > 0);
    switch (type) {
    case 'u': assert_int_equal(field->number, number_of(i)); break;
    case 's': assert_int_equal(field->integer, (int64_t)number_of(i)); break;
    case 't': assert_int_equal(field->number, decoded.time_us); break;
    case '[': assert_int_equal(field->number, GROUPS); break;
    default:
        (void)snprintf(text, sizeof(text), "text %zu", i);
        text[i % 3 == 2 ? 0 : 31] = '\0';
        assert_int_equal(field->size, strlen(text));
        assert_memory_equal(field->bytes, text, field->size);
    }
}

static void nothing(char type, size_t i)
{
}

/* Every kind, with numbers of every length: decodes to what was put in, in just its own
 * bytes; any part of it asks for more; and its JSON is one object. */
static void every_kind(void **state)
{
    int kinds = 0;

    for (int kind = 0; kind < WIRE_KIND_LIMIT; kind++) {
        struct wire_reader reader = {.started = kind != WIRE_HEADER, .time_us = 5};
        const struct wire_reader before = reader;
        autobuffer struct buffer json = BUFFER_INIT(KIB(4));

        if (wire_records[kind].name == NULL) {
            continue;
        }
        kinds++;
        put_any((enum wire_kind)kind);
        assert_false(record.overflow);
        for (size_t cut = 0; cut < record.size; cut++) {
            assert_int_equal(wire_decode(&reader, record.bytes, cut, &decoded, NULL), 0);
            assert_memory_equal(&reader, &before, sizeof(reader));
        }
        assert_int_equal(
            wire_decode(&reader, record.bytes, sizeof(record.bytes), &decoded, NULL),
            record.size);
        assert_int_equal(decoded.kind, kind);
        assert_int_equal(reader.offset, record.size);
        assert_int_equal(walk(wire_records[kind].fields, nothing), decoded.field_count);
        if (kind != WIRE_HEADER) {
            (void)walk(wire_records[kind].fields, check_field);
        }
        wire_to_json(&decoded, &json);
        assert_int_equal(buffer_error(&json), 0);
        assert_int_equal(json.data[0], '{');
        assert_int_equal(json.data[json.size - 1], '}');
        assert_non_null(strstr(json.data, wire_records[kind].name));
    }
    assert_int_equal(kinds, 26);
}

static void numbers_of_every_length(void **state)
{
    for (unsigned bits = 0; bits < 64; bits++) {
        const uint64_t values[] = {1ull << bits, (1ull << bits) - 1, ~(1ull << bits)};

        for (size_t i = 0; i < array_size(values); i++) {
            struct wire_reader reader = {.started = true};
            bool is_number = values[i] <= WIRE_NUMBER_MAX;

            wire_begin(&record, WIRE_THREAD);
            wire_unsigned(&record, values[i]);
            assert_int_equal(
                wire_decode(&reader, record.bytes, record.size, &decoded, NULL),
                is_number ? (ssize_t)record.size : -EBADMSG);
            assert_int_equal(decoded.fields[0].number, values[i]);
            assert_int_equal(reader.offset, is_number ? record.size : 0);
        }
    }
}

/* No record has a signed field now; its coding is part of the format. */
static void signed_numbers_are_zigzag(void **state)
{
    static const struct {
        int64_t value;
        const char *bytes;
        size_t size;
    } rows[] = {
        {0, "\0", 1},
        {-1, "\1", 1},
        {1, "\2", 1},
        {-2, "\3", 1},
        {64, "\x80\1", 2},
        {INT64_MAX, "\xfe\xff\xff\xff\xff\xff\xff\xff\xff\1", 10},
        {INT64_MIN, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\1", 10},
    };

    for (size_t i = 0; i < array_size(rows); i++) {
        wire_begin(&record, WIRE_THREAD);
        wire_signed(&record, rows[i].value);
        assert_int_equal(record.size, 1 + rows[i].size);
        assert_memory_equal(record.bytes + 1, rows[i].bytes, rows[i].size);
    }
}

/* ---- a whole recording ---- */

static unsigned char recording[KIB(64)];
static size_t recorded;
static size_t boundaries[64];
static size_t boundary_count;

static void keep_record(void)
{
    memcpy(recording + recorded, record.bytes, record.size);
    recorded += record.size;
    boundaries[boundary_count++] = recorded;
}

static void make_recording(void)
{
    recorded = boundary_count = 0;
    for (int kind = 0; kind < WIRE_KIND_LIMIT; kind++) {
        if (wire_records[kind].name != NULL && kind != WIRE_END) {
            put_any((enum wire_kind)kind);
            keep_record();
        }
    }
    put_any(WIRE_END);
    keep_record();
}

/* Decodes `size` bytes; returns how many records came out of them. */
static size_t count_records(size_t size)
{
    struct wire_reader reader = {0};
    size_t count = 0, at = 0;
    ssize_t length;

    while ((length = wire_decode(&reader, recording + at, size - at, &decoded, NULL)) >
           0) {
        at += (size_t)length;
        count++;
        assert_int_equal(at, boundaries[count - 1]);
        assert_int_equal(reader.offset, at);
    }
    assert_int_equal(length, 0);
    return count;
}

static void every_prefix_is_a_prefix(void **state)
{
    size_t whole = 0;

    make_recording();
    for (size_t size = 0; size <= recorded; size++) {
        whole += whole < boundary_count && boundaries[whole] == size;
        assert_int_equal(count_records(size), whole);
    }
    assert_int_equal(whole, boundary_count);
}

static void time_adds_up(void **state)
{
    struct wire_reader reader = {.started = true};
    static const struct {
        enum wire_kind kind;
        uint64_t coded, time;
    } rows[] = {
        {WIRE_RETURN, 5, 5},   {WIRE_RETURN, 0, 5},
        {WIRE_UNWIND, 10, 15}, {WIRE_SYNC, 7, 7}, /* since the start of the job */
        {WIRE_RETURN, 1, 8},
    };

    for (size_t i = 0; i < array_size(rows); i++) {
        wire_begin(&record, rows[i].kind);
        wire_unsigned(&record, rows[i].coded);
        if (rows[i].kind == WIRE_SYNC) {
            wire_unsigned(&record, 0);
            wire_unsigned(&record, 0);
        }
        assert_int_equal(wire_decode(&reader, record.bytes, record.size, &decoded, NULL),
                         record.size);
        assert_int_equal(decoded.time_us, rows[i].time);
        assert_int_equal(wire_find(&decoded, "time")->number, rows[i].time);
    }
}

/* ---- hostile bytes ---- */

#define FF7 "\xff\xff\xff\xff\xff\xff\xff"
#define FF9 "\xff\xff\xff\xff\xff\xff\xff\xff\xff"

/* clang-format off */
static const struct {
    const char *what;
    const char *bytes;
    size_t size;
    bool fresh; /* the header is still to come */
    ssize_t result;
    const char *why;
} rows[] = {
    {"kind 0", "\0", 1, false, -EBADMSG, "at byte 0: a record of kind 0, which"},
    {"an unused kind", "\x1b\1", 2, false, -EBADMSG, "which this reader does not know"},
    {"the first kind beyond the table", "\x20\1", 2, false, -EBADMSG, "which this reader does not know"},
    {"kind 127", "\x7f\1", 2, false, -EBADMSG, "which this reader does not know"},
    {"a short line", "\xff\1", 2, false, 1, NULL},
    {"a short line before the header", "\xff\1", 2, true, -EBADMSG, "at byte 0: this is not the beginning"},
    {"the largest number", "\x04" FF7 "\x0f", 9, false, 9, NULL},
    {"a number beyond", "\x04\x80\x80\x80\x80\x80\x80\x80\x10", 9, false, -EBADMSG,
     "at byte 0: a number beyond 2^53 - 1"},
    {"a step beyond", "\x08\0\x80\x80\x80\x80\x80\x80\x80\x10", 10, false, -EBADMSG, "a number beyond"},
    {"a time beyond", "\x06" FF9 "\1", 11, false, -EBADMSG, "at byte 0: a number beyond 2^53 - 1"},
    {"a varint of 65 bits", "\x06" FF9 "\2", 11, false, -EBADMSG, "a number of more than 64 bits"},
    {"a varint without end", "\x06" FF9 "\xff", 11, false, -EBADMSG, "a number of more than 64 bits"},
    {"eleven bytes of varint", "\x06\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\1", 12, false,
     -EBADMSG, "a number of more than 64 bits"},
    {"a varint longer than need be", "\x06\x80\0", 3, false, 3, NULL},
    {"an unfinished varint", "\x06\xff\xff", 3, false, 0, NULL},
    {"the longest text: more is needed", "\x0b\0\xfb\xff\1", 5, false, 0, NULL},
    {"text of a byte more", "\x0b\0\xfc\xff\1", 5, false, -EBADMSG, "a record of more than 32768 bytes"},
    {"text of 2^64-1 bytes", "\x0b\0" FF9 "\1", 12, false, -EBADMSG, "a number beyond"},
    {"text of 2^63 bytes", "\x0b\0\x80\x80\x80\x80\x80\x80\x80\x80\x80\1", 12, false, -EBADMSG,
     "a number beyond"},
    {"a group of none", "\x13\0\0\0", 4, false, 4, NULL},
    {"a group of 2^64-1", "\x13\0\0" FF9 "\1", 13, false, -EBADMSG, "a number beyond"},
    {"a group of 511", "\x13\0\0\xff\3", 5, false, -EBADMSG, "a record of more than 1024 fields"},
    {"a group of 510: more is needed", "\x13\0\0\xfe\3", 5, false, 0, NULL},
    {"the beginning of a second header", "\x01", 1, false, -EBADMSG, "second header"},
    {"a second header", "\x01\7PADDOCK\2\0\0", 12, false, -EBADMSG, "second header"},
    {"no header", "\x06\0", 2, true, -EBADMSG, "not the beginning"},
    {"another magic", "\x01\7PADDOCH\1\0\0", 12, true, -EBADMSG, "not a recording"},
    {"a shorter magic", "\x01\6PADDOC\1\0\0", 11, true, -EBADMSG, "not a recording"},
    {"no magic", "\x01\0\1\0\0", 5, true, -EBADMSG, "not a recording"},
    {"an older version", "\x01\7PADDOCK\3\0\0", 12, true, -EBADMSG, "of version"},
    {"a newer version", "\x01\7PADDOCK\5\0\0", 12, true, -EBADMSG, "of version"},
    {"a newer version, of other fields", "\x01\7PADDOCK\5" FF9, 18, true, -EBADMSG, "of version 5"},
    {"a newer version, and no more", "\x01\7PADDOCK\5", 10, true, -EBADMSG, "of version 5"},
    {"the last version", "\x01\7PADDOCK" FF7 "\x0f", 17, true, -EBADMSG, "of version 9007199254740991"},
    {"a version beyond", "\x01\7PADDOCK\x80\x80\x80\x80\x80\x80\x80\x10", 17, true, -EBADMSG,
     "at byte 0: a number beyond 2^53 - 1"},
    {"a newer version, cut", "\x01\7PADDOCK\x83", 10, true, 0, NULL},
    {"another magic, cut", "\x01\7PADDOCH", 9, true, -EBADMSG, "not a recording"},
    {"a header", "\x01\7PADDOCK\4\0\0", 12, true, 12, NULL},
};
/* clang-format on */

static void hostile_records(void **state)
{
    for (size_t i = 0; i < array_size(rows); i++) {
        struct wire_reader reader = {.started = !rows[i].fresh};
        autobuffer struct buffer why = BUFFER_INIT(1024);
        ssize_t result =
            wire_decode(&reader, rows[i].bytes, rows[i].size, &decoded, &why);

        if (result != rows[i].result) {
            fail_msg("%s: %zd", rows[i].what, result);
        }
        if (rows[i].why != NULL &&
            (why.data == NULL || strstr(why.data, rows[i].why) == NULL)) {
            fail_msg("%s: %s", rows[i].what, why.data);
        }
    }
}

/* More fields than a record may have, each group within its bound. */
static void too_many_fields(void **state)
{
    struct wire_reader reader = {.started = true};

    wire_begin(&record, WIRE_SYNC);
    wire_unsigned(&record, 0);
    wire_unsigned(&record, 0);
    wire_unsigned(&record, (WIRE_FIELDS_MAX - 3) / 2);
    for (int i = 0; i < (WIRE_FIELDS_MAX - 3) / 2 * 2; i++) {
        wire_unsigned(&record, 1);
    }
    assert_int_equal(wire_decode(&reader, record.bytes, record.size, &decoded, NULL),
                     record.size);
    assert_int_equal(decoded.field_count, WIRE_FIELDS_MAX - 1);
    wire_begin(&record, WIRE_SYNC);
    wire_unsigned(&record, 0);
    wire_unsigned(&record, 0);
    wire_unsigned(&record, (WIRE_FIELDS_MAX - 3) / 2 + 1);
    for (int i = 0; i < (WIRE_FIELDS_MAX - 3) / 2 * 2 + 2; i++) {
        wire_unsigned(&record, 1);
    }
    assert_int_equal(wire_decode(&reader, record.bytes, record.size, &decoded, NULL),
                     -EBADMSG);
}

static void nothing_behind_the_end(void **state)
{
    static const char more[] = "\x14\0\0\x14\0\0";
    struct wire_reader reader = {.started = true};
    autobuffer struct buffer why = BUFFER_INIT(1024);

    assert_int_equal(wire_decode(&reader, more, 6, &decoded, NULL), 3);
    assert_int_equal(wire_decode(&reader, more + 3, 0, &decoded, NULL), 0);
    assert_int_equal(wire_decode(&reader, more + 3, 1, &decoded, &why), -EBADMSG);
    assert_string_equal(why.data, "at byte 3: there is more behind its end");
    assert_int_equal(wire_decode(&reader, "\xc1", 1, &decoded, NULL), -EBADMSG);
}

/* A record that is not complete within the largest size there is never will be. */
static void an_endless_record(void **state)
{
    static unsigned char bytes[LIMIT_RECORD];
    struct wire_reader reader = {.started = true};

    memcpy(bytes, "\x11\0\xfb\xff\1", 5); /* of which the first text takes it all */
    assert_int_equal(wire_decode(&reader, bytes, sizeof(bytes) - 1, &decoded, NULL), 0);
    assert_int_equal(wire_decode(&reader, bytes, sizeof(bytes), &decoded, NULL),
                     -EBADMSG);
}

/* Bytes from a fixed generator: whatever they are, the answer is one of the three. */
static void noise(void **state)
{
    unsigned char bytes[300];
    uint64_t seed = 88172645463325252ull;

    for (int round = 0; round < 200000; round++) {
        struct wire_reader reader = {.started = true};
        autobuffer struct buffer json = BUFFER_INIT(KIB(64));
        ssize_t result;

        for (size_t i = 0; i < sizeof(bytes); i++) {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            bytes[i] = (unsigned char)(i == 0          ? seed % 24
                                       : seed % 7 == 0 ? seed
                                                       : seed % 5);
        }
        result = wire_decode(&reader, bytes, sizeof(bytes), &decoded, NULL);
        assert_true(result == -EBADMSG ||
                    (result >= 0 && result <= (ssize_t)sizeof(bytes)));
        if (result > 0) {
            wire_to_json(&decoded, &json);
            assert_int_equal(buffer_error(&json), 0);
            assert_null(memchr(json.data, '\n', json.size));
        }
    }
}

/* ---- the encoder's end ---- */

static void an_overflow_is_said(void **state)
{
    static const unsigned char bytes[LIMIT_RECORD] = {1};

    wire_begin(&record, WIRE_OUT);
    wire_unsigned(&record, 0);
    assert_int_equal(wire_room(&record), LIMIT_RECORD - 2);
    wire_bytes(&record, bytes, LIMIT_RECORD - 2 - 3);
    assert_false(record.overflow);
    assert_int_equal(wire_room(&record), 0);
    wire_unsigned(&record, 0);
    assert_true(record.overflow);
    assert_int_equal(record.size, LIMIT_RECORD);
    wire_begin(&record, WIRE_OUT);
    assert_false(record.overflow);
    wire_bytes(&record, bytes, sizeof(bytes));
    assert_true(record.overflow);
    assert_true(record.size <= LIMIT_RECORD);
}

/* ---- JSON ---- */

static void check_json(const char *expected)
{
    struct wire_reader reader = {.started = record.bytes[0] != WIRE_HEADER};
    autobuffer struct buffer json = BUFFER_INIT(KIB(64));

    assert_int_equal(wire_decode(&reader, record.bytes, record.size, &decoded, NULL),
                     record.size);
    wire_to_json(&decoded, &json);
    assert_string_equal(json.data, expected);
}

static void put_frame(const char *file, uint64_t line)
{
    wire_text(&record, file);
    for (uint64_t i = 0; i < 4; i++) {
        wire_unsigned(&record, line + i);
    }
    wire_text(&record, "f");
    wire_text(&record, "x\t= 1");
}

static void json_objects(void **state)
{
    put_header();
    check_json("{\"kind\":\"header\",\"magic\":\"PADDOCK\",\"version\":4,"
               "\"level\":\"calls\",\"engine\":\"test\"}");

    wire_begin(&record, WIRE_OUT);
    wire_unsigned(&record, 1234);
    wire_bytes(&record, "a\"\\\n\0\xff}", 7);
    check_json("{\"kind\":\"out\",\"time\":1234,"
               "\"data\":\"a\\\"\\\\\\n\\u0000\xef\xbf\xbd}\"}");

    wire_begin(&record, WIRE_SYNC);
    wire_unsigned(&record, WIRE_NUMBER_MAX);
    wire_unsigned(&record, 3);
    wire_unsigned(&record, 0);
    check_json("{\"kind\":\"sync\",\"time\":9007199254740991,\"thread\":3,"
               "\"stack\":[]}");

    wire_begin(&record, WIRE_SYNC);
    wire_unsigned(&record, 0);
    wire_unsigned(&record, 0);
    wire_unsigned(&record, 2);
    wire_unsigned(&record, 7);
    wire_unsigned(&record, 70);
    wire_unsigned(&record, 8);
    wire_unsigned(&record, 80);
    check_json("{\"kind\":\"sync\",\"time\":0,\"thread\":0,"
               "\"stack\":[{\"function\":7,\"line\":70},{\"function\":8,\"line\":80}]}");

    wire_begin(&record, WIRE_LINE);
    wire_unsigned(&record, 3);
    wire_signed(&record, -2);
    check_json("{\"kind\":\"line\",\"time\":3,\"step\":-2}");
    record.bytes[0] = WIRE_SHORT_LINE - 5;
    record.size = 1;
    check_json("{\"kind\":\"line\",\"time\":0,\"step\":-5}");

    wire_begin(&record, WIRE_ERROR);
    wire_unsigned(&record, 9);
    wire_text(&record, "");
    wire_text(&record, "NameError");
    wire_text(&record, "no 'x'");
    wire_unsigned(&record, 2);
    put_frame("/robot/a.py", 1);
    put_frame("\x80", 5);
    check_json("{\"kind\":\"error\",\"time\":9,\"relation\":\"\",\"type\":\"NameError\","
               "\"message\":\"no 'x'\",\"frames\":["
               "{\"file\":\"/robot/a.py\",\"line\":1,\"column\":2,\"end_line\":3,"
               "\"end_column\":4,\"function\":\"f\",\"source\":\"x\\t= 1\"},"
               "{\"file\":\"\xef\xbf\xbd\",\"line\":5,\"column\":6,\"end_line\":7,"
               "\"end_column\":8,\"function\":\"f\",\"source\":\"x\\t= 1\"}]}");
}

static void fields_by_name(void **state)
{
    struct wire_reader reader = {0};

    put_header();
    assert_int_equal(wire_decode(&reader, record.bytes, record.size, &decoded, NULL),
                     record.size);
    assert_int_equal(wire_find(&decoded, "version")->number, WIRE_VERSION);
    assert_memory_equal(wire_find(&decoded, "engine")->bytes, "test", 4);
    assert_null(wire_find(&decoded, "vers"));
    assert_null(wire_find(&decoded, "versions"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind),
        cmocka_unit_test(numbers_of_every_length),
        cmocka_unit_test(signed_numbers_are_zigzag),
        cmocka_unit_test(every_prefix_is_a_prefix),
        cmocka_unit_test(time_adds_up),
        cmocka_unit_test(hostile_records),
        cmocka_unit_test(too_many_fields),
        cmocka_unit_test(nothing_behind_the_end),
        cmocka_unit_test(an_endless_record),
        cmocka_unit_test(noise),
        cmocka_unit_test(an_overflow_is_said),
        cmocka_unit_test(json_objects),
        cmocka_unit_test(fields_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
