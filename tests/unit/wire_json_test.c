/* SPDX-License-Identifier: MIT */
/*
 * Recordings as lines of JSON: every kind there and back again, output that is cut within
 * its characters, and lines that are none of ours. Run by ctest; trusts nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/wire_json.h"

#include <errno.h>
#include <string.h>

#define HEADER                                                                           \
    "{\"kind\":\"header\",\"magic\":\"PADDOCK\",\"version\":4,\"level\":\"off\","        \
    "\"engine\":\"test\"}\n"

static struct wire_writer record;
static struct wire_decoded decoded;

static void begin_output(enum wire_kind kind, const void *bytes, size_t size)
{
    struct wire_reader reader = {.started = true};

    wire_begin(&record, kind);
    wire_unsigned(&record, 7);
    wire_bytes(&record, bytes, size);
    assert_int_equal(wire_decode(&reader, record.bytes, record.size, &decoded, NULL),
                     record.size);
}

/* One of each letter, and a group. */
static const struct {
    enum wire_kind kind;
    const char *bytes; /* of the record, without its kind */
    size_t size;
    const char *line;
} rows[] = {
    {WIRE_FILE, "\0\4a\"\\\n", 6,
     "{\"kind\":\"file\",\"file\":0,\"path\":\"a\\\"\\\\\\n\"}\n"},
    {WIRE_LINE, "\5\3", 2, "{\"kind\":\"line\",\"time\":5,\"step\":-2}\n"},
    {WIRE_CALL, "\5\xff\xff\xff\xff\xff\xff\xff\x0f", 9,
     "{\"kind\":\"call\",\"time\":5,\"function\":9007199254740991}\n"},
    {WIRE_LINE, "\5\xff\xff\xff\xff\xff\xff\xff\x0f", 9,
     "{\"kind\":\"line\",\"time\":5,\"step\":-4503599627370496}\n"},
    {WIRE_VARIABLE, "\1\2\4\5\3\0\x1f\x7f", 8,
     "{\"kind\":\"variable\",\"name\":1,\"type\":2,\"head\":4,\"tail\":5,\"value\":"
     "\"\\u0000\\u001f\\u007f\"}\n"},
    {WIRE_SAVED, "\0\1a\1b\4\4\0\xff\x10\x80", 11,
     "{\"kind\":\"saved\",\"time\":0,\"name\":\"a\",\"media_type\":\"b\",\"total\":4,"
     "\"part\":\"AP8QgA==\"}\n"},
    {WIRE_SAVED, "\0\0\0\0\0", 5,
     "{\"kind\":\"saved\",\"time\":0,\"name\":\"\",\"media_type\":\"\",\"total\":0,"
     "\"part\":\"\"}\n"},
    {WIRE_VALUE, "\0\3\3\xe2\x82\xac", 6,
     "{\"kind\":\"value\",\"time\":0,\"total\":3,\"part\":\"\xe2\x82\xac\"}\n"},
    {WIRE_SYNC, "\5\0\0", 3,
     "{\"kind\":\"sync\",\"time\":5,\"thread\":0,\"stack\":[]}\n"},
    {WIRE_SYNC, "\5\1\2\1\2\3\4", 7,
     "{\"kind\":\"sync\",\"time\":5,\"thread\":1,\"stack\":"
     "[{\"function\":1,\"line\":2},{\"function\":3,\"line\":4}]}\n"},
    {WIRE_END, "\0\t", 2, "{\"kind\":\"end\",\"time\":0,\"produced\":9}\n"},
};

static void there_and_back(void **state)
{
    for (size_t i = 0; i < array_size(rows); i++) {
        struct wire_reader reader = {.started = true}, lines = {.started = true};
        struct wire_lines begun = {0};
        autobuffer struct buffer line = BUFFER_INIT(KIB(4)), again = BUFFER_INIT(KIB(4));
        char bytes[512];
        size_t size = strlen(rows[i].line);

        wire_begin(&record, rows[i].kind);
        memcpy(record.bytes + 1, rows[i].bytes, rows[i].size);
        assert_int_equal(
            wire_decode(&reader, record.bytes, rows[i].size + 1, &decoded, NULL),
            rows[i].size + 1);
        wire_lines_add(&begun, &decoded, &line);
        assert_string_equal(line.data, rows[i].line);

        memcpy(bytes, line.data, size);
        for (size_t cut = 0; cut < size; cut++) {
            assert_int_equal(wire_decode_line(&lines, bytes, cut, &decoded, NULL), 0);
        }
        memcpy(bytes + size, "{\"", 2); /* what follows is not looked at */
        assert_int_equal(wire_decode_line(&lines, bytes, size + 2, &decoded, NULL), size);
        assert_int_equal(decoded.kind, rows[i].kind);
        assert_int_equal(lines.offset, size);
        assert_int_equal(lines.time_us, reader.time_us);
        begun = (struct wire_lines){0};
        wire_lines_add(&begun, &decoded, &again);
        assert_string_equal(again.data, rows[i].line);
    }
}

/* Appends what the lines say that was printed there. */
static void join(struct buffer *lines, enum wire_kind kind, struct buffer *to)
{
    struct wire_reader reader = {.started = true};

    for (size_t at = 0; at < lines->size;) {
        ssize_t length =
            wire_decode_line(&reader, lines->data + at, lines->size - at, &decoded, NULL);

        assert_true(length > 0);
        if (decoded.kind == kind) {
            buffer_add(to, decoded.fields[1].bytes, decoded.fields[1].size);
        }
        at += (size_t)length;
    }
}

static void cut_characters_are_put_together(void **state)
{
    static const char text[] = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\x8e"
                               "z";

    for (size_t part = 1; part < sizeof(text); part++) {
        struct wire_lines lines = {0};
        autobuffer struct buffer json = BUFFER_INIT(KIB(4)), joined = BUFFER_INIT(64);

        for (size_t at = 0; at < sizeof(text) - 1; at += part) {
            size_t left = sizeof(text) - 1 - at;

            begin_output(WIRE_OUT, text + at, left < part ? left : part);
            wire_lines_add(&lines, &decoded, &json);
            begin_output(WIRE_ERR, "-", 1); /* another stream is none of this one's */
            wire_lines_add(&lines, &decoded, &json);
        }
        wire_lines_end(&lines, &json);
        join(&json, WIRE_OUT, &joined);
        assert_string_equal(joined.data, text);
    }
}

/* What is no character stays none, and costs nothing that stands beside it. */
static void broken_characters(void **state)
{
    static const struct {
        const char *first, *second, *end;
    } cases[] = {
        {"\xe2\x82", "A",
         "\xef\xbf\xbd"
         "A"},
        {"\xe2\x82", "\xe2\x82\xac", "\xef\xbf\xbd\xe2\x82\xac"},
        {"\xe2", "\xc3\xa9", "\xef\xbf\xbd\xc3\xa9"},
        {"\xff", "\xfe", "\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xf0\x9f\x90", "", "\xef\xbf\xbd"},
    };

    for (size_t i = 0; i < array_size(cases); i++) {
        struct wire_lines lines = {0};
        autobuffer struct buffer json = BUFFER_INIT(KIB(4)), joined = BUFFER_INIT(64);

        begin_output(WIRE_ERR, cases[i].first, strlen(cases[i].first));
        wire_lines_add(&lines, &decoded, &json);
        begin_output(WIRE_ERR, cases[i].second, strlen(cases[i].second));
        wire_lines_add(&lines, &decoded, &json);
        wire_lines_end(&lines, &json);
        join(&json, WIRE_ERR, &joined);
        assert_string_equal(joined.data, cases[i].end);
    }
}

/* An `end` shows that a character will never be whole; it comes behind that. */
static void an_end_comes_last(void **state)
{
    struct wire_reader reader = {.started = true};
    struct wire_lines lines = {0};
    autobuffer struct buffer json = BUFFER_INIT(KIB(4));

    begin_output(WIRE_OUT, "\xe2\x82", 2);
    wire_lines_add(&lines, &decoded, &json);
    assert_int_equal(json.size, 0);
    wire_begin(&record, WIRE_END);
    wire_unsigned(&record, 8);
    wire_unsigned(&record, 0);
    assert_int_equal(wire_decode(&reader, record.bytes, record.size, &decoded, NULL),
                     record.size);
    wire_lines_add(&lines, &decoded, &json);
    wire_lines_end(&lines, &json);
    assert_string_equal(json.data,
                        "{\"kind\":\"out\",\"time\":8,\"data\":\"\xef\xbf\xbd\"}\n"
                        "{\"kind\":\"end\",\"time\":8,\"produced\":0}\n");
}

static void foreign_lines(void **state)
{
    static const struct {
        const char *line;
        const char *why;
    } cases[] = {
        {"{\"kind\":\"end\",\"time\":0,\"produced\":9}\n", "not the beginning"},
        {"{\"kind\":\"heap", "not the beginning"},
        {"{\"a\":1}", "not the beginning"},
        {"{}", "not the beginning"},
        {HEADER HEADER, "a second header"},
        {HEADER "{}\n", "no record"},
        {HEADER "\n", "no record"},
        {HEADER "{\"kind\":\"nothing\"}\n", "no record"},
        {HEADER "{\"kind\":\"end\",\"produced\":9,\"time\":0}\n", "no record"},
        {HEADER "{\"kind\":\"end\",\"time\":0}\n", "no record"},
        {HEADER "{\"kind\":\"end\",\"time\":0,\"produced\":9} \n", "no record"},
        {HEADER "{\"kind\":\"end\",\"time\":-1,\"produced\":9}\n", "no record"},
        {HEADER "{\"kind\":\"end\",\"time\":,\"produced\":9}\n", "no record"},
        {HEADER "{\"kind\":\"end\",\"time\":18446744073709551616,\"produced\":9}\n",
         "no record"},
        {HEADER "{\"kind\":\"line\",\"time\":0,\"step\":9223372036854775808}\n",
         "no record"},
        {HEADER "{\"kind\":\"line\",\"time\":0,\"step\":4503599627370496}\n",
         "a number beyond 2^53 - 1"},
        {HEADER "{\"kind\":\"thread\",\"thread\":9007199254740992}\n",
         "a number beyond 2^53 - 1"},
        {HEADER "{\"kind\":\"input\",\"time\":9007199254740992}\n",
         "a time beyond 2^53 - 1"},
        {HEADER "{\"kind\":\"out\",\"time\":0,\"data\":\"\\u00\"}\n", "no record"},
        {HEADER "{\"kind\":\"out\",\"time\":0,\"data\":\"\\u00ff\"}\n", "no record"},
        {HEADER "{\"kind\":\"out\",\"time\":0,\"data\":\"\\x\"}\n", "no record"},
        {HEADER "{\"kind\":\"out\",\"time\":0,\"data\":\"\\\n", "no record"},
        {HEADER "{\"kind\":\"out\",\"time\":0,\"data\":\"a\tb\"}\n", "no record"},
        {HEADER "{\"kind\":\"out\",\"time\":0,\"data\":\"a}\n", "no record"},
        {HEADER "{\"kind\":\"saved\",\"time\":0,\"name\":\"\",\"media_type\":\"\","
                "\"total\":1,\"part\":\"AA=\"}\n",
         "no record"},
        {HEADER "{\"kind\":\"saved\",\"time\":0,\"name\":\"\",\"media_type\":\"\","
                "\"total\":1,\"part\":\"A*==\"}\n",
         "no record"},
        {HEADER "{\"kind\":\"sync\",\"time\":0,\"thread\":0,\"stack\":[\n", "no record"},
        {HEADER "{\"kind\":\"sync\",\"time\":0,\"thread\":0,\"stack\":[{}]}\n",
         "no record"},
        {HEADER "{\"kind\":\"sync\",\"time\":0,\"thread\":0,\"stack\":"
                "[{\"function\":1,\"line\":2},]}\n",
         "no record"},
        {"{\"kind\":\"header\",\"magic\":\"Paddock\",\"version\":4,\"level\":\"off\","
         "\"engine\":\"\"}\n",
         "not a recording of Paddock"},
        {"{\"kind\":\"header\",\"magic\":\"PADDOCK\",\"version\":3,\"level\":\"off\","
         "\"engine\":\"\"}\n",
         "of version"},
        {"{\"kind\":\"header\",\"magic\":\"PADDOCK\",\"version\":5,\"more\":[]}\n",
         "of version 5"},
        {"{\"kind\":\"header\",\"magic\":\"PADDOCK\",\"version\":5}\n", "of version 5"},
        {"{\"kind\":\"header\",\"magic\":\"PADDOCK\",\"version\":9007199254740992}\n",
         "a number beyond 2^53 - 1"},
        {"{\"kind\":\"header\",\"magic\":\"PADDOCK\",\"version\":\"4\"}\n",
         "not the beginning"},
        {HEADER "{\"kind\":\"end\",\"time\":0,\"produced\":9}\n{", "more behind its end"},
    };

    for (size_t i = 0; i < array_size(cases); i++) {
        struct wire_reader reader = {0};
        autobuffer struct buffer why = BUFFER_INIT(KIB(1));
        char bytes[512];
        size_t size = strlen(cases[i].line), at = 0;
        ssize_t length = 1;

        memcpy(bytes, cases[i].line, size);
        while (length > 0 && at < size) {
            length = wire_decode_line(&reader, bytes + at, size - at, &decoded, &why);
            at += length > 0 ? (size_t)length : 0;
        }
        if (length != -EBADMSG || strstr(why.data, cases[i].why) == NULL) {
            fail_msg("%zd %s: %s", length, why.data != NULL ? why.data : "",
                     cases[i].line);
        }
        assert_int_equal(reader.offset, at);
    }
}

static void a_line_has_an_end(void **state)
{
    static char bytes[LIMIT_LINE];
    struct wire_reader reader = {.started = true};
    autobuffer struct buffer why = BUFFER_INIT(KIB(1));

    memset(bytes, '{', sizeof(bytes));
    assert_int_equal(wire_decode_line(&reader, bytes, sizeof(bytes) - 1, &decoded, &why),
                     0);
    assert_int_equal(wire_decode_line(&reader, bytes, sizeof(bytes), &decoded, &why),
                     -EBADMSG);
    assert_string_equal(why.data, "at byte 0: a line without end");
}

/* The longest records there are, in the characters that take most, fit into a line. */
static void the_longest_line(void **state)
{
    static unsigned char bytes[LIMIT_RECORD];
    static char room[LIMIT_LINE];
    struct wire_lines lines = {0};
    struct wire_reader reader = {.started = true};
    struct buffer line = BUFFER_OVER(room);
    size_t groups = 145; /* of seven fields each: no more fit */

    memset(bytes, 1, sizeof(bytes));
    wire_begin(&record, WIRE_ERROR);
    wire_unsigned(&record, 0);
    for (int i = 0; i < 3; i++) {
        wire_text(&record, "");
    }
    wire_unsigned(&record, groups);
    for (size_t i = 0; i < groups; i++) {
        wire_bytes(&record, bytes, 200);
        for (int k = 0; k < 4; k++) {
            wire_unsigned(&record, 1 << 20);
        }
        wire_text(&record, "");
        wire_bytes(&record, bytes, i + 1 < groups ? 0 : wire_room(&record) - 3);
    }
    assert_false(record.overflow);
    assert_int_equal(wire_decode(&reader, record.bytes, record.size, &decoded, NULL),
                     record.size);
    wire_lines_add(&lines, &decoded, &line);
    assert_int_equal(buffer_error(&line), 0);
    assert_ptr_equal(line.data, room);
    assert_int_equal(wire_decode_line(&reader, room, line.size, &decoded, NULL),
                     line.size);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(cut_characters_are_put_together),
        cmocka_unit_test(broken_characters),
        cmocka_unit_test(an_end_comes_last),
        cmocka_unit_test(foreign_lines),
        cmocka_unit_test(a_line_has_an_end),
        cmocka_unit_test(the_longest_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
