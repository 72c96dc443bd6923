/* SPDX-License-Identifier: MIT */
/*
 * The pools of one configuration: where its file has sections [pool NAME], each of those
 * is a pool, and all else in the file is what they have in common.
 */
#pragma once

#include "supervisor/command_line.h"

struct pools {
    struct config common;
    uint32_t count; /* 0: there is one, without a name, and `common` is its own */
    struct config each[LIMIT_POOLS]; /* in the file's order; `pool` is the name */
};

/* Reads and checks what is in force for each. Returns ROLE_EXIT_OK and *ret, which is the
 * caller's to free(), or the code to end with and a sentence in `why`. (It is large: who
 * has one pool does without it.) */
int pools_read(const struct command_line *line, struct pools **ret, struct buffer *why);

/* The same of what is in force instead, where that is another. Returns ROLE_EXIT_OK, or
 * the code and a sentence in `why`. */
int pools_check(const struct pools *pools, struct buffer *why);

/* The one of that name, or NULL. */
const struct config *pools_find(const struct pools *pools, const char *name);
/* Does any need a private Redis? */
bool pools_need_redis(const struct pools *pools);
