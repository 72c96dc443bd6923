/* SPDX-License-Identifier: MIT */
/*
 * How many workers there should be: what single looks decide, and what becomes of a pool
 * that does what it is told, second by second. Run by ctest.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "supervisor/scaling.h"

static const struct scaling_rules rules = {
    .least = 2, .most = 16, .up_ms = 500, .down_ms = 30000, .spare_mb = 256};

static void single_looks(void **state)
{
    static const struct {
        const char *what;
        struct scaling_view
            view; /* workers starting idle waiting oldest_ms available_mb */
        uint32_t rate;
        int difference;
        enum scaling_reason reason;
    } rows[] = {
        {"nothing to do", {2, 0, 2, 0, 0, 1000}, 1, 0, SCALING_NONE},
        {"a job waits", {2, 0, 0, 1, 500, 1000}, 1, 1, SCALING_JOBS},
        {"not for long", {2, 0, 0, 9, 499, 1000}, 1, 0, SCALING_NONE},
        {"somebody is idle", {2, 0, 1, 1, 900, 1000}, 1, 0, SCALING_NONE},
        {"somebody comes", {4, 2, 0, 2, 900, 1000}, 4, 0, SCALING_NONE},
        {"they are not enough", {4, 2, 0, 5, 900, 1000}, 4, 3, SCALING_JOBS},
        {"at the pace", {4, 0, 0, 100, 900, 1000}, 4, 4, SCALING_JOBS},
        {"to the most", {14, 0, 0, 100, 900, 1000}, 8, 2, SCALING_JOBS},
        {"not beyond", {16, 0, 0, 100, 900, 1000}, 8, 0, SCALING_NONE},
        {"2^64 - 1 jobs", {2, 0, 0, UINT64_MAX, 900, 1000}, 32, 14, SCALING_JOBS},
        {"memory is scarce", {4, 0, 0, 100, 900, 255}, 4, 0, SCALING_NONE},
        {"memory is short", {4, 0, 2, 0, 0, 127}, 1, -1, SCALING_MEMORY},
        {"all are busy", {4, 0, 0, 9, 900, 127}, 1, 0, SCALING_NONE},
        {"the least stay", {2, 0, 2, 0, 0, 1}, 1, 0, SCALING_NONE},
        {"memory is not known", {4, 0, 0, 100, 900, -1}, 4, 4, SCALING_JOBS},
        {"fewer than the least", {0, 0, 0, 0, 0, 1}, 1, 2, SCALING_BOUNDS},
        {"more than the most", {20, 0, 0, 99, 900, 1000}, 1, -4, SCALING_BOUNDS},
    };

    for (size_t i = 0; i < array_size(rows); i++) {
        struct scaling scaling = {.rate = rows[i].rate, .needed_ms = 100000};
        enum scaling_reason reason = SCALING_REASONS;
        int difference = scaling_decide(&scaling, &rules, &rows[i].view, 100000, &reason);

        if (difference != rows[i].difference || reason != rows[i].reason) {
            fail_msg("%s: %d for %d", rows[i].what, difference, reason);
        }
    }
}

static void memory_holds_back(void **state)
{
    static const struct {
        struct scaling_view view;
        bool held;
    } rows[] = {
        {{4, 0, 0, 100, 900, 255}, true}, {{4, 0, 0, 100, 900, 256}, false},
        {{4, 0, 0, 100, 0, 255}, false},  {{16, 0, 0, 100, 900, 255}, false},
        {{4, 0, 4, 1, 900, 255}, false},  {{1, 0, 0, 100, 900, 255}, false},
    };
    struct scaling scaling = {.rate = 4};
    enum scaling_reason reason;

    for (size_t i = 0; i < array_size(rows); i++) {
        (void)scaling_decide(&scaling, &rules, &rows[i].view, 100000, &reason);
        assert_int_equal(scaling.held, rows[i].held);
    }
}

struct pool {
    struct scaling scaling;
    struct scaling_view view;
    int64_t now_ms;
};

/* A second passes, in which the pool does as it is told. Returns by how much. */
static int pass(struct pool *pool, uint64_t jobs)
{
    enum scaling_reason reason;
    int difference;

    pool->view.idle = jobs < pool->view.workers ? pool->view.workers - (uint32_t)jobs : 0;
    pool->view.waiting = jobs > pool->view.workers ? jobs - pool->view.workers : 0;
    pool->view.oldest_ms = pool->view.waiting > 0 ? 1000 : 0;
    difference =
        scaling_decide(&pool->scaling, &rules, &pool->view, pool->now_ms, &reason);
    pool->view.workers = (uint32_t)((int)pool->view.workers + difference);
    pool->now_ms += 1000;
    assert_in_range(pool->view.workers, rules.least, rules.most);
    return difference;
}

static void up_in_steps_that_double(void **state)
{
    static const int steps[] = {1, 2, 4, 7, 0};
    struct pool pool = {.view = {.workers = 2, .available_mb = -1}};

    for (size_t i = 0; i < array_size(steps); i++) {
        assert_int_equal(pass(&pool, 1000), steps[i]);
    }
}

static void down_after_a_while_and_one_by_one(void **state)
{
    struct pool pool = {.view = {.workers = 16, .available_mb = -1}};

    (void)pass(&pool, 16);
    for (int second = 1; second < 30; second++) {
        assert_int_equal(pass(&pool, 0), 0);
    }
    for (int i = 0; i < 14; i++) {
        assert_int_equal(pass(&pool, 0), -1);
    }
    assert_int_equal(pass(&pool, 0), 0);
}

static void a_pause_costs_nobody(void **state)
{
    struct pool pool = {.view = {.workers = 8, .available_mb = -1}};

    for (int i = 0; i < 1000; i++) {
        assert_int_equal(pass(&pool, i % 29 == 0 ? 8 : 0), 0);
    }
}

/* One that is idle is what a pool needs that is neither too large nor too small. */
static void one_idle_is_stable(void **state)
{
    struct pool pool = {.view = {.workers = 8, .available_mb = -1}};

    for (int i = 0; i < 1000; i++) {
        assert_int_equal(pass(&pool, 7), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(single_looks),
        cmocka_unit_test(memory_holds_back),
        cmocka_unit_test(up_in_steps_that_double),
        cmocka_unit_test(down_after_a_while_and_one_by_one),
        cmocka_unit_test(a_pause_costs_nobody),
        cmocka_unit_test(one_idle_is_stable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
