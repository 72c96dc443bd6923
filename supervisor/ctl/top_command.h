/* SPDX-License-Identifier: MIT */
/* `paddock top`: a pool and its queue, as they are now, again each second. */
#pragma once

#include "supervisor/ctl/args.h"

struct command;

int top_command(const struct command *command, struct args *args);
