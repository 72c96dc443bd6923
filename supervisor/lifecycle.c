/* SPDX-License-Identifier: MIT */
/*
 * The children's table of state and event. Runs in the supervisor, on its own records;
 * makes no system call but to close a socket. Must never let two zygotes serve at once,
 * nor end one that serves before another does.
 */
#include "supervisor/lifecycle.h"

#include "common/cleanup.h"
#include "common/log.h"

#include <stddef.h>
#include <sys/wait.h>

typedef void lifecycle_handler(struct unit *one, struct unit *other, int status);

static bool is_in(const struct unit *unit, enum unit_state state)
{
    return unit != NULL && unit->state == state;
}

static void forgive(struct unit *one, struct unit *other, int unused)
{
    one->start_ms = 0;
    one->failures = one->deaths = 0;
    one->hopeless = false;
}

/* What befell whoever had the place before is no concern of this one. */
static void call(struct unit *one, struct unit *other, int unused)
{
    forgive(one, other, unused);
    one->state = UNIT_OFF;
}

static void dismiss(struct unit *one, struct unit *other, int unused)
{
    one->state = UNIT_SPARE;
}

static void retire(struct unit *one, struct unit *other, int unused)
{
    one->state = UNIT_RETIRING;
}

static void fail(struct unit *one, struct unit *other, int unused)
{
    unit_failed(one);
}

static void wear(struct unit *one, struct unit *other, int unused)
{
    one->worn = true;
}

static void take_over(struct unit *one, struct unit *other, int unused)
{
    if (is_in(other, UNIT_READY)) {
        other->state = UNIT_RETIRING;
    }
    unit_ready(one);
}

static void try_again(struct unit *one, struct unit *other, int status)
{
    unit_died(one, status);
}

static void follow(struct unit *one, struct unit *other, int status)
{
    unit_died(one, status);
    if (is_in(other, UNIT_OFF) && one->start_ms < other->start_ms) {
        other->start_ms = one->start_ms;
    }
    if (is_in(other, UNIT_OFF) || is_in(other, UNIT_STARTING)) {
        one->state = UNIT_SPARE;
    }
}

/* What it ran is lost, as ever, and its place is free in any case. */
static void rest_for_good(struct unit *one, int status)
{
    if (status == 0) {
        log_info("%s is over", unit_label(one).text);
    } else if (!one->called_off) {
        unit_died(one, status);
    }
    close_fd(&one->peer);
    one->state = UNIT_SPARE;
}

/* What a relay ran that did not end well is its successor's to give back. */
static void rest_relay(struct unit *one, int status)
{
    bool again = one->again;

    one->again = one->busy = false;
    if (status != 0) {
        unit_died(one, status);
        return;
    }
    close_fd(&one->peer);
    one->state = again ? UNIT_OFF : UNIT_SPARE;
    one->start_ms = 0;
    one->failures = one->deaths = 0;
}

static void rest(struct unit *one, struct unit *other, int status)
{
    (one->kind == UNIT_RELAY ? rest_relay : rest_for_good)(one, status);
}

static void end(struct unit *one, struct unit *other, int unused)
{
    close_fd(&one->peer);
    one->state = UNIT_ENDED;
}

static lifecycle_handler *const handlers[UNIT_STATES][LIFECYCLE_EVENTS] = {
    [UNIT_SPARE] =
        {
            [LIFECYCLE_WANTED] = call,
        },
    [UNIT_OFF] =
        {
            [LIFECYCLE_MENDED] = forgive,
            [LIFECYCLE_UNWANTED] = dismiss,
            [LIFECYCLE_FAILED] = fail,
        },
    [UNIT_STARTING] =
        {
            [LIFECYCLE_UNWANTED] = retire,
            [LIFECYCLE_FAILED] = fail,
            [LIFECYCLE_READY] = take_over,
            [LIFECYCLE_WORN] = wear,
            [LIFECYCLE_DIED] = try_again,
            [LIFECYCLE_ENDED] = end,
        },
    [UNIT_READY] =
        {
            [LIFECYCLE_UNWANTED] = retire,
            [LIFECYCLE_WORN] = wear,
            [LIFECYCLE_DIED] = follow,
            [LIFECYCLE_ENDED] = end,
        },
    [UNIT_RETIRING] =
        {
            [LIFECYCLE_DIED] = rest,
            [LIFECYCLE_ENDED] = end,
        },
};

void lifecycle_handle(struct unit *one, struct unit *other, enum lifecycle_event event,
                      int status)
{
    lifecycle_handler *handler = handlers[one->state][event];

    if (handler != NULL) {
        handler(one, other, status);
    }
}
