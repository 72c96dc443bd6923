/* SPDX-License-Identifier: MIT */
/* Time, always from CLOCK_MONOTONIC: the machine's clock may step, a deadline may not. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <time.h>

static inline int64_t clock_ns(clockid_t id)
{
    struct timespec now;

    (void)clock_gettime(id, &now); /* cannot fail for the clocks that are used here */
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static inline int64_t clock_now_us(void)
{
    return clock_ns(CLOCK_MONOTONIC) / 1000;
}

static inline int64_t clock_now_ms(void)
{
    return clock_ns(CLOCK_MONOTONIC) / 1000000;
}

/* What poll() wants: milliseconds from `now_ms` to `deadline_ms`, 0 if it has passed, -1
 * (wait for ever) if the deadline is CLOCK_NEVER. */
#define CLOCK_NEVER INT64_MAX
static inline int clock_poll_ms(int64_t deadline_ms, int64_t now_ms)
{
    if (deadline_ms == CLOCK_NEVER) {
        return -1;
    }
    if (deadline_ms <= now_ms) {
        return 0;
    }
    return deadline_ms - now_ms > 3600000 ? 3600000 : (int)(deadline_ms - now_ms);
}

/* The first of several deadlines, CLOCK_NEVER where there is none. */
static inline int64_t clock_first_ms(const int64_t *due_ms, size_t count)
{
    int64_t first_ms = CLOCK_NEVER;

    for (size_t i = 0; i < count; i++) {
        first_ms = due_ms[i] < first_ms ? due_ms[i] : first_ms;
    }
    return first_ms;
}
