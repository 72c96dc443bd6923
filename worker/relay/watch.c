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

#define WATCH_MS    5000
#define LATE_MS     2000 /* a wait may end so much later than it said */
#define IDLE_MIN_MS 20   /* whatever is overdue, others look as well */

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

/* Others are of a later version. */
static void on_word(struct relay *relay, const char *job, const struct redisReply *word)
{
    if (word->type != REDIS_REPLY_STRING || strcmp(job, relay->run.job.id) != 0) {
        return;
    }
    for (size_t i = 0; i < array_size(words); i++) {
        if (strcmp(word->str, words[i].word) == 0) {
            words[i].hear(relay);
        }
    }
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
            run_wake(relay, false); /* who can not be told looks by himself */
        }
        return;
    }
    popped = reply->type == REDIS_REPLY_ARRAY && reply->elements == 2;
    if (done.on == WATCH_WAKE) {
        run_wake(relay, popped);
    } else if (popped) {
        on_word(relay, done.job, reply->element[1]);
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
    int64_t idle_ms = relay->watch.idle_ms;

    if (on != WATCH_WAKE || idle_ms <= 0 || idle_ms > WATCH_MS) {
        return WATCH_MS;
    }
    return idle_ms > IDLE_MIN_MS ? idle_ms : IDLE_MIN_MS;
}

static void begin(struct relay *relay, enum watch_on on)
{
    char seconds[32];
    const char *job = on == WATCH_CONTROL ? relay->run.job.id : "";
    struct queue_key key =
        queue_key(relay->setup.queue, on == WATCH_CONTROL ? "ctl:" : "wake", job);

    (void)snprintf(seconds, sizeof(seconds), "%.3f", (double)wait_ms(relay, on) / 1000);
    if (redis_send_text(line(relay), WATCH_MS + LATE_MS, on_answer, relay, "BLPOP",
                        key.text, seconds, NULL) == 0) {
        relay->watch.on = on;
        (void)snprintf(relay->watch.job, sizeof(relay->watch.job), "%s", job);
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

/* When the running job is no longer a short one. */
static int64_t control_ms(const struct relay *relay)
{
    return relay->run.started_us / 1000 + SHORT_JOB_MS;
}

static enum watch_on wanted(const struct relay *relay, int64_t now_ms)
{
    if (relay->run.state == RUN_RUNNING && now_ms >= control_ms(relay)) {
        return WATCH_CONTROL;
    }
    return run_wants_wake(relay) ? WATCH_WAKE : WATCH_NOTHING;
}

static bool is_right(const struct relay *relay, enum watch_on want)
{
    return want == relay->watch.on &&
           (want != WATCH_CONTROL || strcmp(relay->watch.job, relay->run.job.id) == 0);
}

void watch_tend(struct relay *relay, int64_t now_ms)
{
    struct watch *watch = &relay->watch;
    enum watch_on want = wanted(relay, now_ms);

    if (want == WATCH_NOTHING || is_right(relay, want) ||
        !broker_can_wait(relay, now_ms)) {
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
    bool later = relay->run.state == RUN_RUNNING && !is_right(relay, WATCH_CONTROL) &&
                 !watch->ending && relay->broker.lines[BROKER_WAITING].up;
    int64_t deadline = later ? control_ms(relay) : CLOCK_NEVER;

    /* Once it has passed, the loop is woken by what is still missing. */
    return deadline > clock_now_ms() ? deadline : CLOCK_NEVER;
}

void watch_up(struct relay *relay)
{
    relay->watch = (struct watch){0};
    if (redis_send_text(line(relay), WATCH_MS, on_client, relay, "CLIENT", "ID", NULL) <
        0) {
        relay->broker.lines[BROKER_WAITING].drop = true;
    }
    run_wake(relay, false); /* whatever was missed meanwhile */
    input_hear(relay);
}

void watch_down(struct relay *relay)
{
    relay->watch = (struct watch){0};
}
