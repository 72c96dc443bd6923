/* SPDX-License-Identifier: MIT */
/* Starting the pool's processes. What has begun of one that fails is in its unit, and
 * ends as any other does. */
#pragma once

#include "supervisor/pool.h"

/* Starts the private Redis and waits for it, or until a signal asks for the end;
 * without a private one takes over the configured address. Returns 0 or a
 * negative errno after logging. */
int starting_open_redis(struct pool *pool);

/* The same of any unit, with the private Redis of that configuration. */
int starting_open_redis_unit(const struct config *config, struct runtime *runtime,
                             struct unit *unit);
/* Starts it again, without waiting. Returns 0, or a negative errno with a sentence in
 * `why`. */
int starting_redis_unit(const struct config *config, struct runtime *runtime,
                        struct unit *unit, struct buffer *why) must_check;
/* A unit has ended with that status: of such a one, says why, if it ended by itself. */
void starting_redis_ended(struct unit *unit, int status);
/* Finds what control groups there are, as `wanted` says (cgroup.h). Returns 0 or a
 * negative errno after logging. */
int starting_open_groups(struct cgroup *cgroup, const char *wanted);

/* Starts the unit's process. Returns 0, or a negative errno with a sentence in `why`. */
int starting_start(struct pool *pool, struct unit *unit, struct buffer *why) must_check;

/* Whether the archive of Python's library is another file, or has been written anew,
 * since this zygote was started. */
bool starting_library_changed(const struct unit *zygote, const struct pool *pool,
                              const struct config *config);

/* A zygote that starts is no longer wanted: it is killed, wherever it is, and what it
 * would have said of that is no news. */
void starting_call_off(struct unit *zygote);
/* After a zygote's death: its set of control groups goes. */
void starting_remove_groups(struct pool *pool, struct unit *unit);
