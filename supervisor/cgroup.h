/* SPDX-License-Identifier: MIT */
/*
 * Control groups: a group for the pool, and in it a leaf for each sandbox that can live
 * at once, made before there is a job. The zygote gets the open files of the leaves (enum
 * group_fd) and does the rest; nothing here happens for a job.
 *
 * cgroup v2 is taken where it has the memory controller, else v1's hierarchies of memory
 * and pids, else there are none: that is never an error unless a PATH was asked for. A
 * pool holds a lock on its group, so that the next one knows what a supervisor that was
 * killed has left, and removes it.
 */
#pragma once

#include "common/buffer.h"
#include "common/limits.h"

#include <stdint.h>
#include <sys/types.h>

enum cgroup_controller { CGROUP_MEMORY, CGROUP_PIDS, CGROUP_CONTROLLERS };

struct cgroup {
    int version;                                /* 2, 1; 0: none */
    char paths[CGROUP_CONTROLLERS][LIMIT_PATH]; /* the pool's group; "": not counted; with
                                                 v2 both are one */
    char parent[LIMIT_PATH]; /* v2: the group that we left, "" where we did not have to */
    int locks[CGROUP_CONTROLLERS]; /* on the pool's groups; -1: none; owned */
    uint32_t sets;                 /* made so far */
    char why[256];                 /* version 0: why there are none */
};

#define CGROUP_INIT ((struct cgroup){.locks = {-1, -1}})

/* Finds what this machine grants, removes what others left behind, and makes the pool's
 * group. `wanted`: "auto", "none" or the path of a group to make it in. Returns 0 (also
 * with version 0), or -EINVAL with a sentence in `why` where a path was wanted and cannot
 * be used. */
int cgroup_open(struct cgroup *cgroup, const char *wanted, struct buffer *why) must_check;

/* The part of it for cgroup v2 and a group that is known. Returns 0, or a negative errno
 * with cgroup->why. */
int cgroup_make_v2(struct cgroup *cgroup, const char *parent) must_check;

/* Makes leaves 0 to `sandboxes` (0 is the self-test's) for a new zygote, in a set of
 * their own: *ret_set. Returns 0, or a negative errno with a sentence in `why`, and none
 * of them left. */
int cgroup_make_set(struct cgroup *cgroup, uint32_t sandboxes, uint32_t *ret_set,
                    struct buffer *why) must_check;
/* Sends the files of each leaf over a socket to the zygote (GROUP). */
int cgroup_send_set(const struct cgroup *cgroup, uint32_t set, uint32_t sandboxes,
                    int socket) must_check;
/* Removes a set whose zygote is dead, and kills what may still be in it. */
void cgroup_remove_set(const struct cgroup *cgroup, uint32_t set, uint32_t sandboxes);

/* enum layer: what the leaves count. */
uint32_t cgroup_layers(const struct cgroup *cgroup);
/* "v1: memory and tasks, in PATH", or "none: why". */
void cgroup_say(const struct cgroup *cgroup, struct buffer *to);

/* Removes the pool's group and all in it. */
void cgroup_close(struct cgroup *cgroup);
