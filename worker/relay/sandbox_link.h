/* SPDX-License-Identifier: MIT */
/*
 * The relay's links to zygotes: at most one sandbox that runs the job, and one that was
 * asked for ahead and waits for the next. There are two links while one zygote takes over
 * from another: the newest is the one that is asked for sandboxes; the former goes on for
 * the sandboxes that came over it. The one that waits is given back when its heir, of the
 * newest zygote, is there, so that a job finds a sandbox at any moment.
 */
#pragma once

#include "common/job.h"
#include "common/message.h"
#include "common/ring.h"
#include "worker/relay/complaints.h"

#include <stdbool.h>
#include <stdint.h>

struct relay;

enum sandbox_state {
    SANDBOX_NONE,
    SANDBOX_REQUESTED, /* the zygote was asked */
    SANDBOX_WAITING,   /* it exists, and locks itself */
    SANDBOX_RUNNING,
    SANDBOX_GONE, /* reaped, or its zygote is; its ring can still be read */
};

struct zygote_link {
    int socket;  /* -1: there is no zygote */
    bool linked; /* LINKED has come */
    bool mute;   /* it owes the word of a death that we have seen */
};

struct sandbox {
    enum sandbox_state state;
    uint64_t number;          /* unique in the life of a relay */
    struct zygote_link *link; /* that it came over; borrowed */
    struct ring_reader ring;  /* owned */
    int inbox;                /* owned, as are the following */
    int doorbell;
    int pidfd;
};

#define SANDBOX_LINKS 2

struct sandbox_link {
    struct zygote_link links[SANDBOX_LINKS];
    struct zygote_link *newest; /* one of them */
    uint64_t count;             /* sandboxes asked for */
    struct sandbox current;
    struct sandbox next;
    struct sandbox heir; /* of `next`, which came over the former link */
    unsigned
        failures; /* sandboxes in a row that died, or never were, ahead of their job */
    int64_t retry_ms;       /* when to ask again after a failure */
    struct complaints said; /* why they failed */
};

void sandbox_link_init(struct sandbox_link *link);
void sandbox_link_done(struct sandbox_link *link);

/* A new link (owned from here on), to be asked from now on. What the ones before still
 * had to say is heard first. */
void sandbox_link_add(struct relay *relay, int socket);
/* There is something to read. */
void sandbox_link_service(struct relay *relay, struct zygote_link *link);
/* Asks for the next sandbox if there is none and it is time; leaves the former link when
 * nothing is left of it. */
void sandbox_link_tend(struct relay *relay, int64_t now_ms);
int64_t sandbox_link_deadline(const struct relay *relay);

/* The newest zygote has reaped every sandbox that this slot had with it (no other one has
 * any, or the supervisor would not have made the link). */
bool sandbox_link_is_up(const struct relay *relay);
/* A sandbox waits for a job, and its zygote is not known to stand still. */
bool sandbox_link_ready(const struct relay *relay);
/* The waiting sandbox becomes the current one and runs what its inbox holds. Returns 0 or
 * a negative errno. */
int sandbox_link_start(struct relay *relay, const struct job_limits *limits);
/* Has the current sandbox killed; its end is heard of by run_exited or run_link_lost. */
void sandbox_link_kill(struct relay *relay, enum kill_cause cause);
/* Kills it without the zygote, which still has to reap it and to say so: that is heard as
 * above, or its pidfd says it. */
void sandbox_link_kill_alone(struct relay *relay);
/* The current sandbox is dead, whether anybody has said so or not. */
bool sandbox_link_is_dead(const struct relay *relay);
/* It is dead, and its zygote is not waited for any longer: it gets no more jobs until it
 * has said something. */
void sandbox_link_give_up(struct relay *relay);
/* Has the waiting sandbox killed: its inbox is spoilt. */
void sandbox_link_discard(struct relay *relay);
/* Frees what is left of the current sandbox. */
void sandbox_link_forget(struct relay *relay);
