/* SPDX-License-Identifier: MIT */
/* A ZIP in memory, of stored members only (PKWARE's APPNOTE.TXT 6.3): all that a client
 * needs to send a folder. */
#pragma once

#include "common/buffer.h"

#include <stdint.h>

struct zip_writer {
    struct buffer data;      /* local headers and members */
    struct buffer directory; /* the central directory */
    unsigned count;
};

#define ZIP_WRITER_INIT(max) ((struct zip_writer){BUFFER_INIT(max), BUFFER_INIT(max), 0})

void zip_writer_add(struct zip_writer *zip, const char *name, const char *bytes,
                    size_t size);
/* Returns 0 and the whole ZIP in *ret (owned by the caller), or -ENOBUFS, -ENOMEM. */
int zip_writer_finish(struct zip_writer *zip, char **ret, size_t *ret_size) must_check;
void zip_writer_done(struct zip_writer *zip);
