/* SPDX-License-Identifier: MIT */
/*
 * Creating processes. Runs in the supervisor, which is single-threaded; between fork and
 * exec only calls that are safe there. Failures of the child come back over a
 * close-on-exec pipe with the name of the step. Must never leave a child behind that is
 * not held by a pidfd.
 */
#include "supervisor/spawn.h"

#include "common/fd.h"
#include "common/limits.h"
#include "common/namespace.h"
#include "common/role.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- finding our files ---- */

int spawn_open_own(const char *name, int *ret_fd, char path[LIMIT_PATH],
                   struct buffer *why)
{
    char here[LIMIT_PATH];
    char paths[2][LIMIT_PATH + 64];
    ssize_t size = readlink("/proc/self/exe", here, sizeof(here) - 1);
    char *slash;

    here[size > 0 ? size : 0] = '\0';
    slash = strrchr(here, '/');
    if (slash != NULL) {
        *slash = '\0';
    }
    (void)snprintf(paths[0], sizeof(paths[0]), "%s/%s", here, name);
    (void)snprintf(paths[1], sizeof(paths[1]), "%s/../libexec/paddock/%s", here, name);
    for (size_t i = 0; i < array_size(paths); i++) {
        int fd = open(paths[i], O_RDONLY | O_CLOEXEC);

        if (fd >= 0) {
            *ret_fd = fd;
            if (path != NULL) {
                (void)snprintf(path, LIMIT_PATH, "%.*s", LIMIT_PATH - 1, paths[i]);
            }
            return 0;
        }
    }
    buffer_printf(why, "unable to find %s, neither as %s nor as %s", name, paths[0],
                  paths[1]);
    return -ENOENT;
}

/* ---- the child's side ---- */

struct birth {
    const struct spawn *spawn;
    bool root;    /* the parent's; in a user namespace ours depends on the maps */
    int go;       /* read end: the parent has written the id maps */
    int go_write; /* the parent's end, not to be kept: when it is closed, nothing comes */
    int failures; /* write end */
};

static _Noreturn void give_up(const struct birth *birth, const char *step)
{
    char message[128];
    int size = snprintf(message, sizeof(message), "%s: %s", step, strerror(errno));

    if (size > 0 && write(birth->failures, message, (size_t)size) < 0) {
        _exit(ROLE_EXIT_SYSTEM);
    }
    _exit(ROLE_EXIT_SYSTEM);
}

static void reset_signals(const struct birth *birth)
{
    const struct sigaction usual = {.sa_handler = SIG_DFL};
    sigset_t none;

    for (int signo = 1; signo < NSIG; signo++) {
        (void)sigaction(signo, &usual, NULL);
    }
    (void)sigemptyset(&none);
    if (!birth->spawn->waits && sigprocmask(SIG_SETMASK, &none, NULL) != 0) {
        give_up(birth, "reset signals");
    }
}

static bool gets_namespaces(const struct spawn *spawn)
{
    return spawn->locked && spawn->isolation <= ISOLATION_SINGLE;
}

/* A user may not drop groups, not even its own (user_namespaces(7)). */
static void take_ids(const struct birth *birth)
{
    bool mapped = gets_namespaces(birth->spawn);
    char byte;

    if (mapped && read(birth->go, &byte, 1) != 1) {
        give_up(birth, "wait for the id maps");
    }
    if (birth->spawn->locked && birth->root && setgroups(0, NULL) != 0) {
        give_up(birth, "drop groups");
    }
    if (mapped && (setresgid(0, 0, 0) != 0 || setresuid(0, 0, 0) != 0)) {
        give_up(birth, "take the namespace's ids");
    }
}

/* Out of the way of the numbers that are to be taken. */
static int move_up(const struct birth *birth, int fd)
{
    int moved = fcntl(fd, F_DUPFD_CLOEXEC, 10);

    if (moved < 0) {
        give_up(birth, "place file descriptors");
    }
    return moved;
}

/* dup2 keeps no CLOEXEC: what is placed stays, all others close at the exec. */
static void place_fds(const struct birth *birth, int *ret_binary)
{
    const struct spawn *spawn = birth->spawn;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    struct {
        int fd; /* -1: what is there stays */
        int target;
    } places[] = {{spawn->input >= 0 ? spawn->input : null, 0},
                  {spawn->output >= 0 ? spawn->output : null, 1},
                  {spawn->output, 2},
                  {spawn->peer, ROLE_PEER}};

    for (size_t i = 0; i < array_size(places); i++) {
        places[i].fd = places[i].fd >= 0 ? move_up(birth, places[i].fd) : -1;
    }
    *ret_binary = move_up(birth, spawn->binary);
    for (size_t i = 0; i < array_size(places); i++) {
        if (places[i].fd >= 0 && dup2(places[i].fd, places[i].target) < 0) {
            give_up(birth, "place file descriptors");
        }
    }
    if (null < 0 || close_range(spawn->peer >= 0 ? ROLE_PEER + 1 : ROLE_PEER, ~0u,
                                CLOSE_RANGE_CLOEXEC) != 0) {
        give_up(birth, "close file descriptors");
    }
}

static void leave_session(const struct birth *birth)
{
    (void)setsid(); /* fails for a group leader only, which a fresh child is not */
    (void)umask(077);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        give_up(birth, "set no_new_privs");
    }
    if (chdir("/") != 0) {
        give_up(birth, "leave its folder");
    }
}

/* Some systems let everybody make namespaces, and refuse what they would be good for. */
static _Noreturn void try_namespaces(const struct birth *birth)
{
    int error = gets_namespaces(birth->spawn) ? namespace_empty_root() : 0;

    if (error < 0) {
        errno = -error;
        give_up(birth, "enter an empty root");
    }
    _exit(ROLE_EXIT_OK);
}

static _Noreturn void run_child(const struct birth *birth)
{
    /* LD_BIND_NOW: what ld.so looks up once it need not look up in every sandbox. */
    static const char *const environment[] = {"PATH=/usr/bin:/bin", "LANG=C.UTF-8",
                                              "TZ=UTC", "LD_BIND_NOW=1", NULL};
    int binary;

    (void)close(birth->go_write);
    reset_signals(birth);
    take_ids(birth);
    leave_session(birth);
    if (birth->spawn->trial) {
        try_namespaces(birth);
    }
    place_fds(birth, &binary);
    /* After the ids: changing them clears it. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) {
        give_up(birth, "die with the supervisor");
    }
    (void)syscall(SYS_execveat, binary, "", birth->spawn->argv, environment,
                  AT_EMPTY_PATH);
    give_up(birth, errno == EACCES ? "run the program (is it executable for everybody?)"
                                   : "run the program");
}

/* ---- the parent's side ---- */

static int write_file(pid_t pid, const char *name, const char *text)
{
    char path[64];
    autoclose int fd = -1;

    (void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd_write_full(fd, text, strlen(text));
}

/* Root maps ids that nobody has, so that a sandbox is never root to the host; a user has
 * only its own to give, and must give up setting groups for it (user_namespaces(7)). */
static int write_maps(const struct spawn *spawn, pid_t pid)
{
    bool root = geteuid() == 0;
    int count = spawn->isolation == ISOLATION_RANGE ? SPAWN_IDS : 1;
    char uids[64], gids[64];
    int error = root ? 0 : write_file(pid, "setgroups", "deny");

    (void)snprintf(uids, sizeof(uids), "0 %lld %d",
                   root ? (long long)spawn->uid_first : geteuid(), count);
    (void)snprintf(gids, sizeof(gids), "0 %lld %d",
                   root ? (long long)spawn->uid_first : getegid(), count);
    if (error == 0) {
        error = write_file(pid, "uid_map", uids);
    }
    return error == 0 ? write_file(pid, "gid_map", gids) : error;
}

static pid_t make_process(const struct spawn *spawn, int *ret_pidfd)
{
    int flags = CLONE_PIDFD | SIGCHLD;

    if (gets_namespaces(spawn)) {
        flags |= namespace_flags();
    }
    /* As fork(2): no stack of its own. */
    return (pid_t)syscall(SYS_clone, flags, NULL, ret_pidfd, NULL, NULL);
}

/* Reads what the child had to say before its exec. Empty: it was well. */
static int read_failure(int fd, struct buffer *why)
{
    char message[128];
    ssize_t size;

    do {
        size = read(fd, message, sizeof(message) - 1);
    } while (size < 0 && errno == EINTR);
    if (size <= 0) {
        return 0;
    }
    buffer_printf(why, "unable to %.*s", (int)size, message);
    return -ECHILD;
}

static int see_through(const struct spawn *spawn, pid_t pid, int go, int failures,
                       struct buffer *why)
{
    if (gets_namespaces(spawn)) {
        int error = write_maps(spawn, pid);

        if (error < 0) {
            buffer_printf(why, "unable to map ids: %s", strerror(-error));
            return error;
        }
        if (write(go, "x", 1) != 1) {
            return -errno;
        }
    }
    return read_failure(failures, why);
}

int spawn_start(const struct spawn *spawn, struct process *ret, struct buffer *why)
{
    autoclose int go_read = -1, go_write = -1, fail_read = -1, fail_write = -1;
    struct birth birth = {.spawn = spawn, .root = geteuid() == 0};
    int go[2], failures[2], pidfd = -1, status, error;
    pid_t pid;

    if (pipe2(go, O_CLOEXEC) != 0 || pipe2(failures, O_CLOEXEC) != 0) {
        return -errno;
    }
    go_read = go[0], go_write = go[1], fail_read = failures[0], fail_write = failures[1];
    birth.go = go_read;
    birth.go_write = go_write;
    birth.failures = fail_write;
    pid = make_process(spawn, &pidfd);
    if (pid == 0) {
        run_child(&birth);
    }
    if (pid < 0) {
        buffer_printf(why, "unable to make a process: %s", strerror(errno));
        return -errno;
    }
    close_fd(&fail_write);
    *ret = (struct process){pid, pidfd};
    error = see_through(spawn, pid, go_write, fail_read, why);
    if (error < 0) { /* it ends by itself, too: nothing comes any more */
        close_fd(&go_write);
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, &status, 0);
        close_fd(&ret->pidfd);
        *ret = PROCESS_INIT;
    }
    return error;
}

/* ---- what this machine grants ---- */

static bool grants(enum isolation isolation, int64_t uid_first, struct buffer *why)
{
    const struct spawn spawn = {.binary = -1,
                                .input = -1,
                                .peer = -1,
                                .output = -1,
                                .locked = true,
                                .isolation = isolation,
                                .uid_first = uid_first,
                                .trial = true};
    struct process process = PROCESS_INIT;
    int status;

    buffer_reset(why);
    if (spawn_start(&spawn, &process, why) < 0) {
        return false;
    }
    (void)waitpid(process.pid, &status, 0);
    close_fd(&process.pidfd);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

enum isolation spawn_best_isolation(int64_t uid_first, struct buffer *why)
{
    bool root = geteuid() == 0;

    if (root && grants(ISOLATION_RANGE, uid_first, why)) {
        return ISOLATION_RANGE;
    }
    if (grants(ISOLATION_SINGLE, uid_first, why)) {
        return ISOLATION_SINGLE;
    }
    return root ? ISOLATION_ROOT : ISOLATION_NONE;
}

/* ---- afterwards ---- */

int process_reap(struct process *process, int *ret_status)
{
    if (process->pid == 0 || waitpid(process->pid, ret_status, WNOHANG) != process->pid) {
        return 0;
    }
    close_fd(&process->pidfd);
    process->pid = 0;
    return 1;
}

void process_signal(const struct process *process, int signo)
{
    if (process->pid != 0) {
        int error = fd_pidfd_send_signal(process->pidfd, signo);

        (void)error; /* it may be dead already: that is what was wanted */
    }
}
