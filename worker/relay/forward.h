/* SPDX-License-Identifier: MIT */
/*
 * The recording on its way from the ring to the job's Stream. A slice is what the ring
 * held at one look; it is kept until Redis has acknowledged it, and published only while
 * the lease is known to be ours, so that nothing is missing, double or late when a
 * connection was lost.
 */
#pragma once

#include "common/ring.h"
#include "worker/relay/stream.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct relay;

struct forward_slice {
    struct forward_slice *next;
    struct stream_id id; /* none: not sent yet, or by one of Redis's own */
    bool found;          /* Redis has it */
    size_t size;
    unsigned char bytes[];
};

struct forward {
    bool active;      /* a job's ring is being read */
    bool hostile;     /* its indexes were impossible: it is read no more */
    bool rang;        /* its bell was heard */
    uint64_t taken;   /* bytes out of the ring */
    uint64_t dropped; /* slices that did not get into the Stream */
    /* slices, the oldest first, owned */
    struct forward_slice *first; /* not acknowledged */
    struct forward_slice *last;
    struct forward_slice *unsent; /* the first one that was not sent, or is to be again */
    size_t bytes;                 /* of all of them */
    size_t in_flight;             /* how many are sent and not answered */
    size_t strays;                /* answers to come for slices that are forgotten */
    size_t refused;         /* the oldest: sent, and answered by an error that passes */
    bool unclear;           /* what has become of those that were sent */
    bool behind;            /* one was refused, as Redis has something behind it */
    bool any_found;         /* Redis has some of them */
    size_t asking;          /* for so many entries, what Redis has; 0: it does not */
    struct stream_id given; /* the id that was given last; none: Redis gives its own */
    struct stream_id seen;  /* the last entry that is known to be there */
    struct stream_id last_taken; /* of ours, that Redis said it has; none: not yet */
    /* pace */
    bool sleeping;   /* the writer will ring */
    bool vain;       /* it rang when there was nothing, and nothing came since */
    int pause_ms;    /* of the last pause */
    int64_t look_ms; /* when to look at the ring, ring or not */
    /* time that the program stood before a full ring because we took nothing */
    int64_t blocked_us;
    int64_t blocked_since_us; /* 0: it does not */
};

/* A job is about to begin in the current sandbox: from here its ring is read. */
void forward_begin(struct relay *relay);
/* The sandbox is gone: takes all that is left. */
void forward_drain(struct relay *relay);
/* Forgets the job, and what was not sent. */
void forward_reset(struct relay *relay);

/* Looks at the ring if it is time or the bell rang, and sends what can be sent. */
void forward_tend(struct relay *relay, int64_t now_ms, bool rang);
int64_t forward_deadline(const struct relay *relay);
/* The doorbell is worth waiting for. */
bool forward_listens(const struct relay *relay);

/* Its bell was heard. */
void forward_hear(struct relay *relay);
/* The sandbox has begun with its job: the first that it does is to write the head of the
 * recording and to ring, and neither the program nor anybody else can undo that. */
bool forward_has_begun(const struct relay *relay);

/* Redis has taken every slice, or refused it for good: only then is it known what the
 * result is to say of them. */
bool forward_all_settled(const struct relay *relay);
/* The program's wall-clock time, without the time for which it stood because of us. */
int64_t forward_blocked_us(const struct relay *relay, int64_t now_us);
/* More bytes came than an honest sandbox can write. */
bool forward_over_total(const struct relay *relay);
