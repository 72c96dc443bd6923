/* SPDX-License-Identifier: MIT */
/*
 * A scoreboard as Prometheus reads it (text format 0.0.4), and whether a job could run
 * now. Names of jobs and tenants are not told: there are too many of them for a time
 * series each, and the page is for whoever can reach the port.
 */
#pragma once

#include "common/buffer.h"
#include "common/scoreboard.h"

#include <stdbool.h>

void exposition_metrics(const struct scoreboard *board, int64_t now_ms,
                        struct buffer *to);

/* Appends "ok", or what is in the way, a line each. Returns whether a job that is
 * enqueued now would run: the pool is not ending, its supervisor and its zygote move, a
 * worker is there that moves, that Redis has answered within seconds and that has a job
 * or a sandbox for one; Redis has memory for a program; the queue is not paused, nor
 * closed by its configuration. What may be in the way is one table; it stands in
 * paddock-supervisor(8), too. */
bool exposition_health(const struct scoreboard *board, int64_t now_ms, struct buffer *to);
