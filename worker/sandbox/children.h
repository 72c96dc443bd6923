/* SPDX-License-Identifier: MIT */
/*
 * The zygote's children: who lives, under which id, for which slot, what limits it and
 * why it was killed. A fixed table; a place (and with it a uid) is used again only after
 * its child was reaped.
 */
#pragma once

#include "common/message.h"
#include "worker/sandbox/groups.h"
#include "worker/sandbox/sandbox.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#define CHILDREN_MAX GROUPS_MAX

struct child {
    pid_t pid; /* 0: the place is free */
    uint32_t slot;
    uint32_t serial;       /* of all forks: places are used again */
    uint64_t sandbox;      /* the relay's number for it */
    enum kill_cause cause; /* the first reason for which it was killed */
    char call[32];         /* of KILL_FORBIDDEN */
    bool started;
    int64_t kill_ms;      /* when it is killed that was asked where it is; 0: none was */
    int64_t asked_ms;     /* when it was asked, */
    int64_t asked_cpu_ns; /* and what its CPU clock said then */
    bool forsaken;        /* its link is gone: nobody wants to hear of its end */
    int64_t cpu_base_ns;  /* on its CPU clock when its job began */
    int64_t base_kb;      /* of memory, then; 0: unknown */
    bool timed;           /* it has a CPU timer: */
    timer_t timer;
};

struct children {
    struct sandbox_settings settings;
    struct groups groups;
    uint32_t forks;  /* so far */
    int64_t born_kb; /* memory of the last one that was ready ahead of its job; 0: none */
    int timer_signal; /* delivered to the signalfd, with the serial as its value */
    struct child places[CHILDREN_MAX];
};

/* Forks a sandbox with these three fds (they stay the caller's), and makes what its job
 * will be timed by. Returns its place, -EAGAIN when every place is taken, or a negative
 * errno; a child that there is then all the same is killed, and reaped as others are. */
int children_fork(struct children *children, uint32_t slot,
                  const struct message_request *request, const int fds[SANDBOX_FDS]);

/* Takes in a child that was not forked for a relay: the self-test's. Returns as above. */
int children_adopt(struct children *children, pid_t pid);

/* Returns the place of a slot's sandbox, or -ENOENT. */
int children_find(const struct children *children, uint32_t slot, uint64_t sandbox);

/* Its job begins: arms the CPU timer, and lowers its group's limit. */
int children_start(struct children *children, int place,
                   const struct message_start *start);

/* Kills, and remembers the cause if it is the first. Whose limit it is, is asked first
 * where its program is, and killed by children_tend() a moment later. */
void children_kill(struct children *children, int place, enum kill_cause cause);
/* Reads what the signalfd has: kills whose CPU timer ran out. */
void children_hear(struct children *children, int signals);
/* Kills those whose moment is over. Returns when the next one's will be, or CLOCK_NEVER.
 */
int64_t children_tend(struct children *children, int64_t now_ms);

/* Kills all sandboxes of a slot, whose link is gone. */
void children_forsake(struct children *children, uint32_t slot);
bool children_any(const struct children *children, uint32_t slot);

/* Returns the place of a child that is dead and not reaped yet, or -EAGAIN if there is
 * none. */
int children_dead(const struct children *children);
/* Reaps it: the evidence in *ret, and *ret_child is a copy, since the place is free
 * again.
 */
void children_reap(struct children *children, int place, struct message_exited *ret,
                   struct child *ret_child);

/* Kills and reaps every child: before the zygote ends where it is not process 1 of a
 * namespace, which would see to that. */
void children_end(struct children *children);

/* Reads one notification of a forbidden call and kills its caller. */
void children_forbid(struct children *children, int listener);
