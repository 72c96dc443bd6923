/* SPDX-License-Identifier: MIT */
/*
 * Live input. Runs in the relay. The bytes are a client's, and are never looked at; how
 * much of them was read is the sandbox's word, and gains it nothing: who has read what it
 * was not given gets no more. Must never wait for the sandbox: where there is no room it
 * is looked for again, in pauses.
 */
#include "worker/relay/input.h"

#include "common/ring.h"
#include "worker/relay/claims.h"
#include "worker/relay/relay.h"

#define RETRY_MS     100
#define PAUSE_MIN_MS 5
#define PAUSE_MAX_MS 50
#define WORTH_ASKING                                                                     \
    (RING_INPUT / 2) /* whoever reads byte by byte has enough till then */

void input_reset(struct relay *relay)
{
    struct input *input = &relay->input;

    *input = (struct input){.strays = input->strays + (input->asked ? 1 : 0)};
}

void input_begin(struct relay *relay)
{
    relay->input.open = relay->run.job.limits.live_input != 0;
    relay->input.wanted = true; /* it may have come before the job's turn */
}

void input_hear(struct relay *relay)
{
    relay->input.wanted = true;
}

static bool is_open(const struct relay *relay)
{
    return relay->input.open && relay->run.state == RUN_RUNNING;
}

/* {bytes, whether there are more, whether these end it} */
static bool is_answer(const struct redisReply *reply)
{
    return reply->type == REDIS_REPLY_ARRAY && reply->elements == 3 &&
           reply->element[0]->type == REDIS_REPLY_STRING &&
           reply->element[1]->type == REDIS_REPLY_INTEGER &&
           reply->element[2]->type == REDIS_REPLY_INTEGER;
}

static void note_fed(struct input *input, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        input->last[input->fed++ % INPUT_LAST] = (unsigned char)bytes[i];
    }
}

uint32_t input_sum(const struct input *input)
{
    uint64_t at = input->fed > INPUT_LAST ? input->fed - INPUT_LAST : 0;
    uint32_t sum = 0;

    for (; at < input->fed; at++) {
        sum = sum * 31 + input->last[at % INPUT_LAST];
    }
    return sum;
}

/* A part for which there is no room after all is asked for again. */
static void feed(struct relay *relay, const struct redisReply *reply)
{
    struct input *input = &relay->input;
    struct ring_reader *ring = &relay->link.current.ring;
    const struct redisReply *bytes = reply->element[0];
    ssize_t fed = ring_reader_feed(ring, bytes->str, bytes->len);
    bool all = fed == (ssize_t)bytes->len;

    note_fed(input, bytes->str, fed > 0 ? (size_t)fed : 0);
    input->open = fed >= 0;
    input->wanted = input->wanted || !all || reply->element[1]->integer != 0;
    if (all && reply->element[2]->integer != 0) {
        ring_reader_end_input(ring);
        input->open = false;
    }
}

static void on_answer(void *context, const struct redisReply *reply)
{
    struct relay *relay = context;
    struct input *input = &relay->input;

    if (input->strays > 0) {
        input->strays--;
        return;
    }
    input->asked = false;
    if (reply != NULL && reply->type == REDIS_REPLY_STATUS && is_open(relay)) {
        lease_hear_forgotten(relay, reply->str);
        return;
    }
    if (!broker_accept(relay, BROKER_COMMANDS, "read live input", reply) ||
        !is_answer(reply)) {
        input->wanted = true;
        input->look_ms = clock_now_ms() + RETRY_MS;
        return;
    }
    if (is_open(relay)) {
        feed(relay, reply);
    }
}

static int next_pause(int last_ms)
{
    int pause = last_ms * 2;

    if (pause < PAUSE_MIN_MS) {
        return PAUSE_MIN_MS;
    }
    return pause < PAUSE_MAX_MS ? pause : PAUSE_MAX_MS;
}

static void ask(struct relay *relay, int64_t now_ms)
{
    struct input *input = &relay->input;
    const struct ring_reader *ring = &relay->link.current.ring;
    ssize_t room = ring_reader_input_room(ring);

    if (room < 0) {
        input->open = false;
        return;
    }
    if ((size_t)room < WORTH_ASKING) {
        input->pause_ms = next_pause(input->pause_ms);
        input->look_ms = now_ms + input->pause_ms;
        return;
    }
    input->pause_ms = 0;
    input->asked = claims_read_input(relay, input->fed, (size_t)room, on_answer) == 0;
    input->wanted = !input->asked;
    input->look_ms = input->asked ? now_ms : now_ms + RETRY_MS;
}

static bool asks(const struct relay *relay)
{
    return is_open(relay) && relay->input.wanted && !relay->input.asked;
}

void input_tend(struct relay *relay, int64_t now_ms)
{
    if (asks(relay) && now_ms >= relay->input.look_ms && broker_ready(relay, now_ms)) {
        ask(relay, now_ms);
    }
}

int64_t input_deadline(const struct relay *relay)
{
    return asks(relay) ? broker_when(relay, relay->input.look_ms) : CLOCK_NEVER;
}
