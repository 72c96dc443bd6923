/* SPDX-License-Identifier: MIT */
/*
 * The runtime folder: ours alone (0700), held by a lock, with the file `pool` in it by
 * which the command finds the pool: lines `queue=NAME` and `redis=ADDRESS`, and, where
 * commands are users of their own there, `web=ADDRESS` and `operator=ADDRESS`. Beside it
 * lie Redis's socket, where the pool has a Redis of its own, and the scoreboard. Of
 * several pools (keeper.h) each has such a folder of its name in it, and a line
 * `pools=NAMES` says so.
 */
#pragma once

#include "common/random.h"
#include "supervisor/config.h"

struct runtime {
    const char *path;       /* borrowed from the configuration */
    int lock;               /* fd, -1: not held */
    bool made;              /* we created the folder, or inherited it from whoever did */
    char name[RANDOM_NAME]; /* of whoever holds the lock; of who was killed, its heir's */
    int data;               /* fd of the lock of data_dir, -1: not held */
};

#define RUNTIME_SCOREBOARD "scoreboard"

/* Those that lie beside the pools' folders: none of them can have such a name. (Others
 * are called what no pool can be.) */
#define RUNTIME_FILES "pool lock " RUNTIME_SCOREBOARD

#define RUNTIME_OWNER 97 /* bytes of an owner, with its NUL */

#define RUNTIME_INIT ((struct runtime){NULL, -1, false, "", -1})

/* Whether a supervisor could make or use it, as far as anybody can see. Returns 0, or a
 * negative errno with a sentence in `why`. */
int runtime_try(const struct config *config, struct buffer *why) must_check;
/* Makes the folder where it is missing, takes the lock, and removes what a supervisor
 * that was killed left there; a folder that it had made counts as made by us. Returns 0,
 * or a negative errno with a sentence in `why` (-EBUSY: another supervisor has it). */
int runtime_open(struct runtime *runtime, const struct config *config,
                 struct buffer *why) must_check;
/* Where there is a data_dir, and that is not ours yet: takes its lock, for two Redis
 * would write the same file. Returns 0, or a negative errno with a sentence in `why`
 * (-EBUSY: another supervisor has it). */
int runtime_hold_data(struct runtime *runtime, const struct config *config,
                      struct buffer *why) must_check;
/* Removes the folders in it of pools that are not among these (NULL: of all) and whose
 * supervisor is gone: somebody killed it, and nobody followed it. */
void runtime_sweep(const struct runtime *runtime, const struct option_parts *parts);
/* By which name the queue is to know the pool: the configured one, or one that the folder
 * gives. That is the same for a pool that follows one that was killed, and so takes back
 * at once what that had; it is another one for every other pool, as one of the same name
 * would take what runs. In doubt it is new: then leases run out. */
void runtime_owner(const struct runtime *runtime, const struct config *config,
                   char owner[RUNTIME_OWNER]);
/* Of several queues the first is the one that the command uses where none is named; so it
 * does of several pools that serve, whose names `pools` has (NULL: there is but this). */
int runtime_publish(const struct runtime *runtime, const struct config *config,
                    const char *redis, const char *pools) must_check;
/* Removes what we put there, and the folder if we made it. */
void runtime_close(struct runtime *runtime);
/* RUNTIME/name. */
void runtime_path(const struct runtime *runtime, const char *name, char to[LIMIT_PATH]);
