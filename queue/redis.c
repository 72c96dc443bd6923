/* SPDX-License-Identifier: MIT */
/*
 * A connection to Redis. Runs in the relay and in the command. Trusts Redis as far as its
 * protocol: sizes of replies are bounded by what its clients may store. Must never block
 * beyond the time that a caller gave, and never leave a command unanswered.
 */
#include "queue/redis.h"

#include "common/clock.h"
#include "common/fd.h"
#include "common/limits.h"
#include "common/redis_address.h"
#include "queue/connect.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define UNSENT_MAX MIB(64)
#define PENDING    1024 /* commands under way */

struct pending {
    redis_answer *answer;
    void *context;
    int64_t deadline_ms;
};

struct redis {
    struct redis_address address;
    int fd;              /* -1: down */
    redisReader *reader; /* owned */
    struct buffer out;   /* queued bytes, from `sent` on not yet taken */
    size_t sent;
    struct pending pending[PENDING]; /* a ring, oldest first */
    size_t first, count;
    unsigned failures; /* connects in a row that failed, or did not last */
    int64_t up_ms;     /* since when it is logged in; 0: it is not */
    unsigned seed;
    int down_error; /* why it went down */
    struct redis_task task;
};

static struct redis *allocate(void)
{
    struct redis *redis = calloc(1, sizeof(*redis));

    if (redis != NULL) {
        redis->fd = -1;
        redis->out = BUFFER_INIT(UNSENT_MAX);
        redis->seed = (unsigned)clock_ns(CLOCK_MONOTONIC) ^ (unsigned)getpid();
    }
    return redis;
}

bool redis_looks_up(const struct redis *redis)
{
    struct in6_addr number;

    return !redis->address.is_unix &&
           inet_pton(AF_INET, redis->address.host, &number) != 1 &&
           inet_pton(AF_INET6, redis->address.host, &number) != 1;
}

int redis_new(const char *address, struct redis **ret, struct buffer *why)
{
    autofree struct redis *redis = allocate();
    int error;

    if (redis == NULL) {
        return -ENOMEM;
    }
    error = redis_address_parse(address, &redis->address, why);
    if (error < 0) {
        return error;
    }
    *ret = steal_ptr(redis);
    return 0;
}

const char *redis_user(const struct redis *redis)
{
    const char *user = redis->address.user;

    return user[0] != '\0' ? user : "default";
}

int redis_new_like(const struct redis *other, struct redis **ret)
{
    struct redis *redis = allocate();

    if (redis == NULL) {
        return -ENOMEM;
    }
    redis->address = other->address;
    *ret = redis;
    return 0;
}

void redis_free(struct redis *redis)
{
    if (redis == NULL) {
        return;
    }
    redis_drop(redis);
    buffer_done(&redis->out);
    free(redis);
}

/* ---- going down and coming up ---- */

/* What has no answer yet is not to be carried out later, when a way that was cut heals:
 * the kernel throws away what it has still to send, and what the other side has not read
 * (TCP's reset, RFC 9293 3.10.7). Whoever sent it asks again, or has another's word. */
static void close_now(struct redis *redis)
{
    const struct linger now = {.l_onoff = 1, .l_linger = 0};

    if (redis->count > 0 && redis->fd >= 0) {
        (void)setsockopt(redis->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    }
    close_fd(&redis->fd);
}

/* One that is cut as soon as it is there is no better than none. */
static void note_end(struct redis *redis)
{
    if (redis->up_ms != 0 && clock_now_ms() - redis->up_ms >= REDIS_LASTS_MS) {
        redis->failures = 0;
    }
    redis->up_ms = 0;
}

void redis_drop(struct redis *redis)
{
    size_t count = redis->count;

    note_end(redis);
    close_now(redis);
    if (redis->reader != NULL) {
        redisReaderFree(redis->reader);
        redis->reader = NULL;
    }
    buffer_done(&redis->out);
    redis->sent = 0;
    /* Answers may not queue anything now: the connection is down. */
    while (count-- > 0) {
        struct pending one = redis->pending[redis->first];

        redis->first = (redis->first + 1) % PENDING;
        redis->count--;
        if (one.answer != NULL) {
            one.answer(one.context, NULL);
        }
    }
}

void redis_leave(struct redis *redis)
{
    redis->failures = 0;
    redis_drop(redis);
}

struct redis_task *redis_task(struct redis *redis)
{
    return &redis->task;
}

void redis_task_end(struct redis *redis, int error, const struct buffer *why)
{
    struct redis_task task = redis->task;

    redis->task = (struct redis_task){0};
    if (error == 0) {
        redis->up_ms = clock_now_ms();
    }
    if (task.done != NULL) {
        task.done(task.context, error, why);
    }
}

void redis_note(void *context, int error, const struct buffer *why)
{
    struct redis_outcome *outcome = context;

    outcome->over = true;
    outcome->error = error;
    if (outcome->why != NULL && why != NULL && why->data != NULL) {
        buffer_add_text(outcome->why, why->data);
    }
}

int redis_wait_out(struct redis *redis, int begun, struct redis_outcome *outcome)
{
    if (begun < 0) {
        redis->task = (struct redis_task){0};
        return begun;
    }
    while (!outcome->over) {
        redis_wait(redis);
    }
    return outcome->error;
}

/* The socket is there: begins the login. */
static int begin_login(struct redis *redis, int64_t end_ms, redis_done *done,
                       void *context)
{
    redis->down_error = 0;
    redis->reader = redisReaderCreate();
    if (redis->reader == NULL) {
        return -ENOMEM;
    }
    redis->task = (struct redis_task){.done = done, .context = context, .end_ms = end_ms};
    return connect_login(redis);
}

int redis_connect(struct redis *redis, int timeout_ms, struct buffer *why)
{
    int64_t end = clock_now_ms() + timeout_ms;
    struct redis_outcome outcome = {.why = why};
    int error;

    redis_drop(redis);
    redis->failures++;
    error = connect_socket(&redis->address, end, &redis->fd, why);
    if (error == 0) {
        error = redis_wait_out(redis, begin_login(redis, end, redis_note, &outcome),
                               &outcome);
    }
    if (error < 0) {
        redis_drop(redis);
    }
    return error;
}

int redis_connect_begin(struct redis *redis, int timeout_ms, redis_done *done,
                        void *context, struct buffer *why)
{
    int error;

    redis_drop(redis);
    redis->failures++;
    error = connect_start(&redis->address, redis->failures - 1, &redis->fd, why);
    if (error == 0) {
        error = begin_login(redis, clock_now_ms() + timeout_ms, done, context);
    }
    if (error < 0) {
        redis->task = (struct redis_task){0};
        redis_drop(redis);
    }
    return error;
}

bool redis_is_up(const struct redis *redis)
{
    return redis->fd >= 0;
}

bool redis_lasted(const struct redis *redis)
{
    return redis->failures == 0;
}

int redis_retry_ms(struct redis *redis)
{
    unsigned shift = redis->failures < 6 ? redis->failures : 6;
    int most = 20 << shift;

    most = most < 1000 ? most : 1000;
    return most / 2 + (int)(rand_r(&redis->seed) % (unsigned)(most / 2 + 1));
}

int redis_down_error(const struct redis *redis)
{
    return redis->down_error;
}

const struct redis_address *redis_address(const struct redis *redis)
{
    return &redis->address;
}

/* ---- sending ---- */

static void format(struct buffer *out, int argc, const char *const *argv,
                   const size_t *lengths)
{
    buffer_printf(out, "*%d\r\n", argc);
    for (int i = 0; i < argc; i++) {
        size_t length = lengths != NULL ? lengths[i] : strlen(argv[i]);

        buffer_printf(out, "$%zu\r\n", length);
        buffer_add(out, argv[i], length);
        buffer_add(out, "\r\n", 2);
    }
}

static bool fits(const struct redis *redis, int argc, const char *const *argv,
                 const size_t *lengths)
{
    size_t total = 64;

    for (int i = 0; i < argc; i++) {
        total += 32 + (lengths != NULL ? lengths[i] : strlen(argv[i]));
    }
    return redis->count < PENDING && total <= UNSENT_MAX &&
           redis->out.size <= UNSENT_MAX - total;
}

static void forget_sent(struct redis *redis)
{
    buffer_consume(&redis->out, redis->sent);
    redis->sent = 0;
}

/* What has been sent leaves the buffer when no more is moved than was sent: a large value
 * that goes out in many small parts costs its own size once, not once per part. */
static void compact(struct redis *redis)
{
    if (redis->sent == redis->out.size) {
        buffer_reset(&redis->out);
        redis->sent = 0;
    } else if (redis->sent >= redis_unsent(redis)) {
        forget_sent(redis);
    }
}

int redis_send(struct redis *redis, int timeout_ms, redis_answer *answer, void *context,
               int argc, const char *const *argv, const size_t *lengths)
{
    struct pending *one;
    int error;

    if (!redis_is_up(redis)) {
        return -ENOTCONN;
    }
    compact(redis);
    if (!fits(redis, argc, argv, lengths)) {
        forget_sent(redis);
    }
    if (!fits(redis, argc, argv, lengths)) {
        return -ENOBUFS;
    }
    format(&redis->out, argc, argv, lengths);
    error = buffer_error(&redis->out);
    if (error < 0) {
        redis_drop(redis); /* half a command must not go out */
        return error;
    }
    one = &redis->pending[(redis->first + redis->count++) % PENDING];
    *one = (struct pending){answer, context, clock_now_ms() + timeout_ms};
    return 0;
}

static int collect(va_list args, const char *argv[], int most)
{
    int argc = 0;
    const char *next = va_arg(args, const char *);

    while (next != NULL && argc < most) {
        argv[argc++] = next;
        next = va_arg(args, const char *);
    }
    return argc;
}

int redis_send_text(struct redis *redis, int timeout_ms, redis_answer *answer,
                    void *context, ...)
{
    const char *argv[64];
    va_list args;
    int argc;

    va_start(args, context);
    argc = collect(args, argv, (int)array_size(argv));
    va_end(args);
    return redis_send(redis, timeout_ms, answer, context, argc, argv, NULL);
}

/* ---- the loop's half ---- */

int redis_fd(const struct redis *redis)
{
    return redis->fd;
}

size_t redis_unsent(const struct redis *redis)
{
    return redis->out.size - redis->sent;
}

short redis_events(const struct redis *redis)
{
    return (short)(POLLIN | (redis_unsent(redis) > 0 ? POLLOUT : 0));
}

int64_t redis_deadline_ms(const struct redis *redis)
{
    int64_t soonest = CLOCK_NEVER;

    for (size_t i = 0; i < redis->count; i++) {
        int64_t one = redis->pending[(redis->first + i) % PENDING].deadline_ms;

        soonest = one < soonest ? one : soonest;
    }
    return soonest;
}

/* Writes what the kernel takes. Returns false when the connection is broken. */
static bool write_some(struct redis *redis)
{
    while (redis_unsent(redis) > 0) {
        ssize_t size = send(redis->fd, redis->out.data + redis->sent, redis_unsent(redis),
                            MSG_NOSIGNAL);

        if (size < 0 && errno == EINTR) {
            continue;
        }
        if (size < 0) {
            redis->down_error = -errno;
            return errno == EAGAIN;
        }
        redis->sent += (size_t)size;
    }
    compact(redis);
    return true;
}

static bool read_some(struct redis *redis)
{
    static char part[KIB(256)];
    ssize_t size;

    do {
        size = recv(redis->fd, part, sizeof(part), 0);
    } while (size < 0 && errno == EINTR);
    redis->down_error = size < 0 ? -errno : size == 0 ? -ECONNRESET : -EPROTO;
    if (size < 0) {
        return errno == EAGAIN;
    }
    return size > 0 && redisReaderFeed(redis->reader, part, (size_t)size) == REDIS_OK;
}

/* Answers what has come in. Returns false for nonsense, or a reply that nobody asked for.
 */
static bool answer_all(struct redis *redis)
{
    void *reply = NULL;

    while (redis_is_up(redis) && redisReaderGetReply(redis->reader, &reply) == REDIS_OK) {
        struct pending one;

        if (reply == NULL) {
            return true;
        }
        if (redis->count == 0) {
            freeReplyObject(reply);
            return false;
        }
        one = redis->pending[redis->first];
        redis->first = (redis->first + 1) % PENDING;
        redis->count--;
        if (one.answer != NULL) {
            one.answer(one.context, reply);
        }
        freeReplyObject(reply);
        reply = NULL;
    }
    return !redis_is_up(redis);
}

void redis_service(struct redis *redis, short revents)
{
    bool sound = true;

    if (!redis_is_up(redis)) {
        return;
    }
    if ((revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
        sound = read_some(redis) && answer_all(redis);
    }
    if (sound && redis_is_up(redis)) {
        sound = write_some(redis);
    }
    if (redis_is_up(redis) && sound && redis_deadline_ms(redis) <= clock_now_ms()) {
        redis->down_error = -ETIMEDOUT;
        sound = false;
    }
    if (redis_is_up(redis) && !sound) {
        redis_drop(redis);
    }
}

void redis_wait(struct redis *redis)
{
    struct pollfd fd = {.fd = redis_fd(redis), .events = redis_events(redis)};
    int wait = clock_poll_ms(redis_deadline_ms(redis), clock_now_ms());

    if (poll(&fd, 1, wait) < 0 && errno == EINTR) {
        fd.revents = 0; /* a signal: its handler's business; our deadline stands */
    }
    redis_service(redis, fd.revents);
}
