/* SPDX-License-Identifier: MIT */
/*
 * The leaves of a pool's control group, one for each sandbox that can live, in sets: one
 * set for each zygote, so that an old and a new one never share any. Runs in the
 * supervisor, when a zygote starts or has died.
 */
#include "supervisor/cgroup.h"

#include "common/cleanup.h"
#include "common/message.h"
#include "supervisor/cgroup_files.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define TASKS       "128" /* as RLIMIT_NPROC */
#define PATIENCE_MS 10000 /* for the zygote to take what is sent */

/* ---- tables ---- */

/* enum group_fd; NULL: there is no such file. Files that must be there are marked. v1 is
 * joined by `tasks`: moving one thread takes no lock on all forks of the machine, which
 * is held for a grace period (25 us, and not 9 ms); v2 has only cgroup.procs. */
static const struct {
    enum cgroup_controller controller;
    const char *v1, *v2;
    bool must;
} files[GROUP_FDS] = {
    [GROUP_JOIN] = {CGROUP_MEMORY, "tasks", "cgroup.procs", true},
    [GROUP_JOIN_PIDS] = {CGROUP_PIDS, "tasks", NULL, false},
    [GROUP_LIMIT] = {CGROUP_MEMORY, "memory.limit_in_bytes", "memory.max", true},
    [GROUP_LIMIT_SWAP] = {CGROUP_MEMORY, "memory.memsw.limit_in_bytes", NULL, false},
    [GROUP_KILLS] = {CGROUP_MEMORY, "memory.oom_control", "memory.events", true},
    [GROUP_HITS] = {CGROUP_MEMORY, "memory.failcnt", "memory.events", true},
    [GROUP_PEAK] = {CGROUP_MEMORY, "memory.max_usage_in_bytes", "memory.peak", false},
};

/* What a leaf begins with. The limit of memory is the zygote's to set. */
static const struct {
    int version;
    enum cgroup_controller controller;
    const char *file, *value, *tested; /* the self-test's leaf */
    bool must;
} settings[] = {
    {1, CGROUP_MEMORY, "memory.swappiness", "0", "0", false},
    {1, CGROUP_PIDS, "pids.max", TASKS, "1", true},
    {2, CGROUP_MEMORY, "memory.swap.max", "0", "0", false},
    {2, CGROUP_MEMORY, "memory.oom.group", "1", "1", false},
    {2, CGROUP_PIDS, "pids.max", TASKS, "1", true},
};

/* ---- leaves ---- */

static int leaf_path(char to[LIMIT_PATH], const struct cgroup *cgroup,
                     enum cgroup_controller controller, uint32_t set, uint32_t number)
{
    char name[32];

    (void)snprintf(name, sizeof(name), "%u.%u", set, number);
    return cgroup_path(to, cgroup->paths[controller], name);
}

/* With v2 both controllers are in one folder. */
static bool is_apart(const struct cgroup *cgroup, enum cgroup_controller controller)
{
    return cgroup->paths[controller][0] != '\0' &&
           (controller == CGROUP_MEMORY || cgroup->version == 1);
}

static int make_folders(const struct cgroup *cgroup, uint32_t set, uint32_t number)
{
    char path[LIMIT_PATH];

    for (int i = 0; i < CGROUP_CONTROLLERS; i++) {
        if (!is_apart(cgroup, (enum cgroup_controller)i)) {
            continue;
        }
        if (leaf_path(path, cgroup, (enum cgroup_controller)i, set, number) < 0 ||
            (mkdir(path, 0755) != 0 && errno != EEXIST)) {
            return -errno;
        }
    }
    return 0;
}

static int make_leaf(const struct cgroup *cgroup, uint32_t set, uint32_t number)
{
    char path[LIMIT_PATH];
    int error = make_folders(cgroup, set, number);

    for (size_t i = 0; i < array_size(settings) && error == 0; i++) {
        if (settings[i].version != cgroup->version ||
            cgroup->paths[settings[i].controller][0] == '\0') {
            continue;
        }
        error = leaf_path(path, cgroup, settings[i].controller, set, number);
        if (error == 0) {
            error = cgroup_write(path, settings[i].file,
                                 number == 0 ? settings[i].tested : settings[i].value);
        }
        error = settings[i].must ? error : 0;
    }
    return error;
}

int cgroup_make_set(struct cgroup *cgroup, uint32_t sandboxes, uint32_t *ret_set,
                    struct buffer *why)
{
    uint32_t set = ++cgroup->sets;
    int error = 0;

    for (uint32_t i = 0; i <= sandboxes && error == 0; i++) {
        error = make_leaf(cgroup, set, i);
    }
    if (error < 0) {
        buffer_printf(why, "unable to make groups in %s: %s",
                      cgroup->paths[CGROUP_MEMORY], strerror(-error));
        cgroup_remove_set(cgroup, set, sandboxes);
        return error;
    }
    *ret_set = set;
    return 0;
}

void cgroup_remove_set(const struct cgroup *cgroup, uint32_t set, uint32_t sandboxes)
{
    char path[LIMIT_PATH];

    for (uint32_t i = 0; i <= sandboxes; i++) {
        for (int k = 0; k < CGROUP_CONTROLLERS; k++) {
            if (is_apart(cgroup, (enum cgroup_controller)k) &&
                leaf_path(path, cgroup, (enum cgroup_controller)k, set, i) == 0) {
                cgroup_remove(path, 0);
            }
        }
    }
}

/* ---- handing over ---- */

/* Files that only can be read are opened so: what is written to them is lost, as it is
 * where there is no file. */
static int open_file(const struct cgroup *cgroup, uint32_t set, uint32_t number,
                     enum group_fd which, int *ret_fd)
{
    const char *name = cgroup->version == 1 ? files[which].v1 : files[which].v2;
    char path[LIMIT_PATH], folder[LIMIT_PATH];

    if (name == NULL || cgroup->paths[files[which].controller][0] == '\0' ||
        leaf_path(folder, cgroup, files[which].controller, set, number) < 0 ||
        cgroup_path(path, folder, name) < 0) {
        (void)snprintf(path, sizeof(path), "/dev/null");
    }
    *ret_fd = open(path, O_RDWR | O_CLOEXEC);
    if (*ret_fd <
        0) { /* that of `tasks` of v1 may not be read by us, others not written */
        *ret_fd = open(path, O_RDONLY | O_CLOEXEC);
    }
    if (*ret_fd < 0 && !files[which].must) {
        *ret_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    }
    return *ret_fd >= 0 ? 0 : -errno;
}

/* The zygote takes them as they come, but has just begun. */
static int send_patiently(int socket, const struct message_group *group, const int *fds)
{
    struct pollfd ready = {.fd = socket, .events = POLLOUT};
    int error;

    while ((error = message_send(socket, MESSAGE_GROUP, group, fds)) == -EAGAIN &&
           poll(&ready, 1, PATIENCE_MS) == 1) {
    }
    return error;
}

static int send_leaf(const struct cgroup *cgroup, uint32_t set, uint32_t number,
                     int socket)
{
    const struct message_group group = {.number = number};
    int fds[GROUP_FDS], opened = 0, error = 0;

    while (opened < GROUP_FDS && error == 0) {
        error = open_file(cgroup, set, number, (enum group_fd)opened, &fds[opened]);
        opened += error == 0;
    }
    if (error == 0) {
        error = send_patiently(socket, &group, fds);
    }
    while (opened > 0) {
        close_fd(&fds[--opened]);
    }
    return error;
}

int cgroup_send_set(const struct cgroup *cgroup, uint32_t set, uint32_t sandboxes,
                    int socket)
{
    int error = 0;

    for (uint32_t i = 0; i <= sandboxes && error == 0; i++) {
        error = send_leaf(cgroup, set, i, socket);
    }
    return error;
}
