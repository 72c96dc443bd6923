/* SPDX-License-Identifier: MIT */
/*
 * How much of a variable's value is as it was: told is what stands between. Pure: no
 * clock, no record, no lock.
 */
#pragma once

#include "common/wire_values.h"

#define VALUES_LEAST 4 /* bytes that are as they were, or it is not worth it */

static inline bool values_is_within(char byte)
{
    return ((unsigned char)byte & 0xc0) == 0x80;
}

/* How many bytes at the beginning and at the end of a text (UTF-8) are those of the last
 * one of that name: whole characters. */
static inline void values_share(const struct wire_values *values, uint32_t name,
                                const char *text, size_t size, size_t *ret_head,
                                size_t *ret_tail)
{
    size_t head = 0, tail = 0, old_size;
    const char *old = wire_values_last(values, name, &old_size);
    size_t most = size < old_size ? size : old_size;

    while (head < most && text[head] == old[head]) {
        head++;
    }
    while (head > 0 && head < size && values_is_within(text[head])) {
        head--;
    }
    while (tail < most - head && text[size - tail - 1] == old[old_size - tail - 1]) {
        tail++;
    }
    while (tail > 0 && values_is_within(text[size - tail])) {
        tail--;
    }
    *ret_head = head + tail >= VALUES_LEAST ? head : 0;
    *ret_tail = head + tail >= VALUES_LEAST ? tail : 0;
}
