/* SPDX-License-Identifier: MIT */
/*
 * The runtime folder: ours alone (0700), held by a lock, with the file `pool` in it by
 * which the command finds the pool: lines `queue=NAME` and `redis=ADDRESS`. Beside it
 * lie Redis's socket, where the pool has a Redis of its own, and the scoreboard.
 */
#pragma once

#include "supervisor/config.h"

struct runtime {
    const char *path; /* borrowed from the configuration */
    int lock;         /* fd, -1: not held */
    bool made;        /* we created the folder, or inherited it from whoever did */
};

#define RUNTIME_SCOREBOARD "scoreboard"

#define RUNTIME_INIT ((struct runtime){NULL, -1, false})

/* Makes the folder where it is missing, takes the lock, and removes what a supervisor
 * that was killed left there; a folder that it had made counts as made by us. Returns 0,
 * or a negative errno with a sentence in `why` (-EBUSY: another supervisor has it). */
int runtime_open(struct runtime *runtime, const struct config *config,
                 struct buffer *why) must_check;
int runtime_publish(const struct runtime *runtime, const char *queue,
                    const char *redis) must_check;
/* Removes what we put there, and the folder if we made it. */
void runtime_close(struct runtime *runtime);
/* RUNTIME/name. */
void runtime_path(const struct runtime *runtime, const char *name, char to[LIMIT_PATH]);
