/* SPDX-License-Identifier: MIT */
/*
 * One connection to Redis, for a poll() loop: commands are queued and answered in order,
 * each with a deadline, so that no peer can make the caller wait for ever. On hiredis
 * 0.14, of which only the protocol reader and writer are used: the socket is opened here,
 * non-blocking and CLOEXEC.
 *
 * A connection has two states, up and down. It goes down when the peer closes it, an
 * error occurs or a deadline passes; every command under way is then answered with NULL,
 * once, and redis_connect starts anew (the caller decides when: backoff is
 * redis_retry_ms).
 */
#pragma once

#include "common/buffer.h"

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stdint.h>

struct redis;

/* Answer to a command: borrowed, valid during the call; NULL when the connection went
 * down first. May queue further commands; may not free the connection. */
typedef void redis_answer(void *context, const struct redisReply *reply);

/* `address`: unix:/PATH, HOST:PORT, or redis://[USER:PASSWORD@]HOST[:PORT][/DB]. Checks
 * its form only. Returns 0, or -EINVAL with a sentence in `why` (which never holds the
 * password). */
int redis_new(const char *address, struct redis **ret, struct buffer *why) must_check;
/* Another one to the same address, not connected. */
int redis_new_like(const struct redis *other, struct redis **ret) must_check;
void redis_free(struct redis *redis);

/* Connects (waiting at most `timeout_ms`), and authenticates and selects the database if
 * the address says so. Returns 0, or a negative errno with a sentence in `why` (may be
 * NULL): -EACCES for a login that it refuses, -EBUSY while it loads its data. */
int redis_connect(struct redis *redis, int timeout_ms, struct buffer *why) must_check;
/* Whom the address logs in as; "default" where it says nobody. */
const char *redis_user(const struct redis *redis);
bool redis_is_up(const struct redis *redis);

/* What has become of something that took several commands: 0, or a negative errno with a
 * sentence in `why`, valid during the call. */
typedef void redis_done(void *context, int error, const struct buffer *why);
/* redis_connect for a poll() loop: only the resolver is waited for, where the host is a
 * name, of whose addresses each attempt takes the next. `done` is called once, later,
 * with what redis_connect would return; whoever wants to use the connection waits for
 * that. Returns 0, or a negative errno with a sentence in `why` (then `done` is not
 * called). */
int redis_connect_begin(struct redis *redis, int timeout_ms, redis_done *done,
                        void *context, struct buffer *why) must_check;
/* Is its host a name, for which the resolver is waited for? */
bool redis_looks_up(const struct redis *redis);
/* Milliseconds to wait before the next redis_connect: jittered exponential backoff, 20 ms
 * to 1 s. */
int redis_retry_ms(struct redis *redis);
/* Of one that is down: whether it had been up for REDIS_LASTS_MS. */
#define REDIS_LASTS_MS 250
bool redis_lasted(const struct redis *redis);
/* Takes the connection down. */
void redis_drop(struct redis *redis);
/* The same for one that is as good as any, and only not wanted any more: that is no
 * failure. */
void redis_leave(struct redis *redis);

/* Queues a command. `timeout_ms` counts from now; a blocking command adds its own.
 * `answer` may be NULL. Returns 0, -ENOTCONN when it is down, -ENOBUFS when more than 64
 * MiB wait to be sent. */
int redis_send(struct redis *redis, int timeout_ms, redis_answer *answer, void *context,
               int argc, const char *const *argv, const size_t *lengths) must_check;
/* The same from a NULL-terminated list of C strings. */
int redis_send_text(struct redis *redis, int timeout_ms, redis_answer *answer,
                    void *context, ...) must_check __attribute__((sentinel));

/* For poll(): the fd, the events it waits for, and when redis_service must run at the
 * latest (clock_now_ms, CLOCK_NEVER when nothing is under way). */
int redis_fd(const struct redis *redis);
short redis_events(const struct redis *redis);
int64_t redis_deadline_ms(const struct redis *redis);
/* Reads, answers, writes, and takes the connection down if a deadline has passed. */
void redis_service(struct redis *redis, short revents);
/* Bytes queued and not yet taken by the kernel. */
size_t redis_unsent(const struct redis *redis);
/* Waits until something comes or a deadline passes, and services it: for programs that
 * have nothing else to do. */
void redis_wait(struct redis *redis);

/* A command that waits for its reply, for programs that have nothing else to do. The
 * reply is the caller's (freeReplyObject); NULL when the connection went down or the time
 * is over. */
struct redisReply *redis_call(struct redis *redis, int timeout_ms, int argc,
                              const char *const *argv, const size_t *lengths) must_check;
struct redisReply *redis_call_text(struct redis *redis, int timeout_ms, ...) must_check
    __attribute__((sentinel));

/* Is it an error that begins so? NULL is none. */
bool redis_is_error(const struct redisReply *reply, const char *begins);

/* Copies the value of a line "name:value" of INFO's answer; "" if there is none. */
void redis_info_value(const char *info, const char *name, char *to, size_t room);

/* ---- what a server must be ---- */

/* Checks the version (>= 7.0, or Valkey) and maxmemory-policy (noeviction; a server that
 * hides CONFIG from us is believed). Returns 0, -ENOTSUP for one that is not, or another
 * negative errno where it did not say, with a sentence in `why`. */
int redis_check_server(struct redis *redis, struct buffer *why) must_check;
/* Loads the Functions library `paddock` where it is missing or older than ours. Returns 0
 * or a negative errno with a sentence in `why`. */
int redis_load_functions(struct redis *redis, const char *queue,
                         struct buffer *why) must_check;
/* Both for a poll() loop, as redis_connect_begin is; one at a time. `queue` is borrowed
 * until the end. */
int redis_check_begin(struct redis *redis, redis_done *done, void *context) must_check;
int redis_load_begin(struct redis *redis, const char *queue, redis_done *done,
                     void *context) must_check;
