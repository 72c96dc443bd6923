/* SPDX-License-Identifier: MIT */
/*
 * The supervisor's children, all of one kind of record: what each is, where it stands,
 * and when it may be started again. A child that dies is started anew: at once if it had
 * served for a second, so that nobody's job waits for it; else after a delay that doubles
 * with each failure in a row, to 400 ms where it had been ready, to 30 s where it had
 * not. Either kind is counted for itself. Exit codes 100 and 125 mean that it would end
 * the same way again, as long as nobody has changed something: it is hopeless, and gets
 * the longest delay. Zygotes have places that take turns (succession.h).
 */
#pragma once

#include "common/message.h"
#include "supervisor/loading.h"
#include "supervisor/spawn.h"

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

enum unit_kind { UNIT_REDIS, UNIT_ZYGOTE, UNIT_RELAY, UNIT_METRICS, UNIT_POOL };

/* The one that serves, or its heir, beside former ones that have jobs yet. */
#define UNIT_ZYGOTES 4

enum unit_state {
    UNIT_SPARE,    /* not running, and not wanted for now */
    UNIT_OFF,      /* not running; started when `start_ms` has come */
    UNIT_STARTING, /* running, not yet READY */
    UNIT_READY,
    UNIT_RETIRING, /* running, but no longer wanted: it finishes what it has */
    UNIT_ENDED,    /* not running, and not to be started */
    UNIT_STATES,
};

/* Of a relay's slot with one zygote. */
struct unit_links {
    unsigned
        open; /* links made, of this relay and of those before it, and not UNLINKED */
    bool own; /* the youngest of them is this relay's */
};

struct unit {
    enum unit_kind kind;
    uint32_t slot; /* of a relay; which of its places, of a zygote; of a pool */
    char name[LIMIT_POOL + 1]; /* of a pool */
    enum unit_state state;
    struct process process;
    bool busy;              /* a relay: has a job, as it was seen last */
    bool reloading;         /* a pool: was told to, and has not said that it is over */
    bool again;             /* a relay that is RETIRING: is followed by another */
    bool relieved;          /* and claims no job any more */
    bool called_off;        /* a zygote: killed before it was READY: no news */
    uint32_t generation;    /* of a relay: of which configuration (pool.h) */
    uint32_t groups;        /* of a zygote: its set of control groups; 0: none */
    uint32_t sandboxes;     /* of a zygote: that can be alive at once */
    struct loading loading; /* of a zygote: host modules */
    int peer;               /* socket to it; -1: none; owned */
    int words;         /* of a Redis that follows another: its log; -1: none; owned */
    int64_t start_ms;  /* when it may be started */
    int64_t ready_ms;  /* since when it is READY */
    unsigned failures; /* starts in a row of which it did not get READY */
    unsigned deaths;   /* in a row of one that was READY, each soon after that */
    bool hopeless;     /* its last death was of such a kind, and it was not READY since */
    bool worn;         /* of a zygote: a successor is wanted */
    int64_t silent_ms; /* for so long it has not answered (health.h) */
    int64_t answered_ms; /* when it was READY, or said that it is there */
    struct unit_links links[UNIT_ZYGOTES]; /* of a relay, by the zygote's place */
};

/* What people call it: "relay 3", "pool exercises". */
struct unit_label {
    char text[64];
};

struct unit_label unit_label(const struct unit *unit);
const char *unit_kind_name(enum unit_kind kind);

/* ---- of many ---- */

/* Two fds for each: its pidfd and its peer (-1 where there is none). */
void units_poll(const struct unit *units, size_t count, struct pollfd *fds);
/* None is to be started, or not READY yet. */
bool units_are_ready(const struct unit *units, size_t count);
/* Has any of that kind a process? */
bool units_are_alive(const struct unit *units, size_t count, enum unit_kind kind);
/* When the next one may be started, CLOCK_NEVER if none is to be. */
int64_t units_start_ms(const struct unit *units, size_t count);

/* ---- of one ---- */

void unit_init(struct unit *unit, enum unit_kind kind, uint32_t slot);
void unit_started(struct unit *unit, struct process process, int peer);
void unit_ready(struct unit *unit);
/* It could not be started: says when to try again. */
void unit_failed(struct unit *unit);

/* After process_reap, with its exit status: says when it may be started again
 * (`start_ms`), and whether there is hope in that. */
void unit_died(struct unit *unit, int status);
/* Of one that did not start: an error that it has said itself is not one more. */
void unit_say_not_started(const struct unit *unit, int status);
