/* SPDX-License-Identifier: MIT */
/*
 * One job's life. Runs in the relay. It trusts Redis on whose the job is, and the zygote
 * on how its sandbox ended; it never believes the sandbox, and never waits for any of
 * them: every handler returns at once.
 *
 * Events come from the queue, the zygote, the clock and the supervisor. What each means
 * depends on how far the job is: the table at the end of this file is the whole of it.
 */
#include "worker/relay/run.h"

#include "common/log.h"
#include "common/role.h"
#include "worker/relay/relay.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum run_event {
    RUN_EVENT_JOB,        /* the claim brought a job */
    RUN_EVENT_NO_JOB,     /* it brought none */
    RUN_EVENT_FETCHED,    /* its bytes are in the inbox, or could not be put there */
    RUN_EVENT_UNFETCHED,  /* they cannot be had */
    RUN_EVENT_TOO_LARGE,  /* they are more than is taken here */
    RUN_EVENT_NO_SANDBOX, /* the sandbox that waited is gone */
    RUN_EVENT_UNBEGUN,    /* the sandbox does not begin */
    RUN_EVENT_EXITED,     /* the program has ended, and the zygote says how */
    RUN_EVENT_LINK_LOST,  /* the sandbox's zygote is gone */
    RUN_EVENT_DEAD,       /* the sandbox is dead, by its pidfd */
    RUN_EVENT_UNHEARD,    /* and its zygote does not say so */
    RUN_EVENT_LEASE_LOST, /* the job is not ours any more */
    RUN_EVENT_FORGOTTEN,  /* Redis does not have all of it any more */
    RUN_EVENT_CANCEL,
    RUN_EVENT_STOP, /* the supervisor is gone */
    RUN_EVENT_SETTLED,
    RUN_EVENTS,
};

typedef void run_handler(struct relay *relay, const void *detail);

static void handle(struct relay *relay, enum run_event event, const void *detail);

static void enter(struct run *run, enum run_state state)
{
    if (run->state != state) {
        run->state = state;
        run->entered_ms = clock_now_ms();
        log_debug("state=%s job=%s", run_state_name(state), run->job.id);
    }
}

void run_init(struct run *run)
{
    *run = (struct run){.wanted = true};
}

void run_done(struct run *run)
{
    claims_job_done(&run->job);
}

/* ---- leaving a job ---- */

/* Nothing of the job remains here. */
static void forget(struct relay *relay, const void *unused)
{
    struct run *run = &relay->run;

    forward_reset(relay);
    input_reset(relay);
    settlement_done(&relay->settlement);
    sandbox_link_forget(relay);
    enter(run, run->claim_asked ? RUN_CLAIMING : RUN_IDLE);
    claims_job_done(&run->job);
    run->killed = KILL_NONE;
    run->dead_ms = 0;
    run->forsaken = false;
    run->lost[0] = '\0';
    run->started_us = run->begun_us = 0;
    run->wanted = run->wanted || !run->claim_asked;
}

static void settle(struct relay *relay)
{
    enter(&relay->run, RUN_SETTLING);
    settle_tend(relay, clock_now_ms());
}

static void give_back(struct relay *relay, const void *unused)
{
    settle_give_back(relay);
    settle(relay);
}

/* ---- claiming ---- */

static bool may_claim(const struct relay *relay)
{
    const struct run *run = &relay->run;

    return relay->mode == RELAY_SERVING && sandbox_link_ready(relay) &&
           relay->lease.recover == NULL && !run->claim_asked &&
           (run->state == RUN_IDLE || run->state == RUN_SETTLING);
}

void run_claim(struct relay *relay, int64_t now_ms)
{
    struct run *run = &relay->run;

    if (!may_claim(relay) || !broker_ready(relay, now_ms) || claims_claim(relay) < 0) {
        return;
    }
    run->claim_asked = true;
    run->claim_sent_ms = now_ms;
    run->wanted = false;
    if (run->state == RUN_IDLE) {
        enter(run, RUN_CLAIMING);
    }
}

static bool can_be_woken(const struct relay *relay)
{
    return may_claim(relay) && relay->run.state == RUN_IDLE;
}

bool run_wants_wake(const struct relay *relay)
{
    return can_be_woken(relay) && !relay->run.wanted;
}

void run_wake(struct relay *relay, uint32_t popped)
{
    relay->run.wanted = true;
    if (can_be_woken(relay)) {
        relay->queues.woken = popped;
    } else if (popped != QUEUES_NONE) {
        claims_wake_another(relay, popped);
    }
}

void run_on_claim(void *context, const struct redisReply *reply)
{
    struct relay *relay = context;
    struct run *run = &relay->run;
    struct claims_job job;
    int r;

    run->claim_asked = false;
    run->refused =
        reply != NULL && reply->type == REDIS_REPLY_ERROR ? run->refused + 1 : 0;
    if (!broker_accept(relay, BROKER_COMMANDS, "claim a job", reply)) {
        if (reply == NULL) { /* it may have been carried out */
            relay->lease.recover = "the answer to its claim was lost";
        }
        run->wanted = true;
        handle(relay, RUN_EVENT_NO_JOB, NULL);
        return;
    }
    board_taken(relay);
    r = claims_read(relay, reply, &job);
    if (r < 0) {
        (void)log_failure(r, "unable to understand a claim; its lease runs out");
    }
    if (r == 1) {
        queues_served(&relay->queues, queues_find(&relay->queues, job.queue));
    } else if (r == 0) {
        queues_none(&relay->queues);
    }
    relay->watch.idle_ms = claims_idle_ms(reply);
    handle(relay, r == 1 ? RUN_EVENT_JOB : RUN_EVENT_NO_JOB, &job);
}

static void no_job(struct relay *relay, const void *unused)
{
    enter(&relay->run, RUN_IDLE);
}

/* The one before could not be settled although this claim was answered: the queue is
 * asked to take it back as soon as there is room to think. */
static void stray(struct relay *relay, const void *job)
{
    struct claims_job copy = *(const struct claims_job *)job;

    log_warning("job=%s came while another is not settled", copy.id);
    claims_job_done(&copy);
    relay->lease.recover = "its worker was not rid of another";
}

/* The library has checked the fields: what its checks let pass, or what was written
 * since, is no fault of the program. */
static void lose_unclear(struct relay *relay)
{
    char why[64];

    (void)snprintf(why, sizeof(why), "its field %s cannot be understood",
                   relay->run.job.unclear);
    settle_lost(relay, why);
    settle(relay);
}

static void accept_job(struct relay *relay, const void *job)
{
    struct run *run = &relay->run;

    run->job = *(const struct claims_job *)job;
    board_count_job(relay);
    lease_begin(relay, run->claim_sent_ms);
    enter(run, RUN_FETCHING);
    log_debug("job=%s attempt=%" PRIu32 " claimed", run->job.id, run->job.attempt);
    if (run->job.unclear[0] != '\0') {
        lose_unclear(relay);
        return;
    }
    if (relay->mode == RELAY_STOPPING || !sandbox_link_ready(relay)) {
        give_back(relay, NULL);
        return;
    }
    fetch_tend(relay, clock_now_ms());
}

/* ---- starting ---- */

static int start(struct relay *relay)
{
    struct run *run = &relay->run;
    int r = sandbox_link_start(relay, &run->job.limits);

    if (r == 0) {
        enter(run, RUN_RUNNING);
        run->started_us = clock_now_us();
        run->begun_us = run->ended_us = 0;
        forward_begin(relay);
        input_begin(relay);
        ring_reader_start(&relay->link.current.ring);
    }
    return r;
}

static void refuse_start(struct relay *relay, int error)
{
    (void)log_failure(error, "job=%s: unable to start it", relay->run.job.id);
    sandbox_link_discard(relay);
    if (error == -EPIPE) { /* the zygote died just now: no fault of the job */
        settle_give_back(relay);
    } else {
        settle_lost(relay, "its sandbox could not be started");
    }
    settle(relay);
}

static void fetched(struct relay *relay, const void *error)
{
    int r = *(const int *)error;

    r = r == 0 ? start(relay) : r;
    if (r < 0) {
        refuse_start(relay, r);
    }
}

static void too_large(struct relay *relay, const void *unused)
{
    char report[96];

    (void)snprintf(report, sizeof(report),
                   "it is larger than the %zu MB that are taken here.",
                   claims_most_bytes(relay) / MIB(1));
    settle_verdict(relay, VERDICT_BAD_ZIP, report);
    settle(relay);
}

static void unfetched(struct relay *relay, const void *why)
{
    settle_lost(relay, why);
    settle(relay);
}

/* ---- ending ---- */

void run_kill(struct relay *relay, enum kill_cause cause)
{
    struct run *run = &relay->run;

    if (run->killed == KILL_NONE) {
        run->killed = cause;
        run->killed_ms = clock_now_ms();
        run->clear = cause == KILL_CANCEL || !sandbox_link_is_dead(relay);
        sandbox_link_kill(relay, cause);
    }
}

static void judge_end(struct relay *relay, const struct message_exited *exited)
{
    struct ring_claim claim;
    bool claimed = ring_reader_claim(&relay->link.current.ring, &claim);

    settle_judged(relay, &(const struct judge_case){
                             .exited = exited,
                             .limits = &relay->run.job.limits,
                             .claim = claimed ? &claim : NULL,
                             .hostile = relay->forward.hostile,
                             .begun = forward_has_begun(relay),
                             .starved = ring_reader_starved(&relay->link.current.ring),
                         });
}

/* `detail`: what the zygote says of it; NULL: nobody says anything. */
static void exited(struct relay *relay, const void *detail)
{
    const struct message_exited *evidence = detail;
    bool is_fault = evidence == NULL || evidence->cause == KILL_FAULT;

    forward_drain(relay);
    if (relay->run.forsaken) {
        forget(relay, NULL);
        return;
    }
    if (relay->mode == RELAY_STOPPING && is_fault) {
        settle_give_back(relay);
    } else if (relay->run.lost[0] != '\0') {
        settle_lost(relay, relay->run.lost);
    } else if (evidence == NULL) {
        settle_lost(relay, "the sandbox's host process died");
    } else {
        judge_end(relay, evidence);
    }
    sandbox_link_forget(relay);
    settle(relay);
}

/* The sandbox dies with its zygote, but may not be dead yet: giving the job back now
 * could let it run twice at once. */
static void orphan(struct relay *relay, const void *unused)
{
    enter(&relay->run, RUN_ORPHANED);
}

static void note_death(struct relay *relay, const void *unused)
{
    relay->run.dead_ms = clock_now_ms();
}

/* How it died is the zygote's to say, but not where we had it killed when it was alive.
 */
static bool has_clear_end(const struct relay *relay)
{
    return relay->run.killed != KILL_NONE && relay->run.clear;
}

/* What it used is not known then. */
static void end_unheard(struct relay *relay, const void *unused)
{
    const struct message_exited evidence = {
        .cause = relay->run.killed, .status = SIGKILL, .cpu_us = -1};

    if (has_clear_end(relay)) {
        sandbox_link_give_up(relay);
        exited(relay, &evidence);
    }
}

static void reaped(struct relay *relay, const void *unused)
{
    if (has_clear_end(relay)) {
        end_unheard(relay, NULL);
    } else {
        exited(relay, NULL);
    }
}

static void forsake(struct relay *relay, const void *unused)
{
    lease_note_taken(relay, clock_now_ms());
    relay->run.forsaken = true;
    run_kill(relay, KILL_FAULT);
}

/* A recording with a hole cannot be read, and a program cannot be told that its input was
 * another: it begins anew. */
static void begin_anew(struct relay *relay, const void *what)
{
    (void)snprintf(relay->run.lost, sizeof(relay->run.lost), "Redis has %s",
                   (const char *)what);
    run_kill(relay, KILL_FAULT);
}

static void lose_end(struct relay *relay, const void *what)
{
    begin_anew(relay, what);
    settle_lost(relay, relay->run.lost);
    settle(relay);
}

static void lose_early(struct relay *relay, const void *unused)
{
    if (settle_taken(relay)) {
        forget(relay, NULL);
    }
}

/* Its end is not to wait behind a ZIP that nobody wants any more. */
static void cancel_early(struct relay *relay, const void *unused)
{
    if (relay->fetch.asked) {
        broker_commands_drop(relay);
    }
    settle_verdict(relay, VERDICT_CANCELLED, "");
    settle(relay);
}

static void cancel(struct relay *relay, const void *unused)
{
    if (relay->run.killed == KILL_NONE) {
        log_info("job=%s is cancelled", relay->run.job.id);
    }
    run_kill(relay, KILL_CANCEL);
    if (relay->run.killed == KILL_CANCEL) { /* at once, whatever the zygote does */
        sandbox_link_kill_alone(relay);
    }
}

static void stop(struct relay *relay, const void *unused)
{
    run_kill(relay, KILL_FAULT);
}

bool run_has_job(const struct relay *relay)
{
    return relay->run.state >= RUN_FETCHING && !relay->run.forsaken;
}

void run_redis_is_back(struct relay *relay)
{
    relay->run.wanted = true;
}

/* ---- the table ---- */

static run_handler *const handlers[RUN_STATES][RUN_EVENTS] = {
    [RUN_IDLE] =
        {
            [RUN_EVENT_JOB] = stray,
        },
    [RUN_CLAIMING] =
        {
            [RUN_EVENT_JOB] = accept_job,
            [RUN_EVENT_NO_JOB] = no_job,
        },
    [RUN_FETCHING] =
        {
            [RUN_EVENT_JOB] = stray,
            [RUN_EVENT_FETCHED] = fetched,
            [RUN_EVENT_UNFETCHED] = unfetched,
            [RUN_EVENT_TOO_LARGE] = too_large,
            [RUN_EVENT_NO_SANDBOX] = give_back,
            [RUN_EVENT_LEASE_LOST] = lose_early,
            [RUN_EVENT_CANCEL] = cancel_early,
            [RUN_EVENT_STOP] = give_back,
        },
    [RUN_RUNNING] =
        {
            [RUN_EVENT_JOB] = stray,
            [RUN_EVENT_UNBEGUN] = stop,
            [RUN_EVENT_EXITED] = exited,
            [RUN_EVENT_DEAD] = note_death,
            [RUN_EVENT_UNHEARD] = end_unheard,
            [RUN_EVENT_LINK_LOST] = orphan,
            [RUN_EVENT_LEASE_LOST] = forsake,
            [RUN_EVENT_FORGOTTEN] = begin_anew,
            [RUN_EVENT_CANCEL] = cancel,
            [RUN_EVENT_STOP] = stop,
        },
    [RUN_ORPHANED] =
        {
            [RUN_EVENT_JOB] = stray,
            [RUN_EVENT_DEAD] = reaped,
            [RUN_EVENT_LEASE_LOST] = lose_early,
            [RUN_EVENT_FORGOTTEN] = begin_anew,
        },
    [RUN_SETTLING] =
        {
            [RUN_EVENT_JOB] = stray,
            [RUN_EVENT_LEASE_LOST] = lose_early,
            [RUN_EVENT_FORGOTTEN] = lose_end,
            [RUN_EVENT_SETTLED] = forget,
        },
};

static void handle(struct relay *relay, enum run_event event, const void *detail)
{
    run_handler *handler = handlers[relay->run.state][event];

    if (handler != NULL) {
        handler(relay, detail);
    }
}

void run_cancel(struct relay *relay)
{
    handle(relay, RUN_EVENT_CANCEL, NULL);
}

void run_lease_lost(struct relay *relay)
{
    handle(relay, RUN_EVENT_LEASE_LOST, NULL);
}

void run_forgotten(struct relay *relay, const char *what)
{
    handle(relay, RUN_EVENT_FORGOTTEN, what);
}

void run_stop(struct relay *relay)
{
    handle(relay, RUN_EVENT_STOP, NULL);
}

void run_fetched(struct relay *relay, int error)
{
    handle(relay, RUN_EVENT_FETCHED, &error);
}

void run_unfetched(struct relay *relay, const char *why)
{
    handle(relay, RUN_EVENT_UNFETCHED, why);
}

void run_too_large(struct relay *relay)
{
    handle(relay, RUN_EVENT_TOO_LARGE, NULL);
}

void run_sandbox_dead(struct relay *relay)
{
    handle(relay, RUN_EVENT_DEAD, NULL);
}

void run_unbegun(struct relay *relay)
{
    handle(relay, RUN_EVENT_UNBEGUN, NULL);
}

void run_unheard(struct relay *relay)
{
    handle(relay, RUN_EVENT_UNHEARD, NULL);
}

/* Of a program that goes on there is no death to be missed, and one that ended by itself
 * is as well told by the zygote: each has a turn of the loop less for it. */
bool run_minds_death(const struct relay *relay)
{
    const struct run *run = &relay->run;

    return run->state == RUN_ORPHANED ||
           (run->state == RUN_RUNNING && run->killed != KILL_NONE && run->dead_ms == 0);
}

void run_link_lost(struct relay *relay)
{
    handle(relay, RUN_EVENT_LINK_LOST, NULL);
}

void run_sandbox_lost(struct relay *relay)
{
    handle(relay, RUN_EVENT_NO_SANDBOX, NULL);
}

void run_exited(struct relay *relay, const struct message_exited *evidence)
{
    handle(relay, RUN_EVENT_EXITED, evidence);
}

void run_settled(struct relay *relay)
{
    handle(relay, RUN_EVENT_SETTLED, NULL);
}

/* ---- time ---- */

void run_tend(struct relay *relay, int64_t now_ms)
{
    struct run *run = &relay->run;

    bounds_enforce(relay);
    settle_tend(relay, now_ms);
    fetch_tend(relay, now_ms);
    if (run->wanted && run->state == RUN_IDLE) {
        run_claim(relay, now_ms);
    }
}

bool run_is_over(const struct relay *relay)
{
    return relay->run.state == RUN_IDLE && !relay->run.claim_asked;
}
