/* SPDX-License-Identifier: MIT */
/*
 * Locking a process as a sandbox. Runs in children of the tests, which no program shares.
 */
#include "tests/sandbox/locked.h"

#include "tests/sandbox/policy_model.h"
#include "worker/sandbox/policy.h"
#include "worker/sandbox/trap.h"

#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FROM_FILTER 1 /* SYS_SECCOMP of the kernel's siginfo.h, which glibc's lacks */

static long (*serve_call)(int call);

static bool is_forbidden(int number, const long arguments[5])
{
    uint64_t args[6] = {0};
    const struct policy_row *row;

    memcpy(args, arguments, 5 * sizeof(*args));
    row = row_for(number, args, (uint32_t)getpid());
    return row != NULL && row->action == POLICY_FORBIDDEN;
}

static void on_trap(int signo, siginfo_t *info, void *context)
{
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    const long arguments[] = {registers[REG_RDI], registers[REG_RSI], registers[REG_RDX],
                              registers[REG_R10], registers[REG_R8]};

    if (info->si_code != FROM_FILTER) {
        return;
    }
    if (is_forbidden(info->si_syscall, arguments)) {
        registers[REG_RAX] = policy_insist(info->si_syscall, arguments);
        return;
    }
    if (info->si_syscall == SYS_rt_sigprocmask && arguments[3] == sizeof(uint64_t)) {
        registers[REG_RAX] = trap_set_mask(arguments, context);
    } else {
        registers[REG_RAX] = serve_call(info->si_syscall);
    }
}

void locked_become(bool filtered, long (*serve)(int call))
{
    struct sigaction action = {.sa_sigaction = on_trap,
                               .sa_flags = SA_SIGINFO | SA_NODEFER};
    int doorbell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

    serve_call = serve;
    for (int fd = 0; fd < 3; fd++) {
        if (dup2(doorbell, fd) < 0) {
            _exit(EXIT_NO_SETUP);
        }
    }
    (void)close(doorbell);
    if (sigaction(SIGSYS, &action, NULL) != 0 ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        (filtered && policy_install_sandbox(getpid()) != 0)) {
        _exit(EXIT_NO_SETUP);
    }
}
