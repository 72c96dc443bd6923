/* SPDX-License-Identifier: MIT */
/* Connecting to Redis. Runs in the relay and in the command; waits, but never longer than
 * it was told. */
#include "queue/connect.h"

#include "common/clock.h"
#include "common/fd.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static int refuse(const struct redis_address *address, const char *reason, int error,
                  struct buffer *why)
{
    if (why != NULL) {
        buffer_add_text(why, "unable to reach Redis at ");
        redis_address_print(address, why);
        buffer_printf(why, ": %s", reason);
    }
    return error;
}

/* ---- the socket ---- */

static int finish_connect(int fd, int64_t end_ms)
{
    struct pollfd writable = {.fd = fd, .events = POLLOUT};
    socklen_t size = sizeof(int);
    int error = 0;

    if (poll(&writable, 1, clock_poll_ms(end_ms, clock_now_ms())) != 1) {
        return -ETIMEDOUT;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
        return -errno;
    }
    return -error;
}

/* A peer that is gone without a word is found out within a few seconds. */
static void tune(int fd)
{
    const struct {
        int level, name, value;
    } settings[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},  {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, 5}, {IPPROTO_TCP, TCP_KEEPINTVL, 2},
        {IPPROTO_TCP, TCP_KEEPCNT, 3},  {IPPROTO_TCP, TCP_USER_TIMEOUT, 10000},
    };

    for (size_t i = 0; i < array_size(settings); i++) {
        (void)setsockopt(fd, settings[i].level, settings[i].name, &settings[i].value,
                         sizeof(int));
    }
}

static int connect_one(const struct addrinfo *info, int64_t end_ms, int *ret_fd)
{
    autoclose int fd =
        socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int error = 0;

    if (fd < 0) {
        return -errno;
    }
    tune(fd);
    if (connect(fd, info->ai_addr, info->ai_addrlen) != 0) {
        error = errno == EINPROGRESS ? finish_connect(fd, end_ms) : -errno;
    }
    if (error == 0) {
        *ret_fd = steal_fd(&fd);
    }
    return error;
}

static int connect_tcp(const struct redis_address *address, int64_t end_ms, int *ret_fd,
                       struct buffer *why)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int error = getaddrinfo(address->host, address->port, &hints, &found);
    int result = -EHOSTUNREACH;

    if (error != 0) {
        return refuse(address, gai_strerror(error), -EHOSTUNREACH, why);
    }
    for (struct addrinfo *one = found; one != NULL && result < 0; one = one->ai_next) {
        result = connect_one(one, end_ms, ret_fd);
    }
    freeaddrinfo(found);
    return result < 0 ? refuse(address, strerror(-result), result, why) : 0;
}

int connect_socket(const struct redis_address *address, int64_t end_ms, int *ret_fd,
                   struct buffer *why)
{
    int error;

    if (!address->is_unix) {
        return connect_tcp(address, end_ms, ret_fd, why);
    }
    error = fd_connect_unix(address->host, ret_fd);
    return error < 0 ? refuse(address, strerror(-error), error, why) : 0;
}

/* ---- the login ---- */

/* What an error reply means for whoever reads the message. */
static const struct connect_error {
    const char *prefix;
    int error;
    const char *sentence;
} errors[] = {
    {"NOAUTH", -EACCES, "it wants a password"},
    {"WRONGPASS", -EACCES, "it refuses the user or the password"},
    {"ERR AUTH", -EACCES, "it refuses the password"},
    {"NOPERM", -EACCES, "the user may not do this"},
    {"ERR unknown command", -ENOTSUP, "it does not know a command that is needed"},
    {"LOADING", -EBUSY, "it is still loading its data"},
};

/* The row of an error reply, or NULL for one that is not in the table. */
static const struct connect_error *find_error(const struct redisReply *reply)
{
    for (size_t i = 0; i < array_size(errors); i++) {
        if (strncmp(reply->str, errors[i].prefix, strlen(errors[i].prefix)) == 0) {
            return &errors[i];
        }
    }
    return NULL;
}

int connect_error_of(const struct redisReply *reply)
{
    const struct connect_error *error;

    if (reply == NULL) {
        return -ETIMEDOUT;
    }
    error = reply->type == REDIS_REPLY_ERROR ? find_error(reply) : NULL;
    return error != NULL ? error->error : -EPROTO;
}

/* Redis's own words, but not for AUTH: a server that does not know the command repeats
 * its arguments. */
static int check_reply(const struct redis_address *address, bool secret,
                       struct redisReply *reply, struct buffer *why)
{
    const struct connect_error *error;
    char text[128] = "it refuses the login";

    if (reply == NULL) {
        return refuse(address, "it does not answer", -ETIMEDOUT, why);
    }
    if (reply->type != REDIS_REPLY_ERROR) {
        freeReplyObject(reply);
        return 0;
    }
    error = find_error(reply);
    if (error != NULL) {
        freeReplyObject(reply);
        return refuse(address, error->sentence, error->error, why);
    }
    if (!secret) {
        (void)snprintf(text, sizeof(text), "%s", reply->str);
    }
    freeReplyObject(reply);
    return refuse(address, text, -EPROTO, why);
}

static int login(struct redis *redis, const struct redis_address *address, int timeout_ms,
                 struct buffer *why)
{
    const char *words[] = {"AUTH", address->user, address->password};

    if (address->user[0] == '\0') {
        words[1] = address->password;
    }
    return check_reply(
        address, true,
        redis_call(redis, timeout_ms, address->user[0] != '\0' ? 3 : 2, words, NULL),
        why);
}

int connect_login(struct redis *redis, const struct redis_address *address,
                  int64_t end_ms, struct buffer *why)
{
    int error = 0;

    if (address->password[0] != '\0') {
        error = login(redis, address, clock_poll_ms(end_ms, clock_now_ms()), why);
    }
    if (error == 0 && address->database[0] != '\0') {
        error = check_reply(address, false,
                            redis_call_text(redis, clock_poll_ms(end_ms, clock_now_ms()),
                                            "SELECT", address->database, NULL),
                            why);
    }
    if (error == 0) {
        error = check_reply(
            address, false,
            redis_call_text(redis, clock_poll_ms(end_ms, clock_now_ms()), "PING", NULL),
            why);
    }
    return error;
}
