/* SPDX-License-Identifier: MIT */
/*
 * What the policy table says, read without libseccomp and without BPF: the tests hold the
 * compiled filters and the kernel against it.
 */
#pragma once

#include "worker/sandbox/policy.h"

#include <stdbool.h>

static inline bool argument_fits(const struct policy_argument *argument,
                                 const uint64_t args[6], uint32_t self)
{
    uint64_t given = args[argument->index];

    switch (argument->compare) {
    case POLICY_ANY: return true;
    case POLICY_EQUAL:
        return given == (argument->value == POLICY_OWN_PID ? self : argument->value);
    case POLICY_NOT_EQUAL: return given != argument->value;
    case POLICY_AT_MOST: return given <= argument->value;
    case POLICY_ABOVE: return given > argument->value;
    case POLICY_MASKED: return (given & argument->value) == argument->masked;
    }
    return false;
}

static inline bool row_fits(const struct policy_row *row, int number,
                            const uint64_t args[6], uint32_t self)
{
    bool fits = row->number == number;

    for (size_t i = 0; i < POLICY_ARGUMENTS; i++) {
        fits = fits && argument_fits(&row->arguments[i], args, self);
    }
    return fits;
}

/* Returns the first row that decides the call, or NULL: then it is refused with the
 * default. */
static inline const struct policy_row *row_for(int number, const uint64_t args[6],
                                               uint32_t self)
{
    for (size_t i = 0; i < policy_row_count; i++) {
        if (row_fits(&policy_rows[i], number, args, self)) {
            return &policy_rows[i];
        }
    }
    return NULL;
}
