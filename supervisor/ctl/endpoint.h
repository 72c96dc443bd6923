/* SPDX-License-Identifier: MIT */
/*
 * Where a command's queue is: the Redis that was named, the pool of a runtime folder, or
 * (for `run`) a pool of its own that lives as long as the command.
 */
#pragma once

#include "common/limits.h"
#include "queue/redis.h"
#include "supervisor/ctl/args.h"

#include <sys/types.h>

struct endpoint {
    struct redis *redis; /* connected; owned */
    char queue[65];
    pid_t supervisor; /* of an own pool; 0: none */
    int ready;        /* socket to it; closing it stops the pool; -1: none */
};

#define ENDPOINT_INIT ((struct endpoint){.ready = -1})

/* Can a queue have that name? Returns 0, or -EINVAL with a sentence in `why`. */
int endpoint_check_queue(const char *name, struct buffer *why) must_check;
/* The queue that the options or a running pool name. Returns 0, or a negative errno with
 * a sentence in `why` (-ENOENT: there is no pool, -EACCES: there is, but not for us). */
int endpoint_find(const struct args *args, struct endpoint *ret,
                  struct buffer *why) must_check;
/* The runtime folder of the pool that the options, or none, name. Returns as
 * endpoint_find. */
int endpoint_find_folder(const struct args *args, char folder[LIMIT_PATH],
                         struct buffer *why) must_check;
/* Starts an own pool of one worker. Returns 0, or a negative errno with a sentence in
 * `why`; -EINTR: one of interrupt_watch()'s signals came first, and is still there to be
 * read. From here on they are blocked. */
int endpoint_embed(struct endpoint *ret, struct buffer *why) must_check;
/* A second connection to the same Redis. */
int endpoint_connect_again(const struct endpoint *endpoint, struct redis **ret,
                           struct buffer *why) must_check;
/* Closes, and ends an own pool and all that belongs to it. */
void endpoint_done(struct endpoint *endpoint);

/* Path of one of our own programs: beside this one, or in its installed place. */
void endpoint_program(const char *name, char *to, size_t room);
