/* SPDX-License-Identifier: MIT */
/* `paddock trace`: a recording, in one of the forms of export.h. */
#pragma once

#include "supervisor/ctl/args.h"
#include "supervisor/ctl/export.h"

/* Writes the recording of args->words[0], a file or a job, to `out`. Returns 0, or a
 * negative errno with a sentence in `why`: -EBADMSG for one that cannot be read to its
 * end (what stood before is written), -ENOENT for no such job, -EINVAL for a file that
 * cannot be read, -EIO when `out` does not take it, others where the queue cannot be
 * reached. `note`: what was left out, if anything was. */
int trace_write(const struct args *args, const struct export_format *format, FILE *out,
                struct buffer *note, struct buffer *why) must_check;
