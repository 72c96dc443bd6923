/* SPDX-License-Identifier: MIT */
/* How a connection to Redis begins: the socket, and the login. */
#pragma once

#include "common/redis_address.h"
#include "queue/redis.h"

/* Both wait until `end_ms` (clock_now_ms) at most; only the resolver, where the host is a
 * name, takes the time that it takes. */

/* A connected stream socket, non-blocking, CLOEXEC (which hiredis 0.14 does not set).
 * Returns 0, or a negative errno with a sentence in `why` that names the address. */
int connect_socket(const struct redis_address *address, int64_t end_ms, int *ret_fd,
                   struct buffer *why) must_check;
/* AUTH and SELECT where the address says so, and PING, so that a server that is loading
 * or wants a password is found out now. */
int connect_login(struct redis *redis, const struct redis_address *address,
                  int64_t end_ms, struct buffer *why) must_check;

/* What an error reply means, as a negative errno: -EACCES for the login's, -EBUSY for a
 * server that is loading its data, -ENOTSUP for one that lacks a command, -ETIMEDOUT for
 * none at all, -EPROTO for any other. */
int connect_error_of(const struct redisReply *reply);

/* Of redis.c: the address of a connection, for messages. */
const struct redis_address *redis_address(const struct redis *redis);
