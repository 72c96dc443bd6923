/* SPDX-License-Identifier: MIT */
/* What a program gets from around the command: words behind "--" and standard input. */
#pragma once

#include "supervisor/ctl/args.h"

/* Says, once and on a terminal only, that standard input is waited for, if nothing comes
 * from it for a moment. Returns when something comes, or has been said. */
void input_announce(void);

/* Whether our standard input is to go to the job while it runs: where live input is asked
 * for, and from a terminal, where nothing else is said. Then sets the field live_input.
 * `path` is the program's. */
bool input_feeds(struct args *args, const char *path);

/* Words behind "--" become the field argv, in `argv`; a pipe or a file on our standard
 * input becomes the field stdin (unless that was given, `path` is "-", or it is to go to
 * the job while it runs), in *ret_input.
 * Both are the caller's and live as long as the fields. Returns 0, or a negative errno
 * with a sentence in `why`. */
int input_take(struct args *args, const char *path, struct buffer *argv, char **ret_input,
               struct buffer *why) must_check;
