/* SPDX-License-Identifier: MIT */
/*
 * Several pools of one configuration. The supervisor that is started then keeps one for
 * each pool: a child, with `--pool NAME`, which is told what is its own (a folder, ids, a
 * control group) and what they share (a private Redis).
 */
#pragma once

#include "supervisor/command_line.h"

/* Until all is over. Returns the exit code. */
int keeper_run(struct command_line *line);
