/* SPDX-License-Identifier: MIT */
/*
 * Reading and writing the files of control groups. Runs in the zygote, but for
 * groups_join, which runs in a sandbox before its lock. What the files say is the
 * kernel's word. Must never open anything: there is nothing to be opened here.
 *
 * Sources: cgroups(7), the kernel's admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst.
 */
#include "worker/sandbox/groups.h"

#include "common/limits.h"
#include "common/log.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* ---- receiving ---- */

static int receive_one(struct control_group *group, int peer)
{
    struct pollfd ready = {.fd = peer, .events = POLLIN};
    struct message message;
    int result = poll(&ready, 1, 10000) == 1
                     ? message_receive(peer, 1u << MESSAGE_GROUP, &message)
                     : -ETIMEDOUT;

    if (result != 1) {
        return result == -EMFILE ? result : -EPROTO;
    }
    *group = (struct control_group){0};
    for (size_t i = 0; i < GROUP_FDS; i++) {
        group->fds[i] = steal_fd(&message.fds[i]);
    }
    return 0;
}

static int say_missing(uint32_t number, uint32_t count, int error)
{
    struct rlimit limit = {0};

    if (error != -EMFILE) {
        return log_failure(error, "control group %u did not come", number);
    }
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    log_error(
        "the limit on open files (ulimit -n), %llu, has no room for the files of %u "
        "control groups, which so many workers need",
        (unsigned long long)limit.rlim_cur, count);
    return error;
}

int groups_receive(struct groups *groups, const struct message_setup *setup, int peer)
{
    groups->layers = setup->group_layers;
    for (uint32_t i = 0; i < setup->groups && i <= GROUPS_MAX; i++) {
        int error = receive_one(i == 0 ? &groups->tested : &groups->places[i - 1], peer);

        if (error < 0) {
            return say_missing(i, setup->groups, error);
        }
        groups->count = i;
    }
    return 0;
}

static void close_group(struct control_group *group)
{
    for (size_t i = 0; i < GROUP_FDS; i++) {
        close_fd(&group->fds[i]);
    }
}

void groups_forget(struct groups *groups)
{
    if (groups->count == 0) {
        return;
    }
    close_group(&groups->tested);
    for (uint32_t i = 0; i < groups->count; i++) {
        close_group(&groups->places[i]);
    }
    groups->count = groups->layers = 0;
}

struct control_group *groups_at(struct groups *groups, int place)
{
    return place < (int)groups->count && !groups->places[place].is_gone
               ? &groups->places[place]
               : NULL;
}

/* ---- their files ---- */

/* Returns the number behind `key`, or the first of all where `key` is no word of the
 * text; 0 where there is none. */
static int64_t read_number(int fd, const char *key)
{
    char text[512];
    ssize_t size = pread(fd, text, sizeof(text) - 1, 0);
    const char *at = text;
    char *end;

    text[size > 0 ? size : 0] = '\0';
    for (const char *line = text; line != NULL && key != NULL;
         line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == ' ') {
            at = line + strlen(key);
        }
    }
    return strtoll(at, &end, 10);
}

static int write_number(int fd, int64_t value)
{
    char text[24];
    int size = snprintf(text, sizeof(text), "%" PRId64, value);

    return pwrite(fd, text, (size_t)size, 0) == size ? 0 : -errno;
}

/* ---- a sandbox's life ---- */

#define SWAP_BYTES MIB(1)

/* Somebody has removed it. A sandbox does without, as where there are no groups: the
 * limit of its data is the first line. */
static int forget(struct control_group *group)
{
    if (!group->is_gone) {
        log_warning("a control group is gone: RLIMIT_DATA alone limits what was in it");
    }
    group->is_gone = true;
    return 0;
}

/* The limit with swap may not be below the one without, or the kernel refuses, and stands
 * above it, or the kernel would meet that one first, which it does not count. */
int groups_set_limit(struct control_group *group, int64_t bytes)
{
    bool raised = group->limit != 0 && bytes > group->limit;
    int fd = group->fds[GROUP_LIMIT], swap = group->fds[GROUP_LIMIT_SWAP];
    int error = 0;

    if (bytes == group->limit) { /* is it still there? */
        return write_number(fd, bytes) == -ENODEV ? forget(group) : 0;
    }
    if (raised) {
        error = write_number(swap, bytes + SWAP_BYTES);
    }
    if (error == 0) {
        error = write_number(fd, bytes);
    }
    if (error == 0 && !raised) { /* at first both are as wide as can be */
        error = write_number(swap, bytes + SWAP_BYTES);
    }
    group->limit = error == 0 ? bytes : group->limit;
    return error == -ENODEV ? forget(group) : error;
}

/* cgroup v2 before Linux 6.12 keeps the peak for ever: then it is known only of a sandbox
 * that needed more than all before it. */
int groups_begin(struct control_group *group, int64_t limit)
{
    bool forgets = write_number(group->fds[GROUP_PEAK], 0) == 0;

    group->floor_kb = forgets ? 0 : read_number(group->fds[GROUP_PEAK], NULL) / 1024;
    return groups_set_limit(group, limit);
}

int groups_join(const struct control_group *group)
{
    if (write(group->fds[GROUP_JOIN], "0", 1) != 1 ||
        write(group->fds[GROUP_JOIN_PIDS], "0", 1) != 1) {
        return errno == ENODEV ? 0 : -errno; /* removed in this moment, see forget() */
    }
    return 0;
}

bool groups_was_full(struct control_group *group)
{
    int64_t kills = read_number(group->fds[GROUP_KILLS], "oom_kill");
    int64_t hits = read_number(group->fds[GROUP_HITS], "oom");
    bool full = kills > group->kills && hits > group->hits;

    group->kills = kills;
    group->hits = hits;
    return full;
}

int64_t groups_peak_kb(const struct control_group *group)
{
    int64_t peak = read_number(group->fds[GROUP_PEAK], NULL) / 1024;

    return peak > group->floor_kb ? peak : 0;
}

/* ---- printing ---- */

static const struct {
    const char *name, *value, *why;
} rows[] = {
    {"memory", "DATA + 32 MB + 1/256",
     "what DATA does not count: the main stack, page tables, the kernel's own, the ring"},
    {"swap", "none", "what is over the limit is not moved elsewhere"},
    {"tasks", "128", "threads, also where sandboxes share one id"},
};

void groups_print(struct buffer *to)
{
    for (size_t i = 0; i < array_size(rows); i++) {
        buffer_printf(to, "group      %-10s %-24s %s\n", rows[i].name, rows[i].value,
                      rows[i].why);
    }
}
