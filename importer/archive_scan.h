/* SPDX-License-Identifier: MIT */
/*
 * The raw directory of a ZIP (PKWARE's APPNOTE.TXT 6.3), read and checked before libzip
 * sees it: every rule that a hostile archive could break, without allocating more than
 * the number of entries allows.
 */
#pragma once

#include "importer/archive.h"

struct archive_member {
    char *name;                  /* owned; normalised: slashes, no trailing one */
    const unsigned char *packed; /* borrowed: its bytes in the ZIP */
    size_t packed_size;
    size_t declared;   /* inflated bytes, as the directory says */
    uint32_t crc;      /* of the inflated bytes, as the directory says */
    uint32_t modified; /* date << 16 | time, in MS-DOS format */
    bool is_folder;
    bool is_deflated; /* else it is stored as it is */
};

struct archive_scan {
    struct archive_member
        *members; /* owned; those that are not ignored, in byte order of their names */
    size_t count;
};

/* Returns 0, -EINVAL with a sentence in `why`, or -ENOMEM. *ret is empty on error. */
int archive_scan(const unsigned char *data, size_t size,
                 const struct archive_limits *limits, struct archive_scan *ret,
                 struct buffer *why) must_check;
void archive_scan_done(struct archive_scan *scan);
