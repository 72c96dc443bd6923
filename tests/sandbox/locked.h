/* SPDX-License-Identifier: MIT */
/*
 * A process that is locked as a sandbox is, for the tests that make system calls in one.
 */
#pragma once

#include <stdbool.h>

#define EXIT_NO_SETUP 90

/* Makes the calling process one: its fds 0, 1 and 2 are one eventfd, SIGSYS has a
 * handler, and with `filtered` the sandbox filter is on. The handler asks `serve` what a
 * trapped call returns; those of libc that set the signal mask are carried out. Ends the
 * process with EXIT_NO_SETUP where it fails. */
void locked_become(bool filtered, long (*serve)(int call));
