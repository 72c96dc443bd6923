/* SPDX-License-Identifier: MIT */
/*
 * Where a program was when a limit struck. Of time: the zygote asks with a signal; the
 * process says it and ends, or is killed a moment later. Of output and memory, the
 * process sees it first. What is said is its own word.
 */
#pragma once

#include "common/ring.h"

/* In the main thread of a sandbox, before its program runs. A program that takes the
 * signal for itself is not asked. */
void where_watch(struct ring_writer *ring);
/* Says where the thread that calls it is, if it is in the program. From anywhere. */
void where_say(void);
/* Says where the program was: a path below its root, or what a text is called. Nothing
 * else is said after it. */
void where_was(const char *path, int line);
