/* SPDX-License-Identifier: MIT */
/*
 * How zygotes follow one another: every state and event of the two places, and when a
 * relay may be linked. Records alone, no process is started. Run by ctest.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/log.h"
#include "supervisor/lifecycle.h"
#include "supervisor/succession.h"

#include <signal.h>

#define KILLED   SIGKILL /* as waitpid(2) has it */
#define HELPLESS (125 << 8)

/* The zygotes' places, of which most are about two, and a relay-> */
static struct unit units[UNIT_ZYGOTES + 1];
static struct unit *const one = &units[0], *const other = &units[1],
                          *const relay = &units[UNIT_ZYGOTES];

static struct unit in(enum unit_kind kind, uint32_t slot, enum unit_state state)
{
    struct unit unit;

    unit_init(&unit, kind, slot);
    unit.state = state;
    if (state == UNIT_READY || state == UNIT_RETIRING || state == UNIT_STARTING) {
        unit.peer = dup(STDERR_FILENO);
        assert_true(unit.peer >= 0);
    }
    return unit;
}

static int set_up(void **state)
{
    for (uint32_t i = 0; i < UNIT_ZYGOTES; i++) {
        units[i] = in(UNIT_ZYGOTE, i, UNIT_SPARE);
    }
    *relay = in(UNIT_RELAY, 0, UNIT_READY);
    return 0;
}

static int tear_down(void **state)
{
    for (size_t i = 0; i < array_size(units); i++) {
        close_fd(&units[i].peer);
    }
    return 0;
}

static void place(enum unit_state first, enum unit_state second)
{
    (void)tear_down(NULL);
    (void)set_up(NULL);
    *one = in(UNIT_ZYGOTE, 0, first);
    *other = in(UNIT_ZYGOTE, 1, second);
}

/* clang-format off */
static const struct {
    enum unit_state first, second;
    enum lifecycle_event event; /* of the first */
    enum unit_state then_first, then_second;
} rows[] = {
    /* at the start, and where nothing is renewed */
    {UNIT_STARTING, UNIT_SPARE,    LIFECYCLE_READY, UNIT_READY,    UNIT_SPARE},
    {UNIT_STARTING, UNIT_SPARE,    LIFECYCLE_DIED,  UNIT_OFF,      UNIT_SPARE},
    {UNIT_READY,    UNIT_SPARE,    LIFECYCLE_DIED,  UNIT_OFF,      UNIT_SPARE},
    /* a successor starts */
    {UNIT_STARTING, UNIT_READY,    LIFECYCLE_READY, UNIT_READY,    UNIT_RETIRING},
    {UNIT_STARTING, UNIT_READY,    LIFECYCLE_DIED,  UNIT_OFF,      UNIT_READY},
    {UNIT_READY,    UNIT_STARTING, LIFECYCLE_DIED,  UNIT_SPARE,    UNIT_STARTING},
    {UNIT_READY,    UNIT_OFF,      LIFECYCLE_DIED,  UNIT_SPARE,    UNIT_OFF},
    /* the former one goes on */
    {UNIT_RETIRING, UNIT_READY,    LIFECYCLE_DIED,  UNIT_SPARE,    UNIT_READY},
    {UNIT_READY,    UNIT_RETIRING, LIFECYCLE_DIED,  UNIT_OFF,      UNIT_RETIRING},
    {UNIT_STARTING, UNIT_RETIRING, LIFECYCLE_READY, UNIT_READY,    UNIT_RETIRING},
    {UNIT_STARTING, UNIT_RETIRING, LIFECYCLE_DIED,  UNIT_OFF,      UNIT_RETIRING},
    {UNIT_RETIRING, UNIT_STARTING, LIFECYCLE_DIED,  UNIT_SPARE,    UNIT_STARTING},
    {UNIT_RETIRING, UNIT_OFF,      LIFECYCLE_DIED,  UNIT_SPARE,    UNIT_OFF},
    /* worn: nothing happens yet */
    {UNIT_READY,    UNIT_SPARE,    LIFECYCLE_WORN,  UNIT_READY,    UNIT_SPARE},
    {UNIT_READY,    UNIT_RETIRING, LIFECYCLE_WORN,  UNIT_READY,    UNIT_RETIRING},
    {UNIT_RETIRING, UNIT_READY,    LIFECYCLE_WORN,  UNIT_RETIRING, UNIT_READY},
    {UNIT_RETIRING, UNIT_READY,    LIFECYCLE_READY, UNIT_RETIRING, UNIT_READY},
};
/* clang-format on */

static void every_row(void **state)
{
    for (size_t i = 0; i < array_size(rows); i++) {
        place(rows[i].first, rows[i].second);
        lifecycle_handle(one, other, rows[i].event, KILLED);
        assert_int_equal(one->state, rows[i].then_first);
        assert_int_equal(other->state, rows[i].then_second);
        assert_false(one->state == UNIT_READY && other->state == UNIT_READY);
        assert_true(one->state >= UNIT_STARTING || one->peer == -1);
    }
}

/* In a check there is one place. */
static void one_place(void **state)
{
    place(UNIT_STARTING, UNIT_SPARE);
    lifecycle_handle(one, NULL, LIFECYCLE_READY, 0);
    assert_int_equal(one->state, UNIT_READY);
    lifecycle_handle(one, NULL, LIFECYCLE_WORN, 0);
    succession_tend(one, 1);
    lifecycle_handle(one, NULL, LIFECYCLE_DIED, KILLED);
    assert_int_equal(one->state, UNIT_OFF);
}

static void tend(void)
{
    succession_tend(units, array_size(units));
}

/* How many places have been called. */
static int called(void)
{
    int count = 0;

    for (uint32_t i = 0; i < UNIT_ZYGOTES; i++) {
        count += units[i].state == UNIT_OFF;
    }
    return count;
}

/* Where nobody serves or will, and where who serves is worn and no other is in use. */
static void who_is_called(void **state)
{
    for (enum unit_state first = 0; first < UNIT_STATES; first++) {
        for (enum unit_state second = 0; second < UNIT_STATES; second++) {
            bool waits = first == UNIT_OFF || first == UNIT_STARTING ||
                         second == UNIT_OFF || second == UNIT_STARTING;
            bool serves = first == UNIT_READY || second == UNIT_READY;

            for (int worn = 0; worn < 2; worn++) {
                bool due = !waits && (!serves || (worn != 0 && first == UNIT_READY &&
                                                  second != UNIT_RETIRING));
                int before;

                if (first == UNIT_READY && second == UNIT_READY) {
                    continue;
                }
                place(first, second);
                one->worn = worn != 0;
                before = called();
                tend();
                assert_int_equal(called() - before, due);
                assert_true(one->state == first || first == UNIT_SPARE);
                tend();
                assert_int_equal(called() - before, due);
            }
        }
    }
}

/* A reload goes by places alone. */
static void a_place_is_called_as_long_as_one_is_free(void **state)
{
    place(UNIT_READY, UNIT_RETIRING);
    for (uint32_t i = 2; i < UNIT_ZYGOTES; i++) {
        assert_ptr_equal(succession_call(units, array_size(units)), &units[i]);
        assert_int_equal(units[i].state, UNIT_OFF);
        assert_ptr_equal(succession_heir(units, array_size(units)), &units[i]);
        assert_ptr_equal(succession_other(units, array_size(units), one), &units[i]);
        assert_ptr_equal(succession_other(units, array_size(units), &units[i]), one);
        units[i].state = UNIT_RETIRING;
    }
    assert_null(succession_call(units, array_size(units)));
    assert_null(succession_heir(units, array_size(units)));
    assert_null(succession_other(units, array_size(units), one));
    assert_null(succession_other(units, array_size(units), relay));
    assert_ptr_equal(succession_server(units, array_size(units)), one);
}

/* What a reload has called off, or what failed of it, is no burden to the next one. */
static void a_place_has_no_memory(void **state)
{
    place(UNIT_STARTING, UNIT_READY);
    lifecycle_handle(one, other, LIFECYCLE_DIED, HELPLESS);
    assert_true(one->hopeless && one->failures == 1);
    lifecycle_handle(one, other, LIFECYCLE_UNWANTED, 0);
    assert_int_equal(one->state, UNIT_SPARE);
    assert_ptr_equal(succession_call(units, array_size(units)), one);
    assert_true(!one->hopeless && one->failures == 0 && one->start_ms == 0);

    place(UNIT_STARTING, UNIT_READY);
    lifecycle_handle(one, other, LIFECYCLE_UNWANTED, 0);
    assert_int_equal(one->state, UNIT_RETIRING);
    lifecycle_handle(one, other, LIFECYCLE_READY, 0); /* under way when it was told */
    assert_int_equal(other->state, UNIT_READY);
    one->called_off = true;
    lifecycle_handle(one, other, LIFECYCLE_DIED, KILLED);
    assert_true(one->state == UNIT_SPARE && one->peer == -1 && !one->hopeless);
}

/* Worn is what was started before: not its successor. A successor that was worn before it
 * was READY (one day: by another change of the configuration) is renewed in its turn. */
static void what_is_worn(void **state)
{
    place(UNIT_READY, UNIT_SPARE);
    lifecycle_handle(one, other, LIFECYCLE_WORN, 0);
    assert_true(one->worn && !other->worn);
    tend();
    unit_started(other, PROCESS_INIT, -1);
    assert_false(other->worn);
    lifecycle_handle(other, one, LIFECYCLE_WORN, 0);
    lifecycle_handle(other, one, LIFECYCLE_READY, 0);
    tend();
    assert_int_equal(one->state, UNIT_RETIRING);
    lifecycle_handle(one, other, LIFECYCLE_DIED, 0);
    tend();
    assert_int_equal(one->state, UNIT_OFF);
    unit_started(one, PROCESS_INIT, -1);
    assert_false(one->worn);
}

static void a_successor_that_fails_waits_longer(void **state)
{
    int64_t before = 0;

    place(UNIT_STARTING, UNIT_READY);
    for (int i = 0; i < 5; i++) {
        int64_t now = clock_now_ms();

        one->state = UNIT_STARTING;
        lifecycle_handle(one, other, LIFECYCLE_DIED, KILLED);
        assert_true(one->start_ms - now > before);
        before = one->start_ms - now;
        assert_int_equal(other->state, UNIT_READY);
    }
    unit_failed(one);
    assert_true(one->start_ms > clock_now_ms() + before);
    assert_int_equal(one->failures, 6);
}

/* It does not wait for its own delay when nobody else serves. */
static void a_successor_follows_at_once(void **state)
{
    place(UNIT_READY, UNIT_OFF);
    other->start_ms = clock_now_ms() + 30000;
    other->hopeless = true;
    one->ready_ms = clock_now_ms() - 60000;
    lifecycle_handle(one, other, LIFECYCLE_DIED, KILLED);
    assert_true(other->start_ms <= clock_now_ms());
    place(UNIT_READY, UNIT_OFF);
    other->start_ms = 5;
    lifecycle_handle(one, other, LIFECYCLE_DIED, HELPLESS);
    assert_int_equal(other->start_ms, 5);
}

/* ---- links ---- */

static void a_link_is_given_once(void **state)
{
    place(UNIT_READY, UNIT_SPARE);
    assert_true(succession_may_link(one, relay));
    succession_linked(one, relay);
    assert_false(succession_may_link(one, relay));
    succession_unlinked(one, relay); /* it was closed: a message was malformed */
    assert_true(succession_may_link(one, relay));
}

static void who_is_not_ready_gets_none(void **state)
{
    for (enum unit_state first = 0; first < UNIT_STATES; first++) {
        place(first, UNIT_SPARE);
        assert_int_equal(succession_may_link(one, relay), first == UNIT_READY);
        place(UNIT_READY, UNIT_SPARE);
        relay->state = first;
        assert_int_equal(succession_may_link(one, relay), first == UNIT_READY);
    }
    place(UNIT_READY, UNIT_SPARE);
    close_fd(&relay->peer);
    assert_false(succession_may_link(one, relay));
}

/* A relay that lives is linked with the new zygote while its job runs in the former. */
static void a_renewal(void **state)
{
    place(UNIT_READY, UNIT_STARTING);
    succession_linked(one, relay);
    lifecycle_handle(other, one, LIFECYCLE_READY, 0);
    assert_true(succession_may_link(other, relay));
    assert_false(succession_may_link(one, relay));
    succession_linked(other, relay);
    assert_int_equal(relay->links[0].open, 1);
    succession_unlinked(one, relay);
    assert_int_equal(relay->links[0].open, 0);
    assert_false(succession_may_link(other, relay));
    /* The new one dies while the former is there, and is started again. */
    succession_linked(one, relay);
    succession_forget_zygote(other, relay);
    assert_true(succession_may_link(other, relay));
}

/* A relay that follows a dead one waits until what that ran in the former zygote is dead;
 * for the zygote that serves it need not wait, which greets it when it is time. */
static void a_relay_that_died(void **state)
{
    place(UNIT_RETIRING, UNIT_READY);
    succession_linked(one, relay);
    succession_linked(other, relay);
    succession_forget_relay(relay);
    assert_false(succession_may_link(other, relay));
    succession_unlinked(other, relay);
    assert_false(succession_may_link(other, relay));
    succession_unlinked(one, relay);
    assert_true(succession_may_link(other, relay));

    succession_linked(other, relay);
    succession_forget_relay(relay);
    assert_true(succession_may_link(other, relay));
    succession_linked(other, relay);
    assert_int_equal(relay->links[1].open, 2);
    succession_unlinked(other, relay); /* of the dead one */
    assert_false(succession_may_link(other, relay));
}

/* The former zygote is reaped: nobody waits for its word. */
static void a_relay_and_the_former_zygote_died(void **state)
{
    place(UNIT_RETIRING, UNIT_READY);
    succession_linked(one, relay);
    succession_forget_relay(relay);
    assert_false(succession_may_link(other, relay));
    succession_forget_zygote(one, relay);
    assert_true(succession_may_link(other, relay));
    succession_unlinked(one, relay); /* a word too many does no harm */
    assert_int_equal(relay->links[0].open, 0);
}

/* The relay died before a renewal, and the one that follows was linked with the zygote
 * that serves; a new zygote must not tell it that all is reaped before the former has. */
static void a_relay_that_died_before_the_renewal(void **state)
{
    place(UNIT_READY, UNIT_STARTING);
    succession_linked(one, relay);
    succession_forget_relay(relay);
    succession_linked(one, relay);
    lifecycle_handle(other, one, LIFECYCLE_READY, 0);
    assert_false(succession_may_link(other, relay));
    succession_unlinked(one, relay);
    assert_true(succession_may_link(other, relay));
}

int main(void)
{
#define ROW(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        ROW(every_row),
        ROW(one_place),
        ROW(who_is_called),
        ROW(a_place_is_called_as_long_as_one_is_free),
        ROW(a_place_has_no_memory),
        ROW(what_is_worn),
        ROW(a_successor_that_fails_waits_longer),
        ROW(a_successor_follows_at_once),
        ROW(a_link_is_given_once),
        ROW(who_is_not_ready_gets_none),
        ROW(a_renewal),
        ROW(a_relay_that_died),
        ROW(a_relay_and_the_former_zygote_died),
        ROW(a_relay_that_died_before_the_renewal),
    };

    log_open("test", (struct log_manner){LOG_ERROR, LOG_TEXT, ""});
    return cmocka_run_group_tests(tests, NULL, NULL);
}
