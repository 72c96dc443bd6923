/* SPDX-License-Identifier: MIT */
/* `paddock dead`: jobs that ended because they were lost too often or cannot be run. */
#pragma once

#include "supervisor/ctl/args.h"

#define DEAD_COMMAND_USAGE "dead list|show ID|requeue ID|drop ID|drop --all"

struct command;

/* Returns the exit code. */
int dead_command(const struct command *command, struct args *args);
