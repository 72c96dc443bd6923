/* SPDX-License-Identifier: MIT */
/*
 * Starting and retiring workers. Runs in the supervisor. The scoreboard, which relays
 * write, is believed on how many jobs wait and who has one: they are ours, and a wrong
 * number costs no more than max_workers.
 */
#include "supervisor/workers.h"

#include "common/clock.h"
#include "common/log.h"
#include "supervisor/board.h"
#include "supervisor/lifecycle.h"
#include "supervisor/sizing.h"
#include "supervisor/succession.h"

#define LOOK_MS      1000
#define HELD_SAID_MS 600000
#define STALE_MS     5000 /* what was said of the queue is no longer believed */
#define DYING        4    /* sandboxes, beside those that run and that wait */

uint32_t workers_most(const struct config *config)
{
    return (uint32_t)(config->max_workers > config->workers ? config->max_workers
                                                            : config->workers);
}

uint32_t workers_sandboxes(const struct config *config)
{
    return 2 * workers_most(config) + DYING;
}

bool workers_have_room(const struct unit *zygote, const struct config *config)
{
    return workers_sandboxes(config) <= zygote->sandboxes;
}

uint32_t workers_room(struct pool *pool)
{
    const struct unit *server = succession_server(pool->units, pool->count);

    return server == NULL ? LIMIT_WORKERS : (server->sandboxes - DYING) / 2;
}

static uint32_t count_slots(const struct pool *pool)
{
    uint32_t slots = 0;

    for (size_t i = 0; i < pool->count; i++) {
        slots += pool->units[i].kind == UNIT_RELAY;
    }
    return slots;
}

/* With those that there are from the start on; more are added as others are. */
void workers_make_slots(struct pool *pool)
{
    uint32_t most = workers_most(&pool->config), slot = count_slots(pool);
    uint32_t wanted = slot == 0 ? (uint32_t)pool->config.workers : 0;

    for (; slot < most; slot++) {
        unit_init(&pool->units[pool->count], UNIT_RELAY, slot);
        pool->units[pool->count++].state = slot < wanted ? UNIT_OFF : UNIT_SPARE;
    }
}

/* ---- what is seen ---- */

static bool is_wanted(const struct unit *unit)
{
    return unit->kind == UNIT_RELAY &&
           (unit->state == UNIT_OFF || unit->state == UNIT_STARTING ||
            unit->state == UNIT_READY || (unit->state == UNIT_RETIRING && unit->again));
}

uint32_t workers_wanted(const struct pool *pool)
{
    uint32_t wanted = 0;

    for (size_t i = 0; i < pool->count; i++) {
        wanted += is_wanted(&pool->units[i]);
    }
    return wanted;
}

/* Of a queue that is paused no job could begin. */
static void look_at_queue(const struct scoreboard_queue *queue, int64_t now_ms,
                          struct scaling_view *view)
{
    int64_t oldest_ms = atomic_load(&queue->oldest_ms);

    if (now_ms - atomic_load(&queue->told_ms) < STALE_MS &&
        atomic_load(&queue->paused) == 0) {
        view->waiting += atomic_load(&queue->waiting);
        view->oldest_ms = oldest_ms > view->oldest_ms ? oldest_ms : view->oldest_ms;
    }
}

static struct scaling_view look(struct pool *pool, int64_t now_ms)
{
    struct scaling_view view = {.workers = workers_wanted(pool),
                                .available_mb = sizing_memory_mb("MemAvailable")};

    for (size_t i = 0; i < pool->count; i++) {
        struct unit *unit = &pool->units[i];

        if (is_wanted(unit)) {
            unit->busy = scoreboard_is_busy(board_state(pool, unit->slot));
            view.starting += unit->state == UNIT_OFF || unit->state == UNIT_STARTING;
            view.idle += unit->state == UNIT_READY && !unit->busy;
        }
    }
    for (uint32_t i = 0; i < pool->board->head.queues; i++) {
        look_at_queue(&pool->board->queues[i], now_ms, &view);
    }
    return view;
}

/* ---- what is done ---- */

static struct unit *find_unwanted(struct pool *pool, enum unit_state state)
{
    for (size_t i = 0; i < pool->count; i++) {
        struct unit *unit = &pool->units[i];

        if (unit->kind == UNIT_RELAY && unit->state == state && !is_wanted(unit)) {
            return unit;
        }
    }
    return NULL;
}

static uint32_t at_most(int64_t wanted, uint32_t room)
{
    return wanted < room ? (uint32_t)wanted : room;
}

/* More than the zygote that serves has room for wait for the one that the reload which
 * wants them has called. */
static uint32_t most_now(struct pool *pool)
{
    return at_most(workers_most(&pool->config), workers_room(pool));
}

/* Those on their way out count: what runs in them is a worker's. */
static bool has_place(struct pool *pool)
{
    uint32_t there = 0;

    for (size_t i = 0; i < pool->count; i++) {
        there += pool->units[i].kind == UNIT_RELAY && pool->units[i].state != UNIT_SPARE;
    }
    return there < most_now(pool);
}

/* Where there are as many as there may be, one that is on its way out is followed by
 * another. */
static void add(struct pool *pool)
{
    struct unit *spare = has_place(pool) ? find_unwanted(pool, UNIT_SPARE) : NULL;
    struct unit *leaving = find_unwanted(pool, UNIT_RETIRING);

    if (spare != NULL) {
        lifecycle_handle(spare, NULL, LIFECYCLE_WANTED, 0);
    } else if (leaving != NULL) {
        leaving->again = true;
    }
}

static void retire(struct unit *unit)
{
    const struct message_drain drain = {0};

    unit->again = false;
    if (unit->state == UNIT_RETIRING) {
        return;
    }
    lifecycle_handle(unit, NULL, LIFECYCLE_UNWANTED, 0);
    if (unit->state == UNIT_RETIRING &&
        message_send(unit->peer, MESSAGE_DRAIN, &drain, NULL) < 0) {
        close_fd(&unit->peer); /* that it understands, too */
    }
}

/* The idle ones first, and of these the last. */
static void remove_one(struct pool *pool)
{
    struct unit *best = NULL;

    for (size_t i = 0; i < pool->count; i++) {
        struct unit *unit = &pool->units[i];

        if (is_wanted(unit) && (best == NULL || !unit->busy || best->busy)) {
            best = unit;
        }
    }
    if (best != NULL) {
        retire(best);
    }
}

static void change(struct pool *pool, int difference)
{
    for (int i = 0; i < difference; i++) {
        add(pool);
    }
    for (int i = 0; i > difference; i--) {
        remove_one(pool);
    }
}

/* What runs in one goes on; it is followed by another when that is over. */
static void renew(struct pool *pool)
{
    for (size_t i = 0; i < pool->count; i++) {
        struct unit *unit = &pool->units[i];

        if (unit->kind == UNIT_RELAY && unit->state == UNIT_READY &&
            unit->generation != pool->generation) {
            retire(unit);
            unit->again = true;
        }
    }
}

/* The zygote that serves may have been started for fewer workers, while the bounds were
 * lower for a time: it is followed by another as if it were worn. */
static void outgrow(struct pool *pool)
{
    struct unit *server = succession_server(pool->units, pool->count);

    if (server != NULL && !server->worn && pool->reload == RELOAD_NONE &&
        !workers_have_room(server, &pool->config)) {
        log_info("zygote %u has no room for %u workers: it is to be renewed",
                 server->slot, workers_most(&pool->config));
        server->worn = true;
    }
}

static const char *const reasons[SCALING_REASONS] = {
    [SCALING_BOUNDS] = "as configured",
    [SCALING_JOBS] = "jobs wait",
    [SCALING_IDLE] = "they have nothing to do",
    [SCALING_MEMORY] = "the machine's memory is short",
};

static void say_held(const struct scaling_view *view)
{
    log_info("workers=%u waiting=%llu oldest_ms=%lld: there are no more while the "
             "machine's memory is short (available_mb=%lld)",
             view->workers, (unsigned long long)view->waiting, (long long)view->oldest_ms,
             (long long)view->available_mb);
}

void workers_tend(struct pool *pool, int64_t now_ms)
{
    const struct config *config = &pool->config;
    uint32_t most = most_now(pool);
    const struct scaling_rules rules = {.least = at_most(config->workers, most),
                                        .most = most,
                                        .up_ms = config->scale_up_ms,
                                        .down_ms = config->scale_down_s * 1000,
                                        .spare_mb = config->spare_memory_mb};
    enum scaling_reason reason;
    struct scaling_view view;
    int difference;

    if (pool->phase != POOL_RUNNING) {
        return;
    }
    renew(pool);
    outgrow(pool);
    if (now_ms < pool->look_ms) {
        return;
    }
    pool->look_ms = now_ms + LOOK_MS;
    workers_make_slots(pool);
    view = look(pool, now_ms);
    difference = scaling_decide(&pool->scaling, &rules, &view, now_ms, &reason);
    if (difference != 0) {
        log_info("workers=%u were=%u waiting=%llu oldest_ms=%lld idle=%u: %s",
                 (uint32_t)((int)view.workers + difference), view.workers,
                 (unsigned long long)view.waiting, (long long)view.oldest_ms, view.idle,
                 reasons[reason]);
        change(pool, difference);
        workers_say(pool, "");
    }
    if (pool->scaling.held && now_ms >= pool->held_said_ms) {
        pool->held_said_ms = now_ms + HELD_SAID_MS;
        say_held(&view);
    }
}

void workers_say(struct pool *pool, const char *before)
{
    notify_say(&pool->notify, "%sSTATUS=serving queue %s with %u workers", before,
               pool->config.queue, workers_wanted(pool));
}

int64_t workers_next_ms(const struct pool *pool)
{
    bool fixed = pool->config.workers == workers_most(&pool->config);

    return pool->phase == POOL_RUNNING && !(fixed && pool->look_ms > 0) ? pool->look_ms
                                                                        : CLOCK_NEVER;
}
