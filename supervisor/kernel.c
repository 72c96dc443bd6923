/* SPDX-License-Identifier: MIT */
/*
 * Trying the kernel. Runs in the supervisor, first of all, and speaks for zygote and
 * relays, which inherit whatever filter it has. Each attempt is harmless and undone.
 */
#include "supervisor/kernel.h"

#include "common/cleanup.h"
#include "common/fd.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/message.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define GIB ((rlim_t)1 << 30)

static int try_pidfd_open(void)
{
    autoclose int fd = -1;

    return fd_pidfd_open(getpid(), &fd);
}

static int try_pidfd_send_signal(void)
{
    autoclose int fd = -1;
    int error = fd_pidfd_open(getpid(), &fd);

    return error == 0 ? fd_pidfd_send_signal(fd, 0) : 0; /* was told already */
}

static int try_kill(void)
{
    return kill(getpid(), 0) == 0 ? 0 : -errno;
}

static int try_memfd(void)
{
    autoclose int fd = -1;

    return fd_memfd_sealed("paddock-try", 1, &fd);
}

static int try_eventfd(void)
{
    autoclose int fd = eventfd(0, EFD_CLOEXEC);

    return fd >= 0 ? 0 : -errno;
}

static int try_signalfd(void)
{
    autoclose int fd = -1;
    sigset_t none;

    (void)sigemptyset(&none);
    fd = signalfd(-1, &none, SFD_CLOEXEC);
    return fd >= 0 ? 0 : -errno;
}

/* On a process's clock of computing time, as for a sandbox's. */
static int try_timer(void)
{
    const struct itimerspec far = {.it_value.tv_sec = 1000000};
    struct sigevent none = {.sigev_notify = SIGEV_NONE};
    timer_t timer;
    int error;

    if (timer_create(CLOCK_PROCESS_CPUTIME_ID, &none, &timer) != 0) {
        return -errno;
    }
    error = timer_settime(timer, 0, &far, NULL) == 0 ? 0 : -errno;
    if (timer_delete(timer) != 0 && error == 0) {
        error = -errno;
    }
    return error;
}

static int try_socketpair(void)
{
    int fds[2] = {-1, -1};
    int error = message_pair(fds);

    close_fd(&fds[0]);
    close_fd(&fds[1]);
    return error;
}

static int try_poll(void)
{
    return poll(NULL, 0, 0) == 0 ? 0 : -errno;
}

static int try_mask(void)
{
    sigset_t blocked;

    return sigprocmask(SIG_BLOCK, NULL, &blocked) == 0 ? 0 : -errno;
}

static int try_wait(void)
{
    /* There are no children yet. */
    return wait4(-1, NULL, WNOHANG, NULL) >= 0 || errno == ECHILD ? 0 : -errno;
}

static int try_wait_for_any(void)
{
    siginfo_t info;

    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 || errno == ECHILD
               ? 0
               : -errno;
}

static const struct need {
    const char *call, *purpose;
    int (*attempt)(void);
} needs[] = {
    {"pidfd_open", "follow its processes", try_pidfd_open},
    {"pidfd_send_signal", "stop its processes", try_pidfd_send_signal},
    {"kill", "stop a program", try_kill},
    {"wait4", "hear how a process ended", try_wait},
    {"waitid", "hear which process ended", try_wait_for_any},
    {"poll", "wait for more than one thing", try_poll},
    {"rt_sigprocmask", "put signals in order", try_mask},
    {"memfd_create", "share memory with a program", try_memfd},
    {"eventfd2", "hear of a program", try_eventfd},
    {"signalfd4", "hear of signals", try_signalfd},
    {"timer_create", "limit a program's computing time", try_timer},
    {"socketpair", "let its processes talk", try_socketpair},
};

/* Limits are inherited by all that we start, and can only be lowered. */
static const struct limit {
    int resource;
    const char *name, *option; /* of ulimit */
    rlim_t least;              /* beside `jobs` times what a job may have, */
    int jobs;
    int workers; /* and so many for each worker */
} limits[] = {
    {RLIMIT_AS, "address space", "-v", GIB, 4, 0},
    {RLIMIT_DATA, "data", "-d", GIB / 4, 1, 0},
    {RLIMIT_STACK, "stack", "-s", GIB / 128, 0, 0},
    {RLIMIT_CPU, "computing time", "-t", 602, 0,
     0}, /* of a sandbox, worker/sandbox/rlimits.c */
    {RLIMIT_FSIZE, "file size", "-f", GIB / 16, 0, 0},
    {RLIMIT_NOFILE, "open files", "-n", 128, 0, 4},
    {RLIMIT_NPROC, "processes", "-u", 64, 0, 0},
    /* Of all sandboxes together, whatever their ids: in a namespace they count for who
     * made it, too. And for each the zygote has a timer, which holds one. */
    {RLIMIT_SIGPENDING, "pending signals", "-i", 8, 0, LIMIT_SIGNAL + 2},
};

static int try_limit(const struct limit *row, int64_t memory_mb, int64_t workers)
{
    rlim_t least = row->least + (rlim_t)row->jobs * ((rlim_t)memory_mb << 20) +
                   (rlim_t)(row->workers * workers);
    struct rlimit limit;

    if (getrlimit(row->resource, &limit) != 0) {
        return log_failure(-errno, "unable to ask for the limit on %s", row->name);
    }
    /* What may be raised is as good as raised. */
    if (limit.rlim_max < least) {
        log_error("the limit on %s (ulimit %s) is %llu, and Paddock needs %llu",
                  row->name, row->option, (unsigned long long)limit.rlim_max,
                  (unsigned long long)least);
        return -EPERM;
    }
    if (limit.rlim_cur < least) {
        limit.rlim_cur = least;
        return setrlimit(row->resource, &limit) == 0 ? 0 : -errno;
    }
    return 0;
}

static int try_limits(int64_t memory_mb, int64_t workers)
{
    int first = 0;

    for (size_t i = 0; i < array_size(limits); i++) {
        int error = try_limit(&limits[i], memory_mb, workers);

        first = first == 0 ? error : first;
    }
    return first;
}

int kernel_try(int64_t memory_mb, int64_t workers)
{
    int first = try_limits(memory_mb, workers);

    for (size_t i = 0; i < array_size(needs); i++) {
        int error = needs[i].attempt();

        if (error < 0) {
            (void)log_failure(
                error,
                "%s is refused here, and Paddock needs it to %s (a kernel older than"
                " 5.9, or a container's seccomp profile?)",
                needs[i].call, needs[i].purpose);
        }
        first = first == 0 ? error : first;
    }
    return first;
}
