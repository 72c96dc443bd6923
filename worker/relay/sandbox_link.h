/* SPDX-License-Identifier: MIT */
/*
 * The relay's link to the zygote: at most one sandbox that runs the job, and one that was
 * asked for ahead and waits for the next.
 */
#pragma once

#include "common/message.h"
#include "common/ring.h"

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

struct sandbox {
    enum sandbox_state state;
    uint64_t number;
    struct ring_reader ring; /* owned */
    int inbox;               /* owned, as are the following */
    int doorbell;
    int pidfd;
};

struct sandbox_link {
    int socket;     /* -1: there is no zygote */
    bool linked;    /* LINKED has come */
    uint64_t count; /* sandboxes asked for on this link */
    struct sandbox current;
    struct sandbox next;
    unsigned
        failures; /* sandboxes in a row that died, or never were, ahead of their job */
    int64_t retry_ms; /* when to ask again after a failure */
};

void sandbox_link_init(struct sandbox_link *link);
void sandbox_link_done(struct sandbox_link *link);

/* A new link (owned from here on). What the old one still had to say is heard first. */
void sandbox_link_replace(struct relay *relay, int socket);
/* There is something to read. */
void sandbox_link_service(struct relay *relay);
/* Asks for the next sandbox if there is none and it is time. */
void sandbox_link_tend(struct relay *relay, int64_t now_ms);
int64_t sandbox_link_deadline(const struct relay *relay);

/* A sandbox waits for a job. */
bool sandbox_link_ready(const struct relay *relay);
/* The waiting sandbox becomes the current one and runs what its inbox holds. Returns 0 or
 * a negative errno. */
int sandbox_link_start(struct relay *relay, int64_t cpu_ms);
/* Has the current sandbox killed; its end is heard of by run_exited or run_link_lost. */
void sandbox_link_kill(struct relay *relay, enum kill_cause cause);
/* Has the waiting sandbox killed: its inbox is spoilt. */
void sandbox_link_discard(struct relay *relay);
/* Frees what is left of the current sandbox. */
void sandbox_link_forget(struct relay *relay);
