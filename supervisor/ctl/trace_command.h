/* SPDX-License-Identifier: MIT */
/* `paddock trace`: a recording, in one of the forms of export.h. */
#pragma once

#include "supervisor/ctl/args.h"

struct command;

/* Returns the exit code. */
int trace_command(const struct command *command, struct args *args);
