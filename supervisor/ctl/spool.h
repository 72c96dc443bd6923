/* SPDX-License-Identifier: MIT */
/*
 * What is on its way into a file that somebody named. That one is opened when all of it
 * is there: it may be the very file that is read, and stays as it is where nothing comes
 * of it. Then it is written to where it stands: whatever it is, a link, a device, one
 * with rights or an owner of its own, it remains.
 */
#pragma once

#include <stdio.h>

/* An empty file without a name, on the disk of `path` if it can be there, to be closed by
 * fclose(). NULL with errno: also where there is no such folder. */
FILE *spool_new(const char *path);
/* Writes all of it to `path`, in the place of what stands there. Returns 0 or a negative
 * errno: then, where `spool` itself had no room, nothing has been touched. */
int spool_write(FILE *spool, const char *path) __attribute__((warn_unused_result));
