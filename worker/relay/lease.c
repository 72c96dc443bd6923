/* SPDX-License-Identifier: MIT */
/*
 * Keeping a job, and hearing that it is lost or cancelled. Runs in the relay. Redis alone
 * says whose a job is; until it has said so, in time, we act as if it were somebody
 * else's.
 */
#include "worker/relay/lease.h"

#include "common/log.h"
#include "worker/relay/claims.h"
#include "worker/relay/relay.h"

#include <inttypes.h>
#include <string.h>

#define RETRY_MS 100
/* At the latest: by beats it is known whether jobs could run, too. */
#define BEAT_MS 3500

static int64_t beat_every_ms(const struct relay *relay)
{
    int64_t third_ms = relay->setup.lease_ms / 3;

    return third_ms < BEAT_MS ? third_ms : BEAT_MS;
}

void lease_begin(struct relay *relay, int64_t sent_ms)
{
    relay->lease.doubted = false;
    relay->lease.until_ms = sent_ms + relay->setup.lease_ms;
    relay->lease.beat_ms = sent_ms + beat_every_ms(relay);
}

void lease_hurry(struct relay *relay)
{
    relay->lease.beat_ms = 0;
}

void lease_doubt(struct relay *relay)
{
    relay->lease.doubted = true;
}

size_t lease_pool_length(const char *owner)
{
    const char *dot = strrchr(owner, '.');

    return dot != NULL ? (size_t)(dot - owner) : strlen(owner);
}

bool lease_holds(const struct relay *relay, int64_t now_ms)
{
    return run_has_job(relay) && now_ms < relay->lease.until_ms && !relay->lease.doubted;
}

/* Nobody takes a job whose lease holds but a pool of our own name, which believes that it
 * has left it behind. */
void lease_note_taken(const struct relay *relay, int64_t now_ms)
{
    log_warning("job=%s attempt=%" PRIu32 " is not ours any more", relay->run.job.id,
                relay->run.job.attempt);
    if (lease_holds(relay, now_ms)) {
        log_warning("job=%s was taken from here although its lease holds: is there "
                    "another pool with the owner of this one, %.*s?",
                    relay->run.job.id, (int)lease_pool_length(relay->setup.owner),
                    relay->setup.owner);
    }
}

/* ---- beats ---- */

/* A beat is refused. Where that says how Redis is, time heals it; else, once the lease is
 * over, there is nothing to wait for: the queue gives the job to somebody else. */
static void note_refusal(struct relay *relay, const struct redisReply *reply)
{
    int64_t now_ms = clock_now_ms();

    relay->lease.beat_ms = now_ms + RETRY_MS;
    if (!broker_passes(reply) && now_ms >= relay->lease.until_ms) {
        run_lease_lost(relay);
    }
}

void lease_hear_forgotten(struct relay *relay, const char *answer)
{
    static const char forgotten[] = "forgotten ";

    if (strncmp(answer, forgotten, sizeof(forgotten) - 1) == 0) {
        run_forgotten(relay, answer);
    }
}

static bool beats(const struct relay *relay)
{
    return run_has_job(relay) && !relay->lease.asked && !relay->settlement.asked;
}

static void beat(struct relay *relay, int64_t now_ms)
{
    struct lease *lease = &relay->lease;

    if (beats(relay) && now_ms >= lease->beat_ms && broker_ready(relay, now_ms)) {
        lease->asked = claims_beat(relay) == 0;
        lease->sent_ms = now_ms;
        lease->beat_ms = now_ms + beat_every_ms(relay);
    }
}

void lease_on_beat(void *context, const struct redisReply *reply)
{
    struct relay *relay = context;
    struct lease *lease = &relay->lease;

    lease->asked = false;
    if (!run_has_job(relay)) {
        return;
    }
    if (!broker_accept(relay, BROKER_COMMANDS, "renew a lease", reply) ||
        (reply->type != REDIS_REPLY_STATUS && reply->type != REDIS_REPLY_STRING)) {
        note_refusal(relay, reply);
        return;
    }
    board_taken(relay);
    if (strcmp(reply->str, "lost") == 0) {
        run_lease_lost(relay);
        return;
    }
    lease->doubted = false;
    lease->until_ms = lease->sent_ms + relay->setup.lease_ms;
    input_hear(relay); /* the word of it may have gone to who had the job before */
    if (strcmp(reply->str, "cancel") == 0) {
        run_cancel(relay);
    } else {
        lease_hear_forgotten(relay, reply->str);
    }
}

/* ---- jobs that we know nothing of ---- */

/* Only when the sandboxes of whoever had this slot before are reaped: else their jobs
 * could run twice at once. */
static void recover(struct relay *relay, int64_t now_ms)
{
    struct lease *lease = &relay->lease;

    if (lease->recover != NULL && !lease->recover_asked && relay->run.state == RUN_IDLE &&
        sandbox_link_is_up(relay) && broker_ready(relay, now_ms)) {
        lease->recover_asked = claims_recover(relay) == 0;
    }
}

void lease_on_recovered(void *context, const struct redisReply *reply)
{
    struct relay *relay = context;

    relay->lease.recover_asked = false;
    if (!broker_accept(relay, BROKER_COMMANDS, "give back old jobs", reply)) {
        return;
    }
    for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i < reply->elements; i++) {
        if (reply->element[i]->type == REDIS_REPLY_STRING) {
            log_warning("job=%s was left behind, and is given back: %s",
                        reply->element[i]->str, relay->lease.recover);
        }
    }
    relay->lease.recover = NULL;
}

/* ---- time ---- */

void lease_tend(struct relay *relay, int64_t now_ms)
{
    beat(relay, now_ms);
    recover(relay, now_ms);
}

int64_t lease_deadline(const struct relay *relay)
{
    return beats(relay) ? broker_when(relay, relay->lease.beat_ms) : CLOCK_NEVER;
}
