/* SPDX-License-Identifier: MIT */
/* Control groups as folders and files: what cgroup.c and cgroup_leaves.c are made of. */
#pragma once

#include "common/cleanup.h"
#include "common/limits.h"

#include <stdbool.h>

#define CGROUP_PREFIX "paddock-" /* of every pool's group */
#define CGROUP_DEEP   4          /* groups within groups that are removed */

/* FOLDER/NAME. Returns 0 or -ENAMETOOLONG. */
int cgroup_path(char to[LIMIT_PATH], const char *folder, const char *name) must_check;
/* Writes to a file that is there. Returns 0 or a negative errno. */
int cgroup_write(const char *folder, const char *name, const char *text) must_check;
/* Is it one of the words of the file? */
bool cgroup_has_word(const char *folder, const char *name, const char *word);

/* Removes a group and those within it, `deep` levels down, after killing what is in them.
 * One that cannot be removed is left to the next pool's cgroup_sweep. */
void cgroup_remove(const char *path, int deep);
/* Removes the groups of pools whose lock on them is free: their supervisor is gone. */
void cgroup_sweep(const char *parent);
