/* SPDX-License-Identifier: MIT */
/*
 * The table of resource limits. Runs in a sandbox at its birth and in the prologue of its
 * job, while the process is still all ours. What it sets is the backstop: CPU and wall
 * time are watched from outside.
 */
#include "worker/sandbox/rlimits.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define RESERVE_BYTES MIB(8)  /* soft below hard: to report a MemoryError */
#define GROUP_BYTES   MIB(32) /* the main stack, the ring, the kernel's own, the birth */
#define SLACK_BYTES                                                                      \
    MIB(1) /* what the interpreter takes between the measurement and the job */
/* Not the job's own: that could only be set where its program could lower it, too, and
 * would die of a SIGKILL that looks like ours. */
#define CPU_MAX_SECONDS 602
#define TASKS           128
#define SPARE_SANDBOXES 2 /* whose tasks the zygote and the self-test may take */

enum basis {
    FIXED,
    DATA_BYTES,  /* the zygote's, so many times the job's memory, and `fixed` */
    SPACE_BYTES, /* the same of the whole address space */
    EACH,        /* `fixed` for each sandbox that can be alive */
};

/* The ways to run in which a row counts. */
#define IN(isolation) (1u << (isolation))
#define OWN_IDS       (IN(ISOLATION_RANGE) | IN(ISOLATION_ROOT))
#define ALWAYS        (OWN_IDS | IN(ISOLATION_SINGLE) | IN(ISOLATION_NONE))

static const struct rlimit_row {
    int resource;
    unsigned ways;
    enum basis basis;
    rlim_t times; /* the job's memory */
    rlim_t fixed;
    const char *name;
    const char *why;
} rows[] = {
    {RLIMIT_CPU, ALWAYS, FIXED, 0, CPU_MAX_SECONDS, "CPU",
     "backstop of the timer that the zygote holds: the most that any job may ask for"},
    {RLIMIT_DATA, ALWAYS, DATA_BYTES, 1, SLACK_BYTES + RESERVE_BYTES, "DATA",
     "the job's memory in MB, so that Python can raise MemoryError (at 8 less)"},
    {RLIMIT_AS, ALWAYS, SPACE_BYTES, 4, MIB(512), "AS",
     "a loose ceiling on address space, in MB, against absurd mappings"},
    {RLIMIT_FSIZE, ALWAYS, FIXED, 0, 0, "FSIZE",
     "nothing can grow a file, not even one it was handed"},
    {RLIMIT_NOFILE, ALWAYS, FIXED, 0, 64, "NOFILE",
     "few file descriptors: there is nothing to open"},
    /* Since Linux 5.14 it counts what an id has in its own user namespace. */
    {RLIMIT_NPROC, OWN_IDS, FIXED, 0, TASKS, "NPROC",
     "threads; processes are denied by seccomp"},
    {RLIMIT_NPROC, IN(ISOLATION_SINGLE), EACH, 0, TASKS, "NPROC",
     "instead, where a namespace has one id for all: threads of all together"},
    {RLIMIT_NPROC, IN(ISOLATION_NONE), FIXED, 0, RLIM_INFINITY, "NPROC",
     "instead, without either: the user's other processes would count, too"},
    {RLIMIT_CORE, ALWAYS, FIXED, 0, 0, "CORE", "no core dumps of what a job may hold"},
    {RLIMIT_STACK, ALWAYS, FIXED, 0, MIB(8), "STACK",
     "the main thread's stack, within which Python recurses"},
    {RLIMIT_MEMLOCK, ALWAYS, FIXED, 0, 0, "MEMLOCK", "no memory that cannot be swapped"},
    {RLIMIT_MSGQUEUE, ALWAYS, FIXED, 0, 0, "MSGQUEUE", "no POSIX message queues"},
    {RLIMIT_SIGPENDING, ALWAYS, FIXED, 0, LIMIT_SIGNAL, "SIGPENDING",
     "few queued signals"},
    {RLIMIT_NICE, ALWAYS, FIXED, 0, 0, "NICE", "no higher priority"},
    {RLIMIT_RTPRIO, ALWAYS, FIXED, 0, 0, "RTPRIO", "no real-time priority"},
    {RLIMIT_LOCKS, ALWAYS, FIXED, 0, 0, "LOCKS", "no file locks"},
};

static bool applies(const struct rlimit_row *row, const struct sandbox_settings *settings)
{
    return (row->ways & IN(settings->isolation)) != 0;
}

static rlim_t memory_of(const struct rlimit_row *row, long pages, int64_t memory_mb)
{
    rlim_t page = (rlim_t)sysconf(_SC_PAGESIZE);

    return (rlim_t)pages * page + row->times * ((rlim_t)memory_mb << 20) + row->fixed;
}

static rlim_t value_of(const struct rlimit_row *row,
                       const struct sandbox_settings *settings, int64_t memory_mb)
{
    switch (row->basis) {
    case DATA_BYTES: return memory_of(row, settings->data_pages, memory_mb);
    case SPACE_BYTES: return memory_of(row, settings->total_pages, memory_mb);
    case EACH: return row->fixed * (settings->sandboxes + SPARE_SANDBOXES);
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

int rlimits_set(const struct sandbox_settings *settings)
{
    for (size_t i = 0; i < array_size(rows); i++) {
        int error = 0;

        if (applies(&rows[i], settings)) {
            error = set_row(&rows[i], value_of(&rows[i], settings, settings->memory_mb));
        }
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

static rlim_t data_bytes(const struct sandbox_settings *settings, int64_t memory_mb)
{
    const struct rlimit_row *row = rows;

    while (row->basis != DATA_BYTES) {
        row++;
    }
    return value_of(row, settings, memory_mb);
}

/* A kernel that was told to (ignore_rlimit_data) only warns. */
static bool is_memory_refused(const struct sandbox_settings *settings)
{
    size_t size = data_bytes(settings, settings->memory_mb);
    void *bytes =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (bytes != MAP_FAILED) {
        (void)munmap(bytes, size);
    }
    return bytes == MAP_FAILED;
}

bool rlimits_hold(const struct sandbox_settings *settings)
{
    for (size_t i = 0; i < array_size(rows); i++) {
        if (applies(&rows[i], settings) &&
            !row_holds(&rows[i], value_of(&rows[i], settings, settings->memory_mb))) {
            return false;
        }
    }
    return is_memory_refused(settings);
}

int rlimits_lower(const struct sandbox_settings *settings, const struct job_limits *job)
{
    for (size_t i = 0; i < array_size(rows); i++) {
        int error = 0;

        if (rows[i].times != 0) {
            error = set_row(&rows[i], value_of(&rows[i], settings, job->memory_mb));
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
    rlim_t data = data_bytes(settings, memory_mb);

    return (int64_t)((data + data / 256 + GROUP_BYTES) & ~(page - 1));
}

size_t rlimits_open_reserve(size_t bytes, size_t keep)
{
    struct rlimit limit;
    rlim_t most;

    if (getrlimit(RLIMIT_DATA, &limit) != 0 || limit.rlim_max < keep ||
        limit.rlim_cur >= limit.rlim_max - keep) {
        return 0;
    }
    most = limit.rlim_max - keep - limit.rlim_cur;
    bytes = most < bytes ? most : bytes;
    limit.rlim_cur += bytes;
    return setrlimit(RLIMIT_DATA, &limit) == 0 ? bytes : 0;
}

void rlimits_close_reserve(size_t bytes)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_DATA, &limit) == 0 && limit.rlim_cur > bytes) {
        limit.rlim_cur -= bytes;
        (void)setrlimit(RLIMIT_DATA, &limit);
    }
}

/* What value_of() makes of the row's numbers. */
static void print_value(const struct rlimit_row *row, char *text, size_t size)
{
    unsigned long long fixed = row->fixed, mib = row->fixed / MIB(1);

    if (row->basis == EACH) {
        (void)snprintf(text, size, "%llu x (sandboxes + %d)", fixed, SPARE_SANDBOXES);
    } else if (row->basis == FIXED && row->fixed == RLIM_INFINITY) {
        (void)snprintf(text, size, "unlimited");
    } else if (row->basis == FIXED) {
        (void)snprintf(text, size, "%llu", fixed);
    } else if (row->times == 1) {
        (void)snprintf(text, size, "base + memory_mb + %llu", mib);
    } else {
        (void)snprintf(text, size, "base + %llu memory_mb + %llu",
                       (unsigned long long)row->times, mib);
    }
}

void rlimits_print(struct buffer *to)
{
    for (size_t i = 0; i < array_size(rows); i++) {
        char value[64];

        print_value(&rows[i], value, sizeof(value));
        buffer_printf(to, "rlimit     %-10s %-24s %s\n", rows[i].name, value,
                      rows[i].why);
    }
}
