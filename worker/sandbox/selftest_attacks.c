/* SPDX-License-Identifier: MIT */
/*
 * Attacking our own sandbox: the table of what is tried from within. Runs in children of
 * the zygote that never see a job, once they are locked. Must leave nothing behind, and
 * never say that a layer holds that was not attacked.
 */
#include "common/cleanup.h"
#include "worker/sandbox/rlimits.h"
#include "worker/sandbox/selftest_parts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- attacks on a whole sandbox ---- */

static bool unknown_call_denied(const struct target *target)
{
    return syscall(999) == -1 && errno == EPERM && syscall(SYS_uname, NULL) == -1 &&
           errno == EPERM;
}

static bool no_socket(const struct target *target)
{
    return socket(AF_INET, SOCK_STREAM, 0) < 0 && socket(AF_UNIX, SOCK_STREAM, 0) < 0;
}

static bool no_file(const struct target *target)
{
    return open("/", O_RDONLY) < 0 && open("/etc/passwd", O_RDONLY) < 0 &&
           open("/dev/null", O_WRONLY) < 0 && open("x", O_CREAT | O_WRONLY, 0600) < 0;
}

/* ---- attacks on the layers below the filter ---- */

static bool limited(const struct target *target)
{
    return rlimits_hold(target->settings);
}

static bool gains_nothing(const struct target *target)
{
    return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
}

/* Nor what no_new_privs alone would keep from it: the bounding set is what an execve by
 * root, or of a file that has power, could give. An ordinary user without a namespace may
 * not empty it, and has that alone. */
static bool nothing_to_gain(enum isolation isolation)
{
    uint64_t kept = lockdown_kept(isolation);

    for (int cap = 0; cap < 64 && isolation != ISOLATION_NONE; cap++) {
        if ((kept >> cap & 1) == 0 && prctl(PR_CAPBSET_READ, cap) == 1) {
            return false;
        }
    }
    return true;
}

static bool powerless(const struct target *target)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{0}};

    /* With one mapped id its number is 0 and means nothing: what counts is that it has no
     * power. */
    return syscall(SYS_capget, &header, data) == 0 && data[0].effective == 0 &&
           data[0].permitted == 0 && data[1].permitted == 0 && setgroups(0, NULL) != 0 &&
           (target->settings->uid_first == 0 || setresuid(0, 0, 0) != 0) &&
           nothing_to_gain(target->settings->isolation);
}

static bool own_uid(const struct target *target)
{
    return target->settings->uid_first != 0 &&
           getuid() == target->settings->uid_first + UNFILTERED_PLACE &&
           geteuid() == getuid() && getgid() == getuid() && getegid() == getgid();
}

static bool three_fds(const struct target *target)
{
    int open_fds = 0;

    for (int fd = 0; fd < 4096; fd++) {
        open_fds += fcntl(fd, F_GETFD) >= 0;
    }
    return open_fds == 3;
}

static bool root_is_empty(const struct target *target)
{
    struct stat status;

    return stat("/etc", &status) != 0 && stat("/proc", &status) != 0 &&
           mkdir("/x", 0700) != 0;
}

#define ABI_TCP    4 /* of Landlock: what each brought, lockdown.c says */
#define ABI_SOCKET 6

static bool no_port(void)
{
    const struct sockaddr_in any = {.sin_family = AF_INET};
    autoclose int fd = socket(AF_INET, SOCK_STREAM, 0);

    return fd >= 0 && bind(fd, (const struct sockaddr *)&any, sizeof(any)) != 0 &&
           errno == EACCES;
}

static bool no_abstract_socket(const struct lockdown *lockdown)
{
    autoclose int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    return lockdown->outside < 0 ||
           (fd >= 0 &&
            connect(fd, (const struct sockaddr *)&lockdown->outside_name,
                    lockdown->outside_size) != 0 &&
            errno == EPERM);
}

static bool nothing_outside(const struct target *target)
{
    uint32_t abi = target->lockdown->landlock_abi;

    return open("/", O_RDONLY | O_DIRECTORY) < 0 && errno == EACCES &&
           (abi < ABI_TCP || no_port()) &&
           (abi < ABI_SOCKET || no_abstract_socket(target->lockdown));
}

static bool dies_with_parent(const struct target *target)
{
    int signo = 0;

    return prctl(PR_GET_PDEATHSIG, &signo) == 0 && signo == SIGKILL;
}

static bool parent_is_init(const struct target *target)
{
    return getppid() == 1;
}

static bool network_unreachable(const struct target *target)
{
    const struct sockaddr_in somewhere = {.sin_family = AF_INET,
                                          .sin_port = htons(9),
                                          .sin_addr.s_addr = htonl(0xc0000201)};
    autoclose int fd = socket(AF_INET, SOCK_DGRAM, 0);

    return fd < 0 ||
           connect(fd, (const struct sockaddr *)&somewhere, sizeof(somewhere)) != 0;
}

static bool not_dumpable(const struct target *target)
{
    return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0;
}

/* The self-test's own group has room for one task, which is this one. */
static bool no_second_task(const struct target *target)
{
    pid_t pid = fork();

    if (pid == 0) {
        _exit(0);
    }
    if (pid > 0) {
        (void)waitpid(pid, NULL, 0);
    }
    return pid < 0;
}

struct attack {
    uint32_t layer;
    bool filtered; /* on the whole sandbox; else on one without the filter */
    bool (*holds)(const struct target *target);
};

static const struct attack attacks[] = {
    {LAYER_SECCOMP, true, unknown_call_denied},
    {LAYER_NO_NETWORK, true, no_socket},
    {LAYER_NO_FILESYSTEM, true, no_file},
    {LAYER_RLIMITS, false, limited},
    {LAYER_NO_NEW_PRIVS, false, gains_nothing},
    {LAYER_UNPRIVILEGED_UID, false, powerless},
    {LAYER_OWN_UID, false, own_uid},
    {LAYER_CLOSED_FDS, false, three_fds},
    {LAYER_EMPTY_ROOT | LAYER_MOUNT_NS, false, root_is_empty},
    {LAYER_LANDLOCK, false, nothing_outside},
    {LAYER_PID_NS, false, parent_is_init},
    {LAYER_NET_NS, false, network_unreachable},
    {LAYER_NOT_DUMPABLE, false, not_dumpable},
    {LAYER_PARENT_DEATH, false, dies_with_parent},
    {LAYER_PIDS_GROUP, false, no_second_task},
};

void selftest_attack(const struct target *target, bool filtered)
{
    for (size_t i = 0; i < array_size(attacks); i++) {
        if (attacks[i].filtered == filtered && attacks[i].holds(target)) {
            atomic_fetch_or(&target->findings->held, attacks[i].layer);
        }
    }
}
