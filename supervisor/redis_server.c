/* SPDX-License-Identifier: MIT */
/*
 * Starting a redis-server of our own. Runs in the supervisor, which speaks no more of
 * Redis's protocol than the one PING that says whether it is there.
 */
#include "supervisor/redis_server.h"

#include "common/clock.h"
#include "common/fd.h"
#include "common/log.h"

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

static void write_settings(const struct config *config, const char *socket,
                           struct buffer *to)
{
    buffer_printf(
        to,
        "port 0\nunixsocket \"%s\"\nunixsocketperm 700\ndaemonize no\nlogfile \"\"\n"
        "loglevel warning\nsave \"\"\nmaxmemory %lldmb\nmaxmemory-policy noeviction\n"
        "proc-title-template \"redis-server of paddock\"\n",
        socket, (long long)config->maxmemory_mb);
    if (config->data_dir[0] != '\0') {
        buffer_printf(to, "dir \"%s\"\nappendonly yes\nappendfsync everysec\n",
                      config->data_dir);
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

int redis_server_start(const struct config *config, const struct runtime *runtime,
                       struct process *ret, struct buffer *why)
{
    static const char *const argv[] = {"redis-server", "-", NULL};
    char socket[LIMIT_PATH];
    autoclose int binary = -1, input = -1;
    struct spawn spawn = {.argv = argv, .peer = -1, .quiet = true};
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
    spawn.quiet = config->log_level < LOG_DEBUG;
    return spawn_start(&spawn, ret, why);
}

static bool answers(const char *socket)
{
    char reply[8] = "";
    struct pollfd readable = {.events = POLLIN};
    autoclose int fd = -1;

    if (fd_connect_unix(socket, &fd) < 0 || fd_write_full(fd, "PING\r\n", 6) < 0) {
        return false;
    }
    readable.fd = fd;
    return poll(&readable, 1, 1000) == 1 && read(fd, reply, 5) == 5 &&
           memcmp(reply, "+PONG", 5) == 0;
}

int redis_server_wait(const struct runtime *runtime, struct process *process,
                      struct buffer *why)
{
    int64_t end = clock_now_ms() + START_MS;
    char socket[LIMIT_PATH];
    int status;

    runtime_path(runtime, "redis.sock", socket);
    while (!answers(socket)) {
        struct pollfd dead = {.fd = process->pidfd, .events = POLLIN};

        /* Sleeps until it dies or 10 ms have passed: a socket that is not bound yet
         * cannot be waited for. */
        if (poll(&dead, 1, 10) == 1 && process_reap(process, &status) == 1) {
            buffer_add_text(
                why,
                "the private redis-server ended at once; log_level = debug shows why");
            return -ECHILD;
        }
        if (clock_now_ms() > end) {
            buffer_add_text(why, "the private redis-server does not answer");
            return -ETIMEDOUT;
        }
    }
    return 0;
}
