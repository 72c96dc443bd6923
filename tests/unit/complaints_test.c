/* SPDX-License-Identifier: MIT */
/* What a relay says of a Redis that refuses, and how often. Run by ctest; trusts nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "worker/relay/complaints.h"

#include <stdio.h>
#include <string.h>

static void what_goes_on_is_said_once(void **state)
{
    struct complaints complaints = {0};

    assert_true(complaints_add(&complaints, "OOM", 1000));
    for (int64_t ms = 1000; ms < 60000; ms += 1000) {
        assert_false(complaints_add(&complaints, "OOM", ms));
    }
    assert_false(complaints_add(&complaints, "OOM", 59000 + COMPLAINTS_QUIET_MS - 1));
    assert_true(complaints_add(&complaints, "OOM", 59000 + 2 * COMPLAINTS_QUIET_MS));
}

static void who_asked_makes_no_difference(void **state)
{
    struct complaints complaints = {0};

    assert_true(
        complaints_add(&complaints, "OOM full. script: a, on @user_function:7.", 0));
    assert_false(
        complaints_add(&complaints, "OOM full. script: b, on @user_function:9.", 1));
    assert_false(complaints_add(&complaints, "OOM full.", 2));
    assert_true(complaints_add(&complaints, "OOM full", 3));
}

/* Several in turn, each of them as often. */
static void each_other_one_is_said(void **state)
{
    static const char *const errors[] = {"NOPERM a", "NOPERM b", "NOPERM", "OOM",
                                         "NOPERM ab"};
    struct complaints complaints = {0};

    for (int64_t ms = 1000; ms < 30000; ms += 500) {
        for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
            assert_int_equal(complaints_add(&complaints, errors[i], ms), ms == 1000);
        }
    }
}

static void more_than_are_kept(void **state)
{
    struct complaints complaints = {0};
    char error[32];

    for (int i = 0; i < 100; i++) {
        (void)snprintf(error, sizeof(error), "ERR %d", i);
        assert_true(complaints_add(&complaints, error, i));
    }
    assert_false(complaints_add(&complaints, "ERR 99", 100));
    assert_true(complaints_add(&complaints, "ERR 0", 100));
}

/* Cut, and nothing beside it is written. */
static void long_and_empty_ones(void **state)
{
    struct complaints complaints = {0};
    char error[1000];

    memset(error, 'x', sizeof(error) - 1);
    error[sizeof(error) - 1] = '\0';
    assert_true(complaints_add(&complaints, error, 1));
    error[500] = 'y';
    assert_false(complaints_add(&complaints, error, 2));
    assert_true(complaints_add(&complaints, "", 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_goes_on_is_said_once),
        cmocka_unit_test(who_asked_makes_no_difference),
        cmocka_unit_test(each_other_one_is_said),
        cmocka_unit_test(more_than_are_kept),
        cmocka_unit_test(long_and_empty_ones),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
