/* SPDX-License-Identifier: MIT */
/*
 * Finding the pool of this machine, and `paddock drain`. Runs in the command, as whoever
 * may look into the pool's folder; a signal goes only to who may have it from us.
 */
#include "supervisor/ctl/local_pool.h"

#include "common/clock.h"
#include "common/fd.h"
#include "supervisor/ctl/complain.h"
#include "supervisor/ctl/endpoint.h"
#include "supervisor/ctl/interrupt.h"
#include "supervisor/ctl/queue_command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int local_pool_board(const struct args *args, struct scoreboard **ret, struct buffer *why)
{
    char folder[LIMIT_PATH], path[LIMIT_PATH + 16];
    autoclose int fd = -1;
    int error = endpoint_find_folder(args, folder, why);

    if (error < 0) {
        return error;
    }
    (void)snprintf(path, sizeof(path), "%s/scoreboard", folder);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    error = fd < 0 ? -errno : scoreboard_map(fd, false, ret);
    if (error < 0) {
        buffer_printf(why, "unable to read %s: %s", path,
                      error == -EPROTO ? "it is of another version of Paddock"
                                       : strerror(-error));
    }
    return error;
}

/* ---- the supervisor ---- */

static bool is_supervisor(pid_t pid)
{
    static const char expected[] = "paddock-supervi\n"; /* as much as the kernel keeps */
    char path[64], name[32] = "";
    autoclose int fd = -1;

    (void)snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd >= 0 && read(fd, name, sizeof(name) - 1) > 0 && strcmp(name, expected) == 0;
}

/* A pool that was killed leaves its number, which may be another's by now: the fd is of
 * one process, and that is a supervisor. Returns 0, -ESRCH where it is gone, or a
 * negative errno. */
static int open_supervisor(const struct scoreboard *board, int *ret_fd)
{
    pid_t pid = atomic_load(&board->head.supervisor);
    autoclose int fd = -1;
    int error = pid > 0 ? fd_pidfd_open(pid, &fd) : -ESRCH;
    struct pollfd end = {.fd = fd, .events = POLLIN};

    if (error == 0 && (!is_supervisor(pid) || poll(&end, 1, 0) != 0)) {
        error = -ESRCH;
    }
    if (error == 0) {
        *ret_fd = steal_fd(&fd);
    }
    return error;
}

bool local_pool_is_gone(const struct scoreboard *board)
{
    autoclose int fd = -1;

    return open_supervisor(board, &fd) == -ESRCH;
}

/* ---- drain ---- */

#define PERIOD_MS 200

static unsigned count_busy(struct scoreboard *board)
{
    unsigned busy = 0;

    for (size_t i = 0; i < LIMIT_WORKERS; i++) {
        struct scoreboard_work work;

        scoreboard_read(&board->slots[i], &work);
        busy += scoreboard_is_busy((enum scoreboard_state)work.state);
    }
    return busy;
}

static int ask(struct scoreboard *board, int *ret_supervisor, struct buffer *why)
{
    pid_t pid = atomic_load(&board->head.supervisor);
    int error = open_supervisor(board, ret_supervisor);

    if (error == 0) {
        error = fd_pidfd_send_signal(*ret_supervisor, SIGUSR1);
    }
    if (error < 0) {
        buffer_printf(why, "unable to reach the supervisor, process %d: %s", (int)pid,
                      error == -ESRCH ? "it is gone" : strerror(-error));
    }
    return error;
}

static void show(struct scoreboard *board, bool progress, unsigned *shown)
{
    unsigned busy = progress ? count_busy(board) : *shown;

    if (busy != *shown) {
        (void)fprintf(stderr, "\r\033[Kdraining: %u %s", busy,
                      busy == 1 ? "job runs" : "jobs run");
        *shown = busy;
    }
}

/* Returns false where somebody wants no longer to wait. */
static bool wait_for_end(struct scoreboard *board, int supervisor, int signals)
{
    struct pollfd fds[] = {{.fd = supervisor, .events = POLLIN},
                           {.fd = signals, .events = POLLIN}};
    bool progress = isatty(STDERR_FILENO) != 0;
    unsigned shown = UINT32_MAX;

    while (fds[0].revents == 0 && fds[1].revents == 0) {
        show(board, progress, &shown);
        (void)poll(fds, array_size(fds), PERIOD_MS);
    }
    if (progress) {
        (void)fputs("\r\033[K", stderr);
    }
    return fds[0].revents != 0;
}

int local_pool_drain(const struct command *command, struct args *args)
{
    autobuffer struct buffer why = BUFFER_INIT(WHY_MAX);
    autoclose int signals = interrupt_watch(), supervisor = -1;
    static const char *const negative[] = {NULL};
    struct scoreboard *board = NULL;
    bool over;

    if (args->redis != NULL) {
        return complain(EXIT_USAGE, "--redis: drain is about a pool of this machine, "
                                    "which --runtime-dir names");
    }
    if (args->queue != NULL) {
        return complain(EXIT_USAGE, "--queue: drain is about a pool, with all of its "
                                    "queues; --pool names one of several");
    }
    if (local_pool_board(args, &board, &why) < 0 || ask(board, &supervisor, &why) < 0) {
        scoreboard_unmap(board);
        return complain_why(EXIT_CONFIG, &why);
    }
    over = wait_for_end(board, supervisor, signals);
    scoreboard_unmap(board);
    return over ? queue_print_answer("drain", NULL, "drained", negative, args->json)
                : complain(EXIT_NEGATIVE, "the pool goes on draining");
}
