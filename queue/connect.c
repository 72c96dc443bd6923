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

/* -EINPROGRESS: with a socket that is about to connect. */
static int start_one(const struct addrinfo *info, int *ret_fd)
{
    autoclose int fd =
        socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int error = 0;

    if (fd < 0) {
        return -errno;
    }
    tune(fd);
    if (connect(fd, info->ai_addr, info->ai_addrlen) != 0) {
        error = -errno;
    }
    if (error == 0 || error == -EINPROGRESS) {
        *ret_fd = steal_fd(&fd);
    }
    return error;
}

static int connect_one(const struct addrinfo *info, int64_t end_ms, int *ret_fd)
{
    autoclose int fd = -1;
    int error = start_one(info, &fd);

    if (error == -EINPROGRESS) {
        error = finish_connect(fd, end_ms);
    }
    if (error == 0) {
        *ret_fd = steal_fd(&fd);
    }
    return error;
}

static int resolve(const struct redis_address *address, struct addrinfo **ret_found,
                   struct buffer *why)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    int error = getaddrinfo(address->host, address->port, &hints, ret_found);

    return error != 0 ? refuse(address, gai_strerror(error), -EHOSTUNREACH, why) : 0;
}

static int connect_tcp(const struct redis_address *address, int64_t end_ms, int *ret_fd,
                       struct buffer *why)
{
    struct addrinfo *found = NULL;
    int error = resolve(address, &found, why);
    int result = -EHOSTUNREACH;

    if (error < 0) {
        return error;
    }
    for (struct addrinfo *one = found; one != NULL && result < 0; one = one->ai_next) {
        result = connect_one(one, end_ms, ret_fd);
    }
    freeaddrinfo(found);
    return result < 0 ? refuse(address, strerror(-result), result, why) : 0;
}

static int start_tcp(const struct redis_address *address, unsigned turn, int *ret_fd,
                     struct buffer *why)
{
    struct addrinfo *found = NULL, *one;
    int error = resolve(address, &found, why);

    if (error < 0) {
        return error;
    }
    one = found;
    for (unsigned i = 0; i < turn; i++) {
        one = one->ai_next != NULL ? one->ai_next : found;
    }
    error = start_one(one, ret_fd);
    freeaddrinfo(found);
    return error == 0 || error == -EINPROGRESS
               ? 0
               : refuse(address, strerror(-error), error, why);
}

static int connect_local(const struct redis_address *address, int *ret_fd,
                         struct buffer *why)
{
    int error = fd_connect_unix(address->host, ret_fd);

    return error < 0 ? refuse(address, strerror(-error), error, why) : 0;
}

int connect_socket(const struct redis_address *address, int64_t end_ms, int *ret_fd,
                   struct buffer *why)
{
    return address->is_unix ? connect_local(address, ret_fd, why)
                            : connect_tcp(address, end_ms, ret_fd, why);
}

int connect_start(const struct redis_address *address, unsigned turn, int *ret_fd,
                  struct buffer *why)
{
    return address->is_unix ? connect_local(address, ret_fd, why)
                            : start_tcp(address, turn, ret_fd, why);
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

/* A connection that was never made, or is gone. */
static int explain_silence(const struct redis *redis, struct buffer *why)
{
    int error = redis_down_error(redis);

    if (error == -ECONNREFUSED || error == -EHOSTUNREACH || error == -ENETUNREACH) {
        return refuse(redis_address(redis), strerror(-error), error, why);
    }
    return refuse(redis_address(redis), "it does not answer", -ETIMEDOUT, why);
}

/* Redis's own words, but not for AUTH: a server that does not know the command repeats
 * its arguments. */
static int explain(const struct redis *redis, bool secret, const struct redisReply *reply,
                   struct buffer *why)
{
    const struct connect_error *error;

    if (reply == NULL) {
        return explain_silence(redis, why);
    }
    if (reply->type != REDIS_REPLY_ERROR) {
        return 0;
    }
    error = find_error(reply);
    if (error != NULL) {
        return refuse(redis_address(redis), error->sentence, error->error, why);
    }
    return refuse(redis_address(redis), secret ? "it refuses the login" : reply->str,
                  -EPROTO, why);
}

/* Each writes its words, and returns how many; 0 where the address does not ask for it.
 */
static int auth(const struct redis_address *address, const char *words[3])
{
    int count = 0;

    if (address->password[0] == '\0') {
        return 0;
    }
    words[count++] = "AUTH";
    if (address->user[0] != '\0') {
        words[count++] = address->user;
    }
    words[count++] = address->password;
    return count;
}

static int choose(const struct redis_address *address, const char *words[3])
{
    words[0] = "SELECT";
    words[1] = address->database;
    return address->database[0] != '\0' ? 2 : 0;
}

static int ping(const struct redis_address *address, const char *words[3])
{
    words[0] = "PING";
    return 1;
}

/* `passes`: an error that is none. A server that can not save refuses PING as if it
 * wrote, but is there, and answers what only reads. */
static const struct step {
    int (*say)(const struct redis_address *address, const char *words[3]);
    bool secret;
    const char *passes;
} steps[] = {{auth, true, NULL}, {choose, false, NULL}, {ping, false, "MISCONF"}};

static void on_step(void *context, const struct redisReply *reply)
{
    struct redis *redis = context;
    struct redis_task *task = redis_task(redis);
    struct buffer why autobuffer = BUFFER_INIT(REASON_BYTES);
    const struct step *step = &steps[task->step - 1];
    bool passes = step->passes != NULL && redis_is_error(reply, step->passes);
    int error = passes ? 0 : explain(redis, step->secret, reply, &why);

    if (error == 0 && task->step < array_size(steps)) {
        error = connect_login(redis);
        if (error == 0) {
            return;
        }
    }
    redis_task_end(redis, error, &why);
}

int connect_login(struct redis *redis)
{
    struct redis_task *task = redis_task(redis);
    const char *words[3];
    int count;

    do { /* the last is always said */
        count = steps[task->step++].say(redis_address(redis), words);
    } while (count == 0);
    return redis_send(redis, clock_poll_ms(task->end_ms, clock_now_ms()), on_step, redis,
                      count, words, NULL);
}
