/* SPDX-License-Identifier: MIT */
/*
 * Which refusals of Redis were logged: one that goes on is a warning once, and again
 * where it comes back after a while.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define COMPLAINTS_QUIET_MS 10000

/* More than there are at once: a right that is missing is one for each function. */
struct complaints {
    struct complaint {
        char error[128]; /* cut */
        int64_t ms;      /* when it came last */
    } each[8];           /* all zeros: none yet */
};

/* Is it to be said? Not, where the same came within COMPLAINTS_QUIET_MS. What Redis adds
 * of who asked (" script: ...") makes no difference. */
bool complaints_add(struct complaints *complaints, const char *error, int64_t now_ms);
