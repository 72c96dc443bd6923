/* SPDX-License-Identifier: MIT */
/*
 * All that a relay knows, in one structure that its modules pass on (theory of operation:
 * relay.c).
 *
 *   relay.c         life of the process: set-up, the supervisor, the poll() loop
 *   broker.c        two connections to Redis, and what an error of Redis means
 *   watch.c         the connection that always waits: for work, or for word of the job
 *   claims.c        calls of the Functions library, and their answers
 *   fetch.c         a claimed job's bytes: from the queue into its sandbox's inbox
 *   sandbox_link.c  the zygote: sandboxes asked for, started, killed
 *   lease.c         whose the job is
 *   run.c           one job's life, by a table of state and event
 *   bounds.c        what ends its program: the limits that are the relay's
 *   patience.c      what is awaited for too long
 *   forward.c       the recording: from the ring to the job's Stream
 *   input.c         live input: from the queue into the ring
 *   settle.c        how a job is given out of hand: finished, lost or given back
 *   judge.c         the verdict
 *   board.c         what it shows of itself
 *   upkeep.c        what the queues need when nobody claims
 *   queues.c        which of its queues is asked for a job first
 */
#pragma once

#include "common/clock.h"
#include "common/message.h"
#include "worker/relay/board.h"
#include "worker/relay/bounds.h"
#include "worker/relay/broker.h"
#include "worker/relay/fetch.h"
#include "worker/relay/forward.h"
#include "worker/relay/input.h"
#include "worker/relay/lease.h"
#include "worker/relay/patience.h"
#include "worker/relay/queues.h"
#include "worker/relay/run.h"
#include "worker/relay/sandbox_link.h"
#include "worker/relay/settle.h"
#include "worker/relay/upkeep.h"
#include "worker/relay/watch.h"

#include <poll.h>
#include <stdint.h>

enum relay_mode {
    RELAY_SERVING,
    RELAY_DRAINING, /* finish the running job, claim no other */
    RELAY_STOPPING, /* the supervisor is gone: end the job, give it back */
};

struct relay {
    struct message_relay setup;
    int peer; /* the supervisor */
    enum relay_mode mode;
    int64_t stop_ms; /* RELAY_STOPPING: when to leave in any case */
    int exit_code;
    bool broken;   /* can not go on: leave with exit_code */
    bool relieved; /* RELAY_DRAINING: no claim is under way any more, which was said */
    struct queues queues;
    struct broker broker;
    struct watch watch;
    struct sandbox_link link;
    struct lease lease;
    struct run run;
    struct fetch fetch;
    struct patience patience;
    struct forward forward;
    struct input input;
    struct settlement settlement;
    struct board board;
    struct upkeep upkeep;
};

/* Something happened that no later turn of the loop can repair: the supervisor starts
 * another. */
void relay_break(struct relay *relay, int exit_code);
/* Tells the supervisor that we are there, and that we may say nothing for so long. */
void relay_is_there(struct relay *relay, uint32_t patience_ms);
