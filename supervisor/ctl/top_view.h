/* SPDX-License-Identifier: MIT */
/*
 * What `paddock top` shows, as text: of a scoreboard, of what the queue answered, and of
 * how both were a moment before. Names of jobs and tenants are of clients.
 */
#pragma once

#include "common/buffer.h"
#include "common/scoreboard.h"

#include <stdbool.h>

#define TOP_TENANTS 100

/* What the queue says itself. */
struct top_queue {
    char name[LIMIT_QUEUE + 1];
    bool known; /* it has answered */
    int64_t waiting, running, oldest_ms, delayed, capped, dead, bytes, recordings_bytes;
    char paused[257]; /* why; "": for no reason given */
    bool is_paused;
    struct top_tenant {
        char name[LIMIT_TENANT + 1];
        int64_t waiting, running;
    } tenants[TOP_TENANTS];
    size_t count;
    char why[512]; /* where it has not answered */
};

struct top_sample {
    int64_t now_ms;
    const struct scoreboard *board; /* NULL: there is none here */
    bool gone; /* the supervisor that the board names is no more, and did not say so */
    struct scoreboard_work slots[LIMIT_WORKERS];
    struct scoreboard_counts all; /* sum of the slots */
    size_t count;                 /* of queues */
    struct top_queue queues[LIMIT_QUEUES];
};

/* Copies the slots of a board (NULL: none) and sums them up. */
void top_take(struct top_sample *sample, const struct scoreboard *board, int64_t now_ms);

/* Texts for a screen of so many columns and rows (0: of any size). `before` may be NULL:
 * then rates and percentiles are those since the pool began. */
void top_text(const struct top_sample *now, const struct top_sample *before, int columns,
              int rows, struct buffer *to);
/* One line of JSON. */
void top_json(const struct top_sample *now, const struct top_sample *before,
              struct buffer *to);
