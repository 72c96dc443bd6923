/* SPDX-License-Identifier: MIT */
/*
 * The private redis-server, where no Redis is configured: on a Unix socket in the runtime
 * folder, with a maxmemory, in memory only or with an append-only file in data_dir.
 */
#pragma once

#include "supervisor/config.h"
#include "supervisor/runtime.h"
#include "supervisor/spawn.h"

/* Starts it; it is not ready yet. *ret_log takes what it logs, as far as there is room:
 * nobody need read it. Returns 0, or a negative errno with a sentence in `why`. */
int redis_server_start(const struct config *config, const struct runtime *runtime,
                       int *ret_log, struct process *ret, struct buffer *why) must_check;
/* Appends why it ended, in its own words. */
void redis_server_add_last_words(int log, struct buffer *why);
/* Starts it and waits until it answers: 10 s where it is silent, without end while it
 * says that it loads its data. Returns 0; -EINTR when a signal asks for the end; or
 * another negative errno, with a sentence in `why`, which is Redis's own where it ended.
 * *ret is the process in any case, if there is one. */
int redis_server_open(const struct config *config, const struct runtime *runtime,
                      struct process *ret, struct buffer *why) must_check;
