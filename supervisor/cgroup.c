/* SPDX-License-Identifier: MIT */
/*
 * The pool's control group: finding where it can be, making, locking and removing it.
 * Runs in the supervisor, at its start and at its end.
 *
 * cgroup v2 has no processes in a group that divides what it has (the kernel's
 * admin-guide/cgroup-v2.rst, "No Internal Process Constraint"): where we are alone in our
 * group, we move into one below it, as systemd asks of services with Delegate=yes.
 */
#include "supervisor/cgroup.h"

#include "common/cleanup.h"
#include "common/message.h"
#include "supervisor/cgroup_files.h"
#include "supervisor/cgroup_find.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* ---- the pool's group ---- */

/* Makes and locks it in one hierarchy. It may be swept away by another between the two.
 */
static int make_locked(struct cgroup *cgroup, int hierarchy, const char *parent)
{
    char *path = cgroup->paths[hierarchy], name[64];
    int *lock = &cgroup->locks[hierarchy];
    struct stat ours, there;

    for (int turn = 0; turn < 8; turn++) {
        (void)snprintf(name, sizeof(name), CGROUP_PREFIX "%d-%d", (int)getpid(), turn);
        if (cgroup_path(path, parent, name) < 0) {
            return -ENAMETOOLONG;
        }
        if (mkdir(path, 0755) != 0) {
            if (errno == EEXIST) {
                continue;
            }
            return -errno;
        }
        *lock = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (*lock >= 0 && flock(*lock, LOCK_EX | LOCK_NB) == 0 &&
            fstat(*lock, &ours) == 0 && stat(path, &there) == 0 &&
            ours.st_ino == there.st_ino) {
            return 0;
        }
        close_fd(lock);
    }
    return -EAGAIN;
}

/* Where we are alone in it, a group can be divided once we have moved below it. */
static int move_below(struct cgroup *cgroup, const char *parent)
{
    char below[LIMIT_PATH], pid[32];
    int error = cgroup_path(below, cgroup->paths[CGROUP_MEMORY], "supervisor");

    (void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
    if (error < 0 || !cgroup_has_word(parent, "cgroup.procs", pid)) {
        return error < 0 ? error : -EBUSY;
    }
    if (mkdir(below, 0755) != 0 || cgroup_write(below, "cgroup.procs", "0") < 0) {
        return -errno;
    }
    (void)snprintf(cgroup->parent, sizeof(cgroup->parent), "%s", parent);
    return 0;
}

/* Lets the children of a v2 group have what we count; '-' takes it back. */
static int divide(const char *path, char sign, bool pids)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "%cmemory", sign);
    if (pids) {
        (void)snprintf(text, sizeof(text), "%cmemory %cpids", sign, sign);
    }
    return cgroup_write(path, "cgroup.subtree_control", text);
}

/* Back to where we came from. In vain where that has other groups below it that are
 * divided from it: then we stay, and whoever manages it removes it when we are gone. */
static void move_back(struct cgroup *cgroup)
{
    bool pids = cgroup->paths[CGROUP_PIDS][0] != '\0';

    if (cgroup->parent[0] == '\0') {
        return;
    }
    if (divide(cgroup->paths[CGROUP_MEMORY], '-', pids) < 0 ||
        divide(cgroup->parent, '-', pids) < 0 ||
        cgroup_write(cgroup->parent, "cgroup.procs", "0") < 0) {
        return;
    }
    cgroup->parent[0] = '\0';
}

void cgroup_close(struct cgroup *cgroup)
{
    move_back(cgroup);
    for (int i = CGROUP_CONTROLLERS - 1; i >= 0; i--) {
        if (cgroup->paths[i][0] != '\0') {
            cgroup_remove(cgroup->paths[i], CGROUP_DEEP);
            cgroup->paths[i][0] = '\0';
        }
        close_fd(&cgroup->locks[i]);
    }
    cgroup->version = 0;
}

/* ---- finding one that will do ---- */

static int refuse(struct cgroup *cgroup, const char *path, const char *what, int error)
{
    cgroup_close(cgroup);
    (void)snprintf(cgroup->why, sizeof(cgroup->why), "%.100s: %s%s%s", path, what,
                   error < 0 ? ": " : "", error < 0 ? strerror(-error) : "");
    return -ENOTSUP;
}

int cgroup_make_v2(struct cgroup *cgroup, const char *parent)
{
    bool pids = cgroup_has_word(parent, "cgroup.controllers", "pids");
    int error;

    if (!cgroup_has_word(parent, "cgroup.controllers", "memory")) {
        return refuse(cgroup, parent, "it has no memory controller", 0);
    }
    cgroup_sweep(parent);
    error = make_locked(cgroup, CGROUP_MEMORY, parent);
    if (error < 0) {
        return refuse(cgroup, parent, "unable to make a group", error);
    }
    if (pids) {
        memcpy(cgroup->paths[CGROUP_PIDS], cgroup->paths[CGROUP_MEMORY], LIMIT_PATH);
    }
    error = divide(parent, '+', pids);
    if (error == -EBUSY) {
        error = move_below(cgroup, parent);
        error = error == 0 ? divide(parent, '+', pids) : error;
    }
    if (error == 0) {
        error = divide(cgroup->paths[CGROUP_MEMORY], '+', pids);
    }
    if (error < 0) {
        return refuse(cgroup, parent, "unable to divide it", error);
    }
    cgroup->version = 2;
    return 0;
}

/* A group in another hierarchy, with a lock of its own: pools whose groups of memory lie
 * apart may have those of tasks beside one another. Without it tasks are not counted. */
static void add_pids(struct cgroup *cgroup, const char *parent)
{
    if (parent[0] == '\0') {
        return;
    }
    cgroup_sweep(parent);
    if (make_locked(cgroup, CGROUP_PIDS, parent) < 0) {
        cgroup->paths[CGROUP_PIDS][0] = '\0';
    }
}

static int try_v1(struct cgroup *cgroup, const char *memory, const char *pids)
{
    int error;

    cgroup_sweep(memory);
    error = make_locked(cgroup, CGROUP_MEMORY, memory);
    if (error < 0) {
        return refuse(cgroup, memory, "unable to make a group", error);
    }
    add_pids(cgroup, pids);
    cgroup->version = 1;
    return 0;
}

static int choose(struct cgroup *cgroup, const struct cgroup_places *places)
{
    const struct cgroup_place *v2 = &places->v2, *v1 = places->v1;
    int error = -ENOTSUP;

    if (v2->own[0] != '\0') {
        error = cgroup_make_v2(cgroup, v2->own);
    }
    if (error < 0 && v2->mount[0] != '\0' && geteuid() == 0 &&
        strcmp(v2->mount, v2->own) != 0) {
        error = cgroup_make_v2(cgroup, v2->mount);
    }
    if (error < 0 && v1[CGROUP_MEMORY].own[0] != '\0') {
        error = try_v1(cgroup, v1[CGROUP_MEMORY].own, v1[CGROUP_PIDS].own);
    }
    return error;
}

/* In v1 the path is of the hierarchy of memory; that of pids has the same below its own
 * mount, or tasks are counted in the group that we are in. */
static int take_path(struct cgroup *cgroup, const struct cgroup_places *places,
                     const char *path)
{
    const char *mount = places->v1[CGROUP_MEMORY].mount;
    const char *pids_mount = places->v1[CGROUP_PIDS].mount;
    size_t length = strlen(mount);
    char pids[LIMIT_PATH] = "";
    struct statfs system;

    if (statfs(path, &system) != 0) {
        return refuse(cgroup, path, "it cannot be used", -errno);
    }
    if (system.f_type == CGROUP2_SUPER_MAGIC) {
        return cgroup_make_v2(cgroup, path);
    }
    if (system.f_type != CGROUP_SUPER_MAGIC || length == 0 ||
        strncmp(path, mount, length) != 0) {
        return refuse(cgroup, path, "it is no group of cgroup v2, nor one of v1's memory",
                      0);
    }
    if (pids_mount[0] == '\0' || cgroup_path(pids, pids_mount, path + length) < 0 ||
        access(pids, F_OK) != 0) {
        return try_v1(cgroup, path, places->v1[CGROUP_PIDS].own);
    }
    return try_v1(cgroup, path, pids);
}

/* Each sandbox that can live costs the zygote as many fds as there are files. */
static void allow_fds(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit); /* where it fails, few workers have it */
    }
}

int cgroup_open(struct cgroup *cgroup, const char *wanted, struct buffer *why)
{
    static struct cgroup_places places;
    int error = cgroup_find(&places);

    *cgroup = CGROUP_INIT;
    (void)snprintf(cgroup->why, sizeof(cgroup->why), "no hierarchy of them is in sight");
    allow_fds();
    if (strcmp(wanted, "none") == 0) {
        (void)snprintf(cgroup->why, sizeof(cgroup->why), "as configured");
        return 0;
    }
    if (strcmp(wanted, "auto") == 0) {
        error = error == 0 ? choose(cgroup, &places) : error;
        (void)error; /* cgroup->why says it */
        return 0;
    }
    if (take_path(cgroup, &places, wanted) < 0) {
        buffer_printf(why, "cgroup = %s", cgroup->why);
        return -EINVAL;
    }
    return 0;
}

/* ---- telling ---- */

uint32_t cgroup_layers(const struct cgroup *cgroup)
{
    return cgroup->version == 0
               ? 0
               : LAYER_MEMORY_GROUP |
                     (cgroup->paths[CGROUP_PIDS][0] != '\0' ? LAYER_PIDS_GROUP : 0);
}

void cgroup_say(const struct cgroup *cgroup, struct buffer *to)
{
    if (cgroup->version == 0) {
        buffer_printf(to, "none: %s", cgroup->why);
    } else {
        buffer_printf(to, "v%d: memory%s, in %s", cgroup->version,
                      cgroup->paths[CGROUP_PIDS][0] != '\0' ? " and tasks" : "",
                      cgroup->paths[CGROUP_MEMORY]);
    }
}
