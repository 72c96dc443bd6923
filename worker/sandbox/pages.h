/* SPDX-License-Identifier: MIT */
/*
 * What a sandbox costs beyond its program is pages: each that it writes to first is
 * copied, and every one is an exception. Here the zygote's memory is laid out so that
 * there are few.
 */
#pragma once

/* Before the lock, when all is loaded: uses up memory that was freed and lies scattered,
 * a megabyte at most, so that sandboxes take theirs side by side from where nothing has
 * been yet. */
void pages_settle(void);
