/* SPDX-License-Identifier: MIT */
/*
 * Waits that take too long, by a table. Runs in the relay. It believes the zygote that a
 * sandbox is dead, not that it is able to kill one: a zygote that stands still is
 * replaced by the supervisor in its own time (supervisor/health.h), and until then no
 * program runs on for it.
 */
#include "worker/relay/patience.h"

#include "common/log.h"
#include "common/role.h"
#include "worker/relay/relay.h"

#include <inttypes.h>

static void kill_alone(struct relay *relay)
{
    log_warning("job=%s attempt=%" PRIu32
                " is to end and does not: its sandbox is killed without the zygote",
                relay->run.job.id, relay->run.job.attempt);
    sandbox_link_kill_alone(relay);
}

/* SIGKILL has been sent and nobody can say that it is dead: the kernel holds it, where it
 * runs no line of its program any more. Or it is, and nobody can say of what. The lease
 * runs out; whoever follows us in this slot waits for the reaping. */
static void leave(struct relay *relay)
{
    log_error("job=%s attempt=%" PRIu32
              " is left to others: nobody says that it has ended, or how",
              relay->run.job.id, relay->run.job.attempt);
    relay_break(relay, ROLE_EXIT_SYSTEM);
}

/* In order, for each wait; each is counted from the one before. */
static const struct {
    enum patience_for what;
    int64_t after_ms;
    void (*act)(struct relay *relay);
} rows[] = {
    {PATIENCE_BYTES, 30000, fetch_give_up},
    {PATIENCE_BEGIN, 10000, run_unbegun}, /* as long as a zygote may be silent */
    {PATIENCE_DEATH, 2000, kill_alone},
    {PATIENCE_DEATH, 20000, leave}, /* a zygote that stands still is gone by then */
    {PATIENCE_WORD, 500, run_unheard},
    {PATIENCE_WORD, 20000, leave},
    {PATIENCE_ORPHAN_DEATH, 2000, kill_alone},
    {PATIENCE_ORPHAN_DEATH, 20000, leave},
};

static enum patience_for awaited_of_program(const struct relay *relay,
                                            int64_t *ret_began_ms)
{
    const struct run *run = &relay->run;

    if (run->killed == KILL_NONE) {
        return forward_has_begun(relay) ? PATIENCE_NOTHING : PATIENCE_BEGIN;
    }
    *ret_began_ms = run->dead_ms != 0 ? run->dead_ms : run->killed_ms;
    return run->dead_ms != 0 ? PATIENCE_WORD : PATIENCE_DEATH;
}

static enum patience_for awaited(const struct relay *relay, int64_t *ret_began_ms)
{
    const struct run *run = &relay->run;

    *ret_began_ms = run->entered_ms;
    switch (run->state) {
    case RUN_FETCHING: return PATIENCE_BYTES;
    case RUN_ORPHANED: return PATIENCE_ORPHAN_DEATH;
    case RUN_RUNNING: return awaited_of_program(relay, ret_began_ms);
    default: return PATIENCE_NOTHING;
    }
}

/* The row that comes next, or array_size(rows). */
static size_t next_row(const struct patience *patience)
{
    unsigned taken = 0;
    size_t i = 0;

    while (i < array_size(rows) &&
           (rows[i].what != patience->what || taken++ < patience->steps)) {
        i++;
    }
    return i;
}

static void look(struct relay *relay)
{
    struct patience *patience = &relay->patience;
    int64_t began_ms;
    enum patience_for what = awaited(relay, &began_ms);

    if (what != patience->what || began_ms != patience->began_ms) {
        *patience =
            (struct patience){.what = what, .began_ms = began_ms, .since_ms = began_ms};
    }
}

void patience_tend(struct relay *relay, int64_t now_ms)
{
    struct patience *patience = &relay->patience;
    size_t row;

    look(relay);
    row = next_row(patience);
    if (row < array_size(rows) && now_ms >= patience->since_ms + rows[row].after_ms) {
        patience->steps++;
        patience->since_ms = now_ms;
        rows[row].act(relay);
    }
}

int64_t patience_deadline(const struct relay *relay)
{
    size_t row = next_row(&relay->patience);

    return row < array_size(rows) ? relay->patience.since_ms + rows[row].after_ms
                                  : CLOCK_NEVER;
}
