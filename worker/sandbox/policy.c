/* SPDX-License-Identifier: MIT */
/*
 * The table of system calls, and putting the filters on. The table is read by the build
 * (policy_compile), by the zygote (names, printing) and by tests; the filters are put on
 * by the zygote and by each sandbox at its birth. A row that is wrong here is a hole, so
 * each has its reason and its probe.
 */
#include "worker/sandbox/policy.h"

#include "worker/sandbox/policy_filters.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- conditions ---- */

/* clang-format off */
#define ANY              {POLICY_ANY, 0, 0, 0}
#define IS(i, v)         {POLICY_EQUAL, (i), (v), 0}
#define IS_NOT(i, v)     {POLICY_NOT_EQUAL, (i), (v), 0}
#define AT_MOST(i, v)    {POLICY_AT_MOST, (i), (v), 0}
#define ABOVE(i, v)      {POLICY_ABOVE, (i), (v), 0}
#define MASKED(i, m, v)  {POLICY_MASKED, (i), (m), (v)}
/* clang-format on */

/* ---- rows ---- */

#define ROW(group, call, action, error, why, ...)                                        \
    {group, #call, SYS_##call, action, error, {__VA_ARGS__}, why},
#define ALLOW(group, call, why, ...) ROW(group, call, POLICY_ALLOW, 0, why, __VA_ARGS__)
#define DENY(group, call, error, why, ...)                                               \
    ROW(group, call, POLICY_ERRNO, error, why, __VA_ARGS__)
#define FORBID(group, call, why, ...)                                                    \
    ROW(group, call, POLICY_FORBIDDEN, 0, why, __VA_ARGS__)
#define TRAP(group, call, why, ...) ROW(group, call, POLICY_TRAP, 0, why, __VA_ARGS__)

/* What glibc's pthread_create passes: nothing more, nothing less. */
#define THREAD_FLAGS                                                                     \
    (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |  \
     CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID)

#ifdef PADDOCK_SANITIZED
/* AddressSanitizer maps its shadow at fixed places. Test builds only. */
#define MAP_OPTIONAL (MAP_NORESERVE | MAP_STACK | MAP_FIXED)
#else
#define MAP_OPTIONAL (MAP_NORESERVE | MAP_STACK)
#endif

/* Private memory without a file behind it: not shared (RLIMIT_DATA does not count that),
 * not locked, not huge, not growing. */
#define PRIVATE_MEMORY MASKED(3, ~(uint64_t)MAP_OPTIONAL, MAP_PRIVATE | MAP_ANONYMOUS)

#define FUTEX_ROW(operation)                                                             \
    ALLOW("threads", futex, "locks and the ring",                                        \
          MASKED(1, ~(uint64_t)(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME), operation))

/* Of these the first word need not be writable: shared, on a page of a library, they
 * would reach all processes of the machine that wait there. */
#define PRIVATE_FUTEX_ROW(operation)                                                     \
    ALLOW("threads", futex, "locks, within the process",                                 \
          MASKED(1, ~(uint64_t)FUTEX_CLOCK_REALTIME, (operation) | FUTEX_PRIVATE_FLAG))

/* Its own pid, and the signals 0 to 64 without 9, SIGKILL. Not "signal != 9": that would
 * let 9 + 2^32 through, of which the kernel looks at the low half. */
#define SIGNAL_ROWS(call, i, why)                                                        \
    ALLOW("signals", call, why, IS(0, POLICY_OWN_PID), MASKED(i, ~UINT64_C(7), 0))       \
    ALLOW("signals", call, why, IS(0, POLICY_OWN_PID), IS(i, 8))                         \
    ALLOW("signals", call, why, IS(0, POLICY_OWN_PID), MASKED(i, ~UINT64_C(1), 10))      \
    ALLOW("signals", call, why, IS(0, POLICY_OWN_PID), MASKED(i, ~UINT64_C(3), 12))      \
    ALLOW("signals", call, why, IS(0, POLICY_OWN_PID), MASKED(i, ~UINT64_C(15), 16))     \
    ALLOW("signals", call, why, IS(0, POLICY_OWN_PID), MASKED(i, ~UINT64_C(31), 32))     \
    ALLOW("signals", call, why, IS(0, POLICY_OWN_PID), IS(i, 64))

/* Its own limits but RLIMIT_CPU, which is 0. The kernel looks at the low half of the
 * number. */
#define LIMIT_ROW(check)                                                                 \
    ALLOW("identity", prlimit64, "its own limits, which can only be lowered", IS(0, 0),  \
          check)
#define LIMIT_ROWS                                                                       \
    LIMIT_ROW(IS(1, 1))                                                                  \
    LIMIT_ROW(MASKED(1, ~UINT64_C(1), 2))                                                \
    LIMIT_ROW(MASKED(1, ~UINT64_C(3), 4))                                                \
    LIMIT_ROW(MASKED(1, ~UINT64_C(7), 8))

const struct policy_row policy_rows[] = {
    /* clang-format off */
    TRAP("stdio", write, "standard output goes into the recording", IS(0, 1))
    TRAP("stdio", write, "standard error goes into the recording", IS(0, 2))
    ALLOW("stdio", write, "the doorbell: 8 bytes to an eventfd", IS(0, 0), IS(2, 8))
    TRAP("stdio", writev, "as write", IS(0, 1))
    TRAP("stdio", writev, "as write", IS(0, 2))
    TRAP("stdio", read, "standard input comes from the job", IS(0, 0))
    TRAP("stdio", readv, "as read", IS(0, 0))
    DENY("stdio", write, EBADF, "standard input is not for writing", IS(0, 0), IS_NOT(2, 8))
    DENY("stdio", write, EBADF, "not open, as the kernel would say", ABOVE(0, 2))
    DENY("stdio", writev, EBADF, "standard input is not for writing", IS(0, 0))
    DENY("stdio", writev, EBADF, "not open, as the kernel would say", ABOVE(0, 2))
    DENY("stdio", read, EBADF, "on 1 and 2 it would swallow a ring of the doorbell", IS_NOT(0, 0))
    DENY("stdio", readv, EBADF, "on 1 and 2 it would swallow a ring of the doorbell", IS_NOT(0, 0))
    DENY("stdio", close, 0, "the doorbell stays; a program may believe that it closed its output",
         AT_MOST(0, 2))
    DENY("stdio", close, EBADF, "not open, as the kernel would say, which looks at the low half alone", ABOVE(0, 2))
    ALLOW("stdio", fstat, "file objects look at what they wrap", ANY)
    ALLOW("stdio", fcntl, "flags of its own fds", IS(1, F_GETFD))
    ALLOW("stdio", fcntl, "flags of its own fds", IS(1, F_GETFL))
    ALLOW("stdio", fcntl, "flags of its own fds", IS(1, F_SETFD))
    DENY("stdio", fcntl, EPERM, "O_NONBLOCK, owners, leases and locks would reach the relay's end",
         ABOVE(1, F_GETFL))
    DENY("stdio", lseek, ESPIPE, "the three streams are pipes to a program", ANY)
    DENY("stdio", pread64, ESPIPE, "the three streams are pipes to a program", ANY)
    DENY("stdio", pwrite64, ESPIPE, "the three streams are pipes to a program", ANY)
    DENY("stdio", fsync, EINVAL, "as for a pipe; programs call it after flush()", ANY)
    DENY("stdio", fdatasync, EINVAL, "as for a pipe; programs call it after flush()", ANY)
    DENY("stdio", dup, EPERM, "three fds and no more", ANY)
    DENY("stdio", dup2, EPERM, "three fds and no more", ANY)
    DENY("stdio", dup3, EPERM, "three fds and no more", ANY)
    DENY("stdio", ioctl, ENOTTY, "no terminal: TIOCSTI and the like never reach the kernel", ANY)

    /* Only these two, and mprotect in one direction: RLIMIT_DATA counts pages that are private and writable, so
     * that memory made read-only after use would be kept for nothing, without end. */
    ALLOW("memory", mmap, "malloc and Python's arenas", IS(2, PROT_READ | PROT_WRITE), PRIVATE_MEMORY)
    ALLOW("memory", mmap, "reserved first, used later: thread stacks", IS(2, PROT_NONE), PRIVATE_MEMORY)
    FORBID("memory", mmap, "no new code", MASKED(2, PROT_EXEC, PROT_EXEC))
    ALLOW("memory", mprotect, "what was reserved is used; never back", IS(2, PROT_READ | PROT_WRITE))
    FORBID("memory", mprotect, "no new code", MASKED(2, PROT_EXEC, PROT_EXEC))
    ALLOW("memory", munmap, "freeing", ANY)
    ALLOW("memory", mremap, "realloc of large blocks", AT_MOST(3, MREMAP_MAYMOVE))
    ALLOW("memory", brk, "malloc", ANY)
    ALLOW("memory", madvise, "giving memory back", IS(2, MADV_DONTNEED))
    ALLOW("memory", madvise, "giving memory back", IS(2, MADV_FREE))
    DENY("memory", pkey_mprotect, EPERM, "another way to what mprotect may not", ANY)
    DENY("memory", mlock, EPERM, "memory that is taken from everyone", ANY)
    DENY("memory", mlockall, EPERM, "memory that is taken from everyone", ANY)
    DENY("memory", mincore, EPERM, "shows what others read lately", ANY)

    ALLOW("threads", clone, "pthread_create, with exactly its flags", IS(0, THREAD_FLAGS))
    DENY("threads", clone3, ENOSYS, "its flags cannot be seen; glibc falls back to clone", ANY)
    FUTEX_ROW(FUTEX_WAIT)
    FUTEX_ROW(FUTEX_WAKE)
    PRIVATE_FUTEX_ROW(FUTEX_REQUEUE)
    PRIVATE_FUTEX_ROW(FUTEX_CMP_REQUEUE)
    PRIVATE_FUTEX_ROW(FUTEX_WAKE_OP)
    FUTEX_ROW(FUTEX_WAIT_BITSET)
    FUTEX_ROW(FUTEX_WAKE_BITSET)
    ALLOW("threads", set_robust_list, "each thread's start", ANY)
    ALLOW("threads", rseq, "each thread's start", ANY)
    ALLOW("threads", sched_yield, "waiting", ANY)
    ALLOW("threads", sched_getaffinity, "os.cpu_count", IS(0, 0))
    DENY("threads", sched_getaffinity, ENOSYS, "not who else there is; glibc does without", ABOVE(0, 0))
    ALLOW("threads", gettid, "threading.get_native_id", ANY)

    ALLOW("signals", rt_sigaction, "signal.signal", AT_MOST(0, SIGSTKFLT - 1))
    DENY("signals", rt_sigaction, EINVAL, "the handler that says where it is stays, as for SIGKILL", IS(0, SIGSTKFLT))
    ALLOW("signals", rt_sigaction, "signal.signal", IS(0, 17))
    ALLOW("signals", rt_sigaction, "signal.signal", MASKED(0, ~UINT64_C(1), 18))
    ALLOW("signals", rt_sigaction, "signal.signal", MASKED(0, ~UINT64_C(3), 20))
    ALLOW("signals", rt_sigaction, "signal.signal", MASKED(0, ~UINT64_C(3), 24))
    ALLOW("signals", rt_sigaction, "signal.signal", MASKED(0, ~UINT64_C(1), 28))
    ALLOW("signals", rt_sigaction, "signal.signal", IS(0, 30))
    DENY("signals", rt_sigaction, EINVAL, "the handler that serves stays, as for SIGKILL", IS(0, SIGSYS))
    ALLOW("signals", rt_sigaction, "signal.signal; high bits would harm only itself", ABOVE(0, SIGSYS))
    TRAP("signals", rt_sigprocmask, "its own mask, without SIGSYS: blocked, that would kill at the next print", ANY)
    ALLOW("signals", rt_sigreturn, "end of a handler", ANY)
    ALLOW("signals", rt_sigpending, "signal.sigpending", ANY)
    ALLOW("signals", rt_sigsuspend, "waiting for its own signals", ANY)
    ALLOW("signals", rt_sigtimedwait, "waiting for its own signals", ANY)
    ALLOW("signals", sigaltstack, "faulthandler", ANY)
    SIGNAL_ROWS(kill, 1, "itself only; SIGKILL would look like a fault of ours")
    SIGNAL_ROWS(tgkill, 2, "raise and abort: itself only; no SIGKILL")
    ALLOW("signals", pause, "waiting for its own signals", ANY)
    ALLOW("signals", restart_syscall, "a sleep after SIGSTOP and SIGCONT", ANY)
    ALLOW("signals", alarm, "signal.alarm could not report a refusal; it reaches itself only", ANY)
    DENY("signals", setitimer, EPERM, "limits on time are ours", ANY)
    DENY("signals", timer_create, EPERM, "limits on time are ours", ANY)
    DENY("signals", tkill, EPERM, "names a thread without its process", ANY)
    DENY("signals", rt_sigqueueinfo, EPERM, "invented senders", ANY)
    DENY("signals", rt_tgsigqueueinfo, EPERM, "invented senders", ANY)
    DENY("signals", pidfd_open, EPERM, "a hold on another process", ANY)
    DENY("signals", pidfd_send_signal, EPERM, "a hold on another process", ANY)

    ALLOW("time", clock_gettime, "where the vDSO does not serve", AT_MOST(0, 7))
    ALLOW("time", clock_gettime, "the clock of one of its own threads, and by the kernel's check of no other's",
          MASKED(0, UINT64_C(0x80000007), UINT64_C(0x80000006)))
    ALLOW("time", clock_getres, "time.get_clock_info", AT_MOST(0, 7))
    ALLOW("time", clock_nanosleep, "time.sleep", AT_MOST(0, 1))
    ALLOW("time", nanosleep, "time.sleep", ANY)
    ALLOW("time", gettimeofday, "where the vDSO does not serve", ANY)
    ALLOW("time", time, "where the vDSO does not serve", ANY)
    ALLOW("time", times, "os.times", ANY)
    ALLOW("time", getrusage, "resource.getrusage of itself", AT_MOST(0, 1))
    ALLOW("time", poll, "a sleep: no fds", IS(1, 0))
    ALLOW("time", ppoll, "a sleep: no fds", IS(1, 0))
    ALLOW("time", select, "a sleep: no fds", IS(0, 0))
    ALLOW("time", pselect6, "a sleep: no fds", IS(0, 0))

    ALLOW("identity", getpid, "a number within its own namespace", ANY)
    ALLOW("identity", getppid, "a number within its own namespace", ANY)
    ALLOW("identity", getuid, "its own id", ANY)
    ALLOW("identity", geteuid, "its own id", ANY)
    ALLOW("identity", getgid, "its own id", ANY)
    ALLOW("identity", getegid, "its own id", ANY)
    ALLOW("identity", getresuid, "its own id", ANY)
    ALLOW("identity", getresgid, "its own id", ANY)
    ALLOW("identity", getpgrp, "its own group", ANY)
    ALLOW("identity", getgroups, "its own groups: none", ANY)
    DENY("identity", setuid, EPERM, "nobody becomes anyone else", ANY)
    DENY("identity", setresuid, EPERM, "nobody becomes anyone else", ANY)
    DENY("identity", setgroups, EPERM, "nobody becomes anyone else", ANY)
    DENY("identity", capset, EPERM, "nobody becomes anyone else", ANY)
    DENY("identity", setsid, EPERM, "it stays where it was born", ANY)
    DENY("identity", setpgid, EPERM, "it stays where it was born", ANY)
    DENY("identity", prctl, EPERM, "its locks stay as they are", ANY)
    DENY("identity", uname, EPERM, "no facts about the host", ANY)
    TRAP("identity", sysinfo, "the job's own memory, and no facts about the host", ANY)
    ALLOW("identity", getrandom, "random, uuid, secrets", AT_MOST(1, GETRANDOM_MAX), AT_MOST(2, 3))
    TRAP("identity", getrandom, "so much at once takes longer than a limit on CPU can wait: in parts",
         ABOVE(1, GETRANDOM_MAX), AT_MOST(2, 3))
    LIMIT_ROWS
    TRAP("identity", prlimit64, "RLIMIT_CPU can be read: it kills by SIGKILL, which would look like a fault of ours",
         IS(0, 0), IS(1, RLIMIT_CPU))
    ALLOW("identity", getrlimit, "its own limits", ANY)

    ALLOW("end", exit, "a thread ends", ANY)
    ALLOW("end", exit_group, "the process ends", ANY)

    /* Honest programs try these; the errno is what a machine without files or network would say. */
    DENY("files", open, ENOENT, "there is no file", MASKED(1, O_ACCMODE | O_CREAT, O_RDONLY))
    DENY("files", open, EROFS, "and none can be made", MASKED(1, O_WRONLY, O_WRONLY))
    DENY("files", open, EROFS, "and none can be made", MASKED(1, O_RDWR, O_RDWR))
    DENY("files", open, EROFS, "and none can be made", MASKED(1, O_CREAT, O_CREAT))
    DENY("files", openat, ENOENT, "there is no file", MASKED(2, O_ACCMODE | O_CREAT, O_RDONLY))
    DENY("files", openat, EROFS, "and none can be made", MASKED(2, O_WRONLY, O_WRONLY))
    DENY("files", openat, EROFS, "and none can be made", MASKED(2, O_RDWR, O_RDWR))
    DENY("files", openat, EROFS, "and none can be made", MASKED(2, O_CREAT, O_CREAT))
    DENY("files", openat2, ENOENT, "there is no file", ANY)
    TRAP("files", newfstatat, "fstat() of libc, which has no path; with a path: ENOENT", ANY)
    DENY("files", statfs, ENOENT, "there is no file", ANY)
    DENY("files", stat, ENOENT, "there is no file", ANY)
    DENY("files", lstat, ENOENT, "there is no file", ANY)
    DENY("files", statx, ENOENT, "there is no file", ANY)
    DENY("files", access, ENOENT, "there is no file", ANY)
    DENY("files", faccessat, ENOENT, "there is no file", ANY)
    DENY("files", faccessat2, ENOENT, "there is no file", ANY)
    DENY("files", readlink, ENOENT, "there is no file", ANY)
    DENY("files", readlinkat, ENOENT, "there is no file", ANY)
    DENY("files", chdir, ENOENT, "there is no folder", ANY)
    DENY("files", getcwd, ENOENT, "there is no folder", ANY)
    DENY("files", creat, EROFS, "nothing can be made", ANY)
    DENY("files", mkdir, EROFS, "nothing can be made", ANY)
    DENY("files", mkdirat, EROFS, "nothing can be made", ANY)
    DENY("files", rmdir, EROFS, "nothing can be removed", ANY)
    DENY("files", unlink, EROFS, "nothing can be removed", ANY)
    DENY("files", unlinkat, EROFS, "nothing can be removed", ANY)
    DENY("files", rename, EROFS, "nothing can be renamed", ANY)
    DENY("files", renameat, EROFS, "nothing can be renamed", ANY)
    DENY("files", renameat2, EROFS, "nothing can be renamed", ANY)
    DENY("files", symlink, EROFS, "nothing can be made", ANY)
    DENY("files", symlinkat, EROFS, "nothing can be made", ANY)
    DENY("files", link, EROFS, "nothing can be made", ANY)
    DENY("files", linkat, EROFS, "nothing can be made", ANY)
    DENY("files", chmod, EROFS, "nothing can be changed", ANY)
    DENY("files", fchmodat, EROFS, "nothing can be changed", ANY)
    DENY("files", chown, EROFS, "nothing can be changed", ANY)
    DENY("files", lchown, EROFS, "nothing can be changed", ANY)
    DENY("files", fchownat, EROFS, "nothing can be changed", ANY)
    DENY("files", utime, EROFS, "nothing can be changed", ANY)
    DENY("files", utimes, EROFS, "nothing can be changed", ANY)
    DENY("files", futimesat, EROFS, "nothing can be changed", ANY)
    DENY("files", utimensat, EROFS, "nothing can be changed", ANY)
    DENY("files", mknod, EROFS, "nothing can be made", ANY)
    DENY("files", mknodat, EROFS, "nothing can be made", ANY)
    DENY("files", truncate, EROFS, "nothing can be changed", ANY)
    ALLOW("files", umask, "its own mask, of files that cannot be made", ANY)
    DENY("network", socket, EACCES, "there is no network", ANY)
    DENY("network", socketpair, EACCES, "there is no network", ANY)
    DENY("network", connect, EPERM, "no socket can exist", ANY)
    DENY("network", bind, EPERM, "no socket can exist", ANY)
    DENY("network", sendto, EPERM, "no socket can exist", ANY)
    DENY("network", sendmsg, EPERM, "no socket can exist", ANY)
    DENY("network", recvmsg, EPERM, "no socket can exist", ANY)
    DENY("processes", fork, EPERM, "one job, one process", ANY)
    DENY("processes", vfork, EPERM, "one job, one process", ANY)
    DENY("processes", clone, EPERM, "one job, one process", IS_NOT(0, THREAD_FLAGS))
    DENY("processes", wait4, ECHILD, "there are no children, as the kernel would say", ANY)
    DENY("processes", waitid, ECHILD, "there are no children, as the kernel would say", ANY)
    DENY("new fds", pipe, EPERM, "three fds and no more", ANY)
    DENY("new fds", pipe2, EPERM, "three fds and no more", ANY)
    DENY("new fds", eventfd2, EPERM, "three fds and no more", ANY)
    DENY("new fds", timerfd_create, EPERM, "three fds and no more", ANY)
    DENY("new fds", signalfd4, EPERM, "three fds and no more", ANY)
    DENY("new fds", epoll_create1, EPERM, "three fds and no more", ANY)
    DENY("new fds", inotify_init1, EPERM, "three fds and no more", ANY)
    DENY("new fds", shmget, EPERM, "shared between jobs where there is no IPC namespace", ANY)
    DENY("new fds", semget, EPERM, "shared between jobs where there is no IPC namespace", ANY)
    DENY("new fds", msgget, EPERM, "shared between jobs where there is no IPC namespace", ANY)
    DENY("new fds", mq_open, EPERM, "shared between jobs where there is no IPC namespace", ANY)

    FORBID("other processes", ptrace, "reading and steering another process", ANY)
    FORBID("other processes", process_vm_readv, "reading another process", ANY)
    FORBID("other processes", process_vm_writev, "writing another process", ANY)
    FORBID("other processes", process_madvise, "acting on another process", ANY)
    FORBID("other processes", process_mrelease, "acting on another process", ANY)
    FORBID("other processes", pidfd_getfd, "taking another process's fds", ANY)
    FORBID("other processes", execve, "another program", ANY)
    FORBID("other processes", execveat, "another program", ANY)
    FORBID("kernel", bpf, "code in the kernel", ANY)
    FORBID("kernel", userfaultfd, "holding the kernel in a page fault", ANY)
    FORBID("kernel", perf_event_open, "observing the machine", ANY)
    FORBID("kernel", io_uring_setup, "calls past this filter", ANY)
    FORBID("kernel", io_uring_enter, "calls past this filter", ANY)
    FORBID("kernel", io_uring_register, "calls past this filter", ANY)
    FORBID("kernel", seccomp, "another filter", ANY)
    FORBID("kernel", personality, "READ_IMPLIES_EXEC, no address randomisation", ANY)
    FORBID("kernel", modify_ldt, "a large and old attack surface", ANY)
    FORBID("kernel", init_module, "code in the kernel", ANY)
    FORBID("kernel", finit_module, "code in the kernel", ANY)
    FORBID("kernel", delete_module, "code in the kernel", ANY)
    FORBID("kernel", kexec_load, "another kernel", ANY)
    FORBID("kernel", kexec_file_load, "another kernel", ANY)
    FORBID("kernel", reboot, "the machine's end", ANY)
    FORBID("kernel", swapon, "the machine's memory", ANY)
    FORBID("kernel", swapoff, "the machine's memory", ANY)
    FORBID("kernel", acct, "the machine's books", ANY)
    FORBID("kernel", quotactl, "the machine's books", ANY)
    FORBID("kernel", iopl, "the machine's ports", ANY)
    FORBID("kernel", ioperm, "the machine's ports", ANY)
    FORBID("kernel", add_key, "keyrings cross namespaces", ANY)
    FORBID("kernel", request_key, "keyrings cross namespaces", ANY)
    FORBID("kernel", keyctl, "keyrings cross namespaces", ANY)
    FORBID("namespaces", unshare, "namespaces with more power", ANY)
    FORBID("namespaces", setns, "another namespace", ANY)
    FORBID("namespaces", mount, "another view of files", ANY)
    FORBID("namespaces", umount2, "another view of files", ANY)
    FORBID("namespaces", pivot_root, "another root", ANY)
    FORBID("namespaces", chroot, "another root", ANY)
    FORBID("namespaces", fsopen, "the new mount interface", ANY)
    FORBID("namespaces", fsconfig, "the new mount interface", ANY)
    FORBID("namespaces", fsmount, "the new mount interface", ANY)
    FORBID("namespaces", fspick, "the new mount interface", ANY)
    FORBID("namespaces", open_tree, "the new mount interface", ANY)
    FORBID("namespaces", move_mount, "the new mount interface", ANY)
    FORBID("namespaces", mount_setattr, "the new mount interface", ANY)
    FORBID("namespaces", open_by_handle_at, "files past their names", ANY)
    FORBID("namespaces", name_to_handle_at, "files past their names", ANY)
    FORBID("namespaces", memfd_create, "files without a name, and memory that no limit counts", ANY)
    FORBID("namespaces", memfd_secret, "files without a name, and memory that no limit counts", ANY)
    /* clang-format on */
};
const size_t policy_row_count = array_size(policy_rows);

/* ---- putting the filters on ---- */

static int load_notify(struct sock_fprog *program)
{
    long listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                            SECCOMP_FILTER_FLAG_NEW_LISTENER, program);

    return listener < 0 ? -errno : (int)listener;
}

/* Without a listener the calls must still not succeed: the same filter, killing. */
static int load_killing(const struct sock_fprog *program)
{
    struct sock_filter code[POLICY_FILTER_MAX];
    struct sock_fprog killing = {.len = program->len, .filter = code};

    memcpy(code, program->filter, program->len * sizeof(*code));
    for (unsigned short i = 0; i < program->len; i++) {
        if (code[i].code == (BPF_RET | BPF_K) && code[i].k == SECCOMP_RET_USER_NOTIF) {
            code[i].k = SECCOMP_RET_KILL_PROCESS;
        }
    }
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &killing) == 0 ? 0 : -errno;
}

int policy_install_notify(int *ret_listener)
{
    struct sock_fprog program = {.len = policy_notify_filter.length,
                                 .filter =
                                     (struct sock_filter *)policy_notify_filter.code};
    int listener = load_notify(&program);

    if (listener >= 0) {
        *ret_listener = listener;
        return 0;
    }
    *ret_listener = -1;
    return load_killing(&program);
}

int policy_install_sandbox(pid_t self)
{
    struct sock_filter code[POLICY_FILTER_MAX];
    struct sock_fprog program = {.len = policy_sandbox_filter.length, .filter = code};

    memcpy(code, policy_sandbox_filter.code, program.len * sizeof(*code));
    for (unsigned short i = 0; i < program.len; i++) {
        if (code[i].k == POLICY_OWN_PID) {
            code[i].k = (uint32_t)self;
        }
    }
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0 ? 0 : -errno;
}

long policy_insist(int number, const long arguments[5])
{
    long result;

    do {
        result = syscall(number, arguments[0], arguments[1], arguments[2], arguments[3],
                         arguments[4], (long)POLICY_INSISTS);
    } while (result < 0 && errno == EINTR);
    return result < 0 ? -errno : result;
}

/* ---- names ---- */

const char *policy_call_name(int number)
{
    for (size_t i = 0; i < policy_row_count; i++) {
        if (policy_rows[i].number == number) {
            return policy_rows[i].name;
        }
    }
    return NULL;
}

/* ---- printing ---- */

static void print_argument(const struct policy_argument *argument, struct buffer *to)
{
    static const char *const signs[] = {[POLICY_EQUAL] = "==",
                                        [POLICY_NOT_EQUAL] = "!=",
                                        [POLICY_AT_MOST] = "<=",
                                        [POLICY_ABOVE] = ">"};
    unsigned long long value = argument->value;

    if (argument->compare == POLICY_MASKED) {
        buffer_printf(to, " arg%u & 0x%llx == 0x%llx", argument->index, value,
                      (unsigned long long)argument->masked);
    } else if (argument->compare != POLICY_ANY) {
        buffer_printf(to, " arg%u %s 0x%llx", argument->index, signs[argument->compare],
                      value);
    }
}

void policy_print(struct buffer *to)
{
    static const char *const actions[] = {
        [POLICY_ALLOW] = "allow",
        [POLICY_ERRNO] = "errno",
        [POLICY_FORBIDDEN] = "kill",
        [POLICY_TRAP] = "serve",
    };

    for (size_t i = 0; i < policy_row_count; i++) {
        const struct policy_row *row = &policy_rows[i];

        buffer_printf(to, "%-16s %-6s %-18s %s;", row->group, actions[row->action],
                      row->name, row->why);
        if (row->action == POLICY_ERRNO) {
            buffer_printf(to, " %s;",
                          row->error == 0 ? "as if done" : strerrorname_np(row->error));
        }
        for (size_t k = 0; k < POLICY_ARGUMENTS; k++) {
            print_argument(&row->arguments[k], to);
        }
        buffer_add_char(to, '\n');
    }
    buffer_add_text(
        to, "everything else  errno  EPERM; another architecture's calls: killed\n");
}
