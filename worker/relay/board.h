/* SPDX-License-Identifier: MIT */
/*
 * What a relay shows of itself: its slot of the pool's scoreboard (common/scoreboard.h),
 * written at the end of each turn of the loop. What it counts stands in
 * relay->board.work.counts, where the modules add to it.
 */
#pragma once

#include "common/scoreboard.h"
#include "queue/redis.h"

struct relay;

/* What is asked of a queue: the context of the answers. */
struct board_question {
    struct relay *relay;
    uint32_t queue;
};

struct board {
    struct scoreboard *scoreboard; /* mapped, owned; NULL: not yet */
    struct scoreboard_slot *slot;  /* of it */
    struct scoreboard_work work;   /* what the slot says, or will say */
    struct board_question questions[LIMIT_QUEUES];
    bool asker;          /* it was for us to ask for the queues' depth */
    unsigned unanswered; /* of how many queues that was not answered yet */
    int64_t look_ms;     /* when to see whether it is for us again */
};

/* Goes on from what the slot's relay before this one has counted. Returns 0 or a negative
 * errno. The fd stays the caller's. */
int board_open(struct relay *relay, int fd);
/* There is nobody in the slot any more. */
void board_done(struct relay *relay);

/* Redis has taken what no job runs without: a claim, a beat or a result. (What it takes
 * besides, and what it tells, it does while it takes none of these, too.) */
void board_taken(struct relay *relay);
/* A job came, as it stands in relay->run. */
void board_count_job(struct relay *relay);
/* The queue took what stands in relay->settlement. */
void board_count_end(struct relay *relay);

/* For what is asked of a queue. */
struct board_question *board_question(struct relay *relay, uint32_t queue);

/* Asks for the queues' depth when it is our turn, and shows what there is to show. */
void board_tend(struct relay *relay, int64_t now_ms);
int64_t board_deadline(const struct relay *relay);
redis_answer board_on_depth, board_on_memory, board_on_conf;
