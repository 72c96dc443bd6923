/* SPDX-License-Identifier: MIT */
/*
 * The tables and the honest program of try_syscall. Runs inside a probe, under the
 * sandbox filter.
 */
#include "tests/sandbox/probes.h"

#include "common/cleanup.h"
#include "worker/sandbox/policy.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PAGE         4096
#define HIGH         (UINT64_C(1) << 32)
#define THREAD_FLAGS 0x3d0f00
#define ANONYMOUS    (MAP_PRIVATE | MAP_ANONYMOUS)
#define READ_WRITE   (PROT_READ | PROT_WRITE)
#define NO_ONE       UINT64_C(0x10000) /* an address where nothing lies */

static char page[PAGE] __attribute__((aligned(PAGE)));
static const uint64_t one = 1;
static const struct timespec no_time;
static uint32_t word = 5;

#define AT(thing) ((uintptr_t)(thing))

const struct probe probe_rows[] = {
    /* clang-format off */
    {SYS_write, {0, AT(&one), 8}, 0, false},
    {SYS_close, {99}, EBADF, false},
    {SYS_close, {HIGH}, EBADF, false}, /* the doorbell, to the kernel */
    {SYS_fstat, {0, AT(page)}, 0, false},
    {SYS_fcntl, {0, F_GETFD}, 0, false},
    {SYS_fcntl, {0, F_GETFL}, 0, false},
    {SYS_fcntl, {0, F_SETFD, FD_CLOEXEC}, 0, false},

    {SYS_mmap, {0, PAGE, READ_WRITE, ANONYMOUS, ~UINT64_C(0)}, 0, false},
    {SYS_mmap, {0, PAGE, PROT_NONE, ANONYMOUS | MAP_NORESERVE, ~UINT64_C(0)}, 0, false},
    {SYS_mprotect, {AT(page), PAGE, READ_WRITE}, 0, false},
    {SYS_munmap, {NO_ONE, PAGE}, 0, false},
    {SYS_mremap, {NO_ONE, PAGE, 2 * PAGE, 1}, EFAULT, false},
    {SYS_brk, {0}, 0, false},
    {SYS_madvise, {AT(page), PAGE, MADV_DONTNEED}, 0, false},
    {SYS_madvise, {AT(page), PAGE, MADV_FREE}, 0, false},
    {SYS_mprotect, {AT(page), PAGE, PROT_READ}, EPERM, false},
    {SYS_mprotect, {AT(page), PAGE, PROT_NONE}, EPERM, false},
#ifndef PADDOCK_SANITIZED
    {SYS_mmap, {AT(page), PAGE, READ_WRITE, ANONYMOUS | MAP_FIXED, ~UINT64_C(0)}, EPERM, false},
#endif
    {SYS_mmap, {0, PAGE, PROT_READ, ANONYMOUS, ~UINT64_C(0)}, EPERM, false},
    {SYS_mmap, {0, PAGE, READ_WRITE, MAP_SHARED | MAP_ANONYMOUS, ~UINT64_C(0)}, EPERM, false},
    {SYS_mmap, {0, PAGE, READ_WRITE, ANONYMOUS | MAP_GROWSDOWN, ~UINT64_C(0)}, EPERM, false},
    {SYS_mmap, {0, PAGE, READ_WRITE, ANONYMOUS | MAP_HUGETLB, ~UINT64_C(0)}, EPERM, false},
    {SYS_mprotect, {AT(page), PAGE, READ_WRITE | HIGH}, EPERM, false},
    {SYS_mremap, {AT(page), 0, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, NO_ONE}, EPERM, false},

    {SYS_futex, {AT(&word), FUTEX_WAIT, 6}, EAGAIN, false},
    {SYS_futex, {AT(&word), FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1}, 0, false},
    {SYS_futex, {AT(&word), FUTEX_REQUEUE | FUTEX_PRIVATE_FLAG, 1, 1, AT(&one)}, 0, false},
    {SYS_futex, {AT(&word), FUTEX_CMP_REQUEUE | FUTEX_PRIVATE_FLAG, 1, 1, AT(&one), 6}, EAGAIN, false},
    {SYS_futex, {AT(&word), FUTEX_WAKE_OP | FUTEX_PRIVATE_FLAG, 1, 1, AT(page), 0}, 0, false},
    {SYS_futex, {AT(&word), FUTEX_REQUEUE, 1, 1, AT(&one)}, EPERM, false},
    {SYS_futex, {AT(&word), FUTEX_CMP_REQUEUE, 1, 1, AT(&one), 5}, EPERM, false},
    {SYS_futex, {AT(&word), FUTEX_WAKE_OP, 1, 1, AT(page), 0}, EPERM, false},
    {SYS_futex, {AT(&word), FUTEX_WAIT_BITSET, 6, 0, 0, 1}, EAGAIN, false},
    {SYS_futex, {AT(&word), FUTEX_WAKE_BITSET, 1, 0, 0, 1}, 0, false},
    {SYS_futex, {AT(&word), FUTEX_LOCK_PI}, EPERM, false},
    {SYS_futex, {AT(&word), FUTEX_CMP_REQUEUE_PI, 1, 1, AT(page)}, EPERM, false},
    {SYS_futex, {AT(&word), FUTEX_WAKE | 0x200, 1}, EPERM, false},
    {SYS_set_robust_list, {0, 0}, EINVAL, false},
    {SYS_rseq, {0, 0}, EINVAL, false},
    {SYS_sched_yield, {0}, 0, false},
    {SYS_sched_getaffinity, {0, 128, AT(page)}, 0, false},
    {SYS_sched_getaffinity, {1, 128, AT(page)}, ENOSYS, false},
    {SYS_sched_getaffinity, {HIGH, 128, AT(page)}, ENOSYS, false},
    {SYS_gettid, {0}, 0, false},
    {SYS_clone, {THREAD_FLAGS | HIGH}, EPERM, false},
    {SYS_clone, {THREAD_FLAGS | CLONE_NEWUSER}, EPERM, false},
    {SYS_clone, {SIGCHLD}, EPERM, false},

    {SYS_rt_sigaction, {SIGTERM, 0, 0, 8}, 0, false},
    {SYS_rt_sigaction, {SIGSTKFLT, AT(page), 0, 8}, EINVAL, false},
    {SYS_rt_sigaction, {SIGCHLD, 0, 0, 8}, 0, false},
    {SYS_rt_sigaction, {SIGCONT, 0, 0, 8}, 0, false},
    {SYS_rt_sigaction, {SIGTTIN, 0, 0, 8}, 0, false},
    {SYS_rt_sigaction, {SIGXCPU, 0, 0, 8}, 0, false},
    {SYS_rt_sigaction, {SIGWINCH, 0, 0, 8}, 0, false},
    {SYS_rt_sigaction, {SIGPWR, 0, 0, 8}, 0, false},
    {SYS_rt_sigaction, {34, 0, 0, 8}, 0, false},
    {SYS_rt_sigpending, {AT(page), 8}, 0, false},
    {SYS_rt_sigsuspend, {AT(page), 4}, EINVAL, false},
    {SYS_rt_sigtimedwait, {0, 0, 0, 8}, EFAULT, false},
    {SYS_sigaltstack, {0, 0}, 0, false},
    {SYS_restart_syscall, {0}, EINTR, false},
    {SYS_alarm, {0}, 0, false},
    {SYS_kill, {POLICY_OWN_PID, 0}, 0, false},
    {SYS_tgkill, {POLICY_OWN_PID, POLICY_OWN_PID, 0}, 0, false},
    {SYS_kill, {POLICY_OWN_PID, SIGKILL}, EPERM, false},
    {SYS_kill, {POLICY_OWN_PID, SIGKILL | HIGH}, EPERM, false},
    {SYS_tgkill, {POLICY_OWN_PID, POLICY_OWN_PID, SIGKILL | HIGH}, EPERM, false},
    {SYS_kill, {0, 0}, EPERM, false},
    {SYS_kill, {1, 0}, EPERM, false},
    {SYS_kill, {~UINT64_C(0), 0}, EPERM, false},
    {SYS_tgkill, {1, 1, 0}, EPERM, false},

    {SYS_clock_gettime, {CLOCK_BOOTTIME, AT(page)}, 0, false},
    {SYS_clock_gettime, {~UINT64_C(1), AT(page)}, 0, false}, /* the thread's own */
    {SYS_clock_getres, {CLOCK_MONOTONIC, AT(page)}, 0, false},
    {SYS_clock_nanosleep, {CLOCK_MONOTONIC, 0, AT(&no_time), 0}, 0, false},
    {SYS_nanosleep, {AT(&no_time), 0}, 0, false},
    {SYS_gettimeofday, {AT(page), 0}, 0, false},
    {SYS_time, {0}, 0, false},
    {SYS_times, {AT(page)}, 0, false},
    {SYS_getrusage, {RUSAGE_THREAD, AT(page)}, 0, false},
    {SYS_poll, {0, 0, 0}, 0, false},
    {SYS_ppoll, {0, 0, AT(&no_time), 0}, 0, false},
    {SYS_select, {0, 0, 0, 0, AT(page)}, 0, false},
    {SYS_pselect6, {0, 0, 0, 0, AT(&no_time), 0}, 0, false},
    {SYS_clock_gettime, {~UINT64_C(5), AT(page)}, EPERM, false}, /* the clock of process 0 */
    {SYS_getrusage, {~UINT64_C(0), AT(page)}, EPERM, false},
    {SYS_poll, {AT(page), 1, 0}, EPERM, false},

    {SYS_getpid, {0}, 0, false},
    {SYS_getppid, {0}, 0, false},
    {SYS_getuid, {0}, 0, false},
    {SYS_geteuid, {0}, 0, false},
    {SYS_getgid, {0}, 0, false},
    {SYS_getegid, {0}, 0, false},
    {SYS_getresuid, {AT(page), AT(page), AT(page)}, 0, false},
    {SYS_getresgid, {AT(page), AT(page), AT(page)}, 0, false},
    {SYS_getpgrp, {0}, 0, false},
    {SYS_getgroups, {0, 0}, 0, false},
    {SYS_umask, {022}, 0, false},
    {SYS_getrandom, {AT(page), 8, 1}, 0, false},
    {SYS_prlimit64, {0, RLIMIT_FSIZE, 0, AT(page)}, 0, false},
    {SYS_prlimit64, {0, RLIMIT_DATA, 0, AT(page)}, 0, false},
    {SYS_prlimit64, {0, RLIMIT_NOFILE, 0, AT(page)}, 0, false},
    {SYS_prlimit64, {0, RLIMIT_AS, 0, AT(page)}, 0, false},
    {SYS_getrlimit, {RLIMIT_NOFILE, AT(page)}, 0, false},
    {SYS_prlimit64, {1, RLIMIT_NOFILE, 0, AT(page)}, EPERM, false},
    {SYS_prlimit64, {0, RLIMIT_CPU | HIGH, AT(page), 0}, EPERM, false},
    {SYS_getrandom, {AT(page), 8, 8}, EPERM, false},

    {SYS_exit, {7}, 0, true},
    {SYS_exit_group, {8}, 0, true},

    {SYS_ioctl, {0, 0x5412 | HIGH, AT(page)}, ENOTTY, false}, /* TIOCSTI */
    {SYS_rt_sigaction, {SIGSYS, AT(page), 0, 8}, EINVAL, false},
    {SYS_fcntl, {0, F_DUPFD, 10}, EPERM, false},
    {SYS_fcntl, {0, F_SETFL, 0}, EPERM, false},
    {SYS_openat, {(uint64_t)AT_FDCWD, AT("/etc/passwd"), O_RDONLY}, ENOENT, false},
    {SYS_openat, {(uint64_t)AT_FDCWD, AT("x"), O_WRONLY | O_CREAT | O_TRUNC, 0600}, EROFS, false},
    {SYS_close_range, {0, ~UINT32_C(0), 0}, EPERM, false},
    {SYS_getdents64, {0, AT(page), PAGE}, EPERM, false},
    {451, {0}, EPERM, false}, /* calls newer than the table */
    {458, {0}, EPERM, false},
    {999, {0}, EPERM, false},
    /* clang-format on */
};
const size_t probe_count = array_size(probe_rows);

const int same_without[] = {
    /* clang-format off */
    SYS_fork, SYS_vfork, SYS_clone, /* would make a process */
    SYS_msgget,                     /* would leave a queue behind */
    SYS_wait4, SYS_waitid,          /* there are no children */
    SYS_write, SYS_writev, SYS_read, SYS_readv, SYS_close, /* on fds that are not open */
    SYS_lseek, SYS_pread64, SYS_pwrite64, SYS_ioctl, SYS_fsync, SYS_fdatasync, /* on an eventfd */
    SYS_rt_sigaction, /* without a size; one with a size is among the probes */
    /* clang-format on */
};
const size_t same_without_count = array_size(same_without);

const int tried_by_workload[] = {SYS_clone, SYS_rt_sigreturn, SYS_pause, SYS_kill,
                                 SYS_tgkill};
const size_t tried_by_workload_count = array_size(tried_by_workload);

/* ---- the honest program ---- */

static volatile sig_atomic_t signals;

static void count_signal(int signo)
{
    signals++;
}

static void *thread_main(void *seen)
{
    char *memory = malloc(300000);

    if (memory != NULL) {
        memset(memory, 1, 300000);
        __atomic_add_fetch((int *)seen, memory[299999], __ATOMIC_SEQ_CST);
    }
    free(memory);
    return NULL;
}

/* Twice as many as run at once, so that stacks are reused. */
static bool threads_run(void)
{
    pthread_t threads[4];
    int seen = 0;

    for (size_t i = 0; i < 16; i++) {
        size_t at = i % array_size(threads);

        if (i >= array_size(threads) && pthread_join(threads[at], NULL) != 0) {
            return false;
        }
        if (pthread_create(&threads[at], NULL, thread_main, &seen) != 0) {
            return false;
        }
    }
    for (size_t i = 0; i < array_size(threads); i++) {
        (void)pthread_join(threads[i], NULL);
    }
    return seen == 16;
}

static bool memory_grows_and_shrinks(void)
{
    char *memory = malloc(1 << 20);
    bool grown = false;

    for (size_t size = 2 << 20; memory != NULL && size <= 64 << 20; size *= 2) {
        char *larger = realloc(memory, size);

        grown = larger != NULL;
        if (!grown) {
            break;
        }
        memory = larger;
        memory[size - 1] = 1;
    }
    free(memory);
    return grown;
}

static bool signals_arrive(void)
{
    struct sigaction action = {.sa_handler = count_signal};

    if (sigaction(SIGUSR1, &action, NULL) != 0 ||
        sigaction(SIGALRM, &action, NULL) != 0) {
        return false;
    }
    (void)raise(SIGUSR1);
    (void)alarm(1);
    (void)pause();
    return signals == 2;
}

static bool processes_are_refused(void)
{
    static char name[] = "true";
    char *const argv[] = {name, NULL};
    pid_t pid = fork();

    if (pid == 0) {
        _exit(0);
    }
    return pid == -1 && errno == EPERM &&
           posix_spawn(&pid, "/bin/true", NULL, NULL, argv, argv) == EPERM;
}

static bool fds_stay(void)
{
    return close(0) == 0 && close(1) == 0 && fcntl(0, F_GETFD) >= 0 && dup(0) == -1 &&
           !isatty(1);
}

static bool output_is_served(void)
{
    return write(1, "hello", 5) == TRAP_RESULT && write(2, "hello", 5) == TRAP_RESULT;
}

/* The last step: what was sent stays pending, for it is blocked to the end. */
static bool every_signal_can_be_sent(void)
{
    const uint64_t all = ~UINT64_C(0);
    pid_t self = getpid();

    /* Not by libc, which leaves its own two signals open. */
    if (syscall(SYS_rt_sigprocmask, SIG_BLOCK, &all, NULL, sizeof(all)) != 0) {
        return false;
    }
    for (int signo = 0; signo <= 64; signo++) {
        /* The first is refused, the others can not be blocked; and here nobody handles
         * the last, as a sandbox does. */
        if (signo == SIGKILL || signo == SIGSTOP || signo == SIGSTKFLT) {
            continue;
        }
        if (kill(self, signo) != 0 || syscall(SYS_tgkill, self, self, signo) != 0) {
            return false;
        }
    }
    return true;
}

int honest_workload(void)
{
    static bool (*const steps[])(void) = {threads_run,
                                          memory_grows_and_shrinks,
                                          signals_arrive,
                                          processes_are_refused,
                                          fds_stay,
                                          output_is_served,
                                          every_signal_can_be_sent};

    for (size_t i = 0; i < array_size(steps); i++) {
        if (!steps[i]()) {
            return (int)i + 1;
        }
    }
    return 0;
}
