/* SPDX-License-Identifier: MIT */
/*
 * Children that are there and do nothing: stopped, or in a loop of their own. Each is
 * asked every few seconds (PING); one that owes the answer for longer than the table
 * allows is killed, and what follows is what follows any death: a zygote takes its
 * sandboxes with it, their jobs run again, another is started.
 *
 * Time in which the supervisor did not run itself is nobody's silence: a machine, or a
 * group of processes, that stood still blames nobody.
 */
#pragma once

#include "supervisor/pool.h"

#define HEALTH_ASK_MS 2000

/* How long a child of that kind may be silent in that state; 0: for ever. */
int64_t health_patience_ms(enum unit_kind kind, enum unit_state state);

/* How much of the time between two looks counts as silence. */
int64_t health_counts_ms(int64_t before_ms, int64_t now_ms);

/* It has been silent for so much longer: it is asked, and killed if it is overdue. */
void health_look_at(struct unit *unit, int64_t silent_ms);

/* Asks all that are due to be asked, and kills who is overdue. */
void health_tend(struct pool *pool, int64_t now_ms);
int64_t health_next_ms(const struct pool *pool);
