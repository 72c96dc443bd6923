/* SPDX-License-Identifier: MIT */
/*
 * The connection to Redis, against redis-servers of the test's own that it stops, kills
 * and starts again: every command is answered once, in order, or with NULL; nothing waits
 * beyond its deadline; and what is wrong with a server is said in a sentence without its
 * password.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/limits.h"
#include "common/redis_address.h"
#include "queue/keys.h"
#include "queue/library.h"
#include "queue/redis.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_MS 60000 /* a watchdog: no test expects to wait so long */
#define PASSWORD    "s3cret-w0rd"

/* ---- a redis-server of our own ---- */

struct server {
    char folder[64];
    char path[96];     /* of its socket */
    char address[128]; /* unix:PATH */
    char port[8];      /* "0": no TCP */
    pid_t pid;         /* 0: not running */
};

/* A port of the loopback that is free now. */
static void free_port(char *port, size_t room)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    (void)snprintf(port, room, "%d", ntohs(address.sin_port));
    close(fd);
}

static void exec_server(const struct server *server, const char *const *more)
{
    const char *argv[32] = {"redis-server", "--port",     server->port,
                            "--bind",       "127.0.0.1",  "--dir",
                            server->folder, "--save",     "",
                            "--unixsocket", server->path, "--enable-debug-command",
                            "yes"};
    int argc = 13;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)dup2(null, STDOUT_FILENO);
    while (*more != NULL && argc < 31) {
        argv[argc++] = *more++;
    }
    (void)execvp(argv[0], (char *const *)argv);
    _exit(127);
}

static void nap(void)
{
    (void)poll(NULL, 0, 10);
}

/* Its socket is there a moment before somebody listens on it. */
static bool listens(const struct server *server)
{
    int fd = -1;

    if (fd_connect_unix(server->path, &fd) < 0) {
        return false;
    }
    close(fd);
    return true;
}

/* Starts it in the folder and on the port that it had, if it had any. `more` are further
 * arguments, to a NULL. */
static void start(struct server *server, const char *const *more)
{
    int64_t end = clock_now_ms() + PATIENCE_MS;

    if (server->folder[0] == '\0') {
        (void)snprintf(server->folder, sizeof(server->folder),
                       "/tmp/paddock-redis-XXXXXX");
        assert_non_null(mkdtemp(server->folder));
        (void)snprintf(server->path, sizeof(server->path), "%s/sock", server->folder);
        (void)snprintf(server->address, sizeof(server->address), "unix:%s", server->path);
    }
    (void)unlink(server->path);
    server->pid = fork();
    if (server->pid == 0) {
        exec_server(server, more);
    }
    assert_true(server->pid > 0);
    while (!listens(server)) {
        assert_int_equal(waitpid(server->pid, NULL, WNOHANG), 0);
        assert_true(clock_now_ms() < end);
        nap();
    }
}

static void kill_server(struct server *server)
{
    if (server->pid > 0) {
        assert_int_equal(kill(server->pid, SIGKILL), 0);
        assert_int_equal(waitpid(server->pid, NULL, 0), server->pid);
        server->pid = 0;
    }
}

static void remove_server(struct server *server)
{
    kill_server(server);
    (void)unlink(server->path);
    assert_int_equal(rmdir(server->folder), 0);
}

static const char *const nothing_more[] = {NULL};

/* One server serves the tests that do it no harm. */
static struct server common;

static int start_common(void **state)
{
    free_port(common.port, sizeof(common.port));
    start(&common, nothing_more);
    return 0;
}

static int stop_common(void **state)
{
    remove_server(&common);
    return 0;
}

/* ---- a connection ---- */

static struct redis *connect_to(const char *address)
{
    struct redis *redis = NULL;
    struct buffer why = BUFFER_INIT(4096);

    assert_int_equal(redis_new(address, &redis, &why), 0);
    if (redis_connect(redis, PATIENCE_MS, &why) != 0) {
        fail_msg("%s", why.data);
    }
    buffer_done(&why);
    return redis;
}

/* Asserts that connecting fails so, with a sentence that has these words and no password.
 */
static void connect_fails(const char *address, int timeout_ms, int error,
                          const char *words)
{
    struct redis *redis = NULL;
    struct buffer why = BUFFER_INIT(4096);

    assert_int_equal(redis_new(address, &redis, &why), 0);
    assert_int_equal(redis_connect(redis, timeout_ms, &why), error);
    assert_false(redis_is_up(redis));
    assert_non_null(why.data);
    if (strstr(why.data, words) == NULL || strstr(why.data, PASSWORD) != NULL) {
        fail_msg("\"%s\" where \"%s\" was expected", why.data, words);
    }
    assert_int_not_equal(redis_connect(redis, timeout_ms, NULL), 0);
    redis_free(redis);
    buffer_done(&why);
}

struct answers {
    struct redis *redis;
    int count, nulls;
    long long last; /* the last integer */
    bool in_order;  /* integers came as 1, 2, 3 ... */
    char text[128]; /* of the last string */
};

static void take(void *context, const struct redisReply *reply)
{
    struct answers *answers = context;

    answers->count++;
    if (reply == NULL) {
        answers->nulls++;
    } else if (reply->type == REDIS_REPLY_INTEGER) {
        answers->in_order = reply->integer == answers->last + 1;
        answers->last = reply->integer;
    } else if (reply->str != NULL) {
        (void)snprintf(answers->text, sizeof(answers->text), "%s", reply->str);
    } else if (reply->type == REDIS_REPLY_ARRAY && reply->elements > 0) {
        (void)snprintf(answers->text, sizeof(answers->text), "%s",
                       reply->element[reply->elements - 1]->str);
    }
}

/* One turn of a caller's loop. */
static void turn(struct redis *redis)
{
    struct pollfd fd = {.fd = redis_fd(redis), .events = redis_events(redis)};
    int wait = clock_poll_ms(redis_deadline_ms(redis), clock_now_ms());

    (void)poll(&fd, 1, wait >= 0 && wait < 100 ? wait : 100);
    redis_service(redis, fd.revents);
}

static void wait_for(struct redis *redis, const struct answers *answers, int count)
{
    int64_t end = clock_now_ms() + PATIENCE_MS;

    while (answers->count < count) {
        assert_true(clock_now_ms() < end);
        turn(redis);
    }
    assert_int_equal(answers->count, count);
}

static void assert_reply(struct redisReply *reply, int type, const char *text)
{
    assert_non_null(reply);
    if (reply->type != type || (text != NULL && strcmp(reply->str, text) != 0)) {
        fail_msg("reply of type %d: %s", reply->type, reply->str);
    }
    freeReplyObject(reply);
}

static void assert_works(struct redis *redis)
{
    assert_reply(redis_call_text(redis, PATIENCE_MS, "PING", NULL), REDIS_REPLY_STATUS,
                 "PONG");
}

/* ---- addresses and names ---- */

static const struct {
    const char *text;
    bool is_unix;
    const char *host, *port, *user, *password, *database, *printed;
} addresses[] = {
    {"unix:/run/r.sock", true, "/run/r.sock", "", "", "", "", "unix:/run/r.sock"},
    {"localhost", false, "localhost", "6379", "", "", "", "localhost:6379"},
    {"10.0.0.1:7000", false, "10.0.0.1", "7000", "", "", "", "10.0.0.1:7000"},
    {"[::1]", false, "::1", "6379", "", "", "", "[::1]:6379"},
    {"[fe80::2]:1", false, "fe80::2", "1", "", "", "", "[fe80::2]:1"},
    {"redis://h", false, "h", "6379", "", "", "", "h:6379"},
    {"redis://h/", false, "h", "6379", "", "", "", "h:6379"},
    {"redis://h:65535/15", false, "h", "65535", "", "", "15", "h:65535"},
    {"redis://:pw@h", false, "h", "6379", "", "pw", "", "h:6379"},
    {"redis://me:pw@h:1/2", false, "h", "1", "me", "pw", "2", "h:1"},
    {"redis://me:p@:/w@h", false, "h", "6379", "me", "p@:/w", "", "h:6379"},
    {"redis://a%3Ab:p%40%2fw%@h", false, "h", "6379", "a:b", "p@/w%", "", "h:6379"},
    {"redis://me:pw@[::1]:6/1", false, "::1", "6", "me", "pw", "1", "[::1]:6"},
};

static void test_addresses(void **state)
{
    for (size_t i = 0; i < array_size(addresses); i++) {
        struct redis_address got;
        struct buffer printed = BUFFER_INIT(1024);

        assert_int_equal(redis_address_parse(addresses[i].text, &got, NULL), 0);
        assert_int_equal(got.is_unix, addresses[i].is_unix);
        assert_string_equal(got.host, addresses[i].host);
        assert_string_equal(got.port, addresses[i].port);
        assert_string_equal(got.user, addresses[i].user);
        assert_string_equal(got.password, addresses[i].password);
        assert_string_equal(got.database, addresses[i].database);
        redis_address_print(&got, &printed);
        assert_string_equal(printed.data, addresses[i].printed);
        buffer_done(&printed);
    }
}

static const char *const bad_addresses[] = {
    "",
    "unix:",
    "unix:run/r.sock",
    ":6379",
    "host:",
    "host:0",
    "host:65536",
    "host:x",
    "host:-1",
    "host:123456",
    "rediss://host",
    "http://:" PASSWORD "@host",
    "redis://" PASSWORD "@host",
    "redis://:" PASSWORD "@host:99999",
    "redis://:" PASSWORD "@",
    "redis://:" PASSWORD "@host/x",
    "redis://:" PASSWORD "@host/99999",
    "[::1]x",
    "[::1",
    "::1]:1",
};

static void test_bad_addresses(void **state)
{
    char path[256] = "unix:/";
    struct redis *redis = NULL;

    for (size_t i = 0; i < array_size(bad_addresses); i++) {
        struct buffer why = BUFFER_INIT(1024);

        if (redis_new(bad_addresses[i], &redis, &why) != -EINVAL) {
            fail_msg("%s was accepted", bad_addresses[i]);
        }
        assert_non_null(strstr(why.data, "write unix:/PATH"));
        assert_null(strstr(why.data, PASSWORD));
        buffer_done(&why);
    }
    memset(path + 6, 'x', 106);
    assert_int_equal(redis_new(path, &redis, NULL), 0);
    redis_free(redis);
    memset(path + 6, 'x', 107);
    assert_int_equal(redis_new(path, &redis, NULL), -EINVAL);
}

static void test_long_parts(void **state)
{
    static const struct {
        const char *before;
        size_t fits; /* so many characters, and not one more */
        const char *after;
    } rows[] = {{"", 255, ":1"}, {"redis://", 127, ":pw@h"}, {"redis://:", 255, "@h"}};

    for (size_t i = 0; i < array_size(rows); i++) {
        for (size_t more = 0; more < 2; more++) {
            struct buffer text = BUFFER_INIT(4096);
            struct redis_address address;

            buffer_add_text(&text, rows[i].before);
            for (size_t k = 0; k < rows[i].fits + more; k++) {
                buffer_add_char(&text, 'x');
            }
            buffer_add_text(&text, rows[i].after);
            assert_int_equal(redis_address_parse(text.data, &address, NULL),
                             more > 0 ? -EINVAL : 0);
            buffer_done(&text);
        }
    }
}

static void test_keys(void **state)
{
    char longest[LIMIT_QUEUE + 2];

    assert_string_equal(queue_key("sr", "job:", "17").text, "paddock:{sr}:job:17");
    assert_string_equal(queue_key("sr", "open", "").text, "paddock:{sr}:open");
    memset(longest, 'x', sizeof(longest));
    longest[LIMIT_QUEUE + 1] = '\0';
    assert_false(queue_name_valid(longest));
    assert_false(queue_id_valid(longest));
    longest[LIMIT_QUEUE] = '\0';
    assert_true(queue_name_valid(longest));
    assert_true(queue_id_valid(longest));
    assert_int_equal(strlen(queue_key(longest, "frames:", longest).text),
                     2 * LIMIT_QUEUE + strlen("paddock:{}:frames:"));
    assert_true(queue_name_valid("a.b-c_9"));
    assert_true(queue_id_valid("A-z_0"));
    assert_false(queue_id_valid("a.b"));
    for (const char *const *bad =
             (const char *const[]){"", "a b", "a}", "a:b", "é", NULL};
         *bad != NULL; bad++) {
        assert_false(queue_name_valid(*bad));
        assert_false(queue_id_valid(*bad));
    }
}

/* ---- commands and answers ---- */

static void test_the_socket(void **state)
{
    char address[64];

    (void)snprintf(address, sizeof(address), "127.0.0.1:%s", common.port);
    for (int tcp = 0; tcp < 2; tcp++) {
        struct redis *redis = connect_to(tcp ? address : common.address);

        assert_true((fcntl(redis_fd(redis), F_GETFD) & FD_CLOEXEC) != 0);
        assert_true((fcntl(redis_fd(redis), F_GETFL) & O_NONBLOCK) != 0);
        assert_works(redis);
        redis_drop(redis);
        assert_false(redis_is_up(redis));
        assert_int_equal(redis_fd(redis), -1);
        redis_service(redis, POLLIN);
        assert_null(redis_call_text(redis, PATIENCE_MS, "PING", NULL));
        redis_free(redis);
    }
    redis_free(NULL);
}

static void test_database(void **state)
{
    char address[64];
    struct redis *first, *other;

    (void)snprintf(address, sizeof(address), "redis://127.0.0.1:%s/3", common.port);
    first = connect_to(common.address);
    other = connect_to(address);
    assert_reply(redis_call_text(other, PATIENCE_MS, "SET", "three", "x", NULL),
                 REDIS_REPLY_STATUS, "OK");
    assert_reply(redis_call_text(first, PATIENCE_MS, "GET", "three", NULL),
                 REDIS_REPLY_NIL, NULL);
    assert_reply(redis_call_text(other, PATIENCE_MS, "GET", "three", NULL),
                 REDIS_REPLY_STRING, "x");
    redis_free(first);
    redis_free(other);
    (void)snprintf(address, sizeof(address), "redis://127.0.0.1:%s/9999", common.port);
    connect_fails(address, PATIENCE_MS, -EPROTO, "out of range");
}

static void test_answers_come_in_order(void **state)
{
    struct redis *redis = connect_to(common.address);
    struct answers answers = {.in_order = true};

    assert_int_equal(redis_deadline_ms(redis), CLOCK_NEVER);
    for (int i = 0; i < 1024; i++) {
        assert_int_equal(
            redis_send_text(redis, PATIENCE_MS, take, &answers, "INCR", "counter", NULL),
            0);
    }
    assert_int_equal(
        redis_send_text(redis, PATIENCE_MS, take, &answers, "INCR", "counter", NULL),
        -ENOBUFS);
    assert_true(redis_unsent(redis) > 0);
    assert_true((redis_events(redis) & POLLOUT) != 0);
    wait_for(redis, &answers, 1024);
    assert_int_equal(answers.last, 1024);
    assert_true(answers.in_order);
    assert_int_equal(redis_unsent(redis), 0);
    assert_int_equal(redis_events(redis), POLLIN);
    assert_int_equal(redis_deadline_ms(redis), CLOCK_NEVER);
    redis_free(redis);
}

static void test_a_call_among_queued_commands(void **state)
{
    struct redis *redis = connect_to(common.address);
    struct answers answers = {0};
    struct redisReply *reply;

    for (int i = 0; i < 10; i++) {
        assert_int_equal(
            redis_send_text(redis, PATIENCE_MS, take, &answers, "INCR", "among", NULL),
            0);
    }
    assert_int_equal(redis_send_text(redis, PATIENCE_MS, NULL, NULL, "PING", NULL), 0);
    reply = redis_call_text(redis, PATIENCE_MS, "LRANGE", "none", "0", "-1", NULL);
    assert_reply(reply, REDIS_REPLY_ARRAY, NULL);
    assert_int_equal(answers.count, 10);
    reply = redis_call_text(redis, PATIENCE_MS, "NO_SUCH_COMMAND", NULL);
    assert_reply(reply, REDIS_REPLY_ERROR, NULL);
    assert_works(redis);
    redis_free(redis);
}

/* Each answer queues the next command. */
static void count_to_ten(void *context, const struct redisReply *reply)
{
    struct answers *answers = context;

    take(answers, reply);
    if (answers->count < 10) {
        assert_int_equal(redis_send_text(answers->redis, PATIENCE_MS, count_to_ten,
                                         answers, "INCR", "chain", NULL),
                         0);
    }
}

static void test_an_answer_may_queue(void **state)
{
    struct redis *redis = connect_to(common.address);
    struct answers answers = {.redis = redis};

    count_to_ten(&answers, NULL);
    wait_for(redis, &answers, 10);
    assert_int_equal(answers.last, 9);
    redis_free(redis);
}

static void drop_it(void *context, const struct redisReply *reply)
{
    struct answers *answers = context;

    take(answers, reply);
    if (answers->count == 1) {
        redis_drop(answers->redis);
    } else {
        assert_int_equal(
            redis_send_text(answers->redis, 1, drop_it, answers, "PING", NULL),
            -ENOTCONN);
    }
}

static void test_an_answer_may_drop_the_connection(void **state)
{
    struct redis *redis = connect_to(common.address);
    struct answers answers = {.redis = redis};

    for (int i = 0; i < 5; i++) {
        assert_int_equal(
            redis_send_text(redis, PATIENCE_MS, drop_it, &answers, "PING", NULL), 0);
    }
    wait_for(redis, &answers, 5);
    assert_int_equal(answers.nulls, 4);
    assert_int_equal(redis_connect(redis, PATIENCE_MS, NULL), 0);
    assert_works(redis);
    redis_free(redis);
}

static char *pattern(size_t size)
{
    char *bytes = malloc(size);

    assert_non_null(bytes);
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (char)((i * 2654435761u) >> 13);
    }
    return bytes;
}

static void there_and_back(const char *address, size_t size)
{
    struct redis *redis = connect_to(address);
    char *bytes = pattern(size);
    const char *const set[] = {"SET", "large", bytes};
    const size_t lengths[] = {3, 5, size};
    struct redisReply *reply;

    assert_reply(redis_call(redis, PATIENCE_MS, 3, set, lengths), REDIS_REPLY_STATUS,
                 "OK");
    reply = redis_call_text(redis, PATIENCE_MS, "GET", "large", NULL);
    assert_non_null(reply);
    assert_int_equal(reply->len, size);
    assert_memory_equal(reply->str, bytes, size);
    freeReplyObject(reply);
    assert_reply(redis_call_text(redis, PATIENCE_MS, "DEL", "large", NULL),
                 REDIS_REPLY_INTEGER, NULL);
    redis_free(redis);
    free(bytes);
}

static void test_large_values(void **state)
{
    char address[64];

    (void)snprintf(address, sizeof(address), "127.0.0.1:%s", common.port);
    there_and_back(common.address, MIB(20));
    there_and_back(common.address, LIMIT_ZIP);
    there_and_back(address, MIB(20));
    there_and_back(common.address, 0);
}

/* While part of a value is sent, the room that it took is free for others. */
static void test_room(void **state)
{
    struct redis *redis = connect_to(common.address);
    char *bytes = pattern(MIB(60));
    const char *const set[] = {"SET", "large", bytes};
    const size_t many[] = {3, 5, MIB(60)}, some[] = {3, 5, MIB(10)},
                 too_many[] = {3, 5, MIB(64)};
    struct answers answers = {0};

    assert_int_equal(redis_send(redis, PATIENCE_MS, take, &answers, 3, set, too_many),
                     -ENOBUFS);
    assert_int_equal(redis_send(redis, PATIENCE_MS, take, &answers, 3, set, many), 0);
    assert_int_equal(redis_send(redis, PATIENCE_MS, take, &answers, 3, set, some),
                     -ENOBUFS);
    while (redis_unsent(redis) > MIB(50)) {
        turn(redis);
    }
    assert_true(redis_unsent(redis) > 0);
    assert_int_equal(redis_send(redis, PATIENCE_MS, take, &answers, 3, set, some), 0);
    wait_for(redis, &answers, 2);
    assert_int_equal(answers.nulls, 0);
    assert_string_equal(answers.text, "OK");
    assert_works(redis);
    redis_free(redis);
    free(bytes);
}

static void test_a_blocked_connection_and_another(void **state)
{
    struct redis *waits = connect_to(common.address), *works = NULL;
    struct answers answers = {0};

    assert_int_equal(redis_new_like(waits, &works), 0);
    assert_false(redis_is_up(works));
    assert_int_equal(redis_connect(works, PATIENCE_MS, NULL), 0);
    assert_int_equal(
        redis_send_text(waits, PATIENCE_MS, take, &answers, "BLPOP", "wake", "0", NULL),
        0);
    for (int i = 0; i < 20; i++) {
        turn(waits);
        assert_works(works);
    }
    assert_int_equal(answers.count, 0);
    assert_reply(redis_call_text(works, PATIENCE_MS, "LPUSH", "wake", "token", NULL),
                 REDIS_REPLY_INTEGER, NULL);
    wait_for(waits, &answers, 1);
    assert_string_equal(answers.text, "token");
    assert_works(waits);
    redis_free(waits);
    redis_free(works);
}

/* MONITOR makes the server say more than it is asked. */
static void test_a_reply_that_nobody_asked_for(void **state)
{
    struct redis *redis = connect_to(common.address), *other = connect_to(common.address);
    int64_t end = clock_now_ms() + PATIENCE_MS;

    assert_reply(redis_call_text(redis, PATIENCE_MS, "MONITOR", NULL), REDIS_REPLY_STATUS,
                 "OK");
    assert_works(other);
    while (redis_is_up(redis)) {
        assert_true(clock_now_ms() < end);
        turn(redis);
    }
    redis_free(redis);
    redis_free(other);
}

/* ---- when it goes wrong ---- */

static void test_deadline(void **state)
{
    struct server server = {.port = "0"};
    struct redis *redis;
    struct answers answers = {0};

    start(&server, nothing_more);
    redis = connect_to(server.address);
    assert_int_equal(kill(server.pid, SIGSTOP), 0);
    assert_int_equal(redis_send_text(redis, PATIENCE_MS, take, &answers, "PING", NULL),
                     0);
    assert_int_equal(redis_send_text(redis, 200, take, &answers, "PING", NULL), 0);
    assert_int_equal(redis_send_text(redis, PATIENCE_MS, take, &answers, "PING", NULL),
                     0);
    assert_true(redis_deadline_ms(redis) <= clock_now_ms() + 200);
    wait_for(redis, &answers, 3);
    assert_int_equal(answers.nulls, 3);
    assert_false(redis_is_up(redis));
    connect_fails(server.address, 100, -ETIMEDOUT, server.address);
    assert_int_equal(kill(server.pid, SIGCONT), 0);
    assert_int_equal(redis_connect(redis, PATIENCE_MS, NULL), 0);
    assert_works(redis);
    assert_int_equal(answers.count, 3);
    redis_free(redis);
    remove_server(&server);
}

/* ---- without waiting ---- */

struct ending {
    int count, error;
    char why[256];
};

static void note_end(void *context, int error, const struct buffer *why)
{
    struct ending *ending = context;

    ending->count++;
    ending->error = error;
    (void)snprintf(ending->why, sizeof(ending->why), "%s",
                   why != NULL && why->data != NULL ? why->data : "");
}

static void begin_and_wait(struct redis *redis, int timeout_ms, int error)
{
    struct ending ending = {0};

    assert_int_equal(redis_connect_begin(redis, timeout_ms, note_end, &ending, NULL), 0);
    assert_int_equal(ending.count, 0); /* it never calls back before it returns */
    while (ending.count == 0) {
        redis_wait(redis);
    }
    assert_int_equal(ending.error, error);
    assert_true((ending.why[0] != '\0') == (error < 0));
    assert_int_equal(ending.count, 1);
}

static void test_connect_begin(void **state)
{
    struct server server = {.port = "0"};
    struct redis *redis = NULL;
    char address[64];

    free_port(server.port, sizeof(server.port));
    (void)snprintf(address, sizeof(address), "127.0.0.1:%s", server.port);
    assert_int_equal(redis_new(address, &redis, NULL), 0);
    begin_and_wait(redis, PATIENCE_MS, -ECONNREFUSED);
    start(&server, nothing_more);
    begin_and_wait(redis, PATIENCE_MS, 0);
    assert_works(redis);
    assert_int_equal(kill(server.pid, SIGSTOP), 0);
    begin_and_wait(redis, 100, -ETIMEDOUT);
    assert_false(redis_is_up(redis));
    assert_int_equal(kill(server.pid, SIGCONT), 0);
    begin_and_wait(redis, PATIENCE_MS, 0);
    assert_works(redis);
    redis_free(redis);
    remove_server(&server);
}

/* Whatever was begun ends, when the connection is taken down before. */
static void test_connect_begin_and_drop(void **state)
{
    struct redis *redis = NULL;
    struct ending ending = {0};

    assert_int_equal(redis_new(common.address, &redis, NULL), 0);
    assert_int_equal(redis_connect_begin(redis, PATIENCE_MS, note_end, &ending, NULL), 0);
    redis_free(redis);
    assert_int_equal(ending.count, 1);
    assert_int_equal(ending.error, -ETIMEDOUT);
}

static void test_a_server_that_sleeps(void **state)
{
    struct redis *redis = connect_to(common.address),
                 *sleepy = connect_to(common.address);

    assert_int_equal(
        redis_send_text(sleepy, PATIENCE_MS, NULL, NULL, "DEBUG", "SLEEP", "1", NULL), 0);
    turn(sleepy);
    assert_null(redis_call_text(redis, 100, "BLPOP", "never", "0", NULL));
    assert_false(redis_is_up(redis));
    assert_int_equal(redis_connect(redis, PATIENCE_MS, NULL), 0);
    assert_works(redis);
    redis_free(redis);
    redis_free(sleepy);
}

static void test_kill_with_commands_under_way(void **state)
{
    struct server server = {.port = "0"};
    struct redis *redis;
    struct answers answers = {0};

    start(&server, nothing_more);
    redis = connect_to(server.address);
    assert_int_equal(
        redis_send_text(redis, PATIENCE_MS, take, &answers, "BLPOP", "none", "0", NULL),
        0);
    for (int i = 0; i < 500; i++) {
        assert_int_equal(
            redis_send_text(redis, PATIENCE_MS, take, &answers, "INCR", "n", NULL), 0);
    }
    turn(redis);
    assert_int_equal(answers.count, 0);
    kill_server(&server);
    wait_for(redis, &answers, 501);
    assert_int_equal(answers.nulls, 501);
    assert_false(redis_is_up(redis));
    assert_int_equal(redis_deadline_ms(redis), CLOCK_NEVER);
    assert_int_equal(redis_send_text(redis, 1000, take, &answers, "PING", NULL),
                     -ENOTCONN);
    assert_int_equal(redis_connect(redis, PATIENCE_MS, NULL), -ECONNREFUSED);
    start(&server, nothing_more);
    assert_int_equal(redis_connect(redis, PATIENCE_MS, NULL), 0);
    assert_works(redis);
    assert_int_equal(answers.count, 501);
    redis_free(redis);
    remove_server(&server);
}

static void test_kill_in_the_middle_of_a_large_value(void **state)
{
    struct server server = {.port = "0"};
    char *bytes = pattern(MIB(20));
    const char *const set[] = {"SET", "large", bytes};
    const size_t lengths[] = {3, 5, MIB(20)};
    struct answers answers = {0};
    struct redis *redis;

    start(&server, nothing_more);
    redis = connect_to(server.address);
    assert_int_equal(redis_send(redis, PATIENCE_MS, take, &answers, 3, set, lengths), 0);
    /* It could take all before it is killed. */
    assert_int_equal(kill(server.pid, SIGSTOP), 0);
    turn(redis);
    assert_true(redis_unsent(redis) > 0);
    kill_server(&server);
    wait_for(redis, &answers, 1);
    assert_int_equal(answers.nulls, 1);
    assert_int_equal(redis_unsent(redis), 0);
    start(&server, nothing_more);
    assert_int_equal(redis_connect(redis, PATIENCE_MS, NULL), 0);
    assert_reply(redis_call_text(redis, PATIENCE_MS, "EXISTS", "large", NULL),
                 REDIS_REPLY_INTEGER, NULL);
    redis_free(redis);
    remove_server(&server);
    free(bytes);
}

static void test_free_answers_too(void **state)
{
    struct redis *redis = connect_to(common.address);
    struct answers answers = {0};

    assert_int_equal(redis_send_text(redis, PATIENCE_MS, take, &answers, "PING", NULL),
                     0);
    redis_free(redis);
    assert_int_equal(answers.nulls, 1);
}

static void test_retry_backs_off(void **state)
{
    struct redis *redis = NULL;

    assert_int_equal(redis_new("unix:/nonexistent/sock", &redis, NULL), 0);
    for (int failures = 0; failures < 12; failures++) {
        int most = 20 << (failures < 6 ? failures : 6);

        most = most < 1000 ? most : 1000;
        for (int i = 0; i < 50; i++) {
            int wait = redis_retry_ms(redis);

            assert_in_range(wait, most / 2, most);
        }
        assert_int_equal(redis_connect(redis, 100, NULL), -ENOENT);
    }
    redis_free(redis);
}

/* They come up, but are no better than those that do not. */
static void test_retry_backs_off_from_what_does_not_last(void **state)
{
    struct redis *redis = NULL;

    assert_int_equal(redis_new(common.address, &redis, NULL), 0);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(redis_connect(redis, PATIENCE_MS, NULL), 0);
        redis_drop(redis);
        assert_false(redis_lasted(redis));
    }
    assert_in_range(redis_retry_ms(redis), 500, 1000);
    assert_int_equal(redis_connect(redis, PATIENCE_MS, NULL), 0);
    redis_leave(redis);
    assert_in_range(redis_retry_ms(redis), 10, 20);
    assert_int_equal(redis_connect(redis, PATIENCE_MS, NULL), 0);
    (void)poll(NULL, 0, REDIS_LASTS_MS + 100);
    redis_drop(redis);
    assert_true(redis_lasted(redis));
    assert_in_range(redis_retry_ms(redis), 10, 20);
    redis_free(redis);
}

static void test_not_there(void **state)
{
    char port[8], address[64];

    connect_fails("unix:/nonexistent/sock", 1000, -ENOENT,
                  "unable to reach Redis at unix:/nonexistent/sock");
    free_port(port, sizeof(port));
    (void)snprintf(address, sizeof(address), "127.0.0.1:%s", port);
    connect_fails(address, 1000, -ECONNREFUSED, address);
    (void)snprintf(address, sizeof(address), "redis://:%s@127.0.0.1:%s", PASSWORD, port);
    connect_fails(address, 1000, -ECONNREFUSED, port);
}

/* Something listens, but it is no Redis. */
static void test_another_kind_of_server(void **state)
{
    char folder[] = "/tmp/paddock-redis-XXXXXX", text[64];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    static const char greeting[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), peer;
    struct redis *redis = NULL;
    int status = 0;

    assert_non_null(mkdtemp(folder));
    (void)snprintf(text, sizeof(text), "unix:%s/sock", folder);
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", text + 5);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(listener, 4), 0);
    assert_int_equal(redis_new(text, &redis, NULL), 0);
    assert_int_equal(redis_connect(redis, 100, NULL), -ETIMEDOUT); /* it says nothing */
    peer = accept(listener, NULL, NULL);
    assert_int_not_equal(peer, -1);
    close(peer);
    /* The next one is greeted before it asks, and not hung up on. */
    if (fork() == 0) {
        ssize_t size;

        peer = accept(listener, NULL, NULL);
        size = write(peer, greeting, sizeof(greeting) - 1);
        while (read(peer, text, sizeof(text)) > 0) {
        }
        _exit(size > 0 ? 0 : 1);
    }
    assert_int_not_equal(redis_connect(redis, PATIENCE_MS, NULL), 0);
    assert_false(redis_is_up(redis));
    redis_free(redis);
    assert_true(wait(&status) > 0);
    assert_int_equal(status, 0);
    close(listener);
    assert_int_equal(unlink(address.sun_path), 0);
    assert_int_equal(rmdir(folder), 0);
}

static void test_password(void **state)
{
    struct server server = {.port = "0"};
    const char *const more[] = {"--requirepass",  PASSWORD, "--user", "friend", "on",
                                ">" PASSWORD "2", "+@all",  "~*",     NULL};
    char address[160];
    struct redis *redis;

    free_port(server.port, sizeof(server.port));
    start(&server, more);
    connect_fails(server.address, PATIENCE_MS, -EACCES, "it wants a password");
    (void)snprintf(address, sizeof(address), "redis://:%sx@127.0.0.1:%s", PASSWORD,
                   server.port);
    connect_fails(address, PATIENCE_MS, -EACCES, "it refuses the user or the password");
    (void)snprintf(address, sizeof(address), "redis://nobody:%s@127.0.0.1:%s", PASSWORD,
                   server.port);
    connect_fails(address, PATIENCE_MS, -EACCES, "it refuses the user or the password");
    (void)snprintf(address, sizeof(address), "redis://:%s@127.0.0.1:%s", PASSWORD,
                   server.port);
    redis = connect_to(address);
    assert_works(redis);
    redis_free(redis);
    (void)snprintf(address, sizeof(address), "redis://friend:%s2@127.0.0.1:%s", PASSWORD,
                   server.port);
    redis = connect_to(address);
    assert_reply(redis_call_text(redis, PATIENCE_MS, "ACL", "WHOAMI", NULL),
                 REDIS_REPLY_STRING, "friend");
    redis_free(redis);
    remove_server(&server);
}

/* A password where none is wanted, and where AUTH is unknown: Redis repeats the arguments
 * of a command that it does not know, we do not. */
static void test_password_is_never_said(void **state)
{
    struct server server = {.port = "0"};
    const char *const more[] = {"--rename-command", "AUTH", "", NULL};
    char address[160];

    (void)snprintf(address, sizeof(address), "redis://:%s@127.0.0.1:%s", PASSWORD,
                   common.port);
    connect_fails(address, PATIENCE_MS, -EACCES, "it refuses the password");
    free_port(server.port, sizeof(server.port));
    start(&server, more);
    (void)snprintf(address, sizeof(address), "redis://me:%s@127.0.0.1:%s", PASSWORD,
                   server.port);
    connect_fails(address, PATIENCE_MS, -ENOTSUP,
                  "it does not know a command that is needed");
    remove_server(&server);
}

/* ---- what a server must be ---- */

static void check_refuses(const char *const *more, const char *words)
{
    struct server server = {.port = "0"};
    struct buffer why = BUFFER_INIT(4096);
    struct redis *redis;

    start(&server, more);
    redis = connect_to(server.address);
    assert_int_equal(redis_check_server(redis, &why), -ENOTSUP);
    if (strstr(why.data, words) == NULL || strstr(why.data, server.address) == NULL) {
        fail_msg("\"%s\" where \"%s\" was expected", why.data, words);
    }
    assert_int_equal(redis_check_server(redis, NULL), -ENOTSUP);
    redis_free(redis);
    remove_server(&server);
    buffer_done(&why);
}

static void test_check_server(void **state)
{
    struct redis *redis = connect_to(common.address);
    struct buffer why = BUFFER_INIT(4096);

    assert_int_equal(redis_check_server(redis, &why), 0);
    assert_int_equal(why.size, 0);
    redis_free(redis);
    buffer_done(&why);
    check_refuses((const char *const[]){"--maxmemory-policy", "allkeys-lru", NULL},
                  "maxmemory-policy allkeys-lru");
    check_refuses((const char *const[]){"--maxmemory-policy", "volatile-ttl", NULL},
                  "Paddock needs noeviction");
    check_refuses((const char *const[]){"--rename-command", "INFO", "", NULL},
                  "unknown command");
}

static int version_of(struct redis *redis)
{
    struct redisReply *reply = redis_call_text(
        redis, PATIENCE_MS, "FCALL_RO", "paddock_version", "1", "paddock:{q}:open", NULL);
    int version;

    assert_non_null(reply);
    version = reply->type == REDIS_REPLY_INTEGER ? (int)reply->integer : -1;
    freeReplyObject(reply);
    return version;
}

/* Puts a library of another version in the place of ours. */
static void load_version(struct redis *redis, int version)
{
    char text[512];

    (void)snprintf(text, sizeof(text),
                   "#!lua name=paddock\nredis.register_function({function_name = "
                   "'paddock_version', callback = function() return %d end, flags = "
                   "{'no-writes'}})",
                   version);
    assert_reply(
        redis_call_text(redis, PATIENCE_MS, "FUNCTION", "LOAD", "REPLACE", text, NULL),
        REDIS_REPLY_STRING, "paddock");
}

static void test_load_functions(void **state)
{
    struct redis *redis = connect_to(common.address);

    assert_int_equal(version_of(redis), -1);
    assert_int_equal(redis_load_functions(redis, "test", NULL), 0);
    assert_int_equal(version_of(redis), library_version);
    assert_int_equal(redis_load_functions(redis, "test", NULL), 0);
    load_version(redis, library_version - 1);
    assert_int_equal(redis_load_functions(redis, "test", NULL), 0);
    assert_int_equal(version_of(redis), library_version);
    load_version(redis, library_version + 1);
    assert_int_equal(redis_load_functions(redis, "test", NULL), 0);
    assert_int_equal(version_of(redis), library_version + 1);
    load_version(redis, library_version); /* the same: left as it is */
    assert_int_equal(redis_load_functions(redis, "test", NULL), 0);
    assert_reply(redis_call_text(redis, PATIENCE_MS, "FCALL_RO", "paddock_depth", "1",
                                 "paddock:{q}:open", NULL),
                 REDIS_REPLY_ERROR, "ERR Function not found");
    assert_reply(redis_call_text(redis, PATIENCE_MS, "FUNCTION", "FLUSH", NULL),
                 REDIS_REPLY_STATUS, "OK");
    redis_free(redis);
}

/* A later library stays where it can not be asked for its version. */
static void test_load_functions_unasked(void **state)
{
    struct server server = {.port = "0"};
    const char *const more[] = {"--rename-command", "FCALL_RO", "", NULL};
    struct redisReply *reply;
    struct redis *redis;

    start(&server, more);
    redis = connect_to(server.address);
    load_version(redis, library_version + 1);
    assert_int_equal(redis_load_functions(redis, "test", NULL), -ENOTSUP);
    reply = redis_call_text(redis, PATIENCE_MS, "FCALL", "paddock_version", "1",
                            "paddock:{q}:open", NULL);
    assert_non_null(reply);
    assert_int_equal(reply->integer, library_version + 1);
    freeReplyObject(reply);
    redis_free(redis);
    remove_server(&server);
}

/* One of our name that is not ours gives way. */
static void test_load_functions_foreign(void **state)
{
    struct redis *redis = connect_to(common.address);

    assert_reply(redis_call_text(redis, PATIENCE_MS, "FUNCTION", "LOAD",
                                 "#!lua name=paddock\nredis.register_function('other', "
                                 "function() return 1 end)",
                                 NULL),
                 REDIS_REPLY_STRING, "paddock");
    assert_int_equal(redis_load_functions(redis, "test", NULL), 0);
    assert_int_equal(version_of(redis), library_version);
    assert_reply(redis_call_text(redis, PATIENCE_MS, "FUNCTION", "FLUSH", NULL),
                 REDIS_REPLY_STATUS, "OK");
    redis_free(redis);
}

static void test_load_functions_refused(void **state)
{
    struct server server = {.port = "0"};
    const char *const more[] = {"--rename-command", "FUNCTION", "", NULL};
    struct buffer why = BUFFER_INIT(KIB(64));
    struct redis *redis;

    start(&server, more);
    redis = connect_to(server.address);
    assert_int_equal(redis_load_functions(redis, "test", &why), -ENOTSUP);
    assert_non_null(strstr(why.data, server.address));
    assert_non_null(strstr(why.data, "refuses the queue's functions"));
    redis_free(redis);
    remove_server(&server);
    buffer_done(&why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_bad_addresses),
        cmocka_unit_test(test_long_parts),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_the_socket),
        cmocka_unit_test(test_database),
        cmocka_unit_test(test_answers_come_in_order),
        cmocka_unit_test(test_a_call_among_queued_commands),
        cmocka_unit_test(test_an_answer_may_queue),
        cmocka_unit_test(test_an_answer_may_drop_the_connection),
        cmocka_unit_test(test_large_values),
        cmocka_unit_test(test_room),
        cmocka_unit_test(test_a_blocked_connection_and_another),
        cmocka_unit_test(test_a_reply_that_nobody_asked_for),
        cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_connect_begin),
        cmocka_unit_test(test_connect_begin_and_drop),
        cmocka_unit_test(test_a_server_that_sleeps),
        cmocka_unit_test(test_kill_with_commands_under_way),
        cmocka_unit_test(test_kill_in_the_middle_of_a_large_value),
        cmocka_unit_test(test_free_answers_too),
        cmocka_unit_test(test_retry_backs_off),
        cmocka_unit_test(test_retry_backs_off_from_what_does_not_last),
        cmocka_unit_test(test_not_there),
        cmocka_unit_test(test_another_kind_of_server),
        cmocka_unit_test(test_password),
        cmocka_unit_test(test_password_is_never_said),
        cmocka_unit_test(test_check_server),
        cmocka_unit_test(test_load_functions),
        cmocka_unit_test(test_load_functions_unasked),
        cmocka_unit_test(test_load_functions_foreign),
        cmocka_unit_test(test_load_functions_refused),
    };

    return cmocka_run_group_tests(tests, start_common, stop_common);
}
