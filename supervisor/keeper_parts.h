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

/* What the process of a place was given. */
struct given {
    char owner[RUNTIME_OWNER]; /* at its start; empty: one that no other has */
    int64_t drain_s;           /* the most ever: it may have kept that */
    int copy; /* of the file that it has in force, or will at its start; -1: ours. Owned
               */
    struct handed handed[KEEPER_HANDED]; /* the older one first */
    bool behind;                         /* our file is still to be handed over */
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
    bool drained[PLACES]; /* by somebody: its place is kept until a reload */
    bool again[PLACES];   /* it is being drained, and a reload has come since */
};

/* ---- keeper.c ---- */

/* All of it ends, with that exit code, or the one of whatever was first. */
void keeper_give_up(struct keeper *keeper, int code);
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
/* One of them is started, with all that the file said: so have we. */
void keeper_read_for(struct keeper *keeper, const struct unit *unit);
/* What we have is in force there, too. */
void keeper_give_file(struct keeper *keeper, size_t place);
/* It is told to read what we have; later, when it has too much to answer for. */
void keeper_hand_over(struct keeper *keeper, size_t place);
/* It has said something: perhaps what came of that. */
void keeper_take_answer(struct keeper *keeper, size_t place, const char *word);
/* There is nobody any more who would, or nobody waits for it. */
void keeper_forget(struct keeper *keeper, size_t place);

/* ---- keeper_pools.c ---- */

/* What the configuration has and nobody serves is started, one that has the owner of
 * another that runs when that is over; `drained`: also what somebody has drained. */
void keeper_want_pools(struct keeper *keeper, bool drained);
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
