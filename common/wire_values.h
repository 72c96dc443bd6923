/* SPDX-License-Identifier: MIT */
/*
 * What a recording's variables were told to be last, by the numbers of their names: who
 * writes a value, and who reads it, goes on from that (common/wire.h). Bounded.
 */
#pragma once

#include "common/wire.h"

#include <stdint.h>
#include <string.h>

struct wire_values {
    uint16_t sizes[WIRE_VALUES]; /* 0: nothing is known, or it is empty */
    char texts[WIRE_VALUES][WIRE_VALUE_MAX];
};

/* From here on nothing is known of any: behind a `sync`. */
static inline void wire_values_forget(struct wire_values *values)
{
    memset(values->sizes, 0, sizeof(values->sizes));
}

/* Returns the last text of a name, "" where none is known. */
static inline const char *wire_values_last(const struct wire_values *values,
                                           uint64_t name, size_t *ret_size)
{
    bool has_place = name > 0 && name <= WIRE_VALUES;

    *ret_size = has_place ? values->sizes[name - 1] : 0;
    return *ret_size > 0 ? values->texts[name - 1] : "";
}

static inline void wire_values_keep(struct wire_values *values, uint64_t name,
                                    const char *text, size_t size)
{
    if (name > 0 && name <= WIRE_VALUES) {
        values->sizes[name - 1] = size <= WIRE_VALUE_MAX ? (uint16_t)size : 0;
        memcpy(values->texts[name - 1], text, values->sizes[name - 1]);
    }
}
