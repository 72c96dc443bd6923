/* SPDX-License-Identifier: MIT */
/* The queues that a pool serves, and what share each has of its workers while jobs wait
 * in all of them: "NAME[:WEIGHT] ...", as it is configured. */
#pragma once

#include "common/cleanup.h"
#include "common/limits.h"

#include <stdint.h>

#define SHARE_WEIGHT_MAX 100

struct share {
    char name[LIMIT_QUEUE + 1];
    uint32_t weight; /* 1 where none is named */
};

/* Reads at most LIMIT_QUEUES of them. Returns how many there are, at least one; or
 * -EINVAL where a name is none of a queue (letters, digits and _.-), or stands twice. */
int share_parse(const char *text, struct share *ret) must_check;
/* The same, of a text that has passed before: another one is a bug of the caller. */
uint32_t share_read(const char *text, struct share ret[LIMIT_QUEUES]);
