/* SPDX-License-Identifier: MIT */
/* Passwords in words of a command line: gone from there, whole in the copy. Run by ctest.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/secret.h"

#include <string.h>

/* clang-format off */
static const struct {
    const char *word, *left;
} rows[] = {
    {"redis://:sesame@host", "redis://*******@host"},
    {"--redis=redis://me:p@ss@host:1/2", "--redis=redis://*******@host:1/2"},
    {"redis://@host", "redis://@host"},
    {"redis://host:6379", "redis://host:6379"},
    {"unix:/run/a@b", "unix:/run/a@b"},
    {"", ""},
};
/* clang-format on */

static void hides(void **state)
{
    char words[array_size(rows)][64];
    char *argv[array_size(rows) + 1] = {NULL};

    for (size_t i = 0; i < array_size(rows); i++) {
        (void)strncpy(words[i], rows[i].word, sizeof(words[i]));
        argv[i] = words[i];
    }
    assert_int_equal(secret_hide_argv(array_size(rows), argv), 0);
    for (size_t i = 0; i < array_size(rows); i++) {
        assert_string_equal(words[i], rows[i].left);
        assert_string_equal(argv[i], rows[i].word);
        if (argv[i] != words[i]) {
            free(argv[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(hides)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
