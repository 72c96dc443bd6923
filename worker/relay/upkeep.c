/* SPDX-License-Identifier: MIT */
/*
 * Looking after queues. Runs in the relay, for all of its pool. What is to be done, and
 * when next, the Functions library says.
 */
#include "worker/relay/upkeep.h"

#include "worker/relay/claims.h"
#include "worker/relay/relay.h"

#define MOST_MS 1000

void upkeep_on_answer(void *context, const struct redisReply *reply)
{
    struct relay *relay = context;
    bool accepted = broker_accept(relay, BROKER_COMMANDS, "look after the queue", reply);

    relay->upkeep.asked = false;
    relay->upkeep.due_ms =
        clock_now_ms() +
        (accepted ? claims_pause_ms(claims_idle_ms(reply), MOST_MS) : MOST_MS);
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
