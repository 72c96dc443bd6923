/* SPDX-License-Identifier: MIT */
/*
 * Looking after queues. Runs in the relay, for all of its pool. What is to be done, and
 * when next, the Functions library says.
 */
#include "worker/relay/upkeep.h"

#include "worker/relay/claims.h"
#include "worker/relay/relay.h"

#define MOST_MS  1000
#define LEAST_MS 20 /* where the library has left some for the next call */

static int64_t pause_ms(const struct redisReply *reply)
{
    int64_t idle_ms = claims_idle_ms(reply);

    if (idle_ms <= 0 || idle_ms > MOST_MS) {
        return MOST_MS;
    }
    return idle_ms > LEAST_MS ? idle_ms : LEAST_MS;
}

void upkeep_on_answer(void *context, const struct redisReply *reply)
{
    struct relay *relay = context;
    bool accepted = broker_accept(relay, BROKER_COMMANDS, "look after the queue", reply);

    relay->upkeep.asked = false;
    relay->upkeep.due_ms = clock_now_ms() + (accepted ? pause_ms(reply) : MOST_MS);
}

void upkeep_tend(struct relay *relay, int64_t now_ms)
{
    struct upkeep *upkeep = &relay->upkeep;

    if (relay->board.asker && !upkeep->asked && now_ms >= upkeep->due_ms &&
        broker_ready(relay, now_ms)) {
        upkeep->asked = claims_tend(relay) == 0;
    }
}

int64_t upkeep_deadline(const struct relay *relay)
{
    return relay->board.asker && !relay->upkeep.asked
               ? broker_when(relay, relay->upkeep.due_ms)
               : CLOCK_NEVER;
}
