/* SPDX-License-Identifier: MIT */
/*
 * Commands that wait, and what a server must be. Runs in the command, and in the relay
 * while it starts.
 */
#include "common/number.h"
#include "queue/connect.h"
#include "queue/keys.h"
#include "queue/library.h"
#include "queue/redis.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define CALL_TIMEOUT_MS 5000
#define LOAD_TRIES      4

/* ---- waiting ---- */

struct waiting {
    bool done;
    struct redisReply *reply; /* a copy, owned; NULL: the connection went down */
};

/* The reply is the reader's; what the caller is to keep is copied. */
static struct redisReply *copy_reply(const struct redisReply *from)
{
    struct redisReply *to = calloc(1, sizeof(*to));

    if (to == NULL) {
        return NULL;
    }
    to->type = from->type;
    to->integer = from->integer;
    if (from->str != NULL) {
        to->str = malloc(from->len + 1);
        to->len = to->str != NULL ? from->len : 0;
        if (to->str != NULL) {
            memcpy(to->str, from->str, from->len + 1);
        }
    }
    if (from->elements > 0) {
        to->element = calloc(from->elements, sizeof(struct redisReply *));
        to->elements = to->element != NULL ? from->elements : 0;
        for (size_t i = 0; i < to->elements; i++) {
            to->element[i] = copy_reply(from->element[i]);
        }
    }
    return to;
}

static void keep(void *context, const struct redisReply *reply)
{
    struct waiting *waiting = context;

    waiting->done = true;
    waiting->reply = reply != NULL ? copy_reply(reply) : NULL;
}

struct redisReply *redis_call(struct redis *redis, int timeout_ms, int argc,
                              const char *const *argv, const size_t *lengths)
{
    struct waiting waiting = {0};

    if (redis_send(redis, timeout_ms, keep, &waiting, argc, argv, lengths) < 0) {
        return NULL;
    }
    while (!waiting.done) {
        redis_wait(redis);
    }
    return waiting.reply;
}

struct redisReply *redis_call_text(struct redis *redis, int timeout_ms, ...)
{
    const char *argv[64];
    int argc = 0;
    va_list args;

    va_start(args, timeout_ms);
    for (const char *next = va_arg(args, const char *); next != NULL && argc < 64;
         next = va_arg(args, const char *)) {
        argv[argc++] = next;
    }
    va_end(args);
    return redis_call(redis, timeout_ms, argc, argv, NULL);
}

/* ---- what a server must be ---- */

static int refuse(const struct redis *redis, int error, struct buffer *why,
                  const char *format, ...) printf_like(4, 5);
static int refuse(const struct redis *redis, int error, struct buffer *why,
                  const char *format, ...)
{
    va_list args;

    if (why != NULL) {
        buffer_add_text(why, "the Redis at ");
        redis_address_print(redis_address(redis), why);
        va_start(args, format);
        buffer_vprintf(why, format, args);
        va_end(args);
    }
    return error;
}

static const char *words_of(const struct redisReply *reply)
{
    return reply != NULL && reply->type == REDIS_REPLY_ERROR ? reply->str : "no answer";
}

bool redis_is_error(const struct redisReply *reply, const char *begins)
{
    return reply != NULL && reply->type == REDIS_REPLY_ERROR &&
           strncmp(reply->str, begins, strlen(begins)) == 0;
}

void redis_info_value(const char *info, const char *name, char *to, size_t room)
{
    size_t length = strlen(name);

    to[0] = '\0';
    for (const char *line = info; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, length) == 0 && line[length] == ':') {
            (void)snprintf(to, room, "%.*s", (int)strcspn(line + length + 1, "\r\n"),
                           line + length + 1);
            return;
        }
    }
}

static int judge(const struct redis *redis, const struct redisReply *info,
                 struct buffer *why)
{
    char version[32], policy[32], major[8];
    int64_t number;

    if (info == NULL || info->type != REDIS_REPLY_STRING) {
        return refuse(redis, connect_error_of(info), why, " does not say what it is: %s",
                      words_of(info));
    }
    redis_info_value(info->str, "redis_version", version, sizeof(version));
    redis_info_value(info->str, "maxmemory_policy", policy, sizeof(policy));
    (void)snprintf(major, sizeof(major), "%.*s", (int)strcspn(version, "."), version);
    if (number_parse(major, 7, 999, &number) < 0) {
        return refuse(redis, -ENOTSUP, why,
                      " is version %s; Paddock needs Redis 7.0 or newer, or Valkey",
                      version);
    }
    if (policy[0] != '\0' && strcmp(policy, "noeviction") != 0) {
        return refuse(redis, -ENOTSUP, why,
                      " has maxmemory-policy %s, by which jobs could vanish; Paddock "
                      "needs noeviction",
                      policy);
    }
    return 0;
}

static void on_info(void *context, const struct redisReply *reply)
{
    struct redis *redis = context;
    struct buffer why autobuffer = BUFFER_INIT(REASON_BYTES);
    int error = judge(redis, reply, &why);

    redis_task_end(redis, error, &why);
}

int redis_check_begin(struct redis *redis, redis_done *done, void *context)
{
    *redis_task(redis) = (struct redis_task){.done = done, .context = context};
    return redis_send_text(redis, CALL_TIMEOUT_MS, on_info, redis, "INFO", NULL);
}

int redis_check_server(struct redis *redis, struct buffer *why)
{
    struct redis_outcome outcome = {.why = why};

    return redis_wait_out(redis, redis_check_begin(redis, redis_note, &outcome),
                          &outcome);
}

/* ---- the library ---- */

/* 0 where there is none. Only an answer that says so is believed: whoever can not ask
 * must not put his own in the place of a later one. */
static int version_of(const struct redis *redis, const struct redisReply *reply,
                      struct buffer *why)
{
    if (reply != NULL && reply->type == REDIS_REPLY_INTEGER) {
        return (int)reply->integer;
    }
    if (redis_is_error(reply, "ERR Function not found")) {
        return 0;
    }
    return refuse(redis, connect_error_of(reply), why,
                  " does not say which functions it has: %s", words_of(reply));
}

static int ask_version(struct redis *redis);

static bool is_there_already(const struct redisReply *reply)
{
    return reply->type == REDIS_REPLY_ERROR &&
           strstr(reply->str, "already exists") != NULL;
}

/* Several may do this at once. Where there is none, the first one's stays, and who comes
 * later looks again. Those of one version replace the text by the same text. An older one
 * that looked before we loaded may still put its own in the place of ours: relays look
 * again from time to time. */
static void on_loaded(void *context, const struct redisReply *reply)
{
    struct redis *redis = context;
    struct redis_task *task = redis_task(redis);
    struct buffer why autobuffer = BUFFER_INIT(REASON_BYTES);
    int error = 0;

    if (reply == NULL || (reply->type == REDIS_REPLY_ERROR &&
                          (task->replaces || !is_there_already(reply)))) {
        error = refuse(redis, connect_error_of(reply), &why,
                       " refuses the queue's functions: %s", words_of(reply));
    } else if (++task->step < LOAD_TRIES) {
        error = ask_version(redis);
        if (error == 0) {
            return;
        }
    }
    redis_task_end(redis, error, &why);
}

static int load(struct redis *redis, bool replace)
{
    return replace ? redis_send_text(redis, CALL_TIMEOUT_MS, on_loaded, redis, "FUNCTION",
                                     "LOAD", "REPLACE", library_text, NULL)
                   : redis_send_text(redis, CALL_TIMEOUT_MS, on_loaded, redis, "FUNCTION",
                                     "LOAD", library_text, NULL);
}

static void on_version(void *context, const struct redisReply *reply)
{
    struct redis *redis = context;
    struct redis_task *task = redis_task(redis);
    struct buffer why autobuffer = BUFFER_INIT(REASON_BYTES);
    int version = version_of(redis, reply, &why);

    if (version < 0 || version >= library_version) {
        redis_task_end(redis, version < 0 ? version : 0, &why);
        return;
    }
    task->replaces = version > 0 || task->step > 0;
    if (load(redis, task->replaces) < 0) {
        on_loaded(redis, NULL); /* it has gone down meanwhile */
    }
}

static int ask_version(struct redis *redis)
{
    struct queue_key key = queue_key(redis_task(redis)->queue, "open", "");

    return redis_send_text(redis, CALL_TIMEOUT_MS, on_version, redis, "FCALL_RO",
                           "paddock_version", "1", key.text, NULL);
}

int redis_load_begin(struct redis *redis, const char *queue, redis_done *done,
                     void *context)
{
    *redis_task(redis) =
        (struct redis_task){.done = done, .context = context, .queue = queue};
    return ask_version(redis);
}

int redis_load_functions(struct redis *redis, const char *queue, struct buffer *why)
{
    struct redis_outcome outcome = {.why = why};

    return redis_wait_out(redis, redis_load_begin(redis, queue, redis_note, &outcome),
                          &outcome);
}
