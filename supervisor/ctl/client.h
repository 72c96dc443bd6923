/* SPDX-License-Identifier: MIT */
/* The queue's public calls, as the command makes them (docs/PROTOCOL.md). */
#pragma once

#include "supervisor/ctl/endpoint.h"
#include "supervisor/ctl/pack.h"

/* What came of an enqueue. */
enum enqueued {
    ENQUEUED_QUEUED,
    ENQUEUED_DUPLICATE,
    ENQUEUED_FULL,
    ENQUEUED_REFUSED,
    ENQUEUED_FAILED
};

/* A random id, or the one of the options, into `id` (65 bytes). */
int client_make_id(const struct args *args, char id[65], struct buffer *why) must_check;

/* Uploads and enqueues. `said` receives what is to be told: the position, or why not. */
enum enqueued client_enqueue(struct endpoint *endpoint, const struct args *args,
                             const char *id, const struct pack *pack,
                             struct buffer *said) must_check;

/* FCALL of a function with its arguments, to a NULL, or FCALL_RO of one that only reads,
 * as docs/PROTOCOL.md says; the reply is the caller's (freeReplyObject), NULL with a
 * sentence in `why`. */
struct redisReply *client_call(struct endpoint *endpoint, struct buffer *why,
                               const char *how, const char *function, ...) must_check
    __attribute__((sentinel));
/* paddock_input of `size` bytes, and of the end of input, if `eof`; as client_call. */
struct redisReply *client_input(struct endpoint *endpoint, const char *id,
                                const char *bytes, size_t size, bool eof,
                                struct buffer *why) must_check;
/* HGETALL job:ID; the reply is the caller's. */
struct redisReply *client_job(struct endpoint *endpoint, const char *id,
                              struct buffer *why) must_check;
/* A field of that reply, whose it is; "" where it has none of this name. */
const char *client_job_field(const struct redisReply *job, const char *name);
/* Says what Redis answered in the place of what was wanted, or that it does not (NULL);
 * of a right that is missing also whose, and where another user is named. `asked`: a
 * function's or a command's name, as an ACL has it. */
void client_say_refused(const struct endpoint *endpoint, const struct redisReply *reply,
                        const char *asked, struct buffer *why);
