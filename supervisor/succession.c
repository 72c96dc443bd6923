/* SPDX-License-Identifier: MIT */
/*
 * The zygotes' table of state and event. Runs in the supervisor, on its own records;
 * makes no system call but to close a socket. Must never let two zygotes serve at once,
 * nor end one that serves before another does.
 */
#include "supervisor/succession.h"

#include "common/cleanup.h"
#include "common/log.h"

#include <stddef.h>
#include <sys/wait.h>

typedef void succession_handler(struct unit *one, struct unit *other, int status);

static bool is_in(const struct unit *unit, enum unit_state state)
{
    return unit != NULL && unit->state == state;
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
    if (is_in(other, UNIT_READY)) {
        log_warning("the zygote could not be renewed: the old one goes on, and another "
                    "is tried after a while");
    }
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

static void rest(struct unit *one, struct unit *other, int status)
{
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        log_info("zygote %u is over", one->slot);
    } else {
        unit_died(one, status);
    }
    close_fd(&one->peer);
    one->state = UNIT_SPARE;
}

static succession_handler *const handlers[UNIT_STATES][SUCCESSION_EVENTS] = {
    [UNIT_STARTING] =
        {
            [SUCCESSION_WORN] = wear,
            [SUCCESSION_READY] = take_over,
            [SUCCESSION_DIED] = try_again,
        },
    [UNIT_READY] =
        {
            [SUCCESSION_WORN] = wear,
            [SUCCESSION_DIED] = follow,
        },
    [UNIT_RETIRING] =
        {
            [SUCCESSION_DIED] = rest,
        },
};

void succession_handle(struct unit *one, struct unit *other, enum succession_event event,
                       int status)
{
    succession_handler *handler = handlers[one->state][event];

    if (handler != NULL) {
        handler(one, other, status);
    }
}

void succession_call(const struct unit *one, struct unit *other)
{
    if (is_in(one, UNIT_READY) && one->worn && is_in(other, UNIT_SPARE)) {
        other->state = UNIT_OFF;
        other->start_ms = 0;
    }
}

/* ---- links ---- */

bool succession_may_link(const struct unit *zygote, const struct unit *relay)
{
    bool may = zygote->state == UNIT_READY && relay->state == UNIT_READY &&
               relay->peer >= 0 && !relay->links[zygote->slot].own;

    for (uint32_t place = 0; place < UNIT_ZYGOTES; place++) {
        const struct unit_links *links = &relay->links[place];

        may = may && (place == zygote->slot || links->open <= (links->own ? 1u : 0u));
    }
    return may;
}

void succession_linked(const struct unit *zygote, struct unit *relay)
{
    relay->links[zygote->slot].open++;
    relay->links[zygote->slot].own = true;
}

void succession_unlinked(const struct unit *zygote, struct unit *relay)
{
    struct unit_links *links = &relay->links[zygote->slot];

    links->open -= links->open > 0;
    links->own = links->own && links->open > 0;
}

void succession_forget_zygote(const struct unit *zygote, struct unit *relay)
{
    relay->links[zygote->slot] = (struct unit_links){0};
}

void succession_forget_relay(struct unit *relay)
{
    for (uint32_t place = 0; place < UNIT_ZYGOTES; place++) {
        relay->links[place].own = false;
    }
}
