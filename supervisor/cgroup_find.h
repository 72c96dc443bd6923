/* SPDX-License-Identifier: MIT */
/*
 * Where the control groups are: what /proc/self/mountinfo and /proc/self/cgroup say of
 * the hierarchies, and of our own place in them.
 */
#pragma once

#include "common/limits.h"
#include "supervisor/cgroup.h"

struct cgroup_place {
    char mount[LIMIT_PATH]; /* where the hierarchy is mounted; "": it is not */
    char own[LIMIT_PATH];   /* the folder of the group that we are in; "": out of sight */
};

struct cgroup_places {
    struct cgroup_place v2;
    struct cgroup_place v1[CGROUP_CONTROLLERS];
};

/* As the kernel and its files name them. */
extern const char *const cgroup_controller_names[CGROUP_CONTROLLERS];

/* Reads both texts, as the files in /proc have them. */
void cgroup_find_in(const char *mountinfo, const char *own, struct cgroup_places *ret);
/* Reads /proc. Returns 0 or a negative errno. */
int cgroup_find(struct cgroup_places *ret) must_check;
