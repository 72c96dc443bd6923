/* SPDX-License-Identifier: MIT */
/*
 * Control groups as folders and files. Runs in the supervisor. Kills nothing but what is
 * in a group that is to be removed: one of a pool that has ended, or of a zygote that is
 * dead.
 */
#include "supervisor/cgroup_files.h"

#include "common/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#define PATIENCE_MS 1000 /* for a killed process to be dead */

/* ---- files and folders ---- */

int cgroup_path(char to[LIMIT_PATH], const char *folder, const char *name)
{
    int size = snprintf(to, LIMIT_PATH, "%s/%s", folder, name);

    return size < LIMIT_PATH ? 0 : -ENAMETOOLONG;
}

int cgroup_write(const char *folder, const char *name, const char *text)
{
    char path[LIMIT_PATH];
    int error = cgroup_path(path, folder, name);
    autoclose int fd = error == 0 ? open(path, O_WRONLY | O_CLOEXEC) : -1;

    if (error == 0 && fd < 0) {
        return -errno;
    }
    return error == 0 ? fd_write_full(fd, text, strlen(text)) : error;
}

bool cgroup_has_word(const char *folder, const char *name, const char *word)
{
    char path[LIMIT_PATH];
    autofree char *text = NULL;
    size_t size, length = strlen(word);

    if (cgroup_path(path, folder, name) < 0 ||
        fd_read_file(path, KIB(64), &text, &size) < 0) {
        return false;
    }
    for (const char *at = strstr(text, word); at != NULL; at = strstr(at + 1, word)) {
        if ((at == text || at[-1] == ' ' || at[-1] == '\n') &&
            strchr(" \n", at[length]) != NULL) {
            return true;
        }
    }
    return false;
}

/* ---- emptying and removing ---- */

static void kill_and_wait(pid_t pid)
{
    struct pollfd dead = {.fd = -1, .events = POLLIN};

    if (pid > 1 && fd_pidfd_open(pid, &dead.fd) == 0) {
        if (fd_pidfd_send_signal(dead.fd, SIGKILL) == 0) {
            (void)poll(&dead, 1, PATIENCE_MS); /* one that stays keeps its group */
        }
        close_fd(&dead.fd);
    }
}

/* Whoever is in a group of a pool that has ended is a sandbox, or a child of a dead
 * supervisor: it was to die with it, and may be about to. */
static void empty_group(const char *path)
{
    char procs[LIMIT_PATH];
    autofree char *text = NULL;
    size_t size;

    if (cgroup_path(procs, path, "cgroup.procs") < 0 ||
        fd_read_file(procs, KIB(64), &text, &size) < 0) {
        return;
    }
    for (char *at = text, *end; *at != '\0'; at = end + (*end == '\n')) {
        long pid = strtol(at, &end, 10);

        if (end == at) {
            return;
        }
        if (pid != getpid()) {
            kill_and_wait((pid_t)pid);
        }
    }
}

void cgroup_remove(const char *path, int deep)
{
    DIR *folder = opendir(path);
    struct dirent *entry;
    char below[LIMIT_PATH];

    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        if (entry->d_type == DT_DIR && entry->d_name[0] != '.' && deep > 0 &&
            cgroup_path(below, path, entry->d_name) == 0) {
            cgroup_remove(below, deep - 1);
        }
    }
    if (folder != NULL) {
        (void)closedir(folder);
    }
    if (rmdir(path) != 0 && errno == EBUSY) {
        empty_group(path);
        (void)rmdir(path); /* the next pool tries it again */
    }
}

/* Whose lock is free is of a supervisor that is gone. */
void cgroup_sweep(const char *parent)
{
    DIR *folder = opendir(parent);
    struct dirent *entry;
    char path[LIMIT_PATH];

    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        autoclose int lock = -1;

        if (strncmp(entry->d_name, CGROUP_PREFIX, strlen(CGROUP_PREFIX)) != 0 ||
            cgroup_path(path, parent, entry->d_name) < 0) {
            continue;
        }
        lock = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) == 0) {
            cgroup_remove(path, CGROUP_DEEP);
        }
    }
    if (folder != NULL) {
        (void)closedir(folder);
    }
}
