/* SPDX-License-Identifier: MIT */
/* A socket that listens, opened before anything is started: a port that is taken ends the
 * start, and not a child of it. */
#pragma once

#include "common/buffer.h"

#include <stdbool.h>

/* `address` is HOST:PORT, with a name or a number ([::1]:9464 of IPv6). Returns 0,
 * -EINVAL for what is no address, or a negative errno, with a sentence in `why`. */
int listening_open(const char *address, int *ret_fd, struct buffer *why) must_check;
/* The same, but only looks whether it is an address. */
int listening_check(const char *address, struct buffer *why) must_check;
/* Does one take the other's port: are they the same name, or the same number, however it
 * is written, or is one of them all addresses? Nobody is asked where a name leads, so it
 * returns at once; that shows when both listen. What is no address takes no other's. */
bool listening_clash(const char *one, const char *other);
