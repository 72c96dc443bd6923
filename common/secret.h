/* SPDX-License-Identifier: MIT */
/* Keeping passwords where they belong. */
#pragma once

#include "common/cleanup.h"

/* Everybody may read /proc/PID/cmdline: in each word that holds the login of a Redis
 * (redis://USER:PASSWORD@HOST) that is overwritten, and argv points to a copy instead,
 * which lives as long as the process. Between the exec and this call it can be read; in a
 * file it never can. Returns 0 or -ENOMEM. */
int secret_hide_argv(int argc, char **argv) must_check;
