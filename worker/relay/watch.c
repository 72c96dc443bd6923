/* SPDX-License-Identifier: MIT */
/*
 * Waiting for Redis to speak. Runs in the relay. A wait that has become the wrong one is
 * ended from the connection for commands (CLIENT UNBLOCK): a job's cancel must not wait
 * for the end of a wait for work. Must never keep a wake-up that it can not use: another
 * relay may be idle.
 */
#include "worker/relay/watch.h"

#include "common/log.h"
#include "queue/keys.h"
#include "worker/relay/claims.h"
#include "worker/relay/relay.h"

#include <stdio.h>
#include <string.h>

#define WATCH_MS 5000
#define LATE_MS  2000 /* a wait may end so much later than it said */

/* How often it looks by itself, for work, or word of its job. */
#define LOOK_WAKE_MS    1000
#define LOOK_CONTROL_MS 200

/* Most jobs are over sooner than this: they are not worth two commands. A cancel that
 * came earlier is in the list. */
#define SHORT_JOB_MS 25

static struct redis *line(struct relay *relay)
{
    return relay->broker.lines[BROKER_WAITING].redis;
}

static const struct {
    const char *word;
    void (*hear)(struct relay *relay);
} words[] = {{"cancel", run_cancel}, {"input", input_hear}};

static struct queue_key job_key(const struct relay *relay)
{
    return queue_key(relay->run.job.queue, "ctl:", relay->run.job.id);
}

static bool is_of_job(const struct relay *relay, const struct queue_key *key)
{
    struct queue_key ours = job_key(relay);

    return strcmp(key->text, ours.text) == 0;
}

/* Others are of a later version. */
static void on_word(struct relay *relay, const struct queue_key *key,
                    const struct redisReply *word)
{
    if (word->type != REDIS_REPLY_STRING || !is_of_job(relay, key)) {
        return;
    }
    for (size_t i = 0; i < array_size(words); i++) {
        if (strcmp(word->str, words[i].word) == 0) {
            words[i].hear(relay);
        }
    }
}

/* Whose wake list gave that. */
static uint32_t queue_of(const struct relay *relay, const struct redisReply *key)
{
    for (uint32_t i = 0; i < relay->queues.count; i++) {
        struct queue_key wake = queue_key(relay->queues.shares[i].name, "wake", "");

        if (key->type == REDIS_REPLY_STRING && strcmp(key->str, wake.text) == 0) {
            return i;
        }
    }
    return QUEUES_NONE;
}

static void on_answer(void *context, const struct redisReply *reply)
{
    struct relay *relay = context;
    struct watch done = relay->watch;
    bool popped;

    relay->watch.on = WATCH_NOTHING;
    relay->watch.ending = false;
    if (!broker_accept(relay, BROKER_WAITING, "wait for word", reply)) {
        if (done.on == WATCH_WAKE) {
            run_wake(relay, QUEUES_NONE); /* who can not be told looks by himself */
        }
        return;
    }
    popped = reply->type == REDIS_REPLY_ARRAY && reply->elements == 2;
    if (done.on == WATCH_WAKE) {
        run_wake(relay, popped ? queue_of(relay, reply->element[0]) : QUEUES_NONE);
    } else if (popped) {
        on_word(relay, &done.job, reply->element[1]);
    }
}

static void on_client(void *context, const struct redisReply *reply)
{
    struct relay *relay = context;

    if (broker_accept(relay, BROKER_WAITING, "learn the connection's number", reply) &&
        reply->type == REDIS_REPLY_INTEGER) {
        (void)snprintf(relay->watch.client, sizeof(relay->watch.client), "%lld",
                       reply->integer);
    }
}

/* Jobs that were put off, or whose owner is missed, are found by looking in time. */
static int64_t wait_ms(const struct relay *relay, enum watch_on on)
{
    return on == WATCH_WAKE ? claims_pause_ms(relay->watch.idle_ms, WATCH_MS) : WATCH_MS;
}

/* The lists to wait for, as words behind BLPOP. Returns how many. */
static int lists_of(const struct relay *relay, enum watch_on on,
                    struct queue_key keys[LIMIT_QUEUES])
{
    if (on == WATCH_CONTROL) {
        keys[0] = job_key(relay);
        return 1;
    }
    for (uint32_t i = 0; i < relay->queues.count; i++) {
        keys[i] = queue_key(relay->queues.shares[i].name, "wake", "");
    }
    return (int)relay->queues.count;
}

static void begin(struct relay *relay, enum watch_on on)
{
    const char *argv[1 + LIMIT_QUEUES + 1] = {"BLPOP"};
    struct queue_key keys[LIMIT_QUEUES];
    int lists = lists_of(relay, on, keys);
    char seconds[32];

    for (int i = 0; i < lists; i++) {
        argv[1 + i] = keys[i].text;
    }
    (void)snprintf(seconds, sizeof(seconds), "%.3f", (double)wait_ms(relay, on) / 1000);
    argv[1 + lists] = seconds;
    if (redis_send(line(relay), WATCH_MS + LATE_MS, on_answer, relay, lists + 2, argv,
                   NULL) == 0) {
        relay->watch.on = on;
        relay->watch.job = keys[0];
    }
}

static void on_ended(void *context, const struct redisReply *reply)
{
    struct relay *relay = context;

    /* A wait that Redis has not heard of yet, or that has just ended, is none to it. */
    if (!broker_accept(relay, BROKER_COMMANDS, "end a wait", reply) ||
        reply->type != REDIS_REPLY_INTEGER || reply->integer == 0) {
        relay->watch.ending = false;
    }
}

static void end(struct relay *relay)
{
    relay->watch.ending =
        redis_send_text(broker_commands(relay), WATCH_MS, on_ended, relay, "CLIENT",
                        "UNBLOCK", relay->watch.client, NULL) == 0;
}

/* The job can be cancelled, also while its ZIP is fetched. */
static bool has_control(const struct relay *relay)
{
    return relay->run.state == RUN_FETCHING || relay->run.state == RUN_RUNNING;
}

/* When it is no longer a short one. */
static int64_t control_ms(const struct relay *relay)
{
    return relay->run.entered_ms + SHORT_JOB_MS;
}

static enum watch_on wanted(const struct relay *relay, int64_t now_ms)
{
    if (has_control(relay)) {
        return now_ms >= control_ms(relay) ? WATCH_CONTROL : WATCH_NOTHING;
    }
    return run_wants_wake(relay) ? WATCH_WAKE : WATCH_NOTHING;
}

static bool is_right(const struct relay *relay, enum watch_on want)
{
    return want == relay->watch.on &&
           (want != WATCH_CONTROL || is_of_job(relay, &relay->watch.job));
}

/* Where it cannot wait to be told: a beat hears of a cancel. */
static void look(struct relay *relay, enum watch_on want, int64_t now_ms)
{
    struct watch *watch = &relay->watch;

    if ((watch->looked == want && now_ms < watch->look_ms) ||
        !broker_ready(relay, now_ms)) {
        return;
    }
    watch->looked = want;
    if (want == WATCH_WAKE) {
        watch->look_ms = now_ms + claims_pause_ms(watch->idle_ms, LOOK_WAKE_MS);
        run_wake(relay, QUEUES_NONE);
    } else {
        watch->look_ms = now_ms + LOOK_CONTROL_MS;
        lease_hurry(relay);
        input_hear(relay);
    }
}

void watch_tend(struct relay *relay, int64_t now_ms)
{
    struct watch *watch = &relay->watch;
    enum watch_on want = wanted(relay, now_ms);

    if (want == WATCH_NOTHING || is_right(relay, want)) {
        return;
    }
    if (!broker_can_wait(relay, now_ms)) {
        look(relay, want, now_ms);
        return;
    }
    if (watch->on == WATCH_NOTHING) {
        begin(relay, want);
    } else if (!watch->ending && watch->client[0] != '\0' &&
               broker_ready(relay, now_ms)) {
        end(relay);
    }
}

int64_t watch_deadline(const struct relay *relay)
{
    const struct watch *watch = &relay->watch;
    int64_t now_ms = clock_now_ms(), deadline = CLOCK_NEVER;
    enum watch_on want = wanted(relay, now_ms);

    if (has_control(relay) && !is_right(relay, WATCH_CONTROL) && !watch->ending &&
        control_ms(relay) > now_ms) {
        return control_ms(relay);
    }
    if (want != WATCH_NOTHING && !broker_can_wait(relay, now_ms)) {
        deadline = broker_when(relay, watch->looked == want ? watch->look_ms : now_ms);
    }
    /* Once it has passed, the loop is woken by what is still missing. */
    return deadline > now_ms ? deadline : CLOCK_NEVER;
}

void watch_up(struct relay *relay)
{
    relay->watch = (struct watch){0};
    if (redis_send_text(line(relay), WATCH_MS, on_client, relay, "CLIENT", "ID", NULL) <
        0) {
        relay->broker.lines[BROKER_WAITING].drop = true;
    }
    run_wake(relay, QUEUES_NONE); /* whatever was missed meanwhile */
    input_hear(relay);
}

void watch_down(struct relay *relay)
{
    relay->watch = (struct watch){0};
}
