/* SPDX-License-Identifier: MIT */
/*
 * Live input on its way from the queue into the running job's ring. What does not fit
 * stays in the queue, which keeps all of it: nothing is held here.
 */
#pragma once

#include "queue/redis.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct relay;

#define INPUT_LAST 64

struct input {
    uint64_t fed;                   /* bytes that the job was given, */
    unsigned char last[INPUT_LAST]; /* and the last of them, each in place `fed` % that */
    bool open;                      /* the running job may get more */
    bool wanted;                    /* the queue may have more */
    bool asked;                     /* ... and has not answered */
    size_t strays;                  /* answers to come for jobs that are forgotten */
    int pause_ms;                   /* of the last pause for want of room */
    int64_t look_ms;                /* when to ask, or to look for room */
};

/* Nothing of the job is left. */
void input_reset(struct relay *relay);
/* A job begins in the current sandbox. */
void input_begin(struct relay *relay);
/* The queue has more, or may have. */
void input_hear(struct relay *relay);

/* Asks for what there is room for. */
void input_tend(struct relay *relay, int64_t now_ms);
int64_t input_deadline(const struct relay *relay);
/* Of the last INPUT_LAST bytes that it was given, or of all: for each, times 31 and plus
 * it, modulo 2^32. So that the queue can see whether it has what the job has read. */
uint32_t input_sum(const struct input *input);
