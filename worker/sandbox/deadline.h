/* SPDX-License-Identifier: MIT */
/*
 * A deadline for code of the program's that answers a question of ours: past it the main
 * thread gets a signal, and again and again until it has come back, whose handler raises
 * KeyboardInterrupt in whatever Python runs, sleeps or waits. Code in C that heeds no
 * signal, or code that keeps this one out, is not stopped: the relay's grace is
 * (worker/relay/run.c). The program's own handler of that signal is put back behind it.
 *
 * Deadlines share some half of that grace: each that passes halves those that follow.
 */
#pragma once

#include <stdbool.h>

/* In the zygote, before any program. Returns 0, or -1 with an exception. */
int deadline_prepare(void);
/* In the main thread, which must have no exception. Where there is no thread to watch,
 * there is no deadline. */
void deadline_begin(void);
/* Whatever the code has raised is the caller's to clear first. Returns whether the
 * deadline has passed. */
bool deadline_end(void);
