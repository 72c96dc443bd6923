/* SPDX-License-Identifier: MIT */
/*
 * Python's own library from memory: an archive that paddock-library makes of the standard
 * library's sources, their compiled code, and data such as time zones. It is as trusted
 * as the interpreter: its code is run without being compiled. A stamp in it says for
 * which interpreter it was made, because compiled code fits no other.
 */
#pragma once

#include "importer/archive.h"

/* Where its members lie: those of the standard library in lib/python3.11, further
 * packages in lib/python3/dist-packages, data in share. Mount it with IMPORTER_READY. */
#define LIBRARY_ROOT     "/usr"
#define LIBRARY_STANDARD LIBRARY_ROOT "/lib/python3.11"
#define LIBRARY_PACKAGES LIBRARY_ROOT "/lib/python3/dist-packages"

struct library {
    struct archive *archive; /* owned by the caller, until it is mounted */
    char added[4096]; /* packages beyond the standard library, each behind a space */
};

/* Opens `size` bytes (borrowed: they must live as long as the archive). Returns 0;
 * -EINVAL with a sentence in `why` if they are no such library, or one that was made for
 * another interpreter than the running one; or -ENOMEM. */
int library_open(const void *data, size_t size, struct library *ret,
                 struct buffer *why) must_check;
