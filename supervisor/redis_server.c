/* SPDX-License-Identifier: MIT */
/*
 * Starting a redis-server of our own. Runs in the supervisor, which speaks no more of
 * Redis's protocol than the one PING that says whether it is there.
 */
#include "supervisor/redis_server.h"

#include "common/clock.h"
#include "common/fd.h"
#include "supervisor/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define START_MS 10000

static int open_binary(int *ret_fd, struct buffer *why)
{
    static const char *const paths[] = {"/usr/bin/redis-server",
                                        "/usr/local/bin/redis-server"};

    for (size_t i = 0; i < array_size(paths); i++) {
        int fd = open(paths[i], O_RDONLY | O_CLOEXEC);

        if (fd >= 0) {
            *ret_fd = fd;
            return 0;
        }
    }
    buffer_printf(
        why,
        "no Redis is configured, and %s is not there: install redis-server, or set redis",
        paths[0]);
    return -ENOENT;
}

/* In quotes two characters mean something to Redis. */
static void write_path(const char *name, const char *path, struct buffer *to)
{
    buffer_printf(to, "%s \"", name);
    for (; *path != '\0'; path++) {
        buffer_printf(to, "%s%c", *path == '\\' || *path == '"' ? "\\" : "", *path);
    }
    buffer_add_text(to, "\"\n");
}

static void write_settings(const struct config *config, const char *socket,
                           struct buffer *to)
{
    write_path("unixsocket", socket, to);
    buffer_printf(
        to,
        "port 0\nunixsocketperm 700\ndaemonize no\nlogfile \"\"\n"
        "loglevel warning\nsave \"\"\nmaxmemory %lldmb\nmaxmemory-policy noeviction\n"
        "proc-title-template \"redis-server of paddock\"\n",
        (long long)config->maxmemory_mb);
    if (config->data_dir[0] != '\0') {
        write_path("dir", config->data_dir, to);
        buffer_add_text(to, "appendonly yes\nappendfsync everysec\n");
    }
}

/* The settings come on its standard input: they fit into a pipe, so nobody waits for
 * anybody. */
static int settings_pipe(const struct config *config, const char *socket, int *ret_fd)
{
    autobuffer struct buffer text = BUFFER_INIT(32768);
    autoclose int input = -1, output = -1;
    int ends[2], error;

    if (pipe2(ends, O_CLOEXEC) != 0) {
        return -errno;
    }
    input = ends[0];
    output = ends[1];
    write_settings(config, socket, &text);
    error = buffer_error(&text);
    if (error == 0) {
        error = fd_write_full(output, text.data, text.size);
    }
    if (error == 0) {
        *ret_fd = steal_fd(&input);
    }
    return error;
}

static int start(const struct config *config, const struct runtime *runtime, int output,
                 struct process *ret, struct buffer *why)
{
    static const char *const argv[] = {"redis-server", "-", NULL};
    char socket[LIMIT_PATH];
    autoclose int binary = -1, input = -1;
    struct spawn spawn = {.argv = argv, .peer = -1, .output = output};
    int error = open_binary(&binary, why);

    if (error < 0) {
        return error;
    }
    runtime_path(runtime, "redis.sock", socket);
    if (strlen(socket) > 107) {
        buffer_printf(why, "runtime_dir %s is too long for a Unix socket", runtime->path);
        return -ENAMETOOLONG;
    }
    (void)unlink(socket);
    error = settings_pipe(config, socket, &input);
    if (error < 0) {
        return error;
    }
    spawn.binary = binary;
    spawn.input = input;
    return spawn_start(&spawn, ret, why);
}

/* It alone holds the other end: its end is the end of its log. It never waits for who
 * reads. */
int redis_server_start(const struct config *config, const struct runtime *runtime,
                       int *ret_log, struct process *ret, struct buffer *why)
{
    autoclose int log = -1, output = -1;
    int ends[2], error;

    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
        return -errno;
    }
    log = ends[0];
    output = ends[1];
    error = start(config, runtime, output, ret, why);
    if (error == 0) {
        *ret_log = steal_fd(&log);
    }
    return error;
}

/* ---- waiting for it ---- */

enum answer { ANSWER_NONE, ANSWER_LOADING, ANSWER_PONG };

static enum answer ask(const char *socket)
{
    static const struct {
        const char *text;
        enum answer answer;
    } answers[] = {{"+PONG", ANSWER_PONG}, {"-LOAD", ANSWER_LOADING}};
    char reply[5] = "";
    struct pollfd readable = {.events = POLLIN};
    autoclose int fd = -1;

    if (fd_connect_unix(socket, &fd) < 0 || fd_write_full(fd, "PING\r\n", 6) < 0) {
        return ANSWER_NONE;
    }
    readable.fd = fd;
    if (poll(&readable, 1, 1000) != 1 ||
        read(fd, reply, sizeof(reply)) != sizeof(reply)) {
        return ANSWER_NONE;
    }
    for (size_t i = 0; i < array_size(answers); i++) {
        if (memcmp(reply, answers[i].text, sizeof(reply)) == 0) {
            return answers[i].answer;
        }
    }
    return ANSWER_NONE;
}

/* Its last line says why it ended; before it stand its pid, its role and the time, up to
 * one of the marks of its log levels. */
void redis_server_add_last_words(int log, struct buffer *why)
{
    autobuffer struct buffer text = BUFFER_INIT(KIB(64));
    char part[4096], *line, *mark;
    ssize_t size;

    while ((size = read(log, part, sizeof(part))) > 0) {
        buffer_add(&text, part, (size_t)size);
    }
    while (text.size > 0 && text.data[text.size - 1] == '\n') {
        text.data[--text.size] = '\0';
    }
    if (text.size == 0) {
        buffer_add_text(why, "it does not say why");
        return;
    }
    line = strrchr(text.data, '\n');
    line = line != NULL ? line + 1 : text.data;
    mark = strpbrk(line, "#*");
    buffer_add_text(why, mark != NULL && mark[1] == ' ' ? mark + 2 : line);
}

static int say_end(const struct config *config, int log, struct buffer *why)
{
    buffer_add_text(why, "the private redis-server");
    if (config->data_dir[0] != '\0') {
        buffer_printf(why, ", with data_dir = %s,", config->data_dir);
    }
    buffer_add_text(why, " ended at once: ");
    redis_server_add_last_words(log, why);
    return -ECHILD;
}

static int await(const struct config *config, const struct runtime *runtime,
                 struct process *process, int log, struct buffer *why)
{
    int64_t end = clock_now_ms() + START_MS;
    char socket[LIMIT_PATH];
    enum answer answer;
    int status;

    runtime_path(runtime, "redis.sock", socket);
    while ((answer = ask(socket)) != ANSWER_PONG) {
        struct pollfd end_of_it = {.fd = process->pidfd, .events = POLLIN};

        /* Sleeps until something happens or 10 ms have passed: a socket that is not bound
         * yet cannot be waited for. */
        (void)poll(&end_of_it, 1, 10);
        if (process_reap(process, &status) == 1) {
            return say_end(config, log, why);
        }
        if (signals_ask_for_the_end()) {
            return -EINTR;
        }
        if (answer == ANSWER_LOADING) {
            end = clock_now_ms() + START_MS;
        }
        if (clock_now_ms() > end) {
            buffer_add_text(why, "the private redis-server does not answer");
            return -ETIMEDOUT;
        }
    }
    return 0;
}

int redis_server_open(const struct config *config, const struct runtime *runtime,
                      struct process *ret, struct buffer *why)
{
    autoclose int log = -1;
    int error = redis_server_start(config, runtime, &log, ret, why);

    return error < 0 ? error : await(config, runtime, ret, log, why);
}
