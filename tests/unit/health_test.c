/* SPDX-License-Identifier: MIT */
/*
 * Who is asked, who is given up, and what counts as silence. The clock is the test's; the
 * child is a process that does nothing. Run by ctest.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/log.h"
#include "supervisor/health.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct fixture {
    struct pool pool;
    struct unit *unit;
    int child_end; /* of its socket */
    int64_t now_ms;
};

static pid_t start_child(void)
{
    pid_t pid = fork();

    if (pid == 0) {
        pause();
        _exit(0);
    }
    return pid;
}

static int set_up(void **state)
{
    static struct fixture fixture;
    struct process process = {.pid = start_child()};
    int pair[2];

    fixture = (struct fixture){.unit = &fixture.pool.units[0], .now_ms = 1000000};
    fixture.pool.phase = POOL_RUNNING;
    fixture.pool.count = 1;
    fixture.pool.asked_ms = fixture.now_ms;
    if (fd_pidfd_open(process.pid, &process.pidfd) < 0 || message_pair(pair) < 0) {
        return -1;
    }
    unit_init(fixture.unit, UNIT_ZYGOTE, 0);
    unit_started(fixture.unit, process, pair[0]);
    unit_ready(fixture.unit);
    fixture.child_end = pair[1];
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    if (fixture->unit->process.pid != 0) {
        (void)kill(fixture->unit->process.pid, SIGKILL);
        (void)waitpid(fixture->unit->process.pid, NULL, 0);
    }
    close_fd(&fixture->unit->process.pidfd);
    close_fd(&fixture->unit->peer);
    close_fd(&fixture->child_end);
    return 0;
}

static void pass(struct fixture *fixture, int64_t ms)
{
    fixture->now_ms += ms;
    health_tend(&fixture->pool, fixture->now_ms);
}

static unsigned take_pings(struct fixture *fixture)
{
    struct message message;
    unsigned pings = 0;

    while (message_receive(fixture->child_end, 1u << MESSAGE_PING, &message) == 1) {
        pings++;
    }
    return pings;
}

/* Reaps it if it has been killed: SIGKILL is not to be missed, only to be waited for. */
static bool is_killed(struct fixture *fixture)
{
    struct unit *unit = fixture->unit;
    siginfo_t info = {0};
    int status = 0;

    if (unit->silent_ms != 0 ||
        waitid(P_PID, (id_t)unit->process.pid, &info, WEXITED | WNOWAIT) != 0) {
        return false;
    }
    (void)waitpid(unit->process.pid, &status, 0);
    unit->process.pid = 0;
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static void who_is_there_is_asked_from_time_to_time(void **state)
{
    struct fixture *fixture = *state;

    pass(fixture, HEALTH_ASK_MS - 1);
    assert_int_equal(take_pings(fixture), 0);
    pass(fixture, 1);
    assert_int_equal(take_pings(fixture), 1);
    assert_int_equal(health_next_ms(&fixture->pool), fixture->now_ms + HEALTH_ASK_MS);
    fixture->pool.phase = POOL_DRAINING;
    assert_int_equal(health_next_ms(&fixture->pool), CLOCK_NEVER);
}

static void who_starts_is_not_asked(void **state)
{
    struct fixture *fixture = *state;

    fixture->unit->state = UNIT_STARTING;
    pass(fixture, HEALTH_ASK_MS);
    assert_int_equal(take_pings(fixture), 0);
}

/* At the start, too: nobody else would ever say which one it is. */
static void a_host_module_that_is_not_loaded_is_given_up(void **state)
{
    struct fixture *fixture = *state;
    const struct message_loading message = {.what = "sim"};

    fixture->pool.phase = POOL_STARTING;
    fixture->unit->state = UNIT_STARTING;
    assert_int_equal(loading_open(&fixture->unit->loading), 0);
    for (int64_t ms = 0; ms < LOADING_MS; ms += HEALTH_ASK_MS) {
        pass(fixture, HEALTH_ASK_MS);
    }
    assert_int_equal(fixture->unit->silent_ms, 0);
    loading_note(&fixture->unit->loading, &message);
    for (int64_t ms = HEALTH_ASK_MS; ms < LOADING_MS; ms += HEALTH_ASK_MS) {
        pass(fixture, HEALTH_ASK_MS);
        assert_int_equal(fixture->unit->silent_ms, ms);
    }
    pass(fixture, HEALTH_ASK_MS);
    assert_true(is_killed(fixture));
    assert_true(loading_died(&fixture->unit->loading, SIGKILL));
    assert_false(loading_died(&fixture->unit->loading, SIGKILL));
}

static void who_is_silent_for_too_long_is_killed(void **state)
{
    struct fixture *fixture = *state;
    int64_t most_ms = health_patience_ms(UNIT_ZYGOTE, UNIT_READY);

    for (int64_t ms = HEALTH_ASK_MS; ms < most_ms; ms += HEALTH_ASK_MS) {
        pass(fixture, HEALTH_ASK_MS);
        assert_int_equal(fixture->unit->silent_ms, ms);
    }
    pass(fixture, HEALTH_ASK_MS);
    assert_true(is_killed(fixture));
}

/* However often, and for however long. */
static void time_in_which_nobody_asked_is_no_silence(void **state)
{
    struct fixture *fixture = *state;

    for (int i = 0; i < 10; i++) {
        pass(fixture, 15000);
    }
    assert_int_equal(fixture->unit->silent_ms, 0);
    assert_int_equal(take_pings(fixture), 10);
    assert_int_equal(health_counts_ms(1000, 1000 + 2 * HEALTH_ASK_MS), 0);
    assert_int_equal(health_counts_ms(1000, 999 + 2 * HEALTH_ASK_MS),
                     2 * HEALTH_ASK_MS - 1);
}

/* A socket that has ended ends its child, or the child is given up as any other. */
static void who_cannot_be_asked_is_given_up_as_well(void **state)
{
    struct fixture *fixture = *state;

    close_fd(&fixture->unit->peer);
    for (int i = 0; i < 5; i++) {
        pass(fixture, HEALTH_ASK_MS);
    }
    assert_true(is_killed(fixture));
}

/* In each state in which there is a process. */
static void nobody_is_waited_for_for_ever(void **state)
{
    static const enum unit_kind kinds[] = {UNIT_ZYGOTE, UNIT_RELAY};

    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        assert_true(health_patience_ms(kinds[i], UNIT_STARTING) > 0);
        assert_true(health_patience_ms(kinds[i], UNIT_READY) > 0);
        assert_true(health_patience_ms(kinds[i], UNIT_RETIRING) > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(who_is_there_is_asked_from_time_to_time, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(who_starts_is_not_asked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_host_module_that_is_not_loaded_is_given_up,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_is_silent_for_too_long_is_killed, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(time_in_which_nobody_asked_is_no_silence, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(who_cannot_be_asked_is_given_up_as_well, set_up,
                                        tear_down),
        cmocka_unit_test(nobody_is_waited_for_for_ever),
    };

    log_open("test", (struct log_manner){LOG_ERROR, LOG_TEXT, ""});
    return cmocka_run_group_tests(tests, NULL, NULL);
}
