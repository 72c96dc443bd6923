/* SPDX-License-Identifier: MIT */
/*
 * The runtime folder. Runs in the supervisor. It may lie in /tmp: a folder that is not
 * ours, or a symbolic link, is refused rather than used.
 */
#include "supervisor/runtime.h"

#include "common/fd.h"
#include "common/share.h"
#include "common/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define TURNS 100

static const char *const files[] = {"pool", "pool.new", "redis.sock", RUNTIME_SCOREBOARD};
static const char made_mark[] = "made"; /* in the lock: the folder is a pool's own */

void runtime_path(const struct runtime *runtime, const char *name, char to[LIMIT_PATH])
{
    (void)snprintf(to, LIMIT_PATH, "%s/%s", runtime->path, name);
}

static int refuse(const char *path, struct buffer *why)
{
    buffer_printf(
        why, "runtime_dir %s must be a folder of yours that nobody else can enter (0700)",
        text_quote(path).text);
    return -EPERM;
}

static int refuse_making(const char *path, int error, struct buffer *why)
{
    buffer_printf(why, "unable to make runtime_dir %s: %s", text_quote(path).text,
                  strerror(-error));
    return error;
}

static int check_place(const char *path, const struct stat *status, struct buffer *why)
{
    return S_ISDIR(status->st_mode) && (status->st_mode & 077) == 0 ? 0
                                                                    : refuse(path, why);
}

static int check_folder(const char *path, struct buffer *why)
{
    struct stat status;

    if (lstat(path, &status) != 0) {
        buffer_printf(why, "runtime_dir %s: %s", path, strerror(errno));
        return -errno;
    }
    return status.st_uid == geteuid() ? check_place(path, &status, why)
                                      : refuse(path, why);
}

/* ---- locks ---- */

static int open_lock(const char *path, int *ret_fd, struct buffer *why)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    int error = fd < 0 ? -errno : 0;

    if (error < 0) {
        buffer_printf(why, "unable to make %s: %s", path, strerror(-error));
        return error;
    }
    *ret_fd = fd;
    return 0;
}

/* Returns 0, -EWOULDBLOCK where somebody has it, or another negative errno with a
 * sentence. */
static int hold_lock(int fd, const char *path, struct buffer *why)
{
    int error = flock(fd, LOCK_EX | LOCK_NB) != 0 ? -errno : 0;

    if (error < 0 && error != -EWOULDBLOCK) {
        buffer_printf(why, "unable to lock %s: %s", path, strerror(-error));
    }
    return error;
}

/* Whoever ends removes his lock while he holds it: what we waited for may be nobody's
 * any more, and another one stand in its place. */
static bool is_in_place(int fd, const char *path)
{
    struct stat ours, there;

    return fstat(fd, &ours) == 0 && lstat(path, &there) == 0 &&
           ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

/* The third line of the lock, where somebody has left one. */
static int inherit_name(struct runtime *runtime, const char *holder)
{
    const char *line = holder;

    for (int i = 0; i < 2 && line != NULL; i++) {
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
    if (line == NULL || strspn(line, "0123456789abcdef") != RANDOM_NAME - 1) {
        return random_name(runtime->name);
    }
    (void)snprintf(runtime->name, sizeof(runtime->name), "%s", line);
    return 0;
}

/* Returns 0, -ESTALE where it was removed meanwhile, or another negative errno with a
 * sentence. */
static int take_lock(struct runtime *runtime, struct buffer *why)
{
    char path[LIMIT_PATH], holder[80] = "";
    ssize_t size;
    int error;

    runtime_path(runtime, "lock", path);
    error = open_lock(path, &runtime->lock, why);
    if (error < 0) {
        return error;
    }
    size = pread(runtime->lock, holder, sizeof(holder) - 1, 0);
    error = hold_lock(runtime->lock, path, why);
    if (error < 0) {
        close_fd(&runtime->lock);
        if (error != -EWOULDBLOCK) {
            return error;
        }
        buffer_printf(why, "another supervisor (process %.*s) runs in %s",
                      size > 0 ? (int)strcspn(holder, "\n") : 1, size > 0 ? holder : "?",
                      runtime->path);
        return -EBUSY;
    }
    if (!is_in_place(runtime->lock, path)) {
        close_fd(&runtime->lock);
        return -ESTALE;
    }
    /* A lock that nobody holds is of a supervisor that was killed: its folder is ours. */
    runtime->made |= strstr(holder, made_mark) != NULL;
    if (inherit_name(runtime, holder) < 0) {
        buffer_printf(why, "unable to get random numbers");
        return -EIO;
    }
    (void)snprintf(holder, sizeof(holder), "%d\n%s\n%s\n", (int)getpid(),
                   runtime->made ? made_mark : "found", runtime->name);
    if (ftruncate(runtime->lock, 0) != 0 ||
        pwrite(runtime->lock, holder, strlen(holder), 0) < 0) {
        return -errno;
    }
    return 0;
}

static void clear(const struct runtime *runtime)
{
    char path[LIMIT_PATH];

    for (size_t i = 0; i < array_size(files); i++) {
        runtime_path(runtime, files[i], path);
        (void)unlink(path); /* most are not there */
    }
}

/* The folder above it, in which it would be made. */
static int check_above(const char *path)
{
    char above[LIMIT_PATH];
    struct stat status;

    (void)snprintf(above, sizeof(above), "%s", path);
    if (stat(dirname(above), &status) != 0) {
        return errno == EACCES ? 0 : -errno;
    }
    return S_ISDIR(status.st_mode) ? 0 : -ENOTDIR;
}

/* Whose it must be only he can say who starts the pool, and what we cannot see he may. */
int runtime_try(const struct config *config, struct buffer *why)
{
    struct stat status;
    int error = lstat(config->runtime_dir, &status) != 0 ? -errno : 0;

    if (error == 0) {
        return check_place(config->runtime_dir, &status, why);
    }
    error = error == -ENOENT ? check_above(config->runtime_dir) : error;
    return error == 0 || error == -EACCES
               ? 0
               : refuse_making(config->runtime_dir, error, why);
}

static int take_folder(struct runtime *runtime, struct buffer *why)
{
    int error;

    runtime->made = mkdir(runtime->path, 0700) == 0;
    if (!runtime->made && errno != EEXIST) {
        return refuse_making(runtime->path, -errno, why);
    }
    error = check_folder(runtime->path, why);
    return error == 0 ? take_lock(runtime, why) : error;
}

int runtime_open(struct runtime *runtime, const struct config *config, struct buffer *why)
{
    int error, turns = TURNS;

    runtime->path = config->runtime_dir;
    do {
        buffer_reset(why);
        error = take_folder(runtime, why); /* who ends meanwhile removes it */
    } while ((error == -ESTALE || error == -ENOENT) && --turns > 0);
    if (error == 0) {
        clear(runtime);
    }
    return error;
}

/* It is left there: whoever removes a lock takes it from who waits for it. No pool starts
 * without: what keeps a lock from being made there keeps Redis from writing, or says that
 * somebody meddles. */
int runtime_hold_data(struct runtime *runtime, const struct config *config,
                      struct buffer *why)
{
    char path[LIMIT_PATH + 16];
    autoclose int fd = -1;
    int error;

    if (config->data_dir[0] == '\0' || runtime->data >= 0) {
        return 0;
    }
    (void)snprintf(path, sizeof(path), "%s/paddock.lock", config->data_dir);
    error = open_lock(path, &fd, why);
    if (error == 0) {
        error = hold_lock(fd, path, why);
    }
    if (error == -EWOULDBLOCK) {
        buffer_printf(why,
                      "data_dir = %s: the Redis of another supervisor keeps its "
                      "queue there",
                      config->data_dir);
        return -EBUSY;
    }
    if (error == 0) {
        runtime->data = steal_fd(&fd);
    }
    return error;
}

/* ---- what pools have left ---- */

/* A lock that is a file says that it is one of a pool: others may lie beside them. */
static bool is_of_pool(const char *folder)
{
    char path[LIMIT_PATH];
    struct stat status;

    return (size_t)snprintf(path, sizeof(path), "%s/lock", folder) < sizeof(path) &&
           lstat(path, &status) == 0 && S_ISREG(status.st_mode);
}

/* As its heir would, who ends at once. */
static void remove_left(const char *folder)
{
    static struct config config;
    autobuffer struct buffer why = BUFFER_INIT(4096);
    struct runtime left = RUNTIME_INIT;

    (void)snprintf(config.runtime_dir, sizeof(config.runtime_dir), "%s", folder);
    if (runtime_open(&left, &config, &why) == 0) {
        runtime_close(&left);
    }
    close_fd(&left.lock);
}

void runtime_sweep(const struct runtime *runtime, const struct option_parts *parts)
{
    DIR *folder = opendir(runtime->path);
    const struct dirent *entry;

    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        char path[LIMIT_PATH];
        bool is_whole = (size_t)snprintf(path, sizeof(path), "%s/%s", runtime->path,
                                         entry->d_name) < sizeof(path);
        bool is_kept = parts != NULL && option_has_part(parts, entry->d_name);

        if (is_whole && option_part_valid(entry->d_name) && !is_kept &&
            is_of_pool(path)) {
            remove_left(path);
        }
    }
    if (folder != NULL) {
        (void)closedir(folder);
    }
}

/* ---- what others find there ---- */

/* A copy of the folder, on this machine or on a clone of it, is not the folder. */
void runtime_owner(const struct runtime *runtime, const struct config *config,
                   char owner[RUNTIME_OWNER])
{
    char host[32] = "localhost", inode[24];
    autofree char *boot = NULL;
    uint64_t hash = text_add_hash(TEXT_HASH, runtime->name);
    struct share queues[LIMIT_QUEUES];
    struct stat status = {0};
    size_t size;

    if (config->owner[0] != '\0') {
        (void)snprintf(owner, RUNTIME_OWNER, "%s", config->owner);
        return;
    }
    (void)share_read(config->queue, queues);
    (void)gethostname(host, sizeof(host) - 1);
    (void)fstat(runtime->lock, &status);
    (void)snprintf(inode, sizeof(inode), "%llu", (unsigned long long)status.st_ino);
    hash = text_add_hash(hash, inode);
    if (fd_read_file("/proc/sys/kernel/random/boot_id", 64, &boot, &size) == 0) {
        hash = text_add_hash(hash, boot);
    }
    (void)snprintf(owner, RUNTIME_OWNER, "%.31s.%.46s.%016" PRIx64, host, queues[0].name,
                   hash);
}

int runtime_publish(const struct runtime *runtime, const struct config *config,
                    const char *redis, const char *pools)
{
    struct share queues[LIMIT_QUEUES];
    const struct {
        const char *name, *value; /* NULL or "": none */
    } lines[] = {{"redis", redis},
                 {"web", config->redis_web},
                 {"operator", config->redis_operator},
                 {"pools", pools}};
    autobuffer struct buffer text = BUFFER_INIT(KIB(8));
    char path[LIMIT_PATH], fresh[LIMIT_PATH];
    autoclose int fd = -1;
    int error;

    (void)share_read(config->queue, queues);
    runtime_path(runtime, "pool", path);
    runtime_path(runtime, "pool.new", fresh);
    buffer_printf(&text, "queue=%s\n", queues[0].name);
    for (size_t i = 0; i < array_size(lines); i++) {
        if (lines[i].value != NULL && lines[i].value[0] != '\0') {
            buffer_printf(&text, "%s=%s\n", lines[i].name, lines[i].value);
        }
    }
    if (buffer_error(&text) < 0) {
        return buffer_error(&text);
    }
    fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return -errno;
    }
    error = fd_write_full(fd, text.data, text.size);
    if (error == 0 && rename(fresh, path) != 0) {
        error = -errno;
    }
    return error;
}

void runtime_close(struct runtime *runtime)
{
    char path[LIMIT_PATH];

    close_fd(&runtime->data);
    if (runtime->lock < 0) {
        return; /* nothing in there is ours */
    }
    clear(runtime);
    runtime_path(runtime, "lock", path);
    (void)unlink(path);
    if (runtime->made) {
        (void)rmdir(runtime->path);
    }
    close_fd(&runtime->lock);
}
