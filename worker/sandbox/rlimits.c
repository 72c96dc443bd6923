/* SPDX-License-Identifier: MIT */
/*
 * The table of resource limits. Runs in a sandbox at its birth and in the prologue of its
 * job, while the process is still all ours. What it sets is the backstop: CPU and wall
 * time are watched from outside.
 */
#include "worker/sandbox/rlimits.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <unistd.h>

#define RESERVE_BYTES MIB(8)  /* soft below hard: to report a MemoryError */
#define GROUP_BYTES   MIB(32) /* the main stack, the ring, the kernel's own, the birth */
#define SLACK_BYTES                                                                      \
    MIB(1) /* what the interpreter takes between the measurement and the job */
/* Not the job's own: that could only be set where its program could lower it, too, and
 * would die of a SIGKILL that looks like ours. */
#define CPU_MAX_SECONDS 602

enum basis {
    FIXED,
    DATA_BYTES,  /* the zygote's, and the job's */
    SPACE_BYTES, /* the whole address space: loose, against absurd mappings */
    TASKS,       /* `fixed` of its own id; where a namespace has one id for all, so many
                    for each; without either, the user's other processes count: unlimited */
};

static const struct rlimit_row {
    int resource;
    enum basis basis;
    rlim_t fixed;
    const char *name;
    const char *why;
} rows[] = {
    {RLIMIT_CPU, FIXED, CPU_MAX_SECONDS, "CPU",
     "backstop of the timer that the zygote holds: the most that any job may ask for"},
    {RLIMIT_DATA, DATA_BYTES, 0, "DATA",
     "the job's memory, so that Python can raise MemoryError"},
    {RLIMIT_AS, SPACE_BYTES, 0, "AS", "a loose ceiling on address space"},
    {RLIMIT_FSIZE, FIXED, 0, "FSIZE",
     "nothing can grow a file, not even one it was handed"},
    {RLIMIT_NOFILE, FIXED, 64, "NOFILE",
     "few file descriptors: there is nothing to open"},
    {RLIMIT_NPROC, TASKS, 128, "NPROC", "threads; processes are denied by seccomp"},
    {RLIMIT_CORE, FIXED, 0, "CORE", "no core dumps of what a job may hold"},
    {RLIMIT_STACK, FIXED, MIB(8), "STACK",
     "the main thread's stack, within which Python recurses"},
    {RLIMIT_MEMLOCK, FIXED, 0, "MEMLOCK", "no memory that cannot be swapped"},
    {RLIMIT_MSGQUEUE, FIXED, 0, "MSGQUEUE", "no POSIX message queues"},
    {RLIMIT_SIGPENDING, FIXED, 64, "SIGPENDING", "few queued signals"},
    {RLIMIT_NICE, FIXED, 0, "NICE", "no higher priority"},
    {RLIMIT_RTPRIO, FIXED, 0, "RTPRIO", "no real-time priority"},
    {RLIMIT_LOCKS, FIXED, 0, "LOCKS", "no file locks"},
};

/* Since Linux 5.14 it counts what an id has in its own user namespace. */
static rlim_t tasks(rlim_t each, const struct sandbox_settings *settings)
{
    if (settings->uid_first != 0) {
        return each;
    }
    return settings->isolation == ISOLATION_SINGLE ? each * (settings->sandboxes + 2)
                                                   : RLIM_INFINITY;
}

static rlim_t value_of(const struct rlimit_row *row,
                       const struct sandbox_settings *settings,
                       const struct job_limits *job)
{
    rlim_t page = (rlim_t)sysconf(_SC_PAGESIZE);
    rlim_t memory = (rlim_t)job->memory_mb << 20;

    switch (row->basis) {
    case DATA_BYTES: return (rlim_t)settings->data_pages * page + memory + SLACK_BYTES;
    case SPACE_BYTES: return (rlim_t)settings->total_pages * page + 4 * memory + MIB(512);
    case TASKS: return tasks(row->fixed, settings);
    case FIXED: break;
    }
    return row->fixed;
}

static int set_row(const struct rlimit_row *row, rlim_t value)
{
    struct rlimit limit, now;

    if (getrlimit(row->resource, &now) != 0) {
        return -errno;
    }
    limit.rlim_max = value < now.rlim_max ? value : now.rlim_max;
    limit.rlim_cur = limit.rlim_max;
    if (row->basis == DATA_BYTES && limit.rlim_max != RLIM_INFINITY) {
        limit.rlim_cur = limit.rlim_max - RESERVE_BYTES;
    }
    return setrlimit(row->resource, &limit) == 0 ? 0 : -errno;
}

/* The hard limit of a job's data includes the reserve. */
static rlim_t with_reserve(const struct rlimit_row *row, rlim_t value)
{
    return row->basis == DATA_BYTES ? value + RESERVE_BYTES : value;
}

int rlimits_set(const struct sandbox_settings *settings)
{
    const struct job_limits widest = {.memory_mb = settings->memory_mb};

    for (size_t i = 0; i < array_size(rows); i++) {
        int error = set_row(
            &rows[i], with_reserve(&rows[i], value_of(&rows[i], settings, &widest)));

        if (error < 0) {
            return error;
        }
    }
    return 0;
}

/* What the process had before may be lower. */
static bool row_holds(const struct rlimit_row *row, rlim_t value)
{
    struct rlimit limit;

    if (getrlimit(row->resource, &limit) != 0 || limit.rlim_max > value) {
        return false;
    }
    if (limit.rlim_max == RLIM_INFINITY) {
        return true;
    }
    limit.rlim_max++;
    return setrlimit(row->resource, &limit) != 0;
}

bool rlimits_hold(const struct sandbox_settings *settings)
{
    const struct job_limits widest = {.memory_mb = settings->memory_mb};

    for (size_t i = 0; i < array_size(rows); i++) {
        if (!row_holds(&rows[i],
                       with_reserve(&rows[i], value_of(&rows[i], settings, &widest)))) {
            return false;
        }
    }
    return true;
}

int rlimits_lower(const struct sandbox_settings *settings, const struct job_limits *job)
{
    for (size_t i = 0; i < array_size(rows); i++) {
        int error = 0;

        if (rows[i].basis == DATA_BYTES || rows[i].basis == SPACE_BYTES) {
            error = set_row(&rows[i],
                            with_reserve(&rows[i], value_of(&rows[i], settings, job)));
        }
        if (error < 0) {
            return error;
        }
    }
    return 0;
}

int64_t rlimits_group_bytes(const struct sandbox_settings *settings, int64_t memory_mb)
{
    rlim_t page = (rlim_t)sysconf(_SC_PAGESIZE);
    rlim_t data = (rlim_t)settings->data_pages * page + ((rlim_t)memory_mb << 20) +
                  SLACK_BYTES + RESERVE_BYTES;

    return (int64_t)((data + data / 256 + GROUP_BYTES) & ~(page - 1));
}

void rlimits_open_reserve(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_DATA, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_DATA, &limit); /* where it fails, the report is shorter */
    }
}

void rlimits_print(struct buffer *to)
{
    for (size_t i = 0; i < array_size(rows); i++) {
        static const char *const bases[] = {[DATA_BYTES] = "base + job's memory_mb",
                                            [SPACE_BYTES] = "base + 4 x memory_mb"};

        if (rows[i].basis == FIXED || rows[i].basis == TASKS) {
            buffer_printf(to, "rlimit     %-10s %-24llu %s\n", rows[i].name,
                          (unsigned long long)rows[i].fixed, rows[i].why);
        } else {
            buffer_printf(to, "rlimit     %-10s %-24s %s\n", rows[i].name,
                          bases[rows[i].basis], rows[i].why);
        }
    }
}
