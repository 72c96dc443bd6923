/* SPDX-License-Identifier: MIT */
/*
 * When a child that died may be started again. Records alone, no process is started. Run
 * by ctest.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/log.h"
#include "supervisor/unit.h"

#include <signal.h>

#define KILLED   SIGKILL /* as waitpid(2) has it */
#define HELPLESS (125 << 8)
#define LONGEST  30000

/* It dies so long after it was ready. Returns how long from then it is put off. */
static int64_t die_ready(struct unit *unit, int64_t served_ms, int status)
{
    unit_ready(unit);
    unit->ready_ms -= served_ms;
    unit_died(unit, status);
    return unit->start_ms - unit->ready_ms - served_ms;
}

static int64_t die_starting(struct unit *unit)
{
    int64_t now = clock_now_ms();

    unit_started(unit, PROCESS_INIT, -1);
    unit_died(unit, KILLED);
    return unit->start_ms - now;
}

static struct unit relay(void)
{
    struct unit unit;

    unit_init(&unit, UNIT_RELAY, 0);
    return unit;
}

/* However often: jobs that it had run again when it is there. */
static void who_served_for_a_second_is_started_at_once(void **state)
{
    struct unit unit = relay();

    for (int i = 0; i < 20; i++) {
        assert_true(die_ready(&unit, 1000, KILLED) <= 0);
        assert_int_equal(unit.state, UNIT_OFF);
    }
}

static void who_dies_as_soon_as_it_is_ready_waits_a_little(void **state)
{
    static const int64_t delays[] = {100, 200, 400, 400, 400, 400};
    struct unit unit = relay();

    for (size_t i = 0; i < sizeof(delays) / sizeof(*delays); i++) {
        assert_int_equal(die_ready(&unit, 0, KILLED), delays[i]);
    }
}

static void who_does_not_get_ready_waits_longer_and_longer(void **state)
{
    struct unit unit = relay();
    int64_t least = 100;

    for (int i = 0; i < 12; i++) {
        assert_true(die_starting(&unit) >= least);
        least = 2 * least < LONGEST ? 2 * least : LONGEST;
    }
    assert_int_equal(die_ready(&unit, 0, KILLED), 100); /* that is over once it was */
}

/* It is killed again while it starts: that is the first failure of its kind. */
static void deaths_make_no_start_later(void **state)
{
    struct unit unit = relay();

    for (int i = 0; i < 6; i++) {
        (void)die_ready(&unit, 0, KILLED);
    }
    assert_in_range(die_starting(&unit), 100, 399);
    assert_int_equal(die_ready(&unit, 0, KILLED), 400);
}

static void failures_are_forgotten(void **state)
{
    struct unit unit = relay();

    (void)die_ready(&unit, 0, KILLED);
    (void)die_ready(&unit, 60000, KILLED);
    assert_int_equal(unit.deaths, 0);
    assert_int_equal(die_ready(&unit, 0, KILLED), 100);
}

static void who_says_so_waits_longest(void **state)
{
    struct unit unit = relay();
    int64_t now = clock_now_ms();

    (void)die_ready(&unit, 60000, HELPLESS);
    assert_true(unit.hopeless);
    assert_true(unit.start_ms >= now + LONGEST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_served_for_a_second_is_started_at_once),
        cmocka_unit_test(who_dies_as_soon_as_it_is_ready_waits_a_little),
        cmocka_unit_test(who_does_not_get_ready_waits_longer_and_longer),
        cmocka_unit_test(deaths_make_no_start_later),
        cmocka_unit_test(failures_are_forgotten),
        cmocka_unit_test(who_says_so_waits_longest),
    };

    log_open("test", (struct log_manner){LOG_ERROR, LOG_TEXT, ""});
    return cmocka_run_group_tests(tests, NULL, NULL);
}
