/* SPDX-License-Identifier: MIT */
/* The order in which a relay asks its queues. Run by ctest; trusts nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "worker/relay/queues.h"

#include <string.h>

static struct queues queues;

static void begin(const char *text)
{
    struct share shares[LIMIT_QUEUES];

    queues_init(&queues, shares, share_read(text, shares));
}

/* Asks all in order, of which `waiting` (a letter each: the queues' names) have jobs.
 * Returns the one that is served, '-' where nobody waits. */
static char serve(const char *waiting)
{
    queues_order(&queues);
    for (uint32_t i = 0; i < queues.count; i++) {
        uint32_t queue = queues.asked[i];

        if (strchr(waiting, queues.shares[queue].name[0]) != NULL) {
            queues_served(&queues, queue);
            return queues.shares[queue].name[0];
        }
    }
    queues_none(&queues);
    return '-';
}

static unsigned count(char queue, const char *waiting, int turns)
{
    unsigned served = 0;

    for (int i = 0; i < turns; i++) {
        served += serve(waiting) == queue;
    }
    return served;
}

static void shares_are_kept(void **state)
{
    begin("a:3 b c:4");
    assert_in_range(count('a', "abc", 800), 299, 301);
    assert_in_range(count('b', "abc", 800), 99, 101);
    assert_in_range(count('c', "abc", 800), 399, 401);
    assert_int_equal(count('b', "b", 50), 50);
}

/* Neither a credit for the time in which nobody waited there, nor a debt. */
static void nothing_is_saved_up(void **state)
{
    begin("a b:2");
    assert_int_equal(count('a', "a", 1000), 1000);
    assert_in_range(count('b', "ab", 300), 199, 201);
    assert_int_equal(count('b', "b", 1000), 1000);
    assert_in_range(count('a', "ab", 300), 99, 101);
}

/* Its jobs came one by one, each by a wake-up, while the other had none. */
static void who_came_alone_owes_nothing(void **state)
{
    begin("a b");
    for (int i = 0; i < 60; i++) {
        queues.woken = 0;
        assert_int_equal(serve("a"), 'a');
        assert_int_equal(serve(""), '-');
    }
    assert_in_range(count('a', "ab", 20), 9, 11);
}

static void each_is_asked_once(void **state)
{
    begin("a b c d:9 e f g h:100");
    for (int turn = 0; turn < 1000; turn++) {
        unsigned seen = 0;

        assert_true(serve("dh") != '-');
        queues.woken = turn % 9 < 8 ? (uint32_t)(turn % 9) : QUEUES_NONE;
        queues_order(&queues);
        for (uint32_t i = 0; i < queues.count; i++) {
            seen |= 1u << queues.asked[i];
        }
        assert_int_equal(seen, 0xff);
    }
}

/* Its wake-up is used up by us: nobody else would come. */
static void who_woke_us_comes_first(void **state)
{
    begin("a:100 b");
    assert_int_equal(serve("ab"), 'a');
    queues.woken = 1;
    assert_int_equal(serve("ab"), 'b');
    assert_int_equal(serve("ab"), 'a');
    queues.woken = 1;
    assert_int_equal(serve("ab"), 'b');
    assert_int_equal(serve("ab"), 'a');
}

static void names(void **state)
{
    begin("a ab b");
    assert_int_equal(queues_find(&queues, "ab"), 1);
    assert_int_equal(queues_find(&queues, "c"), QUEUES_NONE);
    assert_int_equal(queues_find(&queues, ""), QUEUES_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_are_kept),
        cmocka_unit_test(nothing_is_saved_up),
        cmocka_unit_test(who_came_alone_owes_nothing),
        cmocka_unit_test(each_is_asked_once),
        cmocka_unit_test(who_woke_us_comes_first),
        cmocka_unit_test(names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
