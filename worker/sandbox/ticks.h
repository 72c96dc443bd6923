/* SPDX-License-Identifier: MIT */
/*
 * A clock that may be asked a hundred million times a second: the processor's counter
 * where there is one that never stops or changes pace, else CLOCK_MONOTONIC. Ticks are of
 * no unit; per_us says how many there are. What they say of the time is set right by the
 * kernel's clock now and then, for which ticks_set_right() is to be called.
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
    int64_t start_us; /* the kernel's clock when it was settled */
    uint64_t base;    /* ticks when it was last asked, */
    int64_t base_us;  /* and how long since it was settled */
    uint32_t period;  /* between looks at it */
};

#define TICKS_PERIOD_US 5000

static inline void ticks_begin(struct ticks *ticks)
{
    ticks->counted = ticks_are_counted();
    ticks->first_ns = clock_ns(CLOCK_MONOTONIC);
    ticks->first_ticks = ticks->counted ? ticks_counter() : (uint64_t)ticks->first_ns;
    ticks->per_us = 1000;
}

static inline uint64_t ticks_now(const struct ticks *ticks)
{
    return ticks->counted ? ticks_counter() : (uint64_t)clock_ns(CLOCK_MONOTONIC);
}

/* Times count from here. A comparison over less than a millisecond would be none. */
static inline void ticks_settle(struct ticks *ticks)
{
    int64_t ns = clock_ns(CLOCK_MONOTONIC) - ticks->first_ns;

    if (ticks->counted && ns > 1000000) {
        ticks->per_us =
            (double)(ticks_counter() - ticks->first_ticks) * 1000 / (double)ns;
    } else {
        ticks->counted = false;
    }
    ticks->start_us = clock_now_us();
    ticks->base = ticks_now(ticks);
    ticks->period = (uint32_t)(TICKS_PERIOD_US * ticks->per_us);
}

/* How long it is since it was settled: by the kernel's clock, */
static inline int64_t ticks_true_us(const struct ticks *ticks)
{
    return clock_now_us() - ticks->start_us;
}

/* or when it was so many ticks, without asking the kernel. */
static inline int64_t ticks_us(const struct ticks *ticks, uint64_t when)
{
    return ticks->base_us + (int64_t)((double)(when - ticks->base) / ticks->per_us);
}

static inline void ticks_set_right(struct ticks *ticks, uint64_t now)
{
    if (now - ticks->base > ticks->period) {
        ticks->base_us = ticks_true_us(ticks);
        ticks->base = now;
    }
}
