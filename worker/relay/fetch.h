/* SPDX-License-Identifier: MIT */
/*
 * A claimed job's bytes: from the queue into the inbox of the sandbox that waits. What
 * came of it is told to run.c.
 */
#pragma once

#include "queue/redis.h"

#include <stdbool.h>
#include <stdint.h>

struct relay;

struct fetch {
    bool asked; /* and it is not answered */
};

/* Asks for them, where a job is to be fetched. */
void fetch_tend(struct relay *relay, int64_t now_ms);
/* They take too long. */
void fetch_give_up(struct relay *relay);

redis_answer fetch_on_code;
redis_answer fetch_on_look;
