/* SPDX-License-Identifier: MIT */
/* What is to be run, as the bytes that are enqueued: a .py as it is, a folder as a ZIP
 * made in memory, any other file as a ZIP (whether it is one, the sandbox says). */
#pragma once

#include "common/buffer.h"

#include <stdbool.h>

struct pack {
    const char *name; /* for messages; borrowed from the path */
    char *bytes;      /* owned */
    size_t size;
    bool is_source;  /* a bare .py */
    char entry[256]; /* its name; "" for a ZIP */
};

/* `path` is a file, a folder, or "-" for standard input. Returns 0, or a negative errno
 * with a sentence in `why`. */
int pack_read(const char *path, struct pack *ret, struct buffer *why) must_check;
/* A bare .py becomes a ZIP of it alone: for an entry that names a module or a function of
 * it. Returns 0, or -ENOMEM. */
int pack_wrap(struct pack *pack) must_check;
void pack_done(struct pack *pack);
