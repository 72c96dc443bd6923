/* SPDX-License-Identifier: MIT */
/*
 * Adding up what processes have, and a word about what Redis may. Runs in the supervisor.
 * Sandboxes are the zygotes' children, which the kernel lists; some may be gone, and
 * their numbers another's, by the time they are looked at: these are figures, and nothing
 * is done about them. A process costs some 10 us: of 64 workers that is a millisecond in
 * ten seconds.
 */
#include "supervisor/residence.h"

#include "common/clock.h"
#include "common/fd.h"
#include "supervisor/board.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LOOK_MS  10000
#define LIST_MAX KIB(64) /* of children: eleven bytes each */

static uint64_t resident_bytes(pid_t pid)
{
    static uint64_t page_size;
    autofree char *text = NULL;
    char path[64];
    uint64_t pages;
    size_t size;

    page_size = page_size == 0 ? (uint64_t)sysconf(_SC_PAGESIZE) : page_size;
    (void)snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
    if (fd_read_file(path, KIB(1), &text, &size) < 0 ||
        sscanf(text, "%*u %" SCNu64, &pages) != 1) {
        return 0;
    }
    return pages * page_size;
}

static uint64_t children_bytes(pid_t pid)
{
    autofree char *text = NULL;
    uint64_t sum = 0;
    char path[64], *rest;
    size_t size;

    (void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
    if (fd_read_file(path, LIST_MAX, &text, &size) < 0) {
        return 0;
    }
    rest = text;
    for (long child = strtol(rest, &rest, 10); child > 0;
         child = strtol(rest, &rest, 10)) {
        sum += resident_bytes((pid_t)child);
    }
    return sum;
}

static void look(struct pool *pool)
{
    uint64_t sums[SCOREBOARD_PROCESSES] = {[SCOREBOARD_SUPERVISOR] =
                                               resident_bytes(getpid())};

    for (size_t i = 0; i < pool->count; i++) {
        const struct unit *unit = &pool->units[i];

        if (unit->process.pid == 0) {
            continue;
        }
        sums[board_process(unit->kind)] += resident_bytes(unit->process.pid);
        if (unit->kind == UNIT_ZYGOTE) {
            sums[SCOREBOARD_SANDBOX] += children_bytes(unit->process.pid);
        }
    }
    for (int i = 0; i < SCOREBOARD_PROCESSES; i++) {
        atomic_store(&pool->board->head.resident[i], sums[i]);
    }
}

/* Once. Relays ask for it. */
static void warn_of_redis(struct pool *pool)
{
    const struct scoreboard_redis *redis = &pool->board->redis;

    if (!pool->is_warned && atomic_load(&redis->memory) > 0 &&
        atomic_load(&redis->memory_most) == 0) {
        pool->is_warned = true;
        log_warning("the Redis of the queue has no maxmemory: nothing is refused, and no "
                    "recording cut, before the machine's memory is full");
    }
}

void residence_tend(struct pool *pool, int64_t now_ms)
{
    if (pool->board == NULL || pool->phase != POOL_RUNNING) {
        return;
    }
    warn_of_redis(pool);
    if (now_ms >= pool->residence_ms) {
        pool->residence_ms = now_ms + LOOK_MS;
        look(pool);
    }
}
