/* SPDX-License-Identifier: MIT */
/*
 * The limits that are the relay's, by a table. Runs in the relay. What the sandbox says
 * can only end it the sooner. (Computing time is the zygote's to watch, and memory the
 * kernel's.)
 */
#include "worker/relay/bounds.h"

#include "worker/relay/relay.h"

int64_t bounds_wall_us(const struct relay *relay, int64_t now_us)
{
    return now_us - relay->run.started_us - forward_blocked_us(relay, now_us);
}

static bool is_hostile(const struct relay *relay)
{
    return relay->forward.hostile;
}

static bool is_over_output(const struct relay *relay)
{
    return ring_reader_over_output(&relay->link.current.ring) ||
           forward_over_total(relay);
}

/* When a program may have waited enough: its own time begins when its sandbox has begun
 * with it, however long that took on a busy machine. Until then that is for patience.c.
 */
static int64_t wall_end_us(const struct relay *relay, int64_t now_us)
{
    const struct run *run = &relay->run;

    return run->begun_us == 0 ? INT64_MAX
                              : run->begun_us + forward_blocked_us(relay, now_us) +
                                    run->job.limits.wall_ms * 1000;
}

static bool is_over_wall(const struct relay *relay)
{
    int64_t now_us = clock_now_us();

    return now_us >= wall_end_us(relay, now_us);
}

/* What a program left running when it ended: threads, exit functions, __del__. */
#define GRACE_US 1000000

static bool is_over_grace(const struct relay *relay)
{
    const struct run *run = &relay->run;

    return run->ended_us != 0 &&
           (bounds_wall_us(relay, clock_now_us()) >= run->ended_us + GRACE_US ||
            is_over_wall(relay));
}

/* A hostile ring is remembered by itself: whatever the cause, the verdict comes of that.
 * Whoever has ended in time is not over the wall limit, whatever is left of it. */
static const struct {
    bool (*is_over)(const struct relay *relay);
    enum kill_cause cause;
} limits[] = {
    {is_hostile, KILL_FAULT},
    {is_over_output, KILL_OUTPUT},
    {is_over_grace, KILL_GRACE},
    {is_over_wall, KILL_WALL},
};

static void note_begin(struct relay *relay)
{
    struct run *run = &relay->run;

    if (run->state == RUN_RUNNING && run->begun_us == 0 && forward_has_begun(relay)) {
        run->begun_us = clock_now_us();
    }
}

static void note_end(struct relay *relay)
{
    struct run *run = &relay->run;
    struct ring_claim claim;

    if (run->state == RUN_RUNNING && run->ended_us == 0 &&
        ring_reader_claim(&relay->link.current.ring, &claim)) {
        run->ended_us = bounds_wall_us(relay, clock_now_us());
    }
}

void bounds_enforce(struct relay *relay)
{
    note_begin(relay);
    note_end(relay);
    for (size_t i = 0; i < array_size(limits); i++) {
        if (relay->run.state == RUN_RUNNING && relay->run.killed == KILL_NONE &&
            limits[i].is_over(relay)) {
            run_kill(relay, limits[i].cause);
        }
    }
}

/* The wall clock stands while the program does, because of us; then forward.c looks again
 * soon. */
int64_t bounds_deadline(const struct relay *relay)
{
    const struct run *run = &relay->run;
    int64_t wall_us = wall_end_us(relay, 0);
    int64_t grace_us = run->ended_us != 0 ? run->started_us + relay->forward.blocked_us +
                                                run->ended_us + GRACE_US
                                          : INT64_MAX;
    int64_t first_us = wall_us < grace_us ? wall_us : grace_us;

    if (run->state != RUN_RUNNING || run->killed != KILL_NONE ||
        relay->forward.blocked_since_us != 0 || first_us == INT64_MAX) {
        return CLOCK_NEVER;
    }
    return first_us / 1000 + 1;
}
