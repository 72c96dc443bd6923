/* SPDX-License-Identifier: MIT */
/*
 * Whose is the job? The lease on the running one, renewed by beats, and jobs that the
 * queue believes to be ours although we know nothing of them.
 */
#pragma once

#include "queue/redis.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct relay;

struct lease {
    int64_t until_ms;    /* before that nobody else can have the job */
    int64_t beat_ms;     /* when to beat next */
    int64_t sent_ms;     /* when the last beat was sent */
    bool doubted;        /* the connection is another than the one that said it is ours */
    bool asked;          /* and it is not answered */
    const char *recover; /* NULL, or why there may be jobs that we know nothing of: before
                            any claim they are given back, with that as the reason */
    bool recover_asked;
};

/* A job is ours by a claim that was sent at that time. */
void lease_begin(struct relay *relay, int64_t sent_ms);
/* To be renewed at once. */
void lease_hurry(struct relay *relay);
/* The connection is lost. Redis may come back with older data than it had, in which
 * somebody else can have the job. */
void lease_doubt(struct relay *relay);
/* Beyond the lease somebody else may have the job, or where it is doubted: nothing is
 * published or settled until a beat has said that it is still ours. A job whose beats are
 * refused beyond it, for what is wrong with them alone, is given up. */
bool lease_holds(const struct relay *relay, int64_t now_ms);

/* How much of a relay's owner is its pool's: behind it come a dot and its slot. */
size_t lease_pool_length(const char *owner);

/* The queue says that the job is not ours. Says so, and more where that should not be. */
void lease_note_taken(const struct relay *relay, int64_t now_ms);

/* "forgotten a part of its recording": Redis has not all any more that the attempt had,
 * and it is lost; another answer is none of these. */
void lease_hear_forgotten(struct relay *relay, const char *answer);

void lease_tend(struct relay *relay, int64_t now_ms);
int64_t lease_deadline(const struct relay *relay);

redis_answer lease_on_beat;
redis_answer lease_on_recovered;
