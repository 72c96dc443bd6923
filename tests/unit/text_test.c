/* SPDX-License-Identifier: MIT */
/*
 * Questions to a text: endings, and the hash by vectors of its authors; and what is
 * quoted of it. Run by ctest; trusts nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "common/text.h"

#include <stdio.h>
#include <string.h>

/* clang-format off */
static const struct {
    const char *text, *end;
    bool exact, any_case;
} endings[] = {
    {"robot.py", ".py", true, true},
    {"ROBOT.PY", ".py", false, true},
    {".py", ".py", true, true},
    {"py", ".py", false, false},
    {"", ".py", false, false},
    {"robot.pyc", ".py", false, false},
    {"robot", "", true, true},
};

/* http://www.isthe.com/chongo/src/fnv/test_fnv.c */
static const struct {
    const char *text;
    uint64_t hash;
} hashes[] = {
    {"", UINT64_C(0xcbf29ce484222325)},
    {"a", UINT64_C(0xaf63dc4c8601ec8c)},
    {"foobar", UINT64_C(0x85944171f73967e8)},
};
/* clang-format on */

static void ends(void **state)
{
    (void)state;
    for (size_t i = 0; i < array_size(endings); i++) {
        const char *text = endings[i].text, *end = endings[i].end;

        assert_int_equal(text_ends_with(text, end), endings[i].exact);
        assert_int_equal(text_ends_with_any_case(text, end), endings[i].any_case);
    }
}

static void hash(void **state)
{
    (void)state;
    for (size_t i = 0; i < array_size(hashes); i++) {
        assert_int_equal(text_add_hash(TEXT_HASH, hashes[i].text), hashes[i].hash);
    }
    assert_int_equal(text_add_hash(text_add_hash(TEXT_HASH, "foo"), "bar"),
                     text_add_hash(TEXT_HASH, "foobar"));
}

static void words(void **state)
{
    static const char *const lists[] = {"a bb c", " a  bb c ", "bb"};

    (void)state;
    for (size_t i = 0; i < array_size(lists); i++) {
        assert_true(text_has_word(lists[i], "bbb", 2));
        assert_false(text_has_word(lists[i], "bbb", 3));
        assert_false(text_has_word(lists[i], "bbb", 1));
        assert_false(text_has_word(lists[i], "", 0));
    }
    assert_false(text_has_word("", "bb", 2));
}

static void quotes(void **state)
{
    char text[TEXT_QUOTED + 2], expected[TEXT_QUOTED + 8];

    (void)state;
    memset(text, 'x', TEXT_QUOTED);
    text[TEXT_QUOTED] = '\0';
    assert_string_equal(text_quote("").text, "");
    assert_string_equal(text_quote(text).text, text);
    (void)snprintf(expected, sizeof(expected), "%s...", text);
    memcpy(text + TEXT_QUOTED, "y", 2);
    assert_string_equal(text_quote(text).text, expected);
    memcpy(text + TEXT_QUOTED - 1, "\xc3\xbc", 3); /* cut between its bytes */
    memcpy(expected + TEXT_QUOTED - 1, "...", 4);
    assert_string_equal(text_quote(text).text, expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ends),
        cmocka_unit_test(hash),
        cmocka_unit_test(words),
        cmocka_unit_test(quotes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
