/* SPDX-License-Identifier: MIT */
/*
 * SQLite, which Python's sqlite3 stands on, where there is no disk: sorts and indexes
 * that outgrow its cache stay in memory, and its random numbers come from the kernel in
 * the place of the clock and the process id, which the sandboxes of two zygotes share.
 */
#pragma once

/* In the zygote, when modules are loaded. Does nothing where sqlite3 is not among them.
 * Returns 0 or a negative errno. */
int sqlite_prepare(void);
