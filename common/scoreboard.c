/* SPDX-License-Identifier: MIT */
/*
 * The scoreboard. Runs in the supervisor and the relays, which write it, and in whoever
 * shows it. Writers trust nobody: they never read what another wrote, but for the time at
 * which somebody asked. A reader trusts the file's owner, who is itself.
 */
#include "common/scoreboard.h"

#include "common/cleanup.h"
#include "common/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_TRIES 1000 /* a writer needs some dozens of nanoseconds */

static const struct {
    const char *name, *about;
    bool busy;
} states[SCOREBOARD_STATES] = {
    [SCOREBOARD_OFF] = {"off", "nobody is there", false},
    [SCOREBOARD_STARTING] = {"starting", "connects to Redis", false},
    [SCOREBOARD_NO_REDIS] = {"no redis", "Redis does not answer, or refuses it", false},
    [SCOREBOARD_NO_SANDBOX] = {"no sandbox", "waits for the zygote", false},
    [SCOREBOARD_IDLE] = {"idle", "waits for a job, with a sandbox ready", false},
    [SCOREBOARD_FETCHING] = {"fetching", "gets the bytes of a job", true},
    [SCOREBOARD_RUNNING] = {"running", "runs a job", true},
    [SCOREBOARD_SETTLING] = {"settling", "hands in a result", true},
    [SCOREBOARD_LEAVING] = {"leaving", "claims no more jobs", false},
};

const char *scoreboard_state_name(enum scoreboard_state state)
{
    return (unsigned)state < SCOREBOARD_STATES ? states[state].name : "?";
}

const char *scoreboard_state_about(enum scoreboard_state state)
{
    return (unsigned)state < SCOREBOARD_STATES ? states[state].about : "";
}

const char *scoreboard_process_name(enum scoreboard_process process)
{
    static const char *const names[SCOREBOARD_PROCESSES] = {
        [SCOREBOARD_REDIS] = "redis",           [SCOREBOARD_ZYGOTE] = "zygote",
        [SCOREBOARD_RELAY] = "relay",           [SCOREBOARD_METRICS] = "metrics",
        [SCOREBOARD_SUPERVISOR] = "supervisor", [SCOREBOARD_SANDBOX] = "sandbox",
    };

    return names[process];
}

bool scoreboard_is_busy(enum scoreboard_state state)
{
    return (unsigned)state < SCOREBOARD_STATES && states[state].busy;
}

const int64_t scoreboard_bounds_ms[SCOREBOARD_BUCKETS] = {
    1,    2,    5,    10,    25,    50,    100,    250,       500,
    1000, 2500, 5000, 10000, 30000, 60000, 300000, INT64_MAX,
};

void scoreboard_note(struct scoreboard_histogram *histogram, int64_t ms)
{
    size_t bucket = 0;

    while (ms > scoreboard_bounds_ms[bucket]) {
        bucket++;
    }
    histogram->buckets[bucket]++;
    histogram->sum_ms += ms > 0 ? (uint64_t)ms : 0;
}

/* ---- the file ---- */

static int map(int fd, bool writable, struct scoreboard **ret)
{
    int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
    void *memory = mmap(NULL, sizeof(struct scoreboard), protection, MAP_SHARED, fd, 0);

    if (memory == MAP_FAILED) {
        return -errno;
    }
    *ret = memory;
    return 0;
}

static int fill(int fd, const struct share *queues, int count, struct scoreboard **ret)
{
    int error;

    if (ftruncate(fd, sizeof(struct scoreboard)) != 0) {
        return -errno;
    }
    error = map(fd, true, ret);
    if (error == 0) {
        for (int i = 0; i < count; i++) {
            (*ret)->queues[i].share = queues[i];
        }
        (*ret)->head.queues = (uint32_t)count;
        (*ret)->magic = SCOREBOARD_MAGIC;
        (*ret)->version = SCOREBOARD_VERSION;
        (*ret)->size = sizeof(struct scoreboard);
    }
    return error;
}

int scoreboard_create(const char *path, const struct share *queues, int count,
                      int *ret_fd, struct scoreboard **ret)
{
    autoclose int fd = -1;
    int error;

    if (unlink(path) != 0 && errno != ENOENT) {
        return -errno;
    }
    fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return -errno;
    }
    error = fill(fd, queues, count, ret);
    if (error == 0) {
        *ret_fd = steal_fd(&fd);
    }
    return error;
}

static bool is_one(const struct scoreboard *scoreboard)
{
    return scoreboard->magic == SCOREBOARD_MAGIC &&
           scoreboard->version == SCOREBOARD_VERSION &&
           scoreboard->size == sizeof(*scoreboard) &&
           scoreboard->head.queues <= LIMIT_QUEUES;
}

int scoreboard_map(int fd, bool writable, struct scoreboard **ret)
{
    struct scoreboard *scoreboard = NULL;
    struct stat status;
    int error;

    if (fstat(fd, &status) != 0) {
        return -errno;
    }
    if (!S_ISREG(status.st_mode) || status.st_size != sizeof(*scoreboard)) {
        return -EPROTO;
    }
    error = map(fd, writable, &scoreboard);
    if (error < 0) {
        return error;
    }
    if (!is_one(scoreboard)) {
        scoreboard_unmap(scoreboard);
        return -EPROTO;
    }
    *ret = scoreboard;
    return 0;
}

void scoreboard_unmap(struct scoreboard *scoreboard)
{
    if (scoreboard != NULL) {
        (void)munmap(scoreboard, sizeof(*scoreboard));
    }
}

/* ---- slots ---- */

void scoreboard_write(struct scoreboard_slot *slot, const struct scoreboard_work *work)
{
    /* A writer before this one may have died in the middle. */
    unsigned odd = atomic_load_explicit(&slot->sequence, memory_order_relaxed) | 1;

    atomic_store_explicit(&slot->sequence, odd, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    slot->work = *work;
    atomic_store_explicit(&slot->sequence, odd + 1, memory_order_release);
}

/* Returns whether nobody wrote meanwhile. */
static bool copy(const struct scoreboard_slot *slot, struct scoreboard_work *ret)
{
    unsigned before = atomic_load_explicit(&slot->sequence, memory_order_acquire);

    *ret = slot->work;
    atomic_thread_fence(memory_order_acquire);
    return (before & 1) == 0 &&
           before == atomic_load_explicit(&slot->sequence, memory_order_relaxed);
}

void scoreboard_read(const struct scoreboard_slot *slot, struct scoreboard_work *ret)
{
    for (int tries = 0; !copy(slot, ret) && tries < READ_TRIES; tries++) {
        (void)sched_yield(); /* it may have lost its processor in the middle */
    }
    ret->queue[sizeof(ret->queue) - 1] = '\0';
    ret->job[sizeof(ret->job) - 1] = '\0';
    ret->tenant[sizeof(ret->tenant) - 1] = '\0';
}

void scoreboard_leave(struct scoreboard_slot *slot)
{
    struct scoreboard_work work;

    scoreboard_read(slot, &work);
    work = (struct scoreboard_work){.since_ms = clock_now_ms(), .counts = work.counts};
    scoreboard_write(slot, &work);
}

bool scoreboard_is_still(int64_t seen_ms, int64_t now_ms)
{
    return now_ms - seen_ms >= SCOREBOARD_STILL_MS;
}

/* At the start it waits for Redis outside of its loop. */
bool scoreboard_stands(const struct scoreboard_work *work, int64_t now_ms)
{
    return work->pid != 0 && work->state != SCOREBOARD_STARTING &&
           scoreboard_is_still(work->seen_ms, now_ms);
}

static void sum_histogram(struct scoreboard_histogram *sum,
                          const struct scoreboard_histogram *one)
{
    for (size_t i = 0; i < SCOREBOARD_BUCKETS; i++) {
        sum->buckets[i] += one->buckets[i];
    }
    sum->sum_ms += one->sum_ms;
}

void scoreboard_add(struct scoreboard_counts *sum, const struct scoreboard_counts *one)
{
    for (int i = 0; i < VERDICT_COUNT; i++) {
        sum->verdicts[i] += one->verdicts[i];
    }
    sum->lost += one->lost;
    sum->given_back += one->given_back;
    sum->sandboxes += one->sandboxes;
    sum->slices += one->slices;
    sum->slice_bytes += one->slice_bytes;
    sum->slices_dropped += one->slices_dropped;
    sum->reconnects += one->reconnects;
    sum->cpu_ms += one->cpu_ms;
    sum_histogram(&sum->waits, &one->waits);
    sum_histogram(&sum->runs, &one->runs);
}

uint64_t scoreboard_ended(const struct scoreboard_counts *counts)
{
    uint64_t sum = 0;

    for (int i = 0; i < VERDICT_COUNT; i++) {
        sum += counts->verdicts[i];
    }
    return sum;
}

bool scoreboard_may_ask(struct scoreboard_redis *redis, int64_t now_ms, int64_t every_ms)
{
    long long asked_ms = atomic_load_explicit(&redis->asked_ms, memory_order_relaxed);

    return now_ms - asked_ms >= every_ms &&
           atomic_compare_exchange_strong(&redis->asked_ms, &asked_ms, now_ms);
}
