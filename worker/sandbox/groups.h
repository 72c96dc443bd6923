/* SPDX-License-Identifier: MIT */
/*
 * Control groups, as the zygote sees them: one per live sandbox, made ahead by the
 * supervisor and known here by its open files alone (enum group_fd). RLIMIT_DATA is what
 * a program meets first, and can catch; the group stands a stated amount above it, for
 * what that limit does not count: memory that was filled and then made read-only, page
 * tables, stacks, the kernel's own.
 *
 * Where there are no groups, `count` is 0 and every function here does nothing.
 */
#pragma once

#include "common/buffer.h"
#include "common/message.h"

#include <stdbool.h>
#include <stdint.h>

#define GROUPS_MAX (2 * LIMIT_WORKERS + 8)

struct control_group {
    int fds[GROUP_FDS];  /* owned by the zygote; every child closes them at its birth */
    int64_t limit;       /* bytes, as last set; 0: not yet */
    int64_t kills, hits; /* as last read: the files count from the group's making */
    int64_t floor_kb;    /* a peak of former sandboxes that the kernel cannot forget */
    bool is_gone;        /* somebody has removed it */
};

struct groups {
    uint32_t count;              /* places with a group */
    uint32_t layers;             /* enum layer: what they have files for */
    struct control_group tested; /* the self-test's: it may hold one task */
    struct control_group places[GROUPS_MAX];
};

/* Receives what SETUP announced. Returns 0 or a negative errno after logging. */
int groups_receive(struct groups *groups, const struct message_setup *setup,
                   int peer) must_check;
/* Does without them from now on. */
void groups_forget(struct groups *groups);
/* Returns the group of a place, or NULL. */
struct control_group *groups_at(struct groups *groups, int place);

/* Before the fork: a limit wide enough for any job, and the peak forgotten. */
int groups_begin(struct control_group *group, int64_t limit) must_check;
/* In the child. Returns 0 or a negative errno. */
int groups_join(const struct control_group *group) must_check;
int groups_set_limit(struct control_group *group, int64_t bytes) must_check;

/* Was one killed at this group's own limit since the last call? A kill for want of memory
 * that others used up (the machine's, or a group's above) is not the program's doing. */
bool groups_was_full(struct control_group *group);
/* Most memory since groups_begin, 0 where the kernel does not tell. */
int64_t groups_peak_kb(const struct control_group *group);

/* One line per limit. */
void groups_print(struct buffer *to);
