/* SPDX-License-Identifier: MIT */
/*
 * What is JSON, and what is none: each row whole and byte by byte. Run by ctest.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "supervisor/ctl/json_check.h"

#include "common/cleanup.h"

#include <string.h>

static const char *const good[] = {
    "0",
    "-0",
    "1",
    "-12",
    "0.5",
    "10.25e3",
    "1e9",
    "1E+9",
    "1e-09",
    "2e00",
    "true",
    "false",
    "null",
    " null\r\n\t",
    "\"\"",
    "\"a\"",
    "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
    "\"\\u00e9\\uD800\"",
    "\"\x7f\xc3\xa9\xff\"",
    "[]",
    "[ ]",
    "{}",
    "{ }",
    "[1]",
    "[1,2 , 3]",
    "[[],[[]],{}]",
    "{\"a\":1}",
    "{ \"\" : [] , \"a\" : { } }",
    "[{\"a\":[{\"b\":\"c\"}]},0]",
    "[\"]\"]",
    "{\"}\":\"{\"}",
    "[true,false,null,\"null\",-1.5e1]",
    "{\"a\":1,\"a\":2}",
};

static const char *const wrong[] = {
    "",
    " ",
    "\n",
    "01",
    "-",
    "-a",
    "+1",
    ".5",
    "1.",
    "1.e1",
    "1e",
    "1e+",
    "1ee1",
    "0x1",
    "1a",
    "NaN",
    "nan",
    "Infinity",
    "-Infinity",
    "tru",
    "truee",
    "True",
    "nulll",
    "n",
    "\"",
    "\"a",
    "\"\\\"",
    "\"\\x\"",
    "\"\\u12\"",
    "\"\\u123g\"",
    "\"\n\"",
    "\"\t\"",
    "'a'",
    "a",
    "\xc3\xa9",
    "\357\273\2771",
    "[",
    "]",
    "[1",
    "[1,]",
    "[,]",
    "[,1]",
    "[1 2]",
    "[1}",
    "{",
    "}",
    "{]",
    "[}",
    "{1:2}",
    "{\"a\"}",
    "{\"a\":}",
    "{\"a\":1,}",
    "{,}",
    "{\"a\" 1}",
    "{\"a\":1 \"b\":2}",
    "{\"a\":1]",
    "{a:1}",
    "{\"a\"::1}",
    "{\"a\":1:2}",
    "1 2",
    "1,2",
    "[] []",
    "{}{}",
    "\"\"\"\"",
    "[]]",
    "{}}",
    "null,",
    "true false",
    "[\"a\":1]",
    "// 1",
    "1 // 2",
    "/**/1",
};

static bool check(const char *text, size_t size, size_t step)
{
    static struct json_check json;

    json_check_begin(&json);
    for (size_t at = 0; at < size; at += step) {
        json_check_add(&json, text + at, step < size - at ? step : size - at);
    }
    return json_check_end(&json);
}

static void rows(void **state)
{
    for (size_t step = 1; step <= 1000; step += 999) {
        for (size_t i = 0; i < array_size(good); i++) {
            if (!check(good[i], strlen(good[i]), step)) {
                fail_msg("is JSON: %s", good[i]);
            }
        }
        for (size_t i = 0; i < array_size(wrong); i++) {
            if (check(wrong[i], strlen(wrong[i]), step)) {
                fail_msg("is no JSON: %s", wrong[i]);
            }
        }
    }
    assert_false(check("1\0", 2, 2));
    assert_false(check("\"\0\"", 3, 3));
    assert_false(check("[\0]", 3, 3));
}

/* What was begun does not matter to what comes then. */
static void begins_again(void **state)
{
    static struct json_check json;

    json_check_begin(&json);
    json_check_add(&json, "[[{\"a\":\"\\u1", 11);
    assert_false(json_check_end(&json));
    json_check_begin(&json);
    json_check_add(&json, "[1]", 3);
    assert_true(json_check_end(&json));
}

static void depth_is_bounded(void **state)
{
    static char text[2 * JSON_DEPTH + 2];

    memset(text, '[', JSON_DEPTH);
    memset(text + JSON_DEPTH, ']', JSON_DEPTH);
    assert_true(check(text, 2 * JSON_DEPTH, 1000));
    memset(text, '[', JSON_DEPTH + 1);
    memset(text + JSON_DEPTH + 1, ']', JSON_DEPTH + 1);
    assert_false(check(text, 2 * JSON_DEPTH + 2, 1000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows),
        cmocka_unit_test(begins_again),
        cmocka_unit_test(depth_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
