/* SPDX-License-Identifier: MIT */
/* The signals by which somebody ends a command: Ctrl-C, Ctrl-\, a hangup, kill. */
#pragma once

#include "common/cleanup.h"

/* Blocks them (but for those that whoever started us wanted ignored, as nohup(1) does)
 * and returns a signalfd of them, non-blocking, the caller's; or a negative errno. May be
 * called again: what is pending and was not read is seen by each of these fds. */
int interrupt_watch(void) must_check;
