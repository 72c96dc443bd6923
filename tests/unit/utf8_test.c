/* SPDX-License-Identifier: MIT */
/*
 * UTF-8: every code point there is, every lead byte with every second byte, and the
 * cleaning of texts for logs and reports. Run by ctest; trusts nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "common/utf8.h"

#include <string.h>

static void every_code_point(void **state)
{
    for (uint32_t code = 0; code < 0x1fffff; code++) {
        char bytes[4];
        size_t length = utf8_encode(code, bytes);
        bool valid = code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
        int found = utf8_sequence(bytes, length);

        if (found != (valid ? (int)length : 0) || utf8_valid(bytes, length) != valid) {
            fail_msg("code point %x: %d", code, found);
        }
        assert_int_equal(utf8_decode(bytes, length), code);
    }
}

static void characters_are_counted(void **state)
{
    static const char text[] = "a\u00e9\u65e5\U0001f40e\u0301";

    assert_int_equal(utf8_characters("", 0), 0);
    assert_int_equal(utf8_characters(text, strlen(text)), 5);
    assert_int_equal(utf8_characters(text, 3), 2);
}

/* A valid character cut short asks for more; with one byte behind it it does not. */
static void prefixes_ask_for_more(void **state)
{
    static const uint32_t codes[] = {0x80,   0x7ff,  0x800,   0xfff,   0xd7ff,
                                     0xe000, 0xffff, 0x10000, 0x10ffff};

    for (size_t i = 0; i < array_size(codes); i++) {
        char bytes[5] = {0};
        size_t length = utf8_encode(codes[i], bytes);

        for (size_t cut = 0; cut < length; cut++) {
            assert_int_equal(utf8_sequence(bytes, cut), -1);
            if (cut > 0) {
                assert_false(utf8_valid(bytes, cut));
            }
        }
        bytes[length] = 'x';
        assert_int_equal(utf8_sequence(bytes, length + 1), length);
        bytes[length - 1] = 'x';
        assert_int_equal(utf8_sequence(bytes, length + 1), 0);
    }
}

/* clang-format off */
static const struct {
    const char *bytes;
    size_t size;
    int length;
} rows[] = {
    {"\x80", 1, 0},             {"\xbf", 1, 0},             /* a tail alone */
    {"\xc0\x80", 2, 0},         {"\xc1\xbf", 2, 0},         /* too long */
    {"\xe0\x80\x80", 3, 0},     {"\xe0\x9f\xbf", 3, 0},
    {"\xf0\x80\x80\x80", 4, 0}, {"\xf0\x8f\xbf\xbf", 4, 0},
    {"\xed\xa0\x80", 3, 0},     {"\xed\xbf\xbf", 3, 0},     /* surrogates */
    {"\xf4\x90\x80\x80", 4, 0}, {"\xf5\x80\x80\x80", 4, 0}, /* above U+10FFFF */
    {"\xf8\x88\x80\x80\x80", 5, 0},
    {"\xfe", 1, 0},             {"\xff", 1, 0},
    {"\xe0\x80", 2, 0},         {"\xed\xa0", 2, 0},         /* wrong already */
    {"\xe0\xa0", 2, -1},        {"\xf0\x90\x80", 3, -1},    /* right so far */
    {"\0", 1, 1},
};
/* clang-format on */

static void hostile_sequences(void **state)
{
    for (size_t i = 0; i < array_size(rows); i++) {
        assert_int_equal(utf8_sequence(rows[i].bytes, rows[i].size), rows[i].length);
    }
}

/* As TextDecoder has it, and Python's "replace". */
static void replaced_by_one_character(void **state)
{
    static const struct {
        const char *bytes;
        size_t size, replaced;
    } runs[] = {
        {"\x80", 1, 1},         {"\xff\xfe", 2, 1},     {"\xc0\x80", 2, 1},
        {"\xc3(", 2, 1},        {"\xe2\x82", 2, 2},     {"\xe2\x82x", 3, 2},
        {"\xf0\x9f\x90", 3, 3}, {"\xf0\x9f\xff", 3, 2}, {"\xed\xa0\x80", 3, 1},
        {"\xe0\x80\xaf", 3, 1}, {"\xf4\x90\x80", 3, 1}, {"\xf5\x80", 2, 1},
    };

    for (size_t i = 0; i < array_size(runs); i++) {
        assert_int_equal(utf8_replaced(runs[i].bytes, runs[i].size), runs[i].replaced);
    }
}

static void empty_is_valid(void **state)
{
    assert_true(utf8_valid("", 0));
    assert_int_equal(utf8_sequence("", 0), -1);
}

/* clang-format off */
static const struct {
    const char *from;
    size_t size, room;
    const char *to;
} copies[] = {
    {"abc", 3, 10, "abc"},
    {"abc", 3, 4, "abc"},
    {"abc", 3, 3, "ab"},
    {"abc", 3, 1, ""},
    {"", 0, 1, ""},
    {"a\tb\nc", 5, 10, "a\tb\nc"},
    {"\x1b[31m\r\0\x7f", 8, 20, "?[31m???"},
    {"\xff\xfe", 2, 10, "??"},
    {"\xf0\x9f\x90x\xed\xa0\x80", 7, 10, "?x???"},
    {"\xc3\xa4\xc3", 3, 10, "\xc3\xa4?"},
    {"\xc3\xa4\xc3\xa4", 4, 4, "\xc3\xa4"}, /* cut between characters */
    {"a\xe2\x80\xae" "b\xc2\x9b\xe2\x81\xa6" "c\xe2\x80\xa8", 14, 20, "a?b??c?"}, /* moves others */
    {"\xe2\x80\xa7\xe2\x80\xaf\xc2\xa0", 8, 20, "\xe2\x80\xa7\xe2\x80\xaf\xc2\xa0"},
    {"\xf0\x9f\xa4\x96", 4, 4, ""},
    {"\xf0\x9f\xa4\x96", 4, 5, "\xf0\x9f\xa4\x96"},
};
/* clang-format on */

static void copies_clean(void **state)
{
    for (size_t i = 0; i < array_size(copies); i++) {
        char to[32];

        memset(to, '#', sizeof(to));
        assert_int_equal(
            utf8_copy_clean(to, copies[i].room, copies[i].from, copies[i].size),
            strlen(copies[i].to));
        assert_string_equal(to, copies[i].to);
        assert_int_equal(to[copies[i].room], '#');
    }
}

/* Only what the end cuts off is left out, and nothing of what never was a character. */
static void whole_characters(void **state)
{
    static const struct {
        const char *bytes;
        size_t whole;
    } cases[] = {
        {"", 0},          {"a", 1},        {"\xc3", 0},          {"a\xc3", 1},
        {"\xc3\xa9", 2},  {"\xe2\x82", 0}, {"a\xe2\x82\xac", 4}, {"\xf0\x9f\x90", 0},
        {"b\xf0\x9f", 1}, {"\xff", 1},     {"\x80\x80\x80", 3},  {"\xe2\x82\xe2", 2},
        {"\xc0", 1},
    };

    for (size_t i = 0; i < array_size(cases); i++) {
        assert_int_equal(utf8_whole(cases[i].bytes, strlen(cases[i].bytes)),
                         cases[i].whole);
    }
}

/* Unicode's Default_Ignorable_Code_Point, and what else nobody sees, or moves others. */
static const struct {
    uint32_t first, last;
} unseen[] = {
    {0x80, 0x9f},       {0xad, 0xad},       {0x34f, 0x34f},     {0x61c, 0x61c},
    {0x115f, 0x1160},   {0x17b4, 0x17b5},   {0x180b, 0x180f},   {0x200b, 0x200f},
    {0x2028, 0x202e},   {0x2060, 0x206f},   {0x2800, 0x2800},   {0x3164, 0x3164},
    {0xfe00, 0xfe0f},   {0xfeff, 0xfeff},   {0xffa0, 0xffa0},   {0xfff0, 0xfffb},
    {0x13430, 0x1343f}, {0x16fe4, 0x16fe4}, {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a},
    {0xe0000, 0xe0fff},
};

static bool is_unseen(uint32_t code)
{
    for (size_t i = 0; i < array_size(unseen); i++) {
        if (code >= unseen[i].first && code <= unseen[i].last) {
            return true;
        }
    }
    return false;
}

static void what_nobody_sees(void **state)
{
    for (uint32_t code = 0x80; code < 0x110000; code++) {
        char bytes[4];
        size_t length = code < 0xd800 || code >= 0xe000 ? utf8_encode(code, bytes) : 0;

        if (length > 0 &&
            (utf8_moves(bytes, length) || utf8_hides(bytes, length)) != is_unseen(code)) {
            fail_msg("U+%04X", code);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point),
        cmocka_unit_test(characters_are_counted),
        cmocka_unit_test(prefixes_ask_for_more),
        cmocka_unit_test(hostile_sequences),
        cmocka_unit_test(replaced_by_one_character),
        cmocka_unit_test(empty_is_valid),
        cmocka_unit_test(copies_clean),
        cmocka_unit_test(whole_characters),
        cmocka_unit_test(what_nobody_sees),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
