/* SPDX-License-Identifier: MIT */
/* How a connection to Redis begins: the socket, and the login. */
#pragma once

#include "common/redis_address.h"
#include "queue/redis.h"

#define REASON_BYTES 512 /* room for a sentence of why */

/* A connected stream socket, non-blocking, CLOEXEC (which hiredis 0.14 does not set).
 * Waits until `end_ms` (clock_now_ms) at most, and for the resolver, where the host is a
 * name. Returns 0, or a negative errno with a sentence in `why` that names the address.
 */
int connect_socket(const struct redis_address *address, int64_t end_ms, int *ret_fd,
                   struct buffer *why) must_check;
/* The same without waiting: it may be still about to connect, which its first write then
 * is held up by. `turn` counts the attempts: each takes the next of a host's addresses.
 */
int connect_start(const struct redis_address *address, unsigned turn, int *ret_fd,
                  struct buffer *why) must_check;
/* AUTH and SELECT where the address says so, and PING, so that a server that is loading
 * or wants a password is found out now: the task that was begun ends with the last of
 * them, or the first that is refused. */
int connect_login(struct redis *redis) must_check;

/* What an error reply means, as a negative errno: -EACCES for the login's, -EBUSY for a
 * server that is loading its data, -ENOTSUP for one that lacks a command, -ETIMEDOUT for
 * none at all, -EPROTO for any other. */
int connect_error_of(const struct redisReply *reply);

/* ---- of redis.c ---- */

/* What takes several commands, one such thing at a time. */
struct redis_task {
    redis_done *done; /* NULL: there is none */
    void *context;
    const char *queue; /* borrowed */
    unsigned step;
    bool replaces; /* a library that is there */
    int64_t end_ms;
};

struct redis_task *redis_task(struct redis *redis);
/* It is over, with a negative errno and a sentence, or with 0. */
void redis_task_end(struct redis *redis, int error, const struct buffer *why);

/* For a call that waits: redis_note is its `done`. `begun` is what the beginning of it
 * returned. Returns what became of it; its sentence is in `why`. */
struct redis_outcome {
    bool over;
    int error;
    struct buffer *why; /* may be NULL */
};

redis_done redis_note;
int redis_wait_out(struct redis *redis, int begun,
                   struct redis_outcome *outcome) must_check;

/* Why the connection went down, as a negative errno: -ETIMEDOUT for a deadline. */
int redis_down_error(const struct redis *redis);
/* The address of a connection, for messages. */
const struct redis_address *redis_address(const struct redis *redis);
