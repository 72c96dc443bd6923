/* SPDX-License-Identifier: MIT */
/*
 * What time demands of the queues when nobody claims, because all workers have a job or
 * the queue is paused: jobs whose wait is over expire, lost ones are given back. With
 * the answer comes what no relay has heard of: jobs that ended in the queue, and attempts
 * whose relay is gone, which are logged and counted here. One relay of the pool sees to
 * it, the one that asks for the queues' depth.
 *
 * An answer can be lost with its connection, or two relays can ask at once. So what a
 * queue gives has a mark, and is given again, unchanged, to whoever asks, until he says
 * that the pool has heard that one: the mark of the last stands in the scoreboard. It is
 * for him to tell it who puts it there in the place of the one that he asked with. Who
 * ends waits for his answer, and leaves nothing heard that the queue does not know to be.
 */
#pragma once

#include "common/limits.h"
#include "queue/redis.h"

#include <stdbool.h>
#include <stdint.h>

struct relay;

struct upkeep {
    bool asked;                   /* paddock_tend is not answered */
    bool owes;                    /* and has not said yet what was heard last */
    int64_t due_ms;               /* when it is to be called next */
    uint64_t heard[LIMIT_QUEUES]; /* what it said, of each of the pool's queues */
};

void upkeep_tend(struct relay *relay, int64_t now_ms);
int64_t upkeep_deadline(const struct relay *relay);
/* Of a relay that ends: nothing is on its way any more. */
bool upkeep_is_over(const struct relay *relay);
redis_answer upkeep_on_answer;
