/* SPDX-License-Identifier: MIT */
/*
 * The table of served calls, and the handler of SIGSYS, which also sees to it that
 * forbidden ones are heard of. Runs in the sandbox, inside a
 * signal handler that the program's own system call raised: hostile ground. A pointer
 * that the program made up faults as in any function of its own, and the verdict is
 * `crashed`.
 */
#include "worker/sandbox/trap.h"

#include "common/cleanup.h"
#include "worker/sandbox/policy.h"
#include "worker/sandbox/stdio.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#define ARGUMENTS   5
#define FROM_FILTER 1 /* SYS_SECCOMP of the kernel's siginfo.h, which glibc's lacks */

/* prlimit64(2) of RLIMIT_CPU, its own: it may be read. */
static long serve_cpu_limit(const long *arguments)
{
    if (arguments[2] != 0) {
        return -EPERM;
    }
    return arguments[3] == 0 || syscall(SYS_getrlimit, RLIMIT_CPU, arguments[3]) == 0
               ? 0
               : -errno;
}

/* newfstatat(2): what libc makes of fstat(). */
static long serve_stat(const long *arguments)
{
    const char *path = (const char *)arguments[1];

    if (path == NULL || *path != '\0' || (arguments[3] & AT_EMPTY_PATH) == 0) {
        return -ENOENT;
    }
    return syscall(SYS_fstat, arguments[0], arguments[2]) == 0 ? 0 : -errno;
}

/* sysinfo(2): libc cannot do without an answer when it is asked for the memory. */
static long serve_sysinfo(const long *arguments)
{
    struct sysinfo *info = (struct sysinfo *)arguments[0];
    struct rlimit memory = {0};

    (void)getrlimit(RLIMIT_DATA, &memory);
    *info = (struct sysinfo){.totalram = memory.rlim_cur,
                             .freeram = memory.rlim_cur,
                             .procs = 1,
                             .mem_unit = 1};
    return 0;
}

static long serve_random(const long *arguments)
{
    long got = syscall(SYS_getrandom, arguments[0], GETRANDOM_MAX, arguments[2]);

    return got >= 0 ? got : -errno;
}

static const struct {
    int call;
    long (*serve)(const long *arguments);
    long (*serve_state)(const long *arguments, ucontext_t *interrupted);
} served[] = {
    {SYS_write, stdio_write, NULL},         {SYS_writev, stdio_writev, NULL},
    {SYS_read, NULL, stdio_read},           {SYS_readv, NULL, stdio_readv},
    {SYS_prlimit64, serve_cpu_limit, NULL}, {SYS_rt_sigprocmask, NULL, trap_set_mask},
    {SYS_newfstatat, serve_stat, NULL},     {SYS_sysinfo, serve_sysinfo, NULL},
    {SYS_getrandom, serve_random, NULL},
};

static long serve(int call, const long *arguments, ucontext_t *interrupted)
{
    for (size_t i = 0; i < array_size(served); i++) {
        if (served[i].call == call) {
            return served[i].serve != NULL
                       ? served[i].serve(arguments)
                       : served[i].serve_state(arguments, interrupted);
        }
    }
    return policy_insist(call, arguments); /* what is not served is forbidden */
}

static void on_trapped_call(int signo, siginfo_t *info, void *context)
{
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    const long arguments[ARGUMENTS] = {registers[REG_RDI], registers[REG_RSI],
                                       registers[REG_RDX], registers[REG_R10],
                                       registers[REG_R8]};
    int saved_errno = errno;

    if (info->si_code == FROM_FILTER) { /* else the program sent it to itself */
        registers[REG_RAX] = serve(info->si_syscall, arguments, context);
    }
    errno = saved_errno;
}

int trap_install(void)
{
    static const int own[] = {SIGSYS, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT};
    struct sigaction action = {.sa_sigaction = on_trapped_call,
                               .sa_flags = SA_SIGINFO | SA_NODEFER | SA_RESTART};

    /* Whoever takes one signal takes all that wait for the process: a thread that is
     * served, as each is once more before it ends, would take those that wake the main
     * thread. */
    (void)sigfillset(&action.sa_mask);
    for (size_t i = 0; i < array_size(own); i++) {
        (void)sigdelset(&action.sa_mask, own[i]);
    }
    return sigaction(SIGSYS, &action, NULL) == 0 ? 0 : -errno;
}
