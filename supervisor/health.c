/* SPDX-License-Identifier: MIT */
/*
 * Asking children whether they are there. Runs in the supervisor, in a pool that runs: at
 * the start whoever started it has patience or not, but for a host module that does not
 * end, and the end has a time of its own.
 */
#include "supervisor/health.h"

#include "common/clock.h"
#include "common/log.h"

#include <inttypes.h>
#include <signal.h>

/* A loop turns in a millisecond; a debugger, or a disk that memory is swapped to, may
 * hold it for seconds. Who is about to do what may take longer says so before (PONG).
 * What starts is not asked: it says READY. */
static const int64_t patience_ms[][UNIT_STATES] = {
    [UNIT_REDIS] = {0}, /* the relays' concern: a Redis that does not answer is away */
    [UNIT_ZYGOTE] =
        {
            [UNIT_STARTING] = 120000, /* it imports modules, and attacks its sandboxes */
            [UNIT_READY] = 10000,
            [UNIT_RETIRING] = 10000,
        },
    [UNIT_RELAY] =
        {
            [UNIT_STARTING] = 120000,
            [UNIT_READY] = 10000,
            [UNIT_RETIRING] = 10000,
        },
    [UNIT_METRICS] = {0}, /* jobs run without it */
    [UNIT_POOL] =
        {
            [UNIT_STARTING] = 300000, /* as its own children, one after the other */
            [UNIT_READY] = 30000,
            [UNIT_RETIRING] = 30000, /* whose loop turns until it is over */
        },
};

int64_t health_patience_ms(enum unit_kind kind, enum unit_state state)
{
    return patience_ms[kind][state];
}

/* Whoever comes as late as that did not run; and who was asked had no better machine. */
int64_t health_counts_ms(int64_t before_ms, int64_t now_ms)
{
    int64_t passed_ms = now_ms - before_ms;

    return passed_ms < 2 * HEALTH_ASK_MS ? passed_ms : 0;
}

/* A socket that is full has questions enough; one that has ended ends its child. A pool
 * says without being asked that it is there. */
static void ask(const struct unit *unit)
{
    const struct message_ping ping = {0};

    if (unit->peer >= 0 && unit->state != UNIT_STARTING && unit->kind != UNIT_POOL) {
        int error = message_send(unit->peer, MESSAGE_PING, &ping, NULL);

        (void)error;
    }
}

/* Each is a sign of the zygote. */
static bool loads_host_modules(const struct unit *unit)
{
    return unit->loading.what[0] != '\0';
}

static void say_overdue(struct unit *unit)
{
    if (loads_host_modules(unit)) {
        loading_give_up(&unit->loading);
    } else {
        log_error("%s has not answered for %" PRId64 " s: it is killed and replaced",
                  unit_label(unit).text, unit->silent_ms / 1000);
    }
}

void health_look_at(struct unit *unit, int64_t silent_ms)
{
    int64_t most_ms = loads_host_modules(unit)
                          ? LOADING_MS
                          : health_patience_ms(unit->kind, unit->state);

    if (most_ms == 0 || unit->process.pid == 0) {
        return;
    }
    unit->silent_ms += silent_ms;
    if (unit->silent_ms < most_ms) {
        ask(unit);
        return;
    }
    say_overdue(unit);
    process_signal(&unit->process, SIGKILL);
    unit->silent_ms = 0;
}

void health_tend(struct pool *pool, int64_t now_ms)
{
    int64_t silent_ms = health_counts_ms(pool->asked_ms, now_ms);

    if (pool->phase > POOL_RUNNING || now_ms < health_next_ms(pool)) {
        return;
    }
    pool->asked_ms = now_ms;
    for (size_t i = 0; i < pool->count; i++) {
        if (pool->phase == POOL_RUNNING || loads_host_modules(&pool->units[i])) {
            health_look_at(&pool->units[i], silent_ms);
        }
    }
}

int64_t health_next_ms(const struct pool *pool)
{
    return pool->phase <= POOL_RUNNING ? pool->asked_ms + HEALTH_ASK_MS : CLOCK_NEVER;
}
