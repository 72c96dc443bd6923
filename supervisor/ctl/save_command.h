/* SPDX-License-Identifier: MIT */
/*
 * `paddock save`: a recording on disk, with what the program gave back beside it, in a
 * folder that must not exist: `recording`, its bytes, which `paddock trace` reads;
 * `result.json`, how the job ended, if that is known; `values.jsonl`, what was given as
 * result, one per line; and below `files`, what was saved.
 */
#pragma once

#include "supervisor/ctl/args.h"

struct command;

/* Returns the exit code. */
int save_command(const struct command *command, struct args *args);
