/* SPDX-License-Identifier: MIT */
/*
 * The head of the scoreboard, and the slots of those who are dead. Runs in the
 * supervisor, which believes of the slots what costs no more than a worker too many.
 */
#include "supervisor/board.h"

#include "common/cleanup.h"
#include "common/clock.h"
#include "supervisor/linking.h"
#include "supervisor/workers.h"

#include <stdio.h>
#include <string.h>

int board_open(struct pool *pool, struct buffer *why)
{
    struct share queues[LIMIT_QUEUES];
    char path[LIMIT_PATH];
    int error;

    runtime_path(&pool->runtime, RUNTIME_SCOREBOARD, path);
    error = scoreboard_create(path, queues, (int)share_read(pool->config.queue, queues),
                              &pool->board_fd, &pool->board);
    if (error < 0) {
        buffer_printf(why, "unable to make %s: %s", path, strerror(-error));
        return error;
    }
    atomic_store(&pool->board->head.supervisor, (int)getpid());
    atomic_store(&pool->board->head.started_ms, clock_now_ms());
    return 0;
}

void board_close(struct pool *pool)
{
    if (pool->board != NULL) {
        atomic_store(&pool->board->head.supervisor, 0);
        scoreboard_unmap(pool->board);
        pool->board = NULL;
    }
    close_fd(&pool->board_fd);
}

/* NULL: none is READY. */
static const struct unit *find_ready(const struct pool *pool, enum unit_kind kind)
{
    for (size_t i = 0; i < pool->count; i++) {
        const struct unit *unit = &pool->units[i];

        if (unit->kind == kind && unit->state == UNIT_READY) {
            return unit;
        }
    }
    return NULL;
}

static int pid_of(const struct unit *unit)
{
    return unit != NULL ? (int)unit->process.pid : 0;
}

void board_show(struct pool *pool)
{
    const struct unit *zygote = find_ready(pool, UNIT_ZYGOTE);
    struct scoreboard_head *head;

    if (pool->board == NULL) {
        return;
    }
    head = &pool->board->head;
    atomic_store(&head->seen_ms, clock_now_ms());
    atomic_store(&head->answered_ms, zygote != NULL ? zygote->answered_ms : 0);
    atomic_store(&head->zygote, pid_of(zygote));
    atomic_store(&head->asked_ms, pool->asked_ms);
    atomic_store(&head->redis, pid_of(find_ready(pool, UNIT_REDIS)));
    atomic_store(&head->workers, workers_wanted(pool));
    atomic_store(&head->least, (unsigned)pool->config.workers);
    atomic_store(&head->most, workers_most(&pool->config));
    atomic_store(&head->draining, pool->phase >= POOL_DRAINING);
    atomic_store(&head->reloads, pool->reloads);
}

enum scoreboard_process board_process(enum unit_kind kind)
{
    static const enum scoreboard_process processes[] = {
        [UNIT_REDIS] = SCOREBOARD_REDIS,
        [UNIT_ZYGOTE] = SCOREBOARD_ZYGOTE,
        [UNIT_RELAY] = SCOREBOARD_RELAY,
        [UNIT_METRICS] = SCOREBOARD_METRICS,
    };

    return processes[kind];
}

void board_death(struct pool *pool, const struct unit *unit, bool counts)
{
    if (pool->board == NULL) {
        return;
    }
    if (counts) {
        atomic_fetch_add(&pool->board->head.deaths[board_process(unit->kind)], 1);
    }
    if (unit->kind == UNIT_RELAY) { /* its slot has no other writer now */
        scoreboard_leave(&pool->board->slots[unit->slot]);
    }
}

void board_count_zygote(struct pool *pool)
{
    if (pool->board != NULL) {
        atomic_fetch_add(&pool->board->head.zygotes, 1);
    }
}

enum scoreboard_state board_state(const struct pool *pool, uint32_t slot)
{
    struct scoreboard_work work = {.state = SCOREBOARD_OFF};

    if (pool->board != NULL) {
        scoreboard_read(&pool->board->slots[slot], &work);
    }
    return (enum scoreboard_state)work.state;
}
