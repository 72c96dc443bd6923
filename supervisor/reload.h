/* SPDX-License-Identifier: MIT */
/*
 * SIGHUP: the configuration is read again. A bad file changes nothing. What concerns the
 * supervisor alone is in force at once; for the rest a zygote of the new configuration is
 * called (succession.h), and when it is READY the relays are renewed, each when it has
 * finished its job (workers.h). It is said to be in force when no relay of the former one
 * has a claim under way: a job that begins then has it. A zygote that does not get so far
 * takes the new configuration with it, all of it: the old one is in force again. What
 * only a restart changes is said.
 */
#pragma once

#include "supervisor/command_line.h"
#include "supervisor/pool.h"

/* Where the pool starts it is done when that is over. One that is under way is called off
 * by the next one whose file is good. Returns whether it was, or is yet to be read; what
 * comes of it shows in pool->reload and pool->reloads. */
bool reload(struct pool *pool, const struct command_line *line);
void reload_tend(struct pool *pool, const struct command_line *line);
/* None is under way, and what came of the last one was said. */
bool reload_is_over(const struct pool *pool);

/* Where an option that only a restart changes is another one: says so, and puts it back.
 */
void reload_put_back(const struct option_row *row, struct config *fresh,
                     const struct config *old);

/* Of pool.c. Calls a zygote of the new configuration in the place of any other heir, if
 * one is wanted and a place is free. */
void reload_call(struct pool *pool);
/* Of which configuration an heir is that is started now. */
const struct config *reload_config(const struct pool *pool);
/* The heir was started; it is READY; it could not be started, or has died before it was:
 * perhaps it is the one that was called. */
void reload_started(const struct pool *pool);
void reload_done(struct pool *pool);
/* Returns whether it was: then it is given up, and its place is SPARE. */
bool reload_failed(struct pool *pool, struct unit *heir);
