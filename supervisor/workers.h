/* SPDX-License-Identifier: MIT */
/*
 * The pool's workers: one relay in each of its slots, of which as many are in use as
 * scaling.h says. Slots fill from below. One that is not wanted any more is RETIRING: it
 * ends what it runs and then itself, and its slot is SPARE.
 */
#pragma once

#include "common/message.h"
#include "supervisor/pool.h"

/* How many there can be. */
uint32_t workers_most(const struct config *config);
/* And sandboxes: each worker's current one and its next, and some that are dying. */
uint32_t workers_sandboxes(const struct config *config);

/* Was that zygote started for as many? */
bool workers_have_room(const struct unit *zygote, const struct config *config);
/* For how many the zygote that serves has room; without one, for any number. */
uint32_t workers_room(struct pool *pool);

/* There is a slot for each that there can be; of the first ones those are wanted that
 * there are at least. (Not for all that there could ever be: poll(2) takes no more fds
 * than a process may have.) */
void workers_make_slots(struct pool *pool);

/* How many serve, or will. */
uint32_t workers_wanted(const struct pool *pool);
/* Says so to the service manager, behind what it is to be told before. */
void workers_say(struct pool *pool, const char *before);

/* Renews those of a configuration that is no longer in force, and looks whether there are
 * to be more or fewer, when it is time. */
void workers_tend(struct pool *pool, int64_t now_ms);
int64_t workers_next_ms(const struct pool *pool);
