/* SPDX-License-Identifier: MIT */
/* Names of the queue's keys in Redis (docs/PROTOCOL.md): paddock:{QUEUE}:NAME[ID]. */
#pragma once

#include "common/limits.h"

#include <stdbool.h>

struct queue_key {
    char text[LIMIT_QUEUE + LIMIT_JOB_ID + 32];
};

/* `id` may be "". queue_key("sr", "job:", "17") is paddock:{sr}:job:17. */
struct queue_key queue_key(const char *queue, const char *name, const char *id);

/* [A-Za-z0-9_.-]{1,64} and [A-Za-z0-9_-]{1,64}. */
bool queue_name_valid(const char *name);
bool queue_id_valid(const char *id);
