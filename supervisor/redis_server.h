/* SPDX-License-Identifier: MIT */
/*
 * The private redis-server, where no Redis is configured: on a Unix socket in the runtime
 * folder, with a maxmemory, in memory only or with an append-only file in data_dir.
 */
#pragma once

#include "supervisor/config.h"
#include "supervisor/runtime.h"
#include "supervisor/spawn.h"

/* Starts it; it is not ready yet. Returns 0, or a negative errno with a sentence in
 * `why`. */
int redis_server_start(const struct config *config, const struct runtime *runtime,
                       struct process *ret, struct buffer *why) must_check;
/* Waits until it answers, or is dead, or 10 s are over. Returns 0, or a negative errno
 * with a sentence. */
int redis_server_wait(const struct runtime *runtime, struct process *process,
                      struct buffer *why) must_check;
