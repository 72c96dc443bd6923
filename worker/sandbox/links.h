/* SPDX-License-Identifier: MIT */
/*
 * The zygote's sockets to the relays, one per slot, and what is done when one speaks or
 * falls silent. A relay's word counts for the sandboxes of its own slot only.
 */
#pragma once

#include "worker/sandbox/children.h"

#include <poll.h>

struct link {
    int socket;    /* -1: none */
    bool greeted;  /* LINKED has been sent: the slot's former sandboxes are reaped */
    unsigned owed; /* UNLINKED of former sockets, not sent yet */
};

struct links {
    int supervisor; /* borrowed */
    struct children *children;
    struct link slots[LIMIT_WORKERS];
};

void links_init(struct links *links, struct children *children, int supervisor);

/* A new socket for a slot, owned from now on; the one before is closed and its sandboxes
 * killed. */
void links_replace(struct links *links, uint32_t slot, int socket);

/* Fills in what to poll (LIMIT_WORKERS places at most) and returns how many; `slots`
 * receives whose they are. */
size_t links_poll(const struct links *links, struct pollfd *fds, uint32_t *slots);
/* Something came in on this slot's socket. */
void links_service(struct links *links, uint32_t slot);

/* Reaps what is dead and tells the relays; where with that a slot's former sandboxes are
 * gone, tells the supervisor, and greets the slot's new relay. */
void links_reap(struct links *links);

/* The supervisor has not taken in yet all that it is to hear: links_settle when it can.
 */
bool links_owe(const struct links *links);
void links_settle(struct links *links);
