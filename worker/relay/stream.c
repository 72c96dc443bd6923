/* SPDX-License-Identifier: MIT */
/*
 * The Stream of a job. Runs in the relay. Redis is trusted, but who else writes there is
 * not known: of an entry its id and its first words are looked at. Must never look into a
 * slice.
 */
#include "worker/relay/stream.h"

#include "common/cleanup.h"
#include "queue/keys.h"
#include "worker/relay/relay.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- ids ---- */

bool stream_read_id(const char *text, struct stream_id *ret)
{
    return sscanf(text, "%" SCNu64 "-%" SCNu64, &ret->ms, &ret->number) == 2;
}

struct stream_id_text stream_id_text(struct stream_id id)
{
    struct stream_id_text text;

    (void)snprintf(text.text, sizeof(text.text), "%" PRIu64 "-%" PRIu64, id.ms,
                   id.number);
    return text;
}

int stream_compare(struct stream_id one, struct stream_id other)
{
    if (one.ms != other.ms) {
        return one.ms < other.ms ? -1 : 1;
    }
    return one.number < other.number ? -1 : one.number > other.number;
}

/* ---- writing and looking ---- */

/* NOMKSTREAM: the claim has made the Stream; where it is gone, so is the job. */
int stream_publish(struct relay *relay, struct stream_id id, const void *bytes,
                   size_t size, redis_answer *answer)
{
    const struct claims_job *job = &relay->run.job;
    struct queue_key key = queue_key(job->queue, "frames:", job->id);
    struct stream_id_text at = stream_id_text(id);
    char attempt[16];
    const char *argv[] = {"XADD", key.text, "NOMKSTREAM", id.ms != 0 ? at.text : "*",
                          "k",    "slice",  "a",          attempt,
                          "d",    bytes};
    size_t lengths[array_size(argv)];

    (void)snprintf(attempt, sizeof(attempt), "%" PRIu32, job->attempt);
    for (size_t i = 0; i + 1 < array_size(argv); i++) {
        lengths[i] = strlen(argv[i]);
    }
    lengths[array_size(argv) - 1] = size;
    return redis_send(broker_commands(relay), CLAIMS_COMMAND_MS, answer, relay,
                      array_size(argv), argv, lengths);
}

int stream_find(struct relay *relay, struct stream_id after, size_t most,
                redis_answer *answer)
{
    struct queue_key key = queue_key(relay->run.job.queue, "frames:", relay->run.job.id);
    char from[64] = "-", count[24];

    if (after.ms != 0) {
        (void)snprintf(from, sizeof(from), "(%s", stream_id_text(after).text);
    }
    (void)snprintf(count, sizeof(count), "%zu", most);
    return redis_send_text(broker_commands(relay), CLAIMS_COMMAND_MS, answer, relay,
                           "XRANGE", key.text, from, "+", "COUNT", count, NULL);
}

/* ---- answers ---- */

bool stream_is_behind(const struct redisReply *reply)
{
    return redis_is_error(reply, "ERR The ID specified in XADD is equal or smaller");
}

bool stream_is_none(const struct redisReply *reply)
{
    return redis_is_error(reply, "WRONGTYPE ");
}

static bool is_text(const struct redisReply *reply, const char *text)
{
    return reply->type == REDIS_REPLY_STRING && strcmp(reply->str, text) == 0;
}

bool stream_read_slice(const struct redisReply *entry, uint32_t attempt,
                       struct stream_id *ret)
{
    const struct redisReply *fields;
    bool is_slice = false, is_ours = false;
    char ours[16];

    if (entry->type != REDIS_REPLY_ARRAY || entry->elements != 2 ||
        entry->element[0]->type != REDIS_REPLY_STRING ||
        entry->element[1]->type != REDIS_REPLY_ARRAY ||
        !stream_read_id(entry->element[0]->str, ret)) {
        return false;
    }
    (void)snprintf(ours, sizeof(ours), "%" PRIu32, attempt);
    fields = entry->element[1];
    for (size_t i = 0; i + 1 < fields->elements; i += 2) {
        const struct redisReply *name = fields->element[i],
                                *value = fields->element[i + 1];

        is_slice |= is_text(name, "k") && is_text(value, "slice");
        is_ours |= is_text(name, "a") && is_text(value, ours);
    }
    return is_slice && is_ours;
}
