/* SPDX-License-Identifier: MIT */
/*
 * Live input, from where the command stands: what a job made of a piece of it, and our
 * standard input on its way to a job that waits for it.
 */
#pragma once

#include "supervisor/ctl/endpoint.h"

#include <stdbool.h>

/* The queue's answers (docs/PROTOCOL.md). */
enum feed_answer {
    FEED_OK,
    FEED_QUEUED,
    FEED_FULL,
    FEED_CLOSED,
    FEED_REFUSED,
    FEED_FINAL,
    FEED_UNKNOWN,
};

/* What `paddock input` was told to send: the job's id and a line, or else standard input
 * until it ends or the job takes no more of it; and with --eof that this is all. Returns
 * the last answer, or a negative errno with a sentence in `why`. */
int feed_send_words(struct endpoint *endpoint, const struct args *args,
                    struct buffer *why) must_check;
const char *feed_answer_name(enum feed_answer answer);
/* For whoever sent it; of FEED_OK and FEED_QUEUED "". */
const char *feed_answer_sentence(enum feed_answer answer);

/* Standard input is read only while the program waits for input: what it never asks for
 * is left to whoever reads next. */
struct feed {
    struct endpoint endpoint; /* its connection is a second one, owned; NULL: not yet */
    const char *id;           /* borrowed */
    bool open;                /* there may be more to send */
    bool wanted;              /* the program waits for it */
};

/* `open`: whether there is anything to feed at all. */
void feed_init(struct feed *feed, const struct endpoint *endpoint, const char *id,
               bool open);
void feed_done(struct feed *feed);
/* The fd to read when something comes, or -1. */
int feed_fd(const struct feed *feed);
/* Something came: returns how much, 0 at its end; the bytes are there until the next. */
size_t feed_read(const char **ret_bytes);
/* Sends it. What fails is said on standard error. */
void feed_send(struct feed *feed, const struct endpoint *endpoint, const char *bytes,
               size_t size);
