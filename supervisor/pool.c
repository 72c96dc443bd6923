/* SPDX-License-Identifier: MIT */
/*
 * The pool's processes: when they are started, what they say, and how they end. Runs in
 * the supervisor. Theory of operation:
 *
 * - redis: first; relays find it again by themselves when it is replaced
 * - zygote: gets SETUP, says READY with its layers; without the mandatory ones nothing
 *   runs; when it says WORN it is renewed (succession.h)
 * - relay: gets RELAY, says READY when it is connected; then both get the ends of a LINK
 * - one that is there and does not answer any more is killed, and thus replaced
 * (health.h)
 *
 * Ending goes the other way round: relays (DRAIN, or the end of their socket), then the
 * zygote, then Redis, so that what a relay still has to say reaches Redis. Messages come
 * from our own processes; a malformed one costs its sender its life.
 */
#include "supervisor/pool.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/role.h"
#include "supervisor/board.h"
#include "supervisor/health.h"
#include "supervisor/layers.h"
#include "supervisor/lifecycle.h"
#include "supervisor/linking.h"
#include "supervisor/reload.h"
#include "supervisor/residence.h"
#include "supervisor/starting.h"
#include "supervisor/succession.h"
#include "supervisor/workers.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#define STOP_MS     3000  /* from the end of a socket to SIGKILL */
#define PATIENCE_MS 60000 /* the most that a child may ask for */

static void handle(struct pool *pool, struct unit *unit, enum lifecycle_event event,
                   int status)
{
    lifecycle_handle(unit, succession_other(pool->units, pool->count, unit), event,
                     status);
}

void pool_init(struct pool *pool, bool check)
{
    pool->decoy = (struct decoy)DECOY_INIT;
    if (check) {
        unit_init(&pool->units[pool->count++], UNIT_ZYGOTE, 0);
        return;
    }
    if (pool->config.redis[0] == '\0') {
        unit_init(&pool->units[pool->count++], UNIT_REDIS, 0);
    }
    if (pool->listener >= 0) {
        unit_init(&pool->units[pool->count++], UNIT_METRICS, 0);
    }
    for (uint32_t place = 0; place < UNIT_ZYGOTES; place++) {
        unit_init(&pool->units[pool->count], UNIT_ZYGOTE, place);
        pool->units[pool->count++].state = place == 0 ? UNIT_OFF : UNIT_SPARE;
    }
    workers_make_slots(pool);
}

static void give_up(struct pool *pool, int exit_code)
{
    if (pool->exit_code == 0) {
        pool->exit_code = exit_code;
    }
    pool_stop(pool);
}

/* ---- starting ---- */

/* It is not READY, and will not be: another one is to follow, or a reload has failed. */
static void on_failed_heir(struct pool *pool, struct unit *heir)
{
    if (reload_failed(pool, heir)) {
        return;
    }
    if (succession_server(pool->units, pool->count) != NULL) {
        log_warning("the zygote could not be renewed: the old one goes on, and another "
                    "is tried after a while");
    } else if (heir->hopeless) {
        log_error("no zygote serves: another is tried after a while, or at a reload");
    }
}

static void on_started(struct pool *pool, const struct unit *unit)
{
    if (unit->kind == UNIT_ZYGOTE) {
        reload_started(pool);
    }
}

static void start_unit(struct pool *pool, struct unit *unit)
{
    autobuffer struct buffer why = BUFFER_INIT(2048);
    int error = starting_start(pool, unit, &why);

    if (error == 0) {
        on_started(pool, unit);
        return;
    }
    log_error("unable to start %s: %s", unit_label(unit).text,
              why.data != NULL ? why.data : strerror(-error));
    if (pool->phase == POOL_STARTING) {
        give_up(pool, ROLE_EXIT_PERMANENT);
        return;
    }
    handle(pool, unit, LIFECYCLE_FAILED, 0);
    if (unit->kind == UNIT_ZYGOTE && unit->state == UNIT_OFF) { /* else: when it dies */
        on_failed_heir(pool, unit);
    }
}

static void call_heir(struct pool *pool)
{
    if (pool->phase == POOL_RUNNING) {
        reload_call(pool);
        succession_tend(pool->units, pool->count);
    }
}

void pool_start_due(struct pool *pool)
{
    int64_t now = clock_now_ms();

    call_heir(pool);
    workers_tend(pool, now);
    health_tend(pool, now);
    residence_tend(pool, now);
    for (size_t i = 0; i < pool->count && pool->phase <= POOL_RUNNING; i++) {
        if (pool->units[i].state == UNIT_OFF && pool->units[i].start_ms <= now) {
            start_unit(pool, &pool->units[i]);
        }
    }
}

int64_t pool_next_ms(const struct pool *pool)
{
    const int64_t due[] = {
        pool->phase >= POOL_DRAINING ? pool->end_ms : workers_next_ms(pool),
        health_next_ms(pool),
        pool->phase <= POOL_RUNNING ? units_start_ms(pool->units, pool->count)
                                    : CLOCK_NEVER,
    };

    return clock_first_ms(due, array_size(due));
}

/* ---- messages ---- */

static bool has_mandatory_layers(const struct message_ready *ready)
{
    uint32_t missing = LAYERS_MANDATORY & ~ready->layers;

    for (size_t i = 0; i < layer_row_count; i++) {
        if ((missing & layer_rows[i].bit) != 0) {
            log_error("a mandatory layer of the sandbox does not hold: %s",
                      layer_rows[i].name);
        }
    }
    return missing == 0;
}

static void on_zygote_ready(struct pool *pool, struct unit *unit,
                            const struct message_ready *ready)
{
    if (unit->state != UNIT_STARTING) { /* it was called off as it said so */
        return;
    }
    loading_close(&unit->loading);
    pool->sandbox = *ready;
    pool->sandbox.layers = decoy_take(&pool->decoy, ready->layers);
    if (has_mandatory_layers(ready)) {
        log_info("zygote ready layers=0x%x landlock=%u modules=%u", pool->sandbox.layers,
                 ready->landlock_abi, ready->modules);
        board_count_zygote(pool);
        handle(pool, unit, LIFECYCLE_READY, 0);
        reload_done(pool);
    } else if (pool->phase == POOL_STARTING) {
        give_up(pool, ROLE_EXIT_PERMANENT);
    } else {
        /* They held before. Whoever serves goes on; without one nothing runs until they
         * hold again: a machine that stood still is enough to miss a limit. */
        process_signal(&unit->process, SIGKILL);
    }
}

static void on_ready(struct pool *pool, struct unit *unit, const struct message *message)
{
    if (unit->kind == UNIT_ZYGOTE) {
        on_zygote_ready(pool, unit, &message->payload.READY_);
    } else {
        lifecycle_handle(unit, NULL, LIFECYCLE_READY, 0);
    }
}

static void on_loading(struct pool *pool, struct unit *unit,
                       const struct message *message)
{
    loading_note(&unit->loading, &message->payload.LOADING_);
    unit->silent_ms = 0;
}

static void on_worn(struct pool *pool, struct unit *unit, const struct message *message)
{
    log_info("zygote %u is to be renewed forks=%u", unit->slot,
             message->payload.WORN_.forks);
    handle(pool, unit, LIFECYCLE_WORN, 0);
}

static void on_unlinked(struct pool *pool, struct unit *unit,
                        const struct message *message)
{
    linking_undo(pool, unit, message->payload.UNLINKED_.slot);
}

static void on_pong(struct pool *pool, struct unit *unit, const struct message *message)
{
    uint32_t patience_ms = message->payload.PONG_.patience_ms;

    unit->silent_ms = -(int64_t)(patience_ms < PATIENCE_MS ? patience_ms : PATIENCE_MS);
    unit->answered_ms = clock_now_ms();
}

static void on_relieved(struct pool *pool, struct unit *unit,
                        const struct message *message)
{
    unit->relieved = true;
}

static void (*const handlers[MESSAGE_COUNT])(struct pool *, struct unit *,
                                             const struct message *) = {
    [MESSAGE_LOADING] = on_loading, [MESSAGE_READY] = on_ready,
    [MESSAGE_WORN] = on_worn,       [MESSAGE_UNLINKED] = on_unlinked,
    [MESSAGE_PONG] = on_pong,       [MESSAGE_RELIEVED] = on_relieved,
};

static const uint32_t permitted[] = {
    [UNIT_ZYGOTE] = 1u << MESSAGE_LOADING | 1u << MESSAGE_READY | 1u << MESSAGE_WORN |
                    1u << MESSAGE_UNLINKED | 1u << MESSAGE_PONG,
    [UNIT_RELAY] = 1u << MESSAGE_READY | 1u << MESSAGE_PONG | 1u << MESSAGE_RELIEVED,
    [UNIT_METRICS] = 1u << MESSAGE_READY,
};

static void receive(struct pool *pool, struct unit *unit)
{
    struct message message;
    int result;

    while ((result = message_receive(unit->peer, permitted[unit->kind], &message)) == 1) {
        handlers[message.type](pool, unit, &message);
        message_done(&message);
        if (unit->peer < 0) { /* what it said was the end of it */
            return;
        }
    }
    if (result == -EAGAIN) {
        return;
    }
    if (result < 0) {
        (void)log_failure(result, "%s sent nonsense", unit_label(unit).text);
        process_signal(&unit->process, SIGKILL);
    }
    close_fd(&unit->peer); /* its end: it is dying, or will be told by ours */
}

/* ---- deaths ---- */

/* What a child's last word makes of a pool that ends for it. */
static int pool_code(int status)
{
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;

    return code == ROLE_EXIT_CONFIG || code == ROLE_EXIT_AWAY ? ROLE_EXIT_CONFIG
                                                              : ROLE_EXIT_PERMANENT;
}

/* A relay that was to end has ended. */
static bool is_as_wanted(const struct unit *unit, enum unit_state before, int status)
{
    return unit->kind == UNIT_RELAY && before == UNIT_RETIRING && status == 0;
}

/* At the start every failure is final, so that whoever started us sees it. A pool that
 * was ready once is not ended by any: what was good then may be so again, what runs goes
 * on meanwhile, and /health says what is missing. */
static void on_death(struct pool *pool, struct unit *unit, int status)
{
    enum unit_state before = unit->state;
    bool loaded = loading_died(&unit->loading, status);

    starting_redis_ended(unit, status);
    board_death(pool, unit, pool->phase < POOL_DRAINING && before != UNIT_RETIRING);
    linking_forget(pool, unit);
    starting_remove_groups(pool, unit);
    handle(pool, unit, pool->phase < POOL_DRAINING ? LIFECYCLE_DIED : LIFECYCLE_ENDED,
           status);
    if (pool->phase >= POOL_DRAINING || is_as_wanted(unit, before, status)) {
        return;
    }
    if (pool->phase == POOL_STARTING && before != UNIT_READY) {
        unit_say_not_started(unit, status);
        give_up(pool, loaded ? ROLE_EXIT_CONFIG : pool_code(status));
    } else if (unit->kind == UNIT_ZYGOTE && before == UNIT_STARTING) {
        on_failed_heir(pool, unit);
    } else if (unit->state == UNIT_OFF && unit->hopeless) {
        log_error("%s is tried again after a while", unit_label(unit).text);
    }
}

void pool_poll(const struct pool *pool, struct pollfd *fds)
{
    units_poll(pool->units, pool->count, fds);
}

/* A zygote that is RETIRING ends with its socket, once nobody has anything there. */
static void end_retired(struct pool *pool)
{
    for (size_t i = 0; i < pool->count; i++) {
        struct unit *unit = &pool->units[i];

        if (unit->kind == UNIT_ZYGOTE && unit->state == UNIT_RETIRING &&
            linking_is_free(pool, unit)) {
            close_fd(&unit->peer);
        }
    }
}

static void enforce_end(struct pool *pool);

void pool_service(struct pool *pool, const struct pollfd *fds)
{
    int status;

    for (size_t i = 0; i < pool->count; i++) {
        struct unit *unit = &pool->units[i];

        if (fds[2 * i + 1].revents != 0 && unit->peer >= 0) {
            receive(pool, unit);
        }
        if (fds[2 * i].revents != 0 && process_reap(&unit->process, &status) == 1) {
            on_death(pool, unit, status);
        }
    }
    linking_tend(pool);
    end_retired(pool);
    if (pool->phase == POOL_STARTING && pool_is_ready(pool)) {
        pool->phase = POOL_RUNNING;
    }
    enforce_end(pool);
    board_show(pool);
}

bool pool_is_ready(const struct pool *pool)
{
    return units_are_ready(pool->units, pool->count);
}

bool pool_is_over(const struct pool *pool)
{
    for (size_t i = 0; i < pool->count; i++) {
        if (pool->units[i].process.pid != 0) {
            return false;
        }
    }
    return pool->phase == POOL_STOPPING;
}

/* ---- ending ---- */

static bool any_alive(const struct pool *pool, enum unit_kind kind)
{
    return units_are_alive(pool->units, pool->count, kind);
}

/* A zygote that starts runs no job, and may be in a host module, or in a test of its
 * sandboxes that it would say has failed. */
static void end_unit(struct unit *unit, int signo)
{
    if (unit->kind == UNIT_ZYGOTE && unit->state == UNIT_STARTING) {
        starting_call_off(unit);
    }
    close_fd(&unit->peer);
    if (signo != 0) {
        process_signal(&unit->process, signo);
    }
}

static void end_kind(struct pool *pool, enum unit_kind kind, int signo)
{
    for (size_t i = 0; i < pool->count; i++) {
        if (pool->units[i].kind == kind) {
            end_unit(&pool->units[i], signo);
        }
    }
}

/* One kind after the other; each gets the time to end by itself before it is killed. */
static void enforce_end(struct pool *pool)
{
    static const struct {
        enum unit_kind kind;
        int signo;
    } order[] = {
        {UNIT_RELAY, 0}, {UNIT_ZYGOTE, 0}, {UNIT_METRICS, 0}, {UNIT_REDIS, SIGTERM}};
    bool late = clock_now_ms() >= pool->end_ms;

    if (pool->phase == POOL_DRAINING && (late || !any_alive(pool, UNIT_RELAY))) {
        pool_stop(pool); /* from now on there is time again: to give jobs back */
        return;
    }
    if (pool->phase != POOL_STOPPING) {
        return;
    }
    for (size_t i = 0; i < array_size(order); i++) {
        if (any_alive(pool, order[i].kind)) {
            end_kind(pool, order[i].kind, late ? SIGKILL : order[i].signo);
            return;
        }
    }
}

void pool_drain(struct pool *pool)
{
    const struct message_drain drain = {0};

    if (pool->phase == POOL_STARTING) {
        pool_stop(pool);
        return;
    }
    pool->phase = POOL_DRAINING;
    pool->end_ms = clock_now_ms() + pool->config.drain_s * 1000;
    for (size_t i = 0; i < pool->count; i++) {
        struct unit *unit = &pool->units[i];

        if (unit->kind == UNIT_ZYGOTE && unit->state == UNIT_STARTING) {
            end_unit(unit, 0); /* no job will need it */
        } else if (unit->kind == UNIT_RELAY && unit->peer >= 0 &&
                   message_send(unit->peer, MESSAGE_DRAIN, &drain, NULL) < 0) {
            close_fd(&unit->peer);
        }
    }
}

void pool_give_port(struct pool *pool)
{
    close_fd(&pool->listener);
    end_kind(pool, UNIT_METRICS, 0);
}

void pool_stop(struct pool *pool)
{
    if (pool->phase != POOL_STOPPING) {
        pool->phase = POOL_STOPPING;
        pool->end_ms = clock_now_ms() + STOP_MS;
        enforce_end(pool);
    }
}
