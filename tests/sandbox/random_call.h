/* SPDX-License-Identifier: MIT */
/*
 * System calls by chance, near the edges of the policy's checks: what syscall_fuzz makes.
 * The same state gives the same calls.
 */
#pragma once

#include <stdint.h>

struct random_call_state {
    uint64_t random;
    uintptr_t scratch; /* memory that calls may write to */
    uint64_t scratch_size;
    uint32_t self; /* the caller's pid */
};

/* The next call. Those that would leave the caller with a second thread, or waiting, come
 * never and seldom. */
void random_call(struct random_call_state *state, int *ret_number, uint64_t args[6]);
