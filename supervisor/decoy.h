/* SPDX-License-Identifier: MIT */
/*
 * What a zygote in namespaces of its own must neither see nor change: while one starts,
 * there is a segment of shared memory (System V, readable for all) which it looks for,
 * the namespace of control groups that we are in, and the machine's name, which it
 * changes in its own namespace.
 */
#pragma once

#include <stdint.h>
#include <sys/utsname.h>

struct decoy {
    int segment;        /* its id; -1: there is none */
    void *mapping;      /* the segment is gone with the last mapping of it */
    char cgroup_ns[32]; /* as readlink(2) names it; "": the kernel has none */
    struct utsname machine;
};

#define DECOY_INIT                                                                       \
    {                                                                                    \
        .segment = -1                                                                    \
    }

/* Where the machine has no such memory there is no segment. */
void decoy_set(struct decoy *decoy);
/* Takes the segment away, and returns those of the zygote's layers (enum layer) that the
 * machine does not disprove. */
uint32_t decoy_take(struct decoy *decoy, uint32_t layers);
