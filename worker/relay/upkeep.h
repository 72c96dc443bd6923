/* SPDX-License-Identifier: MIT */
/*
 * What time demands of the queues when nobody claims, because all workers have a job or
 * the queue is paused: jobs whose wait is over expire, lost ones are given back. With
 * the answer comes what no relay has heard of: jobs that ended in the queue, and attempts
 * whose relay is gone, which are logged and counted here. One relay of the pool sees to
 * it, the one that asks for the queues' depth.
 *
 * An answer can be lost with its connection. So each call has a mark, and says which is
 * that of the last whose answer told something and was heard, by whichever relay of the
 * pool: what came with another one is told again. That stands in the scoreboard.
 */
#pragma once

#include "queue/redis.h"

#include <stdbool.h>
#include <stdint.h>

struct relay;

struct upkeep {
    bool asked;     /* paddock_tend is not answered */
    int64_t due_ms; /* when it is to be called next */
    /* of that call */
    uint64_t heard, mark;
};

void upkeep_tend(struct relay *relay, int64_t now_ms);
int64_t upkeep_deadline(const struct relay *relay);
redis_answer upkeep_on_answer;
