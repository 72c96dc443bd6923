/* SPDX-License-Identifier: MIT */
/*
 * The scoreboard: what a pool and each of its workers do and have done, in a file of the
 * runtime folder that all of them map. It costs who writes a few stores and no call of
 * the kernel, and who reads cannot hinder anybody.
 *
 * Each part has one writer: the supervisor the head, each relay its slot; of the queues'
 * state the relay writes that has the turn to ask (scoreboard_may_ask). A slot outlives
 * its relay: the next one counts on. Readers map it read-only, and take copies: a slot is
 * written between two steps of its sequence number (a seqlock), so that a copy is never
 * half of one job and half of another.
 *
 * Times are of CLOCK_MONOTONIC in ms, where not said otherwise: of this machine alone, as
 * is the file.
 */
#pragma once

#include "common/limits.h"
#include "common/share.h"
#include "common/verdict.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define SCOREBOARD_MAGIC   0x6f636153 /* "Saco" */
#define SCOREBOARD_VERSION 7          /* bumped with any change below */

/* Whoever has not turned his loop, or not answered, for so long stands still. All of them
 * are asked every 2 s (supervisor/health.h), so it is more than two questions: a machine
 * that is merely busy has answered one. It is less than half of what a zygote is given
 * before it is replaced. */
#define SCOREBOARD_STILL_MS 5000

/* What a worker does. Names and what they mean: scoreboard_state_name, _about. */
enum scoreboard_state {
    SCOREBOARD_OFF,
    SCOREBOARD_STARTING,
    SCOREBOARD_NO_REDIS,
    SCOREBOARD_NO_SANDBOX,
    SCOREBOARD_IDLE,
    SCOREBOARD_FETCHING,
    SCOREBOARD_RUNNING,
    SCOREBOARD_SETTLING,
    SCOREBOARD_LEAVING,
    SCOREBOARD_STATES,
};

const char *scoreboard_state_name(enum scoreboard_state state);
const char *scoreboard_state_about(enum scoreboard_state state);
/* It has a job. */
bool scoreboard_is_busy(enum scoreboard_state state);

/* How many took at most so many ms: the last of all has no bound. As in Prometheus, but
 * each is counted in one bucket alone. */
#define SCOREBOARD_BUCKETS 17
extern const int64_t scoreboard_bounds_ms[SCOREBOARD_BUCKETS]; /* the last: INT64_MAX */

struct scoreboard_histogram {
    uint64_t buckets[SCOREBOARD_BUCKETS];
    uint64_t sum_ms;
};

void scoreboard_note(struct scoreboard_histogram *histogram, int64_t ms);

/* What a slot has counted since the pool began. */
struct scoreboard_counts {
    uint64_t verdicts[VERDICT_COUNT]; /* that the queue took */
    uint64_t lost;                    /* attempts that a fault of ours ended */
    uint64_t given_back;              /* attempts that begin anew elsewhere */
    uint64_t sandboxes;               /* that were forked for it */
    uint64_t slices, slice_bytes;     /* of recordings, sent to Redis */
    uint64_t slices_dropped;
    uint64_t reconnects;               /* connections to Redis that came up again */
    uint64_t cpu_ms;                   /* of programs */
    struct scoreboard_histogram waits; /* of jobs in the queue, until they were claimed */
    struct scoreboard_histogram runs;  /* of programs, by the wall clock */
};

struct scoreboard_work {
    int32_t pid;    /* of the relay; 0: there is none */
    uint32_t state; /* enum scoreboard_state */
    int64_t since_ms;
    int64_t seen_ms;  /* when its loop turned last */
    int64_t taken_ms; /* when the queue took a claim, beat or result last */
    /* the job, while it has one */
    char queue[LIMIT_QUEUE + 1];
    char job[LIMIT_JOB_ID + 1];
    char tenant[LIMIT_TENANT + 1];
    uint32_t attempt;
    /* the one that it ended last, and when; "": none yet */
    char last[LIMIT_JOB_ID + 1];
    uint32_t last_verdict; /* enum verdict */
    int64_t last_ms;
    struct scoreboard_counts counts;
};

struct scoreboard_slot {
    _Alignas(64) atomic_uint sequence; /* odd while it is written */
    struct scoreboard_work work;
};

/* Of a queue, as the library says (paddock_depth). */
struct scoreboard_queue {
    struct share share;    /* set before anybody else has the file */
    atomic_llong told_ms;  /* 0: never */
    atomic_ullong waiting; /* jobs that could run now */
    atomic_ullong running;
    atomic_llong oldest_ms; /* how long the first that waits has waited */
    atomic_ullong delayed, dead;
    atomic_uint paused;
    atomic_uint refused; /* it was asked last and did not say, but with an error */
    atomic_uint closed;  /* its configuration lets no job in */
    /* The mark of the last that a relay of the pool was told of what none had heard
     * (worker/relay/upkeep.h); 0: nothing yet. */
    atomic_ullong heard;
};

/* Of the Redis of all queues. */
struct scoreboard_redis {
    atomic_llong asked_ms; /* for the queues' figures, too */
    /* In bytes; 0: it has not said so, or has no maximum. */
    atomic_ullong memory, memory_most;
};

/* The processes of a pool, by kind: first those that the supervisor starts. */
enum scoreboard_process {
    SCOREBOARD_REDIS,
    SCOREBOARD_ZYGOTE,
    SCOREBOARD_RELAY,
    SCOREBOARD_METRICS,
    SCOREBOARD_CHILDREN,
    SCOREBOARD_SUPERVISOR = SCOREBOARD_CHILDREN,
    SCOREBOARD_SANDBOX,
    SCOREBOARD_PROCESSES,
};

const char *scoreboard_process_name(enum scoreboard_process process);

/* Of the supervisor. */
struct scoreboard_head {
    atomic_int supervisor, zygote, redis; /* pids; 0: there is none */
    atomic_llong started_ms;
    atomic_llong seen_ms; /* when the supervisor's loop turned last */
    /* When the zygote that serves was asked last whether it is there, and when it has
     * said so last; asked_ms 0: nobody is asked yet. */
    atomic_llong asked_ms, answered_ms;
    atomic_uint workers; /* that are wanted now */
    atomic_uint least, most;
    atomic_uint draining;
    atomic_ullong deaths[SCOREBOARD_CHILDREN]; /* that nobody had asked for */
    atomic_ullong zygotes;                     /* that became ready */
    atomic_ullong reloads;                     /* that are in force */
    /* Resident memory in bytes: sums of each kind, looked at every few seconds. Pages
     * that a fork shares with what it was forked from count in each of them. */
    atomic_ullong resident[SCOREBOARD_PROCESSES];
    uint32_t queues; /* set before anybody else has the file */
};

struct scoreboard {
    uint32_t magic, version;
    uint64_t size; /* of all of it */
    _Alignas(64) struct scoreboard_head head;
    _Alignas(64) struct scoreboard_redis redis;
    struct scoreboard_queue queues[LIMIT_QUEUES];
    struct scoreboard_slot slots[LIMIT_WORKERS];
};

/* Makes the file anew (another of that name is unlinked first: who has it mapped keeps
 * it), readable by its owner alone, and maps it. Returns 0 and an fd to pass on, or a
 * negative errno. */
int scoreboard_create(const char *path, const struct share *queues, int count,
                      int *ret_fd, struct scoreboard **ret) must_check;
/* Maps one, to be written or only to be read. Returns 0, -EPROTO where it is none of this
 * version, or a negative errno. */
int scoreboard_map(int fd, bool writable, struct scoreboard **ret) must_check;
/* NULL is none. */
void scoreboard_unmap(struct scoreboard *scoreboard);

/* Writes a slot: all of it, as `work` is. For its one writer. */
void scoreboard_write(struct scoreboard_slot *slot, const struct scoreboard_work *work);
/* Adds what a slot has counted to a sum. */
void scoreboard_add(struct scoreboard_counts *sum, const struct scoreboard_counts *one);
uint64_t scoreboard_ended(const struct scoreboard_counts *counts); /* jobs */
/* Takes a copy, whose texts end. Whose writer died in the middle is read as it is. */
void scoreboard_read(const struct scoreboard_slot *slot, struct scoreboard_work *ret);

/* Whether somebody who was seen last at that time stands still now. */
bool scoreboard_is_still(int64_t seen_ms, int64_t now_ms);
/* Whether the relay of a slot, that there is, does. */
bool scoreboard_stands(const struct scoreboard_work *work, int64_t now_ms);

/* Its writer is gone: nobody does anything there, what was counted stays. */
void scoreboard_leave(struct scoreboard_slot *slot);

/* Whether it is for the caller to ask the queues for their depth, at most once in
 * `every_ms`. Who had the turn keeps it by asking; others take it when he is late. */
bool scoreboard_may_ask(struct scoreboard_redis *redis, int64_t now_ms, int64_t every_ms);
