/* SPDX-License-Identifier: MIT */
/*
 * What try_syscall tries beyond the rows that refuse: calls that must reach the kernel,
 * told by the kernel's own answer; attacks that lie between the rows; and a small honest
 * program.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct probe {
    int number;
    uint64_t args[6]; /* POLICY_OWN_PID: the child's own id */
    int error;        /* 0: it succeeds */
    bool ends;        /* the process ends with args[0] */
};

extern const struct probe probe_rows[];
extern const size_t probe_count;

/* Calls that the kernel answers the same way, or that must not be made, without the
 * filter. */
extern const int same_without[];
extern const size_t same_without_count;

/* Calls that honest_workload() makes, and that can not be made alone. */
extern const int tried_by_workload[];
extern const size_t tried_by_workload_count;

/* What the handler answers to a trapped call: less than was written, as from a full pipe.
 */
#define TRAP_RESULT 3

/* Runs under the filter; returns 0, or the number of the step that failed. */
int honest_workload(void);
