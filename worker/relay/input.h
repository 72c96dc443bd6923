/* SPDX-License-Identifier: MIT */
/*
 * Live input on its way from the queue into the running job's ring. What does not fit
 * stays in the queue, which keeps all of it: nothing is held here, and how far we are is
 * how much the ring was given.
 */
#pragma once

#include "queue/redis.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct relay;

struct input {
    bool open;       /* the running job may get more */
    bool wanted;     /* the queue may have more */
    bool asked;      /* ... and has not answered */
    size_t strays;   /* answers to come for jobs that are forgotten */
    int pause_ms;    /* of the last pause for want of room */
    int64_t look_ms; /* when to ask, or to look for room */
};

/* A job begins in the current sandbox. */
void input_begin(struct relay *relay);
/* The queue has more, or may have. */
void input_hear(struct relay *relay);

/* Asks for what there is room for. */
void input_tend(struct relay *relay, int64_t now_ms);
int64_t input_deadline(const struct relay *relay);
