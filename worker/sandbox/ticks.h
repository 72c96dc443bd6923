/* SPDX-License-Identifier: MIT */
/*
 * A clock that may be asked a hundred million times a second: the processor's counter
 * where there is one that never stops or changes pace, else CLOCK_MONOTONIC. Ticks are of
 * no unit; ticks_per_us says how many there are.
 */
#pragma once

#include "common/clock.h"

#include <stdbool.h>
#include <stdint.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <x86intrin.h>

/* Intel SDM vol. 3, 18.17.1; AMD APM vol. 2, 13.2.4: "invariant TSC". */
static inline bool ticks_are_counted(void)
{
    unsigned a, b, c, d = 0;

    return __get_cpuid(0x80000007, &a, &b, &c, &d) != 0 && (d >> 8 & 1) != 0;
}

static inline uint64_t ticks_counter(void)
{
    return __rdtsc();
}
#else
static inline bool ticks_are_counted(void)
{
    return false;
}

static inline uint64_t ticks_counter(void)
{
    return 0;
}
#endif

/* How the counter and CLOCK_MONOTONIC go together: to be begun early, and settled once,
 * by when they are compared over that time. */
struct ticks {
    bool counted;
    uint64_t first_ticks;
    int64_t first_ns;
    double per_us;
};

static inline void ticks_begin(struct ticks *ticks)
{
    ticks->counted = ticks_are_counted();
    ticks->first_ns = clock_ns(CLOCK_MONOTONIC);
    ticks->first_ticks = ticks->counted ? ticks_counter() : (uint64_t)ticks->first_ns;
    ticks->per_us = 1000;
}

/* A comparison over less than a millisecond would be none. */
static inline void ticks_settle(struct ticks *ticks)
{
    int64_t ns = clock_ns(CLOCK_MONOTONIC) - ticks->first_ns;

    if (ticks->counted && ns > 1000000) {
        ticks->per_us =
            (double)(ticks_counter() - ticks->first_ticks) * 1000 / (double)ns;
    } else {
        ticks->counted = false;
    }
}

static inline uint64_t ticks_now(const struct ticks *ticks)
{
    return ticks->counted ? ticks_counter() : (uint64_t)clock_ns(CLOCK_MONOTONIC);
}
