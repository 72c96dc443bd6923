/* SPDX-License-Identifier: MIT */
/*
 * syscall_fuzz CALLS SEED: system calls by chance in processes that are locked as
 * sandboxes are, each answer held against the policy's table. Theory of operation:
 *
 * The parent plays the zygote: it holds the listener for forbidden calls and kills who
 * makes one. A child makes calls until it dies of one, has made enough of them, or waits;
 * then the next one is forked. What it has found lies in memory that both share. A
 * finding is an answer that the table does not give; a forbidden call that returns, or
 * one that is reported and is none; a file descriptor, another id, a process, a mount or
 * a System V object that was not there before; and a death by SIGKILL that is not ours:
 * in a pool that would be taken for a fault and not for the program's own doing. All of
 * it runs without power, and where they are granted in namespaces of its own. The same
 * seed makes the same calls, but for what the kernel changes in between.
 */
#include "tests/sandbox/locked.h"
#include "tests/sandbox/policy_model.h"
#include "tests/sandbox/random_call.h"

#include "common/cleanup.h"
#include "common/fd.h"
#include "common/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY       65534
#define X32          0x40000000
#define PER_CHILD    2000
#define LOOK_EVERY   64 /* calls between two looks at what is open */
#define WAITS_MS     20
#define FINDINGS_MAX 20
#define SCRATCH      (64 * 4096)
#define GUARD        4096
#define TRAP_RESULT  3

enum answer { REFUSED, ALLOWED, SERVED, FORBIDDEN, FOREIGN, ANSWERS };

/* Written by the child, read by the parent. */
static struct shared {
    bool locked; /* since the last fork */
    uint64_t made;
    uint64_t answers[ANSWERS];
    int number; /* of the call that is being made */
    uint64_t args[6];
    char finding[256];
} * shared;

static struct {
    uint64_t calls, seed, child;
    uint64_t children, waited, died, findings;
    int listener;
} fuzz = {.listener = -1};

/* ---- findings ---- */

static void find(const char *what)
{
    const uint64_t *args = shared->args;
    const char *name = policy_call_name(shared->number);

    fuzz.findings++;
    (void)printf("FOUND seed %" PRIu64 " child %" PRIu64 ": %s: %s (%d) 0x%" PRIx64
                 " 0x%" PRIx64 " 0x%" PRIx64 " 0x%" PRIx64 " 0x%" PRIx64 " 0x%" PRIx64
                 "\n",
                 fuzz.seed, fuzz.child, what, name != NULL ? name : "?", shared->number,
                 args[0], args[1], args[2], args[3], args[4], args[5]);
}

/* In the child: the parent tells of it. */
static _Noreturn void found(const char *what, long result, int error)
{
    (void)snprintf(shared->finding, sizeof(shared->finding), "%s: result %ld, errno %d",
                   what, result, error);
    (void)syscall(SYS_exit_group, 0);
    abort();
}

/* ---- the child ---- */

static long on_trap(int call)
{
    return TRAP_RESULT;
}

/* uretprobe and uprobe: newer kernels pass them by every filter, and answer only those
 * who trace. */
static bool passes_by_filters(int number)
{
    return number == 335 || number == 336;
}

static enum answer expected(int number, const uint64_t args[6], uint32_t self)
{
    const struct policy_row *row = row_for(number, args, self);

    if ((number & X32) != 0) {
        return FOREIGN;
    }
    if (row == NULL) {
        return passes_by_filters(number) ? ALLOWED : REFUSED;
    }
    switch (row->action) {
    case POLICY_ALLOW: return ALLOWED;
    case POLICY_TRAP: return SERVED;
    case POLICY_FORBIDDEN: return FORBIDDEN;
    case POLICY_ERRNO: break;
    }
    return REFUSED;
}

static int refusal(int number, const uint64_t args[6], uint32_t self)
{
    const struct policy_row *row = row_for(number, args, self);

    return row != NULL ? row->error : POLICY_DEFAULT_ERRNO;
}

static void check(enum answer meant, uint32_t self, long result, int error)
{
    bool mask = shared->number == SYS_rt_sigprocmask && shared->args[3] == 8;
    int refused;

    switch (meant) {
    case REFUSED:
        refused = refusal(shared->number, shared->args, self);
        if (result != (refused == 0 ? 0 : -1) || error != refused) {
            found("not refused as the table says", result, error);
        }
        break;
    case SERVED:
        if (!mask && (result != TRAP_RESULT || error != 0)) {
            found("not served", result, error);
        }
        break;
    case FORBIDDEN: found("a forbidden call returned", result, error);
    case FOREIGN: found("a foreign call returned", result, error);
    case ALLOWED:
    case ANSWERS: break;
    }
}

static void look_around(uid_t uid)
{
    int open_fds = 0;

    for (int fd = 0; fd < 64; fd++) {
        open_fds += fcntl(fd, F_GETFD) >= 0;
    }
    if (open_fds != 3) {
        found("file descriptors", open_fds, 0);
    }
    if (getuid() != uid || geteuid() != uid) {
        found("another id", (long)geteuid(), 0);
    }
}

static void limit(int resource, rlim_t value)
{
    const struct rlimit both = {value, value};

    if (setrlimit(resource, &both) != 0) {
        _exit(EXIT_NO_SETUP);
    }
}

static void limit_all(void)
{
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_FSIZE, 0);
    limit(RLIMIT_NOFILE, 64);
#ifndef PADDOCK_SANITIZED
    limit(RLIMIT_AS, MIB(1024));
#endif
}

static void make_call(struct random_call_state *state)
{
    uint64_t *args = shared->args;
    enum answer meant;
    long result;

    random_call(state, &shared->number, args);
    meant = expected(shared->number, args, state->self);
    shared->made++;
    shared->answers[meant]++;
    errno = 0;
    result =
        syscall(shared->number, args[0], args[1], args[2], args[3], args[4], args[5]);
    check(meant, state->self, result, result == -1 ? errno : 0);
}

/* With a page before and behind it that nobody can use: the kernel stops there when a
 * call says more than there is. */
static uintptr_t map_scratch(void)
{
    char *place =
        mmap(NULL, SCRATCH + 2 * GUARD, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (place == MAP_FAILED ||
        mprotect(place + GUARD, SCRATCH, PROT_READ | PROT_WRITE) != 0) {
        _exit(EXIT_NO_SETUP);
    }
    return (uintptr_t)place + GUARD;
}

static _Noreturn void run_child(void)
{
    struct random_call_state state = {.random = (fuzz.seed << 32) + fuzz.child + 1,
                                      .scratch_size = SCRATCH};
    uid_t uid = getuid();

    state.scratch = map_scratch();
    state.self = (uint32_t)getpid();
    limit_all();
    if (fd_close_from(3) < 0) {
        _exit(EXIT_NO_SETUP);
    }
    locked_become(true, on_trap);
    shared->locked = true;
    for (int i = 1; i <= PER_CHILD; i++) {
        make_call(&state);
        if (i % LOOK_EVERY == 0) {
            look_around(uid);
        }
    }
    (void)syscall(SYS_exit_group, 0);
    abort();
}

/* ---- the parent ---- */

static void on_notification(pid_t pid)
{
    struct seccomp_notif notification = {0};
    const struct policy_row *row;

    if (ioctl(fuzz.listener, SECCOMP_IOCTL_NOTIF_RECV, &notification) != 0) {
        return;
    }
    row = row_for(notification.data.nr, (const uint64_t *)notification.data.args,
                  (uint32_t)pid);
    if (row == NULL || row->action != POLICY_FORBIDDEN) {
        find("reported, and not forbidden");
    }
    (void)kill(pid, SIGKILL);
}

/* Returns whether it was ended by us. */
static bool attend(pid_t pid, int pidfd)
{
    uint64_t made = shared->made;
    bool ours = false;

    for (;;) {
        struct pollfd fds[] = {{.fd = fuzz.listener, .events = POLLIN},
                               {.fd = pidfd, .events = POLLIN}};
        int ready = poll(fds, 2, WAITS_MS);

        if (fds[1].revents != 0) {
            return ours;
        }
        if ((fds[0].revents & POLLIN) != 0) {
            on_notification(pid);
            ours = true;
        } else if (ready == 0 && shared->locked && made == shared->made) {
            (void)kill(pid, SIGKILL);
            fuzz.waited += !ours;
            ours = true;
        }
        made = shared->made;
    }
}

static void judge(int status, bool ours)
{
    if (shared->finding[0] != '\0') {
        find(shared->finding);
        shared->finding[0] = '\0';
    }
    if (!shared->locked) {
        find("unable to set a child up");
    }
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && !ours) {
        find("a death by SIGKILL that is not ours");
    }
    fuzz.died += WIFSIGNALED(status) && !ours;
    if (waitpid(-1, &status, WNOHANG) != -1 || errno != ECHILD) {
        find("a process was left behind");
    }
}

static void run_one(void)
{
    autoclose int pidfd = -1;
    pid_t pid;
    int status = 0;
    bool ours;

    (void)fflush(stdout);
    shared->locked = false;
    pid = fork();
    if (pid == 0) {
        run_child();
    }
    pidfd = pid > 0 ? pidfd_open(pid, 0) : -1;
    if (pidfd < 0) {
        find("unable to fork");
        return;
    }
    ours = attend(pid, pidfd);
    (void)waitpid(pid, &status, 0);
    judge(status, ours);
    fuzz.children++;
    fuzz.child++;
}

/* ---- what must not change ---- */

static const char *const watched[] = {"/proc/self/mountinfo", "/proc/sysvipc/shm",
                                      "/proc/sysvipc/sem", "/proc/sysvipc/msg"};

struct sight {
    char *text[array_size(watched)];
};

static struct sight look(void)
{
    struct sight sight = {{NULL}};
    size_t size;

    for (size_t i = 0; i < array_size(watched); i++) {
        if (fd_read_file(watched[i], MIB(1), &sight.text[i], &size) < 0) {
            sight.text[i] = NULL;
        }
    }
    return sight;
}

static void compare(struct sight *before, struct sight *after)
{
    for (size_t i = 0; i < array_size(watched); i++) {
        const char *was = before->text[i], *is = after->text[i];

        if (was != NULL && (is == NULL || strcmp(was, is) != 0)) {
            find(watched[i]);
        }
        free(before->text[i]);
        free(after->text[i]);
    }
}

/* ---- all of it ---- */

static int run(bool alone)
{
    struct sight before = {{NULL}}, after = {{NULL}};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_CHILD_SUBREAPER, 1) != 0 ||
        policy_install_notify(&fuzz.listener) != 0 || fuzz.listener < 0) {
        (void)printf("there is no listener for forbidden calls here\n");
        return 1;
    }
    if (alone) {
        before = look();
    }
    while (shared->made < fuzz.calls && fuzz.findings < FINDINGS_MAX) {
        run_one();
    }
    if (alone) {
        after = look();
    }
    compare(&before, &after);
    (void)printf(
        "calls %" PRIu64 " refused %" PRIu64 " allowed %" PRIu64 " served %" PRIu64
        " forbidden %" PRIu64 " foreign %" PRIu64 " sandboxes %" PRIu64 " waited %" PRIu64
        " died %" PRIu64 " findings %" PRIu64 "\n",
        shared->made, shared->answers[REFUSED], shared->answers[ALLOWED],
        shared->answers[SERVED], shared->answers[FORBIDDEN], shared->answers[FOREIGN],
        fuzz.children, fuzz.waited, fuzz.died, fuzz.findings);
    return fuzz.findings == 0 ? 0 : 1;
}

static bool become_nobody(void)
{
    return geteuid() != 0 ||
           (setgroups(0, NULL) == 0 && setresgid(NOBODY, NOBODY, NOBODY) == 0 &&
            setresuid(NOBODY, NOBODY, NOBODY) == 0 && prctl(PR_SET_DUMPABLE, 1) == 0);
}

/* As process 1 of namespaces of its own where they are granted, for what a hole would
 * reach. */
static int run_apart(void)
{
    bool alone = unshare(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET |
                         CLONE_NEWIPC | CLONE_NEWUTS) == 0;
    pid_t pid;
    int status = 1;

    (void)fflush(stdout);
    pid = fork();
    if (pid == 0) {
        status = run(alone);
        (void)fflush(stdout);
        _exit(status);
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        (void)fprintf(stderr, "usage: syscall_fuzz CALLS SEED\n");
        return 2;
    }
    fuzz.calls = strtoull(argv[1], NULL, 10);
    fuzz.seed = strtoull(argv[2], NULL, 10);
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED || !become_nobody()) {
        (void)fprintf(stderr, "syscall_fuzz: unable to begin\n");
        return 1;
    }
    return run_apart();
}
