/* SPDX-License-Identifier: MIT */
/*
 * What each event makes of a child in each state, of whatever kind. (How zygotes follow
 * one another is in succession_test.c.) Records alone, no process is started. Run by
 * ctest.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/role.h"
#include "supervisor/lifecycle.h"

#include <signal.h>

#define KILLED SIGKILL /* as waitpid(2) has it */

static const enum unit_kind kinds[] = {UNIT_REDIS, UNIT_ZYGOTE, UNIT_RELAY, UNIT_METRICS,
                                       UNIT_POOL};

/* What is not here changes nothing. RETIRING x DIED is each kind's own: see below. */
static const struct {
    enum unit_state state;
    enum lifecycle_event event;
    enum unit_state then;
} rows[] = {
    {UNIT_SPARE, LIFECYCLE_WANTED, UNIT_OFF},
    {UNIT_OFF, LIFECYCLE_UNWANTED, UNIT_SPARE},
    {UNIT_STARTING, LIFECYCLE_READY, UNIT_READY},
    {UNIT_STARTING, LIFECYCLE_UNWANTED, UNIT_RETIRING},
    {UNIT_STARTING, LIFECYCLE_DIED, UNIT_OFF},
    {UNIT_STARTING, LIFECYCLE_ENDED, UNIT_ENDED},
    {UNIT_READY, LIFECYCLE_UNWANTED, UNIT_RETIRING},
    {UNIT_READY, LIFECYCLE_DIED, UNIT_OFF},
    {UNIT_READY, LIFECYCLE_ENDED, UNIT_ENDED},
    {UNIT_RETIRING, LIFECYCLE_ENDED, UNIT_ENDED},
};

static enum unit_state expected(enum unit_state state, enum lifecycle_event event)
{
    for (size_t i = 0; i < array_size(rows); i++) {
        if (rows[i].state == state && rows[i].event == event) {
            return rows[i].then;
        }
    }
    return state;
}

static struct unit in(enum unit_kind kind, enum unit_state state)
{
    struct unit unit;

    unit_init(&unit, kind, 0);
    unit.state = state;
    return unit;
}

static void every_pair(void **state)
{
    for (size_t kind = 0; kind < array_size(kinds); kind++) {
        for (int from = 0; from < UNIT_STATES; from++) {
            for (int event = 0; event < LIFECYCLE_EVENTS; event++) {
                struct unit unit = in(kinds[kind], (enum unit_state)from);

                if (from == UNIT_RETIRING && event == LIFECYCLE_DIED) {
                    continue;
                }
                lifecycle_handle(&unit, NULL, (enum lifecycle_event)event, KILLED);
                assert_int_equal(unit.state, expected((enum unit_state)from,
                                                      (enum lifecycle_event)event));
            }
        }
    }
}

static void who_was_to_end(void **state)
{
    static const struct {
        enum unit_kind kind;
        bool again;
        int status;
        enum unit_state then;
    } ends[] = {
        {UNIT_ZYGOTE, false, 0, UNIT_SPARE},   {UNIT_ZYGOTE, false, KILLED, UNIT_SPARE},
        {UNIT_RELAY, false, 0, UNIT_SPARE},    {UNIT_RELAY, true, 0, UNIT_OFF},
        {UNIT_RELAY, false, KILLED, UNIT_OFF}, {UNIT_RELAY, true, KILLED, UNIT_OFF},
        {UNIT_POOL, false, 0, UNIT_SPARE},     {UNIT_POOL, false, KILLED, UNIT_SPARE},
    };

    for (size_t i = 0; i < array_size(ends); i++) {
        struct unit unit = in(ends[i].kind, UNIT_RETIRING);

        unit.again = ends[i].again;
        unit.busy = true;
        lifecycle_handle(&unit, NULL, LIFECYCLE_DIED, ends[i].status);
        assert_int_equal(unit.state, ends[i].then);
        assert_false(unit.again);
        assert_true(unit.kind != UNIT_RELAY || !unit.busy);
    }
}

/* Its READY was under way when it was told to end. */
static void who_gets_ready_too_late(void **state)
{
    struct unit relay = in(UNIT_RELAY, UNIT_STARTING);

    lifecycle_handle(&relay, NULL, LIFECYCLE_UNWANTED, 0);
    lifecycle_handle(&relay, NULL, LIFECYCLE_READY, 0);
    assert_int_equal(relay.state, UNIT_RETIRING);
    lifecycle_handle(&relay, NULL, LIFECYCLE_DIED, 0);
    assert_int_equal(relay.state, UNIT_SPARE);
}

/* However often it has failed. */
static void what_may_be_mended(void **state)
{
    struct unit pool = in(UNIT_POOL, UNIT_STARTING);

    lifecycle_handle(&pool, NULL, LIFECYCLE_DIED, ROLE_EXIT_CONFIG << 8);
    assert_true(pool.hopeless && pool.failures == 1 && pool.start_ms > 0);
    lifecycle_handle(&pool, NULL, LIFECYCLE_MENDED, 0);
    assert_true(!pool.hopeless && pool.failures == 0 && pool.start_ms == 0);
    assert_int_equal(pool.state, UNIT_OFF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pair),
        cmocka_unit_test(who_was_to_end),
        cmocka_unit_test(who_gets_ready_too_late),
        cmocka_unit_test(what_may_be_mended),
    };

    log_open("test", (struct log_manner){LOG_ERROR, LOG_TEXT, ""});
    return cmocka_run_group_tests(tests, NULL, NULL);
}
