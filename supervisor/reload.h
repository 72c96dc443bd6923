/* SPDX-License-Identifier: MIT */
/*
 * SIGHUP: the configuration is read again. A bad file changes nothing. What concerns the
 * supervisor alone is in force at once; for the rest a zygote of the new configuration is
 * started beside the one that serves, and when it is READY the relays are renewed, each
 * when it has finished its job (succession.h, workers.h). A zygote that does not get so
 * far takes the new configuration with it: the old one stays. What only a restart changes
 * is said.
 */
#pragma once

#include "supervisor/command_line.h"
#include "supervisor/pool.h"

/* Where it cannot be done now, it is when that is over. */
void reload(struct pool *pool, const struct command_line *line);
void reload_tend(struct pool *pool, const struct command_line *line);

/* Where an option that only a restart changes is another one: says so, and puts it back.
 */
void reload_put_back(const struct option_row *row, struct config *fresh,
                     const struct config *old);

/* Of pool.c. Calls a zygote of the new configuration, if one is wanted and its place is
 * free. */
void reload_call(struct pool *pool, struct unit *zygote, struct unit *other);
/* Of which configuration a zygote is that is started now. */
const struct config *reload_config(const struct pool *pool);
/* A zygote is READY, or has died before it was: perhaps the one that was called. */
void reload_done(struct pool *pool);
/* Returns whether it was. */
bool reload_failed(struct pool *pool, struct unit *dead, struct unit *other);
