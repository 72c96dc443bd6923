/* SPDX-License-Identifier: MIT */
/* What a program gets from around the command: words behind "--" and standard input. */
#pragma once

#include "supervisor/ctl/args.h"

/* Says, once and on a terminal only, that standard input is waited for, if nothing comes
 * from it for a moment. Returns when something comes, or has been said. */
void input_announce(void);

/* Words behind "--" become the field argv, in `argv`; a pipe or a file on our standard
 * input becomes the field stdin (unless that was given, or `path` is "-"), in *ret_input.
 * Both are the caller's and live as long as the fields. Returns 0, or a negative errno
 * with a sentence in `why`. */
int input_take(struct args *args, const char *path, struct buffer *argv, char **ret_input,
               struct buffer *why) must_check;
