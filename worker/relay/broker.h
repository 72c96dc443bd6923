/* SPDX-License-Identifier: MIT */
/*
 * The relay's two connections to Redis: one for commands, one that always waits. Each
 * comes back by itself after it went down.
 */
#pragma once

#include "queue/redis.h"
#include "worker/relay/complaints.h"

#include <stdbool.h>
#include <stdint.h>

struct relay;
struct error_row;

enum broker_line_name { BROKER_COMMANDS, BROKER_WAITING, BROKER_LINES };

struct broker_line {
    struct relay *relay;
    enum broker_line_name name;
    struct redis *redis; /* owned */
    bool up;             /* as far as we have noticed */
    bool reaching;       /* it is about to come up */
    bool drop;           /* take it down at the next turn */
    bool complained;     /* its loss has been logged */
    int refusal;         /* the error that was logged, where time does not mend it; 0 */
    bool before;         /* it has been up before */
    bool leave;          /* take it down, though it is as good as any */
    bool refused;        /* it is taken down for what Redis has answered */
    int64_t up_ms;       /* since when it is up */
    int64_t retry_ms;    /* when to connect again */
    int64_t rest_ms;     /* after an error that time heals: send nothing before */
    bool away;           /* the last answer was an error that says how Redis is */
    unsigned errors;     /* in a row */
};

struct broker {
    struct broker_line lines[BROKER_LINES];
    struct complaints complaints;
    bool unchecked; /* whether the server will do is to be seen: at the start */
    bool reload;    /* the library is missing: load it with the next connection */
    bool version_asked;
    int64_t version_ms; /* when to ask for the library's version again */
};

/* Both connections, the server checked, the library loaded. Tries for at most
 * `patience_ms` where the server can not be reached, and for as long as it takes where it
 * loads its data. A relay that is set up to wait leaves all of that to broker_tend, which
 * waits for a server that will not do, too: it did before.
 * Returns 0; -EINVAL for a server, or an address, that will not do, -EHOSTUNREACH for one
 * that was not there, both after logging the reason; -EPIPE when the supervisor is gone.
 */
int broker_open(struct relay *relay, int patience_ms);
void broker_done(struct relay *relay);

/* Takes down what is to be dropped, connects again where it is time, and looks from time
 * to time whether the library is still ours, or a later one. */
void broker_tend(struct relay *relay, int64_t now_ms);
int64_t broker_deadline(const struct relay *relay);

/* Commands can be sent now. */
bool broker_ready(const struct relay *relay, int64_t now_ms);
/* Redis is not there for commands, or says of itself that it cannot serve. A rest after
 * an error of one command is no absence. */
bool broker_is_away(const struct relay *relay);
struct redis *broker_commands(struct relay *relay);
/* What is under way there is no longer wanted: it is made anew. */
void broker_commands_drop(struct relay *relay);
/* The same for the other connection, which waits. */
bool broker_can_wait(const struct relay *relay, int64_t now_ms);
/* When a command that is due at `due_ms` can be sent: CLOCK_NEVER while the connection is
 * down (its return wakes the loop). */
int64_t broker_when(const struct relay *relay, int64_t due_ms);

/* Looks at an answer. Returns true if it is none of an error; else logs it, does what its
 * row says, and returns false: whatever was asked is to be asked again, unless it no
 * longer matters. NULL (the connection went down) is false too. `what` names the command.
 */
bool broker_accept(struct relay *relay, enum broker_line_name line, const char *what,
                   const struct redisReply *reply);
/* The answer of claims_version. */
void broker_on_version(void *context, const struct redisReply *reply);
/* Whether an answer that was not accepted says how Redis is, and nothing of the command:
 * it may be sent again for as long as that lasts. */
bool broker_passes(const struct redisReply *reply);
