/* SPDX-License-Identifier: MIT */
/* Reading a job's Stream to its result, live. */
#pragma once

#include "supervisor/ctl/endpoint.h"

#include <stdbool.h>

/* Shows job `id` until its result and returns the exit code that stands for it (`paddock
 * run`'s). With `cancels`, the first SIGINT or SIGTERM cancels the job; a second one, or
 * any without, leaves. Returns a negative errno with a sentence in `why` when there is no
 * result to be had (-ENOENT: no such job). */
int follow_job(struct endpoint *endpoint, const char *id, bool json, bool cancels,
               struct buffer *why) must_check;

/* Exit codes: a signal ended it; what ended the job has no code of its own. */
#define FOLLOW_LEFT  90
#define FOLLOW_FAULT 99
