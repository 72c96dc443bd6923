/* SPDX-License-Identifier: MIT */
/*
 * The connection that always waits: for work (BLPOP on the wake lists) while the relay
 * has none, for word about the running job (BLPOP on its control list) while it has one.
 * That each wait ends within WATCH_MS is the proof that the relay can be woken; a
 * connection that does not is taken down. While there is none, and none can be made, the
 * relay looks by itself, over the other.
 */
#pragma once

#include "queue/keys.h"

#include <stdbool.h>
#include <stdint.h>

struct relay;

enum watch_on { WATCH_NOTHING, WATCH_WAKE, WATCH_CONTROL };

struct watch {
    enum watch_on on;     /* what the command under way waits for */
    struct queue_key job; /* WATCH_CONTROL: the list of that job */
    bool ending;          /* the other connection was told to end this wait */
    char client[24];      /* the connection's number; "": not known yet */
    int64_t idle_ms;      /* when to look for work again: 0, as late as can be */
    enum watch_on looked; /* without that connection: what it looks for by itself, */
    int64_t look_ms;      /* and when it does so again */
};

/* Waits for what the relay's state asks for. */
void watch_tend(struct relay *relay, int64_t now_ms);
int64_t watch_deadline(const struct relay *relay);

/* The connection is up, or went down. */
void watch_up(struct relay *relay);
void watch_down(struct relay *relay);
