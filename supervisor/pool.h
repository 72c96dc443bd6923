/* SPDX-License-Identifier: MIT */
/*
 * A pool: the private Redis if there is one, a zygote, and the relays; what is done when
 * one of them is started, speaks, or dies. The rules: a link between the zygote that
 * serves and a relay is made when both are there (linking.h); a zygote that died is
 * replaced only after it was reaped, which means that its PID namespace is empty; one
 * that is worn, or of a configuration that is no longer wanted, is followed by another
 * (succession.h).
 */
#pragma once

#include "common/scoreboard.h"
#include "supervisor/cgroup.h"
#include "supervisor/config.h"
#include "supervisor/decoy.h"
#include "supervisor/notify.h"
#include "supervisor/runtime.h"
#include "supervisor/scaling.h"
#include "supervisor/unit.h"

#include <poll.h>
#include <sys/stat.h>

enum pool_phase {
    POOL_STARTING, /* not everything has been READY once: a death now is final */
    POOL_RUNNING,
    POOL_DRAINING, /* relays finish what they run */
    POOL_STOPPING, /* everything is being ended */
};

enum pool_reload {
    RELOAD_NONE,
    RELOAD_WANTED, /* as soon as there is a place for a zygote */
    RELOAD_CALLED, /* its zygote is the heir (succession.h) */
};

#define POOL_UNITS (1 + 1 + UNIT_ZYGOTES + LIMIT_WORKERS)

struct pool {
    struct config config; /* in force: while there is a reload, with what `next` has for
                             the supervisor alone */
    struct config next;   /* to come, while there is a reload */
    struct config former; /* what is in force again if that fails */
    enum pool_reload reload;
    bool reload_again;       /* it is to be read again when the start is over */
    bool reload_waits;       /* for a place, which was said */
    const char *reload_news; /* what is in force, and not said yet; NULL: nothing */
    uint32_t generation;     /* of the configuration: what relays are of */
    uint32_t reloads;        /* how often it was read again, and is in force */
    struct runtime runtime;
    char owner[RUNTIME_OWNER]; /* of jobs that are claimed here */
    struct notify notify;
    enum pool_phase phase;
    bool held; /* no link is made: whoever started us waits for other pools */
    struct stat libraries[UNIT_ZYGOTES]; /* Python's, as each zygote was given it */
    enum isolation isolation;
    struct cgroup cgroup;
    struct decoy decoy;         /* while a zygote starts */
    char redis[LIMIT_PATH + 8]; /* the address that relays get */
    struct scoreboard *board;   /* mapped; NULL in a check */
    int board_fd;
    int listener; /* of figures; -1: none */
    struct scaling scaling;
    int64_t held_said_ms; /* when it is to be said again that memory holds workers back */
    int64_t look_ms;      /* when it is to be scaled again */
    int64_t asked_ms;     /* when all were asked whether they are there (health.h) */
    int64_t residence_ms; /* when memory is to be looked at again (residence.h) */
    bool is_warned;       /* of a Redis without a maximum */
    int64_t end_ms;       /* of draining or stopping: then by force */
    int exit_code;
    struct message_ready
        sandbox; /* what the zygote said of its layers; version 0: nothing yet */
    size_t count;
    struct unit units[POOL_UNITS]; /* redis (if private), metrics (if wanted), the
                                      zygotes, the relays */
};

/* Readies the records; starts nothing. `check`: the zygote alone. */
void pool_init(struct pool *pool, bool check);
/* Starts what is due. */
void pool_start_due(struct pool *pool);
/* The next moment at which something is due, CLOCK_NEVER if nothing is. */
int64_t pool_next_ms(const struct pool *pool);

/* Two fds per unit: its pidfd and its peer (-1 where there is none). */
void pool_poll(const struct pool *pool, struct pollfd *fds);
void pool_service(struct pool *pool, const struct pollfd *fds);

bool pool_is_ready(const struct pool *pool);
bool pool_is_over(const struct pool *pool);

/* Relays finish their jobs; what is not over after drain_s is given back. */
void pool_drain(struct pool *pool);
/* Of one that is ending: nobody is told any figures from here on, and the port is free.
 */
void pool_give_port(struct pool *pool);
/* Everything ends now; running jobs are given back. */
void pool_stop(struct pool *pool);
