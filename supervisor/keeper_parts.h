/* SPDX-License-Identifier: MIT */
/* What keeper.c and the other keeper_*.c are made of. */
#pragma once

#include "supervisor/cgroup.h"
#include "supervisor/notify.h"
#include "supervisor/pool.h"
#include "supervisor/pools.h"

enum { PLACE_REDIS, PLACE_POOLS, PLACES = PLACE_POOLS + LIMIT_POOLS };

/* A file that a pool was told to read, and has not said what came of it. */
struct handed {
    int64_t number; /* of the reload */
    int copy;       /* -1: none. Owned */
};

/* One is under way, and the next calls it off: any that come meanwhile are one. */
#define KEEPER_HANDED 2

/* What the pool of a place was given. A pool that is started again has the file that was
 * in force there, and is handed what has come since: a bad one is no reason not to serve.
 * Where there is none, or it does not start with that, it is started with ours. */
struct given {
    char owner[RUNTIME_OWNER]; /* at its start; empty: one that no other has */
    int64_t drain_s;           /* the most ever: it may have kept that */
    int proved; /* copy of the file that was in force there last; -1: none. Owned */
    int trial;  /* of the one that it is started with instead; -1: none. Owned */
    bool tried; /* it did not start with ours */
    struct handed handed[KEEPER_HANDED]; /* the older one first */
    bool behind;                         /* our file is still to be handed over */
};

/* Of a pool that ends, or has, though the configuration has it. */
struct ending {
    bool draining; /* it has said that somebody drains it */
    bool again;    /* and that a reload has come since */
    bool undone;   /* one was under way as that began, and has not come to its end */
    bool drained;  /* it is over: its place is kept until a reload */
};

struct keeper {
    struct command_line *line;
    char file[LIMIT_PATH]; /* the configuration's absolute path, links and all */
    struct pools *pools; /* in force; owned, as is line->copy, the file as it was then */
    struct runtime runtime;
    struct notify notify;
    struct cgroup cgroup;
    enum pool_phase phase;
    bool reload_again; /* when all have started */
    bool reloading;    /* the pools are at it */
    int64_t reloads;   /* how many: the number of the last one */
    uint32_t serving;  /* how many are published */
    bool redis_ends;   /* it was told to: the pools are over */
    int64_t end_ms;    /* of draining or stopping: then by force */
    int64_t asked_ms;
    int exit_code;
    int signals;
    struct unit units[PLACES]; /* SPARE: not in use, or */
    struct given given[PLACES];
    struct ending endings[PLACES];
};

/* ---- keeper.c ---- */

/* Of one of its units. */
static inline size_t keeper_place(const struct keeper *keeper, const struct unit *unit)
{
    return (size_t)(unit - keeper->units);
}

/* All of it ends, with that exit code, or the one of whatever was first. */
void keeper_give_up(struct keeper *keeper, int code);
/* One that is not at the start of all: with the other file, if there is one. */
void keeper_start_failed(struct keeper *keeper, struct unit *unit);
/* To the service manager: how many serve, and that this is so from now on. */
void keeper_say_serving(const struct keeper *keeper, bool ready);

/* ---- keeper_start.c ---- */

/* Starts what is due. */
void keeper_start_due(struct keeper *keeper);
/* The private Redis, where any needs it: waits until it answers, or a signal has come.
 * Returns 0, or a negative errno that was logged. */
int keeper_open_redis(struct keeper *keeper);

/* ---- keeper_copies.c ---- */

/* The file as it is by now, and what it says. Returns ROLE_EXIT_OK, or the code to end
 * with and a sentence in `why`; both are the caller's. */
int keeper_read(const struct command_line *line, struct pools **ret, int *ret_copy,
                struct buffer *why);
/* The file that it is to be started with: not ours to close. */
int keeper_file_for(const struct keeper *keeper, size_t place);
/* One of them has that file, started with it or since a reload: so have we what it says
 * of that pool, but for what is another one at its start alone. */
void keeper_read_for(struct keeper *keeper, size_t place);
/* It is to be started with ours. */
void keeper_try_file(struct keeper *keeper, size_t place);
/* It has started, with the file that it was to. */
void keeper_prove_file(struct keeper *keeper, size_t place);
/* It has not. Returns whether there is another one, which is to be tried at once. */
bool keeper_doubt_file(struct keeper *keeper, size_t place);
/* It is told to read what we have; later, when it has too much to answer for. */
void keeper_hand_over(struct keeper *keeper, size_t place);
/* It has said something: perhaps what came of that. */
void keeper_take_answer(struct keeper *keeper, size_t place, const char *word);
/* Its process is gone: what it has not answered to it has not read. */
void keeper_lose(struct keeper *keeper, size_t place);
/* The pool is in the configuration no more: nor is what it was given. */
void keeper_forget(struct keeper *keeper, size_t place);

/* ---- keeper_pools.c ---- */

/* What the configuration has and nobody serves is started, one that has the owner of
 * another that runs when that is over; `drained`: also what somebody has drained. */
void keeper_want_pools(struct keeper *keeper, bool drained);
/* What a process has at its start alone it keeps: `fresh` is told so. */
void keeper_keep_at_start(const struct keeper *keeper, struct config *fresh);
/* Writes the file by which the command finds the pools that serve, or logs why not; where
 * none does it stays as it is. */
void keeper_publish(struct keeper *keeper);
/* Which other pool's process has that owner, or NULL: two of one would take each other's
 * jobs. */
const struct unit *keeper_find_owner(const struct keeper *keeper, const char *pool,
                                     const char *owner);
/* Reads the configuration again: a pool that is new is started, one that is gone is
 * drained, the others are handed what was read. */
void keeper_reload(struct keeper *keeper);
/* Says that it is over, when it is: all pools have read it, and new ones have started. */
void keeper_tend_reload(struct keeper *keeper);
