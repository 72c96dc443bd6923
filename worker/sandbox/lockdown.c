/* SPDX-License-Identifier: MIT */
/*
 * Putting the zygote's lock on. Runs in the zygote, once, before it knows of any job;
 * needs the power that a fresh user namespace gives and ends by giving it up. Must never
 * leave a layer half done without saying so.
 */
#include "worker/sandbox/lockdown.h"

#include "common/cleanup.h"
#include "common/log.h"
#include "common/namespace.h"
#include "worker/sandbox/policy.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

/* ---- Landlock ---- */

/* What each ABI brought, as the kernel's landlock(7) lists it. Debian 12's header ends at
 * ABI 2. */
static const struct {
    uint32_t abi;
    uint64_t fs, net, scoped;
    const char *what;
} landlock_abis[] = {
    {1, 0x1fff, 0, 0, "files and folders"},
    {2, 1 << 13, 0, 0, "moving between folders"},
    {3, 1 << 14, 0, 0, "truncating"},
    {4, 0, 0x3, 0, "TCP bind and connect"},
    {5, 1 << 15, 0, 0, "ioctl on devices"},
    {6, 0, 0, 0x3, "abstract Unix sockets, signals"},
};

struct landlock_attr_all {
    uint64_t handled_access_fs;
    uint64_t handled_access_net;
    uint64_t scoped;
};

/* Everything that the kernel can deny is handled, and no rule allows any of it. */
static int restrict_by_landlock(uint32_t *ret_abi)
{
    struct landlock_attr_all attr = {0};
    long abi =
        syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    autoclose int ruleset = -1;
    size_t size = sizeof(attr.handled_access_fs);

    if (abi <= 0) {
        return -ENOSYS;
    }
    for (size_t i = 0; i < array_size(landlock_abis); i++) {
        if (landlock_abis[i].abi <= (uint32_t)abi) {
            attr.handled_access_fs |= landlock_abis[i].fs;
            attr.handled_access_net |= landlock_abis[i].net;
            attr.scoped |= landlock_abis[i].scoped;
        }
    }
    if (attr.handled_access_net != 0) {
        size = sizeof(uint64_t) * 2;
    }
    if (attr.scoped != 0) {
        size = sizeof(attr);
    }
    ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
    if (ruleset < 0 || syscall(SYS_landlock_restrict_self, ruleset, 0) != 0) {
        return -errno;
    }
    *ret_abi = (uint32_t)abi;
    return 0;
}

/* What is made before the lock is outside of it. */
static void listen_outside(struct lockdown *lockdown)
{
    const struct sockaddr_un any = {.sun_family = AF_UNIX};
    socklen_t size = sizeof(any.sun_family); /* the kernel chooses an abstract name */

    lockdown->outside = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (lockdown->outside < 0 ||
        bind(lockdown->outside, (const struct sockaddr *)&any, size) != 0 ||
        listen(lockdown->outside, 1) != 0) {
        close_fd(&lockdown->outside);
        return;
    }
    lockdown->outside_size = sizeof(lockdown->outside_name);
    if (getsockname(lockdown->outside, (struct sockaddr *)&lockdown->outside_name,
                    &lockdown->outside_size) != 0) {
        close_fd(&lockdown->outside);
    }
}

/* ---- attacks on namespaces ---- */

/* With all the power that there is in the user namespace, and an image that is none: with
 * power over the machine, it is that the kernel would say. */
static bool is_powerless_outside(void)
{
    return syscall(SYS_init_module, NULL, 0, "") != 0 &&
           (errno == EPERM || errno == ENOSYS);
}

static bool is_segment_hidden(int segment)
{
    struct shmid_ds status;

    return segment < 0 || shmctl(segment, IPC_STAT, &status) != 0;
}

/* Whether it is the machine's name, too, the supervisor sees. */
static bool is_renamed(void)
{
    static const char name[] = "sandbox";
    struct utsname host;

    return sethostname(name, strlen(name)) == 0 && uname(&host) == 0 &&
           strcmp(host.nodename, name) == 0;
}

static bool has_groups_of_its_own(const char *outside)
{
    char name[32] = "";

    return readlinkat(AT_FDCWD, "/proc/self/ns/cgroup", name, sizeof(name) - 1) > 0 &&
           strcmp(name, outside) != 0;
}

static void attack_namespaces(const struct message_setup *setup,
                              struct lockdown *lockdown)
{
    uint32_t held = 0;

    held |= is_powerless_outside() ? LAYER_USER_NS : 0;
    held |= is_segment_hidden(setup->segment) ? LAYER_IPC_NS : 0;
    held |= has_groups_of_its_own(setup->cgroup_ns) ? LAYER_CGROUP_NS : 0;
    held |= is_renamed() ? LAYER_UTS_NS : 0;
    lockdown->held |= held & lockdown->layers;
}

/* ---- capabilities ---- */

static int drop_bounding_set(uint64_t keep)
{
    for (int cap = 0; cap <= 63; cap++) {
        if ((keep >> cap & 1) == 0 && prctl(PR_CAPBSET_READ, cap) == 1 &&
            prctl(PR_CAPBSET_DROP, cap) != 0) {
            return -errno;
        }
    }
    return 0;
}

/* What the zygote keeps where sandboxes get ids of their own. A sandbox has none. */
static const struct {
    int number;
    const char *name;
    const char *why;
} kept[] = {
    {CAP_SETUID, "SETUID", "gives each sandbox an id of its own"},
    {CAP_SETGID, "SETGID", "likewise its group, and takes all others from it"},
    {CAP_KILL, "KILL", "ends a sandbox, whose id is another"},
};

uint64_t lockdown_kept(enum isolation isolation)
{
    bool changes_ids = isolation == ISOLATION_RANGE || isolation == ISOLATION_ROOT;
    uint64_t mask = 0;

    for (size_t i = 0; i < array_size(kept) && changes_ids; i++) {
        mask |= 1ull << kept[i].number;
    }
    return mask;
}

static int drop_capabilities(enum isolation isolation)
{
    uint64_t keep = lockdown_kept(isolation);
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{0}};
    int error = geteuid() == 0 ? drop_bounding_set(keep) : 0;

    if (error < 0) {
        return error;
    }
    data[0].effective = data[0].permitted = (uint32_t)keep;
    if (syscall(SYS_capset, &header, data) != 0) {
        return -errno;
    }
    return 0;
}

/* ---- memory ---- */

#ifndef PR_SET_MDWE
#define PR_SET_MDWE              65
#define PR_MDWE_REFUSE_EXEC_GAIN 1
#endif

/* Attacked at once: the filters that follow kill for both calls. */
static bool code_is_refused(void)
{
    size_t size = (size_t)sysconf(_SC_PAGESIZE);
    int flags = MAP_PRIVATE | MAP_ANONYMOUS;
    void *page = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, -1, 0);
    void *both = mmap(NULL, size, PROT_READ | PROT_WRITE | PROT_EXEC, flags, -1, 0);
    bool refused = page != MAP_FAILED && both == MAP_FAILED &&
                   mprotect(page, size, PROT_READ | PROT_EXEC) != 0;

    (void)munmap(page, size);
    (void)munmap(both, size);
    return refused;
}

/* From Linux 6.3 on; every child has it, too. Everything executable is loaded by now. */
static void forbid_new_code(struct lockdown *lockdown)
{
    if (prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) == 0) {
        lockdown->layers |= LAYER_MDWE;
        lockdown->held |= code_is_refused() ? LAYER_MDWE : 0;
    }
}

/* ---- the order ---- */

static bool has_namespaces(enum isolation isolation)
{
    return isolation == ISOLATION_RANGE || isolation == ISOLATION_SINGLE;
}

static int lock_root(const struct message_setup *setup, struct lockdown *lockdown)
{
    int error;

    if (!has_namespaces((enum isolation)setup->isolation)) {
        return 0;
    }
    lockdown->layers |= LAYER_USER_NS | LAYER_PID_NS | LAYER_NET_NS | LAYER_MOUNT_NS |
                        LAYER_IPC_NS | LAYER_UTS_NS | LAYER_CGROUP_NS;
    attack_namespaces(setup, lockdown);
    error = namespace_empty_root();
    if (error < 0) {
        return log_failure(error, "unable to enter an empty root");
    }
    lockdown->layers |= LAYER_EMPTY_ROOT;
    return 0;
}

static int lock_capabilities(enum isolation isolation)
{
    int error = drop_capabilities(isolation);

    return error < 0 ? log_failure(error, "unable to drop capabilities") : 0;
}

int lockdown_zygote(const struct message_setup *setup, struct lockdown *ret)
{
    struct lockdown lockdown = {.listener = -1, .outside = -1};
    int error = lock_root(setup, &lockdown);

    if (error < 0) {
        return error;
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        return log_failure(-errno, "unable to set no_new_privs");
    }
    error = lock_capabilities((enum isolation)setup->isolation);
    if (error < 0) {
        return error;
    }
    if (prctl(PR_SET_DUMPABLE, 0) != 0) {
        return log_failure(-errno, "unable to become non-dumpable");
    }
    listen_outside(&lockdown);
    error = restrict_by_landlock(&lockdown.landlock_abi);
    if (error == 0) {
        lockdown.layers |= LAYER_LANDLOCK;
    } else {
        (void)log_failure(error, "there is no Landlock here");
    }
    forbid_new_code(&lockdown);
    error = policy_install_notify(&lockdown.listener);
    if (error < 0) {
        return log_failure(error, "unable to forbid calls");
    }
    if (lockdown.listener >= 0) {
        lockdown.layers |= LAYER_NOTIFY;
    } else {
        log_warning(
            "forbidden calls will kill without being named: there is no listener");
    }
    *ret = lockdown;
    return 0;
}

/* ---- printing ---- */

static const struct {
    const char *name, *value, *why;
} attributes[] = {
    {"NO_NEW_PRIVS", "set", "no program could give it more than it has"},
    {"DUMPABLE", "0", "no core dump, no ptrace, no /proc/PID/mem"},
    {"PDEATHSIG", "SIGKILL", "no sandbox outlives its zygote"},
    {"MDWE", "where granted", "writable memory never becomes executable"},
};

void lockdown_print(struct buffer *to)
{
    for (size_t i = 0; i < array_size(kept); i++) {
        buffer_printf(to, "capability %-10s %-24s %s\n", kept[i].name, "zygote alone",
                      kept[i].why);
    }
    buffer_printf(to, "capability %-10s %-24s %s\n", "all others", "none",
                  "nothing that a program may do needs any");
    for (size_t i = 0; i < array_size(landlock_abis); i++) {
        buffer_printf(to, "landlock   ABI %-6u %-24s %s\n", landlock_abis[i].abi,
                      "denied, no rule", landlock_abis[i].what);
    }
    for (size_t i = 0; i < array_size(attributes); i++) {
        buffer_printf(to, "prctl      %-12s %-22s %s\n", attributes[i].name,
                      attributes[i].value, attributes[i].why);
    }
}
