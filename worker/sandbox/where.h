/* SPDX-License-Identifier: MIT */
/*
 * Where a program was when a limit struck. Of time: the zygote asks with a signal; the
 * process says it and ends, or is killed a moment later. Of output and memory, the
 * process sees it first. What is said is its own word.
 */
#pragma once

#include "common/ring.h"

/* In the zygote, before any program: Python's own table of threads, which a fork keeps.
 * Returns 0, or -1 (with an exception where it is not there). */
int where_find_threads(void) must_check;
/* Before the filter, which lets nobody have the signal for himself. Returns 0 or a
 * negative errno. */
int where_prepare(void) must_check;
/* In the main thread of a sandbox, before its program runs. */
void where_watch(struct ring_writer *ring);
/* Says where the thread that calls it is, if it is in the program. From anywhere. */
void where_say(void);
/* Says where the program was: a path below its root, or what a text is called. Nothing
 * else is said after it. */
void where_was(const char *path, int line);
