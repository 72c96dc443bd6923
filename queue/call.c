/* SPDX-License-Identifier: MIT */
/*
 * Commands that wait, and what a server must be. Runs in the command, and in the relay
 * while it starts.
 */
#include "common/clock.h"
#include "common/number.h"
#include "queue/connect.h"
#include "queue/keys.h"
#include "queue/library.h"
#include "queue/redis.h"

#include <errno.h>
#include <poll.h>
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
        struct pollfd fd = {.fd = redis_fd(redis), .events = redis_events(redis)};
        int wait = clock_poll_ms(redis_deadline_ms(redis), clock_now_ms());

        if (poll(&fd, 1, wait) < 0 && errno == EINTR) {
            fd.revents = 0; /* a signal: its handler's business; our deadline stands */
        }
        redis_service(redis, fd.revents);
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

static int refuse(struct redis *redis, int error, struct buffer *why, const char *format,
                  ...) printf_like(4, 5);
static int refuse(struct redis *redis, int error, struct buffer *why, const char *format,
                  ...)
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

/* Copies the value of a line "name:value" of INFO; "" if there is none. */
static void info_value(const char *info, const char *name, char *to, size_t room)
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

int redis_check_server(struct redis *redis, struct buffer *why)
{
    struct redisReply *reply = redis_call_text(redis, CALL_TIMEOUT_MS, "INFO", NULL);
    char version[32], policy[32], major[8];
    int64_t number;

    if (reply == NULL || reply->type != REDIS_REPLY_STRING) {
        int error = refuse(redis, connect_error_of(reply), why,
                           " does not say what it is: %s", words_of(reply));

        if (reply != NULL) {
            freeReplyObject(reply);
        }
        return error;
    }
    info_value(reply->str, "redis_version", version, sizeof(version));
    info_value(reply->str, "maxmemory_policy", policy, sizeof(policy));
    freeReplyObject(reply);
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

/* ---- the library ---- */

/* 0 where there is none. Only an answer that says so is believed: whoever can not ask
 * must not put his own in the place of a later one. */
static int loaded_version(struct redis *redis, const char *queue, struct buffer *why)
{
    struct queue_key key = queue_key(queue, "open", "");
    struct redisReply *reply = redis_call_text(redis, CALL_TIMEOUT_MS, "FCALL_RO",
                                               "paddock_version", "1", key.text, NULL);
    int version;

    if (reply != NULL && reply->type == REDIS_REPLY_INTEGER) {
        version = (int)reply->integer;
    } else if (reply != NULL && reply->type == REDIS_REPLY_ERROR &&
               strncmp(reply->str, "ERR Function not found", 22) == 0) {
        version = 0;
    } else {
        version = refuse(redis, connect_error_of(reply), why,
                         " does not say which functions it has: %s", words_of(reply));
    }
    if (reply != NULL) {
        freeReplyObject(reply);
    }
    return version;
}

static int load(struct redis *redis, bool replace, struct buffer *why)
{
    const char *words[] = {"FUNCTION", "LOAD", "REPLACE", library_text};
    struct redisReply *reply;
    int error = 0;

    if (!replace) {
        words[2] = library_text;
    }
    reply = redis_call(redis, CALL_TIMEOUT_MS, replace ? 4 : 3, words, NULL);
    if (reply == NULL || (reply->type == REDIS_REPLY_ERROR &&
                          (replace || strstr(reply->str, "already exists") == NULL))) {
        error = refuse(redis, connect_error_of(reply), why,
                       " refuses the queue's functions: %s", words_of(reply));
    }
    if (reply != NULL) {
        freeReplyObject(reply);
    }
    return error;
}

/* Several may do this at once. Where there is none, the first one's stays, and who comes
 * later looks again. Those of one version replace the text by the same text. An older one
 * that looked before we loaded may still put its own in the place of ours: relays look
 * again from time to time. */
int redis_load_functions(struct redis *redis, const char *queue, struct buffer *why)
{
    int error = 0;

    for (int tries = 0; tries < LOAD_TRIES && error == 0; tries++) {
        int version = loaded_version(redis, queue, why);

        if (version < 0 || version >= library_version) {
            return version < 0 ? version : 0;
        }
        error = load(redis, version > 0 || tries > 0, why);
    }
    return error;
}
