/* SPDX-License-Identifier: MIT */
/* The namespaces that the supervisor makes for the zygote, one row each with its reason;
 * the zygote prints them with the rest of the policy. */
#pragma once

#include "common/buffer.h"

struct namespace_row {
    int flag; /* of clone(2) */
    const char *name;
    const char *why;
};

extern const struct namespace_row namespace_rows[];
extern const size_t namespace_row_count;

/* All of them. */
int namespace_flags(void);
/* One line per row. */
void namespace_print(struct buffer *to);
/* In a mount namespace of one's own: leaves every mount of the machine for an empty,
 * read-only root. Returns 0 or a negative errno; some systems grant the namespace and
 * refuse to mount in it. */
int namespace_empty_root(void);
