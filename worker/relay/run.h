/* SPDX-License-Identifier: MIT */
/*
 * One job's life in a relay, from claim to settlement, by a table of state and event. A
 * relay has one job at a time.
 */
#pragma once

#include "common/message.h"
#include "worker/relay/claims.h"
#include "worker/relay/run_state.h"

#include <stdbool.h>
#include <stdint.h>

struct run {
    enum run_state state;
    int64_t entered_ms;    /* since when it is in that state */
    struct claims_job job; /* from RUN_FETCHING on */
    bool wanted;           /* something may be waiting in the queue */
    bool claim_asked;      /* paddock_claim is not answered; also while RUN_SETTLING */
    int64_t claim_sent_ms;
    unsigned refused; /* claims in a row that were answered with an error */
    /* the program */
    int64_t started_us; /* its sandbox was told to, */
    int64_t begun_us;   /* and was seen to have begun; 0: it was not */
    int64_t
        ended_us; /* wall time of the program at which it had claimed; 0: it has not */
    enum kill_cause killed; /* the first reason for which we had it killed, */
    int64_t killed_ms;      /* and when */
    int64_t dead_ms;        /* when its pidfd said that it is dead; 0: it has not */
    bool clear; /* for that reason it ends, whatever else befalls it: it was alive then */
    bool forsaken; /* somebody else has the job: nothing is published or settled */
    char lost[96]; /* why the attempt is, whatever its end; "": it is not */
};

void run_init(struct run *run);
void run_done(struct run *run);

/* ---- from relay.c ---- */

/* Limits, beats, claims: what the time demands. */
void run_tend(struct relay *relay, int64_t now_ms);
/* The supervisor is gone: the job is to be given back. */
void run_stop(struct relay *relay);
/* The current sandbox's pidfd is worth listening to: its zygote may not say that it is
 * dead. */
bool run_minds_death(const struct relay *relay);
/* The current sandbox's pidfd says that it is dead. */
void run_sandbox_dead(struct relay *relay);
/* ... and its zygote has not said so for a while. */
void run_unheard(struct relay *relay);
/* It has not begun with its job for a while. */
void run_unbegun(struct relay *relay);
/* Nothing is under way any more. */
bool run_is_over(const struct relay *relay);

/* ---- from fetch.c ---- */

/* The job's bytes are in the waiting sandbox's inbox: 0, or why they could not be put
 * there. */
void run_fetched(struct relay *relay, int error);
/* They cannot be had: no fault of the program. `why` is for the operator. */
void run_unfetched(struct relay *relay, const char *why);
/* They are more than is taken here. */
void run_too_large(struct relay *relay);

/* ---- from sandbox_link.c ---- */

void run_link_lost(struct relay *relay);
void run_sandbox_lost(struct relay *relay); /* the waiting one */
void run_exited(struct relay *relay, const struct message_exited *exited);

/* ---- from Redis ---- */

void run_redis_is_back(struct relay *relay);
/* `popped`: by a wake-up of this queue; QUEUES_NONE: by none. */
void run_wake(struct relay *relay, uint32_t popped);
void run_cancel(struct relay *relay);
void run_lease_lost(struct relay *relay);
/* It is ours, but Redis has, as it says, "forgotten" a part of the attempt. */
void run_forgotten(struct relay *relay, const char *what);
void run_settled(struct relay *relay);
redis_answer run_on_claim;

/* ---- what others ask ---- */

/* A job is ours, as far as we know. */
bool run_has_job(const struct relay *relay);
bool run_wants_wake(const struct relay *relay);
/* Asks for the next job if everything is ready for it. */
void run_claim(struct relay *relay, int64_t now_ms);

/* ---- from bounds.c ---- */

/* Has the running program killed, for the first reason that there is. */
void run_kill(struct relay *relay, enum kill_cause cause);
