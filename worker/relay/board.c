/* SPDX-License-Identifier: MIT */
/*
 * A relay's slot of the scoreboard. Runs in the relay, which believes nothing that stands
 * there but how much the slot has counted. Must make no call of the kernel.
 */
#include "worker/relay/board.h"

#include "common/log.h"
#include "worker/relay/claims.h"
#include "worker/relay/relay.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* One relay asks for all. Another one takes over when that one is late. */
#define ASK_MS  1000
#define LATE_MS 3000

/* The first one of a queue with a damaged key mends it: who is refused so often in a row
 * will be again. */
#define REFUSED_MOST 3

int board_open(struct relay *relay, int fd)
{
    struct board *board = &relay->board;
    struct scoreboard_work before;
    int error = scoreboard_map(fd, true, &board->scoreboard);

    if (error < 0) {
        return error;
    }
    board->slot = &board->scoreboard->slots[relay->setup.slot % LIMIT_WORKERS];
    scoreboard_read(board->slot, &before);
    board->work = (struct scoreboard_work){.pid = getpid(),
                                           .state = SCOREBOARD_STARTING,
                                           .since_ms = clock_now_ms(),
                                           .seen_ms = clock_now_ms(),
                                           .last_verdict = before.last_verdict,
                                           .last_ms = before.last_ms,
                                           .counts = before.counts};
    memcpy(board->work.last, before.last, sizeof(before.last));
    scoreboard_write(board->slot, &board->work);
    return 0;
}

void board_done(struct relay *relay)
{
    struct board *board = &relay->board;

    if (board->slot != NULL) {
        scoreboard_write(board->slot, &board->work);
        scoreboard_leave(board->slot);
    }
    scoreboard_unmap(board->scoreboard);
    *board = (struct board){0};
}

void board_taken(struct relay *relay)
{
    relay->board.work.taken_ms = clock_now_ms();
}

/* ---- what is counted ---- */

void board_count_job(struct relay *relay)
{
    if (relay->run.job.queue_ms >= 0) {
        scoreboard_note(&relay->board.work.counts.waits, relay->run.job.queue_ms);
    }
}

void board_count_end(struct relay *relay)
{
    const struct settlement *settlement = &relay->settlement;
    struct scoreboard_work *work = &relay->board.work;
    struct scoreboard_counts *counts = &work->counts;

    if (settlement->verdict == VERDICT_NONE) {
        return;
    }
    (void)snprintf(work->last, sizeof(work->last), "%s", relay->run.job.id);
    work->last_verdict = settlement->verdict;
    work->last_ms = clock_now_ms();
    counts->verdicts[settlement->verdict]++;
    if (settlement->wall_ms >= 0) {
        scoreboard_note(&counts->runs, settlement->wall_ms);
        counts->cpu_ms += (uint64_t)settlement->cpu_ms;
    }
}

/* ---- the queue ---- */

struct board_question *board_question(struct relay *relay, uint32_t queue)
{
    struct board_question *question = &relay->board.questions[queue];

    *question = (struct board_question){relay, queue};
    return question;
}

/* Of all that are asked at once Redis does not say which one it refuses. */
static void note_refusal(struct scoreboard_queue *queue, const struct redisReply *reply)
{
    bool refused = reply != NULL && reply->type == REDIS_REPLY_ERROR;

    if (atomic_exchange(&queue->refused, refused) == 0 && refused &&
        strncmp(reply->str, "NOPERM", 6) == 0) {
        log_warning("queue=%s: Redis refuses it to the pool's user: %s",
                    queue->share.name, reply->str);
    }
}

void board_on_depth(void *context, const struct redisReply *reply)
{
    const struct board_question *question = context;
    struct relay *relay = question->relay;
    struct scoreboard_queue *queue = &relay->board.scoreboard->queues[question->queue];
    struct claims_depth depth;

    relay->board.unanswered--;
    note_refusal(queue, reply);
    if (broker_accept(relay, BROKER_COMMANDS, "look at the queue's depth", reply) &&
        claims_read_depth(reply, &depth)) {
        atomic_store(&queue->waiting, depth.waiting);
        atomic_store(&queue->running, depth.running);
        atomic_store(&queue->oldest_ms, (long long)depth.oldest_ms);
        atomic_store(&queue->delayed, depth.delayed);
        atomic_store(&queue->dead, depth.dead);
        atomic_store(&queue->paused, depth.paused != 0);
        atomic_store(&queue->told_ms, clock_now_ms());
    }
}

/* A user who may not ask for these two goes without: they are figures, and no job waits
 * for them. */
void board_on_memory(void *context, const struct redisReply *reply)
{
    struct relay *relay = context;
    struct scoreboard_redis *redis = &relay->board.scoreboard->redis;
    uint64_t used, most;

    if (reply != NULL && claims_read_memory(reply, &used, &most)) {
        atomic_store(&redis->memory, used);
        atomic_store(&redis->memory_most, most);
    }
}

void board_on_conf(void *context, const struct redisReply *reply)
{
    const struct board_question *question = context;
    struct scoreboard *board = question->relay->board.scoreboard;

    if (reply != NULL) {
        atomic_store(&board->queues[question->queue].closed,
                     claims_conf_is_closed(reply));
    }
}

/* All in one write. */
static void ask_all(struct relay *relay)
{
    for (uint32_t i = 0; i < relay->queues.count; i++) {
        relay->board.unanswered += claims_depth(relay, i) == 0;
        if (claims_conf(relay, i) < 0) {
            return;
        }
    }
    if (claims_memory(relay) < 0) {
        log_debug("unable to ask for Redis's memory"); /* the next look is not far */
    }
}

static void ask(struct relay *relay, int64_t now_ms)
{
    struct board *board = &relay->board;
    bool ours = scoreboard_may_ask(&board->scoreboard->redis, now_ms,
                                   board->asker ? ASK_MS : LATE_MS);

    board->asker = ours;
    board->look_ms = now_ms + (ours ? ASK_MS : LATE_MS);
    if (ours) {
        ask_all(relay);
    }
}

/* ---- the slot ---- */

/* Of a relay that has no job. */
static enum scoreboard_state free_state(const struct relay *relay, int64_t now_ms)
{
    if (relay->mode != RELAY_SERVING) {
        return SCOREBOARD_LEAVING;
    }
    if (broker_is_away(relay) || relay->run.refused >= REFUSED_MOST) {
        return SCOREBOARD_NO_REDIS;
    }
    return sandbox_link_ready(relay) || relay->run.claim_asked ? SCOREBOARD_IDLE
                                                               : SCOREBOARD_NO_SANDBOX;
}

static enum scoreboard_state state_of(const struct relay *relay, int64_t now_ms)
{
    static const enum scoreboard_state states[RUN_STATES] = {
        [RUN_FETCHING] = SCOREBOARD_FETCHING,
        [RUN_RUNNING] = SCOREBOARD_RUNNING,
        [RUN_ORPHANED] = SCOREBOARD_RUNNING,
        [RUN_SETTLING] = SCOREBOARD_SETTLING,
    };
    enum scoreboard_state busy = states[relay->run.state];

    return busy != SCOREBOARD_OFF ? busy : free_state(relay, now_ms);
}

static void show(struct relay *relay, int64_t now_ms)
{
    struct scoreboard_work *work = &relay->board.work;
    const struct claims_job *job = &relay->run.job;
    uint32_t state = state_of(relay, now_ms);

    if (work->state != state) {
        work->state = state;
        work->since_ms = now_ms;
    }
    (void)snprintf(work->queue, sizeof(work->queue), "%s", job->queue);
    (void)snprintf(work->job, sizeof(work->job), "%s", job->id);
    (void)snprintf(work->tenant, sizeof(work->tenant), "%s", job->tenant);
    work->attempt = job->attempt;
    work->seen_ms = now_ms;
    scoreboard_write(relay->board.slot, work);
}

void board_tend(struct relay *relay, int64_t now_ms)
{
    struct board *board = &relay->board;

    if (now_ms >= board->look_ms && board->unanswered == 0 &&
        broker_ready(relay, now_ms)) {
        ask(relay, now_ms);
    }
    show(relay, now_ms);
}

int64_t board_deadline(const struct relay *relay)
{
    return relay->board.unanswered > 0 ? CLOCK_NEVER
                                       : broker_when(relay, relay->board.look_ms);
}
