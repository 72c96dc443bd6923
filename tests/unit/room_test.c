/* SPDX-License-Identifier: MIT */
/*
 * Output in proportion to a recording: names that are cut, and what there is room for.
 * Run by ctest.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "supervisor/ctl/room.h"

#include "common/utf8.h"

#include <string.h>

static void names_are_cut(void **state)
{
    char name[TRACE_TEXT_ONE + 1] = "", to[ROOM_TEXT];

    for (size_t size = 0; size < TRACE_TEXT_ONE; size++) {
        const char *shown = room_name(name, to);

        assert_int_equal(shown == name, size <= ROOM_NAME);
        assert_int_equal(room_path(name, to) == name, size <= ROOM_NAME);
        assert_true(strlen(shown) < ROOM_TEXT);
        name[size] = (char)('a' + size % 26);
    }
    assert_string_equal(room_name(name, to) + ROOM_NAME - 3, "vwx...");
    assert_string_equal(room_path("/robot/a.py", to), "/robot/a.py");
    assert_memory_equal(room_path(name, to), "...", 3);
    assert_string_equal(to + 3, name + strlen(name) - ROOM_NAME);
}

/* Between characters, and sooner where they are written as two. */
static void cut_between_characters(void **state)
{
    char name[TRACE_TEXT_ONE + 1] = "", to[ROOM_TEXT];

    for (size_t i = 0; i < 100; i++) {
        strncat(name, "\xe2\x82\xac", 4);
    }
    assert_int_equal(strlen(room_name(name, to)), 42 * 3 + 3);
    assert_true(utf8_valid(to, strlen(to)));
    assert_int_equal(strlen(room_path(name, to)), 42 * 3 + 3);
    assert_true(utf8_valid(to, strlen(to)));
    memset(name, '"', 300);
    assert_int_equal(strlen(room_name(name, to)), ROOM_NAME / 2 + 3);
    assert_int_equal(strlen(room_path(name, to)), ROOM_NAME / 2 + 3);
}

/* A call counts once, with its end. */
static void room_is_spent(void **state)
{
    struct trace_event call = {.kind = WIRE_CALL, .call = {"f", "a.py", 1}};
    struct trace_event end = {.kind = WIRE_RETURN, .call = {"f", "a.py", 1}};
    struct room room = {.base = 1000, .read = 1};
    uint64_t used;

    for (int i = 0; i < 5; i++) {
        assert_true(room_left(&room));
        room_spend(&room, &call);
        used = room.used;
        room_spend(&room, &end);
        assert_int_equal(room.used, used);
    }
    assert_false(room_left(&room));
    room.read = 3;
    assert_true(room_left(&room));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_cut),
        cmocka_unit_test(cut_between_characters),
        cmocka_unit_test(room_is_spent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
