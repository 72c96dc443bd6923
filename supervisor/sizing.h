/* SPDX-License-Identifier: MIT */
/* Whether a configuration fits the machine: what its pools take of its memory at most. */
#pragma once

#include "supervisor/pools.h"

/* MemAvailable or MemTotal of /proc/meminfo, proc(5), in MB; -1: it does not say. */
int64_t sizing_memory_mb(const char *name);

/* Appends the sum, of several pools each one's before that. Returns whether it is within
 * the machine's memory (or that is not known). */
bool sizing_add_up(const struct pools *pools, struct buffer *to);
