/* SPDX-License-Identifier: MIT */
/*
 * Whether Python has been refused memory: by watching its allocators, which costs a call
 * for each large block. It is the process's own word, as a claim is, and tells apart what
 * looks alike from outside: Python that ends itself, or stands still, for want of memory,
 * from Python that does so for another reason.
 */
#pragma once

#include "common/ring.h"

#include <stdbool.h>

/* In the zygote, when Python runs. */
void memory_watch(void);
/* In a sandbox: where the relay can see it, too. */
void memory_attach(struct ring_writer *ring);
/* Any request was refused so far. */
bool memory_was_refused(void);
/* Most of what the job may have was in use at some time: libraries with allocators of
 * their own (SQLite) are refused unseen. */
bool memory_is_used(const struct ring_writer *ring, int64_t memory_mb);
