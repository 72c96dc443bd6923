/* SPDX-License-Identifier: MIT */
/* Reading a job's Stream to its result, live; or a recording from a file. */
#pragma once

#include "supervisor/ctl/args.h"
#include "supervisor/ctl/endpoint.h"

#include <stdbool.h>

/* How a job is followed. */
enum follow_how {
    FOLLOW_JSON = 1 << 0,
    FOLLOW_CANCELS = 1 << 1, /* who leaves takes the job along */
    FOLLOW_FEEDS = 1 << 2,   /* our standard input is the job's live input */
};

/* Shows job `id` until its result and returns the exit code that stands for it (`paddock
 * run`'s). With FOLLOW_CANCELS, the first of interrupt_watch()'s signals cancels the job;
 * a second one, or any without, leaves. An output that nobody reads any more, or that
 * cannot be written, likewise cancels the job, or leaves. Returns a negative errno with a
 * sentence in `why` when there is no result to be had (-ENOENT: no such job), or when it
 * could not be shown (-EPIPE: the reader is gone, -ENOSPC and others). */
int follow_job(struct endpoint *endpoint, const char *id, unsigned how,
               struct buffer *why) must_check;

/* Shows the recording that a command line names, as far as there is one by now, without a
 * result. Returns 0, -EBADMSG (it is damaged, which was said), or another negative errno
 * with a sentence in `why`: of writing, or as recording_read(). */
int follow_recording(const struct args *args, struct buffer *why) must_check;

/* Exit codes: a signal ended it; what ended the job has no code of its own. */
#define FOLLOW_LEFT  90
#define FOLLOW_FAULT 99
