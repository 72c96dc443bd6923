/* SPDX-License-Identifier: MIT */
/*
 * How much memory the pool's processes have, for the scoreboard: of each kind the sum of
 * what is resident, by /proc/PID/statm, proc(5). One that cannot be looked at counts as
 * none. And one word about memory that nobody has bounded: that of the queue's Redis.
 */
#pragma once

#include "supervisor/pool.h"

/* Looks at all, at most every 10 s, and says once in the log that Redis has no
 * maxmemory, as soon as a relay has asked for it. It has no deadline of its own: the
 * supervisor wakes often enough for its other work (health.h). */
void residence_tend(struct pool *pool, int64_t now_ms);
