/* SPDX-License-Identifier: MIT */
/*
 * How a job is given out of hand: finished with its result, lost through a fault, or
 * given back unharmed. What was decided is kept until the queue has acknowledged it.
 */
#pragma once

#include "queue/redis.h"
#include "worker/relay/judge.h"

#include <stdbool.h>
#include <stdint.h>

struct relay;

#define SETTLE_FIELDS 15 /* all that add_judged knows */

struct settlement {
    const char *function; /* NULL: nothing is to be settled */
    int argc;
    char *argv[2 * SETTLE_FIELDS]; /* owned */
    int dropped_at;                /* which of them counts dropped slices; 0: none does */
    enum verdict verdict;          /* VERDICT_NONE: it is no end */
    int64_t cpu_ms, wall_ms;       /* of a program that ran; else wall_ms is -1 */
    bool asked;                    /* it is sent and not answered */
    bool unsure;                   /* it was sent, and may have been carried out */
    unsigned refused;              /* how often Redis refused just this */
};

void settlement_done(struct settlement *settlement);

/* Decide; sent by settle_tend. */
void settle_judged(struct relay *relay, const struct judge_case *facts);
/* A verdict without a run, which the relay itself gives. `report` may be "". */
void settle_verdict(struct relay *relay, enum verdict verdict, const char *report);
void settle_lost(struct relay *relay, const char *detail);
void settle_give_back(struct relay *relay);

/* Sends what is decided, behind the last slice. */
void settle_tend(struct relay *relay, int64_t now_ms);
redis_answer settle_on_answer;
/* The job is not ours any more. Where the answer to our own word was lost, it is that
 * which was heard; else somebody has taken it, which is said. Returns whether that is
 * all: a job that was given back may have ended by that, and the queue is asked once
 * more. */
bool settle_taken(struct relay *relay);
