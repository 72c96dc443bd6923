/* SPDX-License-Identifier: MIT */
/* Signals over a file descriptor. Runs in the supervisor; whoever may signal it is
 * obeyed. */
#include "supervisor/signals.h"

#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

int signals_open(const struct signal_row *rows, size_t count, int *ret_fd)
{
    sigset_t set;

    (void)sigemptyset(&set);
    for (size_t i = 0; i < count; i++) {
        (void)sigaddset(&set, rows[i].number);
    }
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0) {
        return -errno;
    }
    *ret_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return *ret_fd >= 0 ? 0 : -errno;
}

bool signals_ask_for_the_end(void)
{
    static const int ends[] = {SIGTERM, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2};
    sigset_t pending;

    if (sigpending(&pending) != 0) {
        return false;
    }
    for (size_t i = 0; i < array_size(ends); i++) {
        if (sigismember(&pending, ends[i]) == 1) {
            return true;
        }
    }
    return false;
}

void signals_service(int fd, const struct signal_row *rows, size_t count, void *context)
{
    struct signalfd_siginfo info;

    while (read(fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        for (size_t i = 0; i < count; i++) {
            if ((int)info.ssi_signo == rows[i].number) {
                rows[i].handle(context);
            }
        }
    }
}

void signals_pass_over(void *context)
{
}
