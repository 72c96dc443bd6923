/* SPDX-License-Identifier: MIT */
/* The pool of this machine that a command is about: its scoreboard, and its supervisor.
 */
#pragma once

#include "common/scoreboard.h"
#include "supervisor/ctl/args.h"

/* Maps the scoreboard, read-only, of the pool whose runtime folder the options, or none,
 * name. Returns 0, or a negative errno with a sentence in `why`: -ENOENT (there is no
 * pool), -EACCES (there is, but not for us), -EPROTO (of another version). */
int local_pool_board(const struct args *args, struct scoreboard **ret,
                     struct buffer *why) must_check;

/* Is the supervisor that a scoreboard names no more? */
bool local_pool_is_gone(const struct scoreboard *board);

/* paddock drain: lets running jobs end, gives back what does not within drain_s, and
 * waits until the pool is over. */
struct command;

int local_pool_drain(const struct command *command, struct args *args);
