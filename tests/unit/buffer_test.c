/* SPDX-License-Identifier: MIT */
/*
 * Growable buffers: the maximum holds, an error stays until it is reset, and nothing that
 * a program printed breaks out of a JSON string. Run by ctest; trusts nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/buffer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void assert_text(const struct buffer *buffer, const char *text)
{
    assert_int_equal(buffer->size, strlen(text));
    assert_string_equal(buffer->data, text);
}

static void adds(void **state)
{
    autobuffer struct buffer buffer = BUFFER_INIT(100);

    assert_null(buffer.data);
    buffer_add(&buffer, "ab\0cd", 5);
    assert_int_equal(buffer.size, 5);
    assert_memory_equal(buffer.data, "ab\0cd", 6);
    buffer_reset(&buffer);
    assert_text(&buffer, "");
    buffer_add_text(&buffer, "one");
    buffer_add_char(&buffer, ' ');
    buffer_printf(&buffer, "%d-%s", 2, "three");
    assert_text(&buffer, "one 2-three");
    assert_int_equal(buffer_error(&buffer), 0);
}

/* Every size of one append, around every maximum: what fits is taken to the last byte,
 * what does not changes nothing. */
static void keeps_its_maximum(void **state)
{
    char bytes[80];

    memset(bytes, 'x', sizeof(bytes));
    for (size_t maximum = 0; maximum < 70; maximum++) {
        for (size_t size = 0; size < sizeof(bytes); size++) {
            autobuffer struct buffer buffer = BUFFER_INIT(maximum);

            buffer_add(&buffer, bytes, size);
            assert_int_equal(buffer_error(&buffer), size <= maximum ? 0 : -ENOBUFS);
            assert_int_equal(buffer.size, size <= maximum ? size : 0);
            assert_true(buffer.room <= maximum + 1);
        }
    }
}

static void grows_byte_by_byte(void **state)
{
    autobuffer struct buffer buffer = BUFFER_INIT(5000);

    for (int i = 0; i < 5000; i++) {
        buffer_add_char(&buffer, (char)('a' + i % 26));
        assert_int_equal(buffer.data[buffer.size], '\0');
    }
    assert_int_equal(buffer_error(&buffer), 0);
    for (int i = 0; i < 5000; i++) {
        assert_int_equal(buffer.data[i], 'a' + i % 26);
    }
    buffer_add_char(&buffer, '!');
    assert_int_equal(buffer_error(&buffer), -ENOBUFS);
    assert_int_equal(buffer.size, 5000);
}

static void an_error_stays(void **state)
{
    autobuffer struct buffer buffer = BUFFER_INIT(4);

    buffer_add_text(&buffer, "abc");
    buffer_add_text(&buffer, "de");
    buffer_add_text(&buffer, "f"); /* would fit */
    assert_int_equal(buffer_error(&buffer), -ENOBUFS);
    assert_text(&buffer, "abc");
    assert_null(buffer_detach(&buffer));
    buffer_reset(&buffer);
    buffer_printf(&buffer, "%s", "wxyz");
    assert_int_equal(buffer_error(&buffer), 0);
    assert_text(&buffer, "wxyz");
    buffer_printf(&buffer, "%d", 1);
    assert_int_equal(buffer_error(&buffer), -ENOBUFS);
    assert_text(&buffer, "wxyz");
}

/* A size that would wrap around must not get through. */
static void no_size_wraps(void **state)
{
    autobuffer struct buffer buffer = BUFFER_INIT(100);

    buffer_add_text(&buffer, "abc");
    buffer_add(&buffer, "abc", SIZE_MAX - 1);
    assert_int_equal(buffer_error(&buffer), -ENOBUFS);
    assert_text(&buffer, "abc");
}

static void consumes(void **state)
{
    autobuffer struct buffer buffer = BUFFER_INIT(100);

    buffer_consume(&buffer, 3); /* of nothing */
    assert_int_equal(buffer.size, 0);
    buffer_add_text(&buffer, "abcdef");
    buffer_consume(&buffer, 0);
    assert_text(&buffer, "abcdef");
    buffer_consume(&buffer, 2);
    assert_text(&buffer, "cdef");
    buffer_consume(&buffer, 99);
    assert_text(&buffer, "");
}

static void detaches(void **state)
{
    autobuffer struct buffer buffer = BUFFER_INIT(100);
    char *text = buffer_detach(&buffer);

    assert_string_equal(text, "");
    free(text);
    buffer_add_text(&buffer, "abc");
    text = buffer_detach(&buffer);
    assert_string_equal(text, "abc");
    free(text);
    assert_null(buffer.data);
    buffer_add_text(&buffer, "again");
    assert_text(&buffer, "again");
}

/* clang-format off */
static const struct {
    const char *bytes;
    size_t size;
    const char *json;
} strings[] = {
    {"", 0, "\"\""},
    {"abc", 3, "\"abc\""},
    {"\"", 1, "\"\\\"\""},
    {"\\", 1, "\"\\\\\""},
    {"\\\"}", 3, "\"\\\\\\\"}\""},
    {"\n\r\t\b\f", 5, "\"\\n\\r\\t\\b\\f\""},
    {"\0", 1, "\"\\u0000\""},
    {"\x1b[2J", 4, "\"\\u001b[2J\""},
    {"\x1f\x7f", 2, "\"\\u001f\\u007f\""},
    {"\xc3\xa4", 2, "\"\xc3\xa4\""},
    {"\xc2\x85\xe2\x80\xa8\xe2\x81\xa6", 8, "\"\\u0085\\u2028\\u2066\""}, /* they move others */
    {"\xf0\x9f\xa4\x96", 4, "\"\xf0\x9f\xa4\x96\""},
    {"\xf4\x8f\xbf\xbf", 4, "\"\xf4\x8f\xbf\xbf\""},
    /* invalid bytes, one U+FFFD each */
    {"\xff", 1, "\"\xef\xbf\xbd\""},
    {"\x80\x80", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\""},
    {"\xc0\xaf", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\""},           /* '/' too long */
    {"\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""}, /* a surrogate */
    {"\xc3\"", 2, "\"\xef\xbf\xbd\\\"\""},                     /* a quote is no tail */
    {"a\xe2\x82", 3, "\"a\xef\xbf\xbd\""},                     /* cut off */
    {"\xf0\x9f\x90\xe2\x82x", 6, "\"\xef\xbf\xbd\xef\xbf\xbdx\""},
};
/* clang-format on */

static void json_strings(void **state)
{
    for (size_t i = 0; i < array_size(strings); i++) {
        autobuffer struct buffer buffer = BUFFER_INIT(100);

        buffer_add_json_string(&buffer, strings[i].bytes, strings[i].size);
        assert_text(&buffer, strings[i].json);
    }
}

/* Every pair of bytes: the string ends at its own quote and holds no control character.
 */
static void no_byte_breaks_out(void **state)
{
    autobuffer struct buffer buffer = BUFFER_INIT(100);

    for (int i = 0; i < 65536; i++) {
        char pair[] = {(char)(i >> 8), (char)i};
        size_t end = 1;

        buffer_reset(&buffer);
        buffer_add_json_string(&buffer, pair, sizeof(pair));
        while (buffer.data[end] != '"') {
            assert_true((unsigned char)buffer.data[end] >= 0x20);
            end += buffer.data[end] == '\\' ? 2 : 1;
        }
        assert_int_equal(end, buffer.size - 1);
    }
}

static const struct {
    const char *bytes, *seen;
} visible[] = {
    {"", ""},
    {"plain \"text\" \xc3\xa4 \xf0\x9f\xa4\x96",
     "plain \"text\" \xc3\xa4 \xf0\x9f\xa4\x96"},
    {"a\nverdict ok\r\t", "a\\nverdict ok\\r\\t"},
    {"\x1b[2J\x7f", "\\x1b[2J\\x7f"},
    {"C:\\new", "C:\\\\new"},
    {"\xff\xc3", "\\xff\\xc3"},
    {"\xc2\x9b"
     "31m\xc2\xa0",
     "\\xc2\\x9b"
     "31m\xc2\xa0"},
    {"\xe2\x80\xa8\xe2\x80\xae\xe2\x80\xaf",
     "\\xe2\\x80\\xa8\\xe2\\x80\\xae\xe2\x80\xaf"},
    {"\xe2\x81\xa6", "\\xe2\\x81\\xa6"},
};

static void shows_what_is_there(void **state)
{
    for (size_t i = 0; i < array_size(visible); i++) {
        autobuffer struct buffer buffer = BUFFER_INIT(100);

        buffer_add_visible(&buffer, visible[i].bytes, strlen(visible[i].bytes));
        assert_string_equal(buffer.data != NULL ? buffer.data : "", visible[i].seen);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adds),
        cmocka_unit_test(keeps_its_maximum),
        cmocka_unit_test(grows_byte_by_byte),
        cmocka_unit_test(an_error_stays),
        cmocka_unit_test(no_size_wraps),
        cmocka_unit_test(consumes),
        cmocka_unit_test(detaches),
        cmocka_unit_test(json_strings),
        cmocka_unit_test(no_byte_breaks_out),
        cmocka_unit_test(shows_what_is_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
