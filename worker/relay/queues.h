/* SPDX-License-Identifier: MIT */
/*
 * The queues of a relay's pool, and in which order they are asked for a job: by stride
 * scheduling (Waldspurger and Weihl, 1995) over their weights, each relay for itself. A
 * queue that had no job when it was asked keeps no claim on what it did not use. Pure: no
 * clock, no Redis.
 */
#pragma once

#include "common/share.h"

#include <stdint.h>

#define QUEUES_NONE UINT32_MAX

struct queues {
    uint32_t count;
    struct share shares[LIMIT_QUEUES];
    uint64_t passes[LIMIT_QUEUES]; /* how much each has had, by its weight */
    uint32_t asked[LIMIT_QUEUES];  /* in which order they were asked last */
    uint32_t woken; /* the one of which a wake-up came: the next to be asked first;
                       QUEUES_NONE */
};

void queues_init(struct queues *queues, const struct share *shares, uint32_t count);

/* Puts them in order, into `asked`. */
void queues_order(struct queues *queues);
/* Of those that were asked, in that order, this one is the first that had a job. */
void queues_served(struct queues *queues, uint32_t queue);
/* None of them had one: all are level. Else whose jobs came one by one, while the others
 * had none, would be behind them for as many. */
void queues_none(struct queues *queues);

/* Returns the one of that name, or QUEUES_NONE. */
uint32_t queues_find(const struct queues *queues, const char *name);
