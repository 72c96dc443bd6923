/* SPDX-License-Identifier: MIT */
/*
 * How many workers a pool should have: rules alone, which know of no process. They are
 * looked at once a second:
 *
 * - more, where the oldest job that could run has waited for `up_ms` and no worker is
 *   idle: one, a second later two more, then four, up to 32 (php-fpm's pace), and never
 *   more than jobs wait
 * - one less, where more than one was idle at each look for `down_ms` (uwsgi's measure of
 *   "stable"): a pause between two bursts costs nobody his worker
 * - the memory of the machine is guarded: under `spare_mb` there are no more, and under
 *   half of it one less where one is idle
 * - at once, and against all of these, what leaves `least`..`most`
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct scaling_rules {
    uint32_t least, most;
    int64_t up_ms, down_ms;
    int64_t spare_mb; /* 0: no guard */
};

/* What is seen. */
struct scaling_view {
    uint32_t workers;     /* that serve, or will */
    uint32_t starting;    /* of these: do not serve yet */
    uint32_t idle;        /* of these: serve, and run nothing */
    uint64_t waiting;     /* jobs that could run now */
    int64_t oldest_ms;    /* how long the first of them has waited */
    int64_t available_mb; /* of the machine's memory; -1: not known */
};

enum scaling_reason {
    SCALING_NONE,
    SCALING_BOUNDS,
    SCALING_JOBS,   /* wait */
    SCALING_MEMORY, /* is short */
    SCALING_IDLE,   /* for long */
    SCALING_REASONS,
};

struct scaling {
    uint32_t rate;     /* workers at the next step up */
    int64_t needed_ms; /* when no more than one was idle, last */
    bool held;         /* there would be more, were it not for the memory */
};

/* Returns how many more there should be, or fewer (negative), or 0. */
int scaling_decide(struct scaling *scaling, const struct scaling_rules *rules,
                   const struct scaling_view *view, int64_t now_ms,
                   enum scaling_reason *ret_reason);
