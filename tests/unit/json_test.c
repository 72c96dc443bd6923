/* SPDX-License-Identifier: MIT */
/*
 * Values out of the JSON of a result: what a program chose for a string cannot stand in
 * for another value. Run by ctest.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "supervisor/ctl/json.h"

#include <string.h>

static const char result[] =
    "{\"kind\":\"result\",\"verdict\":\"exit\",\"claim\":\"\\\"exit_code\\\":0,"
    "\\\\\",\"exit_code\":7,\"sentence\":\"a\\n\\u001b\\\"b\\\" \\/ \xc3\xa4\","
    "\"empty\":\"\",\"low\":-5}";

static void numbers(void **state)
{
    int64_t number = 1;

    assert_true(json_number(result, "exit_code", &number));
    assert_int_equal(number, 7);
    assert_true(json_number(result, "low", &number));
    assert_int_equal(number, -5);
    assert_false(json_number(result, "verdict", &number));
    assert_false(json_number(result, "code", &number));
    assert_false(json_number("{\"n\":99999999999999999999999}", "n", &number));
    assert_false(json_number("", "n", &number));
    assert_int_equal(number, -5);
}

static void assert_text(const char *json, const char *name, const char *text)
{
    autobuffer struct buffer found = BUFFER_INIT(100);

    assert_true(json_text(json, name, &found));
    assert_string_equal(found.data, text);
}

static void texts(void **state)
{
    autobuffer struct buffer none = BUFFER_INIT(100);

    assert_text(result, "verdict", "exit");
    assert_text(result, "claim", "\"exit_code\":0,\\");
    assert_text(result, "sentence", "a\n\x1b\"b\" / \xc3\xa4");
    assert_text(result, "empty", "");
    assert_false(json_text(result, "exit_code", &none));
    assert_false(json_text(result, "exit", &none));
}

/* A text that is cut off anywhere is read to its end and no further. */
static void cut_off(void **state)
{
    for (size_t size = 0; size < sizeof(result); size++) {
        autofree char *part = strndup(result, size);
        autobuffer struct buffer text = BUFFER_INIT(100);
        int64_t number;

        (void)json_number(part, "exit_code", &number);
        (void)json_text(part, "sentence", &text);
        (void)json_text(part, "claim", &text);
    }
    assert_text("{\"a\":\"x\\u00", "a", "x");
    assert_text("{\"a\":\"x\\", "a", "x");
    assert_text("{\"a\":\"\\uffffy\"", "a", "?y");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers),
        cmocka_unit_test(texts),
        cmocka_unit_test(cut_off),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
