/* SPDX-License-Identifier: MIT */
/*
 * What a relay says to the queue (docs/PROTOCOL.md): the calls of the Functions library
 * that are a relay's own, and the few plain commands beside them. Each returns 0 when it
 * is under way, or a negative errno when the connection is down; the answer comes to the
 * function that is named, in the order of the calls.
 */
#pragma once

#include "common/job.h"
#include "common/limits.h"
#include "queue/redis.h"
#include "worker/relay/stream.h"

#include <stdbool.h>
#include <stdint.h>

struct relay;

/* Of a command, from when it is sent. */
#define CLAIMS_COMMAND_MS 5000

/* A job as it was claimed. */
struct claims_job {
    char queue[LIMIT_QUEUE + 1]; /* one of relay->queues */
    char id[LIMIT_JOB_ID + 1];
    char token[192];
    char tenant[LIMIT_TENANT + 1];
    int64_t queue_ms;         /* how long it had waited; -1: not known */
    uint32_t attempt;         /* 0: it cannot be understood */
    char unclear[32];         /* the first field that cannot be understood; "": none */
    struct stream_id after;   /* behind which its recording comes */
    bool others_wait;         /* the queue held more jobs when this one was claimed */
    struct job_limits limits; /* after the operator's maxima */
    struct {
        char *bytes; /* owned; NULL: empty */
        size_t size;
    } parts[JOB_PART_COUNT]; /* all but the code */
};

/* A queue. */
struct claims_depth {
    uint64_t waiting; /* jobs that could run now */
    uint64_t running;
    uint64_t oldest_ms; /* how long the first that waits has waited */
    uint64_t delayed, dead, paused;
};

void claims_job_done(struct claims_job *job);

/* Of the first of the queues, in their order, that has a job -> run_on_claim */
int claims_claim(struct relay *relay);
/* Answers are names and values in turn. Returns the value of a name, or NULL. */
const struct redisReply *claims_find(const struct redisReply *reply, const char *name);
/* Milliseconds in which nothing will be due, as the answer of a claim that brought no job
 * says; 0 where it does not. */
int64_t claims_idle_ms(const struct redisReply *reply);
/* For how long to wait before looking again, by that: not beyond `most_ms`, and where
 * something is overdue a moment, for others look as well. */
int64_t claims_pause_ms(int64_t idle_ms, int64_t most_ms);
/* Reads a claim's answer. Returns 1 and a job, which may be `unclear`; 0 when nothing
 * waits; -EPROTO where it is not even known whose answer it is, or -ENOMEM. */
int claims_read(const struct relay *relay, const struct redisReply *reply,
                struct claims_job *ret);
/* The job's bytes, but never more of them than one over claims_most_bytes, whatever
 * became of the key since the job was enqueued; none where there is no key
 * -> fetch_on_code */
int claims_fetch(struct relay *relay);
size_t claims_most_bytes(const struct relay *relay);
/* Whether there is such a key -> fetch_on_look */
int claims_look_for_code(struct relay *relay);
/* -> lease_on_beat */
int claims_beat(struct relay *relay);
/* What time demands of all queues; answered as a claim that brings no job. `word`:
 * "ends", for what no relay has heard, or "heard", to say no more than what was
 * -> upkeep_on_answer */
int claims_tend(struct relay *relay, const char *word);
/* Of all queues, for the reason that the lease has -> lease_on_recovered */
int claims_recover(struct relay *relay);
/* A function with the job's id and token and `argc` more arguments -> settle_on_answer */
int claims_settle(struct relay *relay, const char *function, int argc,
                  const char *const *argv);
/* Of a queue, for a board_question's answer -> board_on_depth */
int claims_depth(struct relay *relay, uint32_t queue);
/* Reads its answer. Returns false for another one. */
bool claims_read_depth(const struct redisReply *reply, struct claims_depth *ret);
/* How much memory Redis uses, and may use -> board_on_memory */
int claims_memory(struct relay *relay);
/* Reads its answer; `most` is 0 where there is no maximum. Returns false for another one.
 */
bool claims_read_memory(const struct redisReply *reply, uint64_t *ret_used,
                        uint64_t *ret_most);
/* What the operator has set of a queue, for a board_question -> board_on_conf */
int claims_conf(struct relay *relay, uint32_t queue);
/* Reads its answer: whether one of these lets no job in. */
bool claims_conf_is_closed(const struct redisReply *reply);
/* -> broker_on_version */
int claims_version(struct relay *relay);

/* At most so many bytes of the running job's live input, from an offset on. */
int claims_read_input(struct relay *relay, uint64_t offset, size_t most,
                      redis_answer *answer);

/* Puts a wake-up that we took and can not use back for another relay. */
void claims_wake_another(struct relay *relay, uint32_t queue);
