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
    char path[LIMIT_PATH];
    int error;

    runtime_path(&pool->runtime, RUNTIME_SCOREBOARD, path);
    error = scoreboard_create(path, pool->config.queue, &pool->board_fd, &pool->board);
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

static int pid_of(const struct pool *pool, enum unit_kind kind)
{
    for (size_t i = 0; i < pool->count; i++) {
        const struct unit *unit = &pool->units[i];

        if (unit->kind == kind && unit->state == UNIT_READY) {
            return (int)unit->process.pid;
        }
    }
    return 0;
}

void board_show(struct pool *pool)
{
    struct scoreboard_head *head;

    if (pool->board == NULL) {
        return;
    }
    head = &pool->board->head;
    atomic_store(&head->zygote, pid_of(pool, UNIT_ZYGOTE));
    atomic_store(&head->redis, pid_of(pool, UNIT_REDIS));
    atomic_store(&head->workers, workers_wanted(pool));
    atomic_store(&head->least, (unsigned)pool->config.workers);
    atomic_store(&head->most, workers_most(&pool->config));
    atomic_store(&head->draining, pool->phase >= POOL_DRAINING);
    atomic_store(&head->reloads, pool->generation);
}

void board_death(struct pool *pool, const struct unit *unit, bool counts)
{
    static const enum scoreboard_child children[] = {
        [UNIT_REDIS] = SCOREBOARD_REDIS,
        [UNIT_ZYGOTE] = SCOREBOARD_ZYGOTE,
        [UNIT_RELAY] = SCOREBOARD_RELAY,
        [UNIT_METRICS] = SCOREBOARD_METRICS,
    };

    if (pool->board == NULL) {
        return;
    }
    if (counts) {
        atomic_fetch_add(&pool->board->head.deaths[children[unit->kind]], 1);
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
