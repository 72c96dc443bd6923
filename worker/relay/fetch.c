/* SPDX-License-Identifier: MIT */
/*
 * Fetching a job's bytes. Runs in the relay. The key was checked when the job was
 * enqueued, but clients may write to it since: so the limits are checked before anything
 * is read, and again on what came. Must never look into the bytes.
 */
#include "worker/relay/fetch.h"

#include "worker/relay/claims.h"
#include "worker/relay/relay.h"

static int fill_inbox(const struct relay *relay, const char *code, size_t size)
{
    const struct claims_job *job = &relay->run.job;
    struct job_part_bytes parts[JOB_PART_COUNT];

    for (int part = 0; part < JOB_PART_COUNT; part++) {
        const char *bytes = job->parts[part].bytes;

        parts[part] =
            (struct job_part_bytes){bytes != NULL ? bytes : "", job->parts[part].size};
    }
    parts[JOB_PART_CODE] = (struct job_part_bytes){code, size};
    return job_inbox_fill(relay->link.next.inbox, job->attempt, &job->limits, parts);
}

/* What is not is asked again by fetch_tend, where it still matters. */
static bool is_answered(struct relay *relay, const struct redisReply *reply)
{
    relay->fetch.asked = false;
    return relay->run.state == RUN_FETCHING &&
           broker_accept(relay, BROKER_COMMANDS, "fetch a job", reply);
}

void fetch_on_code(void *context, const struct redisReply *reply)
{
    struct relay *relay = context;

    if (!is_answered(relay, reply)) {
        return;
    }
    if (reply->len == 0) {
        relay->fetch.asked = claims_look_for_code(relay) == 0;
    } else if (reply->len > claims_most_bytes(relay)) {
        run_too_large(relay);
    } else {
        run_fetched(relay, fill_inbox(relay, reply->str, reply->len));
    }
}

/* A program of no bytes is one, and its author is told so; one that is gone is none. */
void fetch_on_look(void *context, const struct redisReply *reply)
{
    struct relay *relay = context;

    if (!is_answered(relay, reply)) {
        return;
    }
    if (reply->integer == 0) {
        run_unfetched(relay, "its ZIP is gone");
    } else {
        run_fetched(relay, fill_inbox(relay, "", 0));
    }
}

void fetch_tend(struct relay *relay, int64_t now_ms)
{
    if (relay->run.state == RUN_FETCHING && !relay->fetch.asked &&
        broker_ready(relay, now_ms)) {
        relay->fetch.asked = claims_fetch(relay) == 0;
    }
}

void fetch_give_up(struct relay *relay)
{
    run_unfetched(relay, "its ZIP could not be read in time");
}
