/* SPDX-License-Identifier: MIT */
/*
 * Asking the zygote for sandboxes. Runs in the relay. The zygote's word on who lives and
 * who died is believed; what it may say at all is checked by message_receive. A zygote
 * that can not be talked to ends the relay: the supervisor starts another, with a new
 * link.
 */
#include "worker/relay/sandbox_link.h"

#include "common/fd.h"
#include "common/job.h"
#include "common/log.h"
#include "common/role.h"
#include "worker/relay/relay.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#define RETRY_MIN_MS 100
#define RETRY_MAX_MS 1000
#define AHEAD_MS     5 /* into a job that nobody waits behind: the next sandbox is born */

static const struct sandbox no_sandbox = {.inbox = -1, .doorbell = -1, .pidfd = -1};

static void sandbox_done(struct sandbox *sandbox)
{
    ring_reader_done(&sandbox->ring);
    close_fd(&sandbox->inbox);
    close_fd(&sandbox->doorbell);
    close_fd(&sandbox->pidfd);
    *sandbox = no_sandbox;
}

void sandbox_link_init(struct sandbox_link *link)
{
    *link =
        (struct sandbox_link){.socket = -1, .current = no_sandbox, .next = no_sandbox};
}

void sandbox_link_done(struct sandbox_link *link)
{
    close_fd(&link->socket);
    sandbox_done(&link->current);
    sandbox_done(&link->next);
}

void sandbox_link_forget(struct relay *relay)
{
    sandbox_done(&relay->link.current);
}

bool sandbox_link_ready(const struct relay *relay)
{
    return relay->link.next.state == SANDBOX_WAITING;
}

/* ---- asking ---- */

static void fail(struct relay *relay, int error, const char *what)
{
    struct sandbox_link *link = &relay->link;
    int64_t pause = RETRY_MIN_MS << (link->failures < 4 ? link->failures : 4);

    log_event(link->failures == 0 ? LOG_WARNING : LOG_DEBUG,
              "unable to get a sandbox: %s%s%s", what, error != 0 ? ": " : "",
              error != 0 ? strerror(-error) : "");
    link->failures++;
    link->retry_ms = clock_now_ms() + (pause < RETRY_MAX_MS ? pause : RETRY_MAX_MS);
    sandbox_done(&link->next);
}

static int create(struct sandbox *sandbox, int *ret_ring)
{
    int r = ring_reader_init(&sandbox->ring, ret_ring);

    if (r == 0) {
        r = job_inbox_create(&sandbox->inbox);
    }
    if (r == 0) {
        sandbox->doorbell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        r = sandbox->doorbell >= 0 ? 0 : -errno;
    }
    return r;
}

/* Returns 0; -EPIPE, which the end of the link will say again; or ends the relay. */
static int tell(struct relay *relay, enum message_type type, const void *payload,
                const int *fds)
{
    int r = message_send(relay->link.socket, type, payload, fds);

    if (r < 0 && r != -EPIPE) {
        (void)log_failure(r, "unable to send %s to the zygote", message_type_name(type));
        relay_break(relay, ROLE_EXIT_SYSTEM);
    }
    return r;
}

static void request(struct relay *relay)
{
    struct sandbox_link *link = &relay->link;
    struct sandbox *next = &link->next;
    struct message_request message = {.sandbox = link->count + 1,
                                      .rehearse = !relay->run.job.others_wait};
    autoclose int ring = -1;
    int r = create(next, &ring);

    if (r < 0) {
        fail(relay, r, "no memory to share");
        return;
    }
    r = tell(relay, MESSAGE_REQUEST, &message,
             (int[]){ring, next->inbox, next->doorbell});
    if (r < 0) {
        sandbox_done(next);
        link->retry_ms = clock_now_ms() + RETRY_MIN_MS;
        return;
    }
    next->number = ++link->count;
    next->state = SANDBOX_REQUESTED;
}

void sandbox_link_tend(struct relay *relay, int64_t now_ms)
{
    struct sandbox_link *link = &relay->link;

    if (link->linked && link->next.state == SANDBOX_NONE &&
        relay->mode == RELAY_SERVING && now_ms >= link->retry_ms) {
        request(relay);
    }
}

int64_t sandbox_link_deadline(const struct relay *relay)
{
    const struct sandbox_link *link = &relay->link;
    bool asks =
        link->linked && link->next.state == SANDBOX_NONE && relay->mode == RELAY_SERVING;

    return asks ? link->retry_ms : CLOCK_NEVER;
}

/* ---- the job's turn ---- */

int sandbox_link_start(struct relay *relay, int64_t cpu_ms)
{
    struct sandbox_link *link = &relay->link;
    struct message_start start = {.sandbox = link->next.number, .cpu_ms = cpu_ms};
    int r = tell(relay, MESSAGE_START, &start, NULL);

    if (r < 0) {
        return r;
    }
    link->current = link->next;
    link->next = no_sandbox;
    link->current.state = SANDBOX_RUNNING;
    link->failures = 0;
    /* Where nobody waits, the next one's birth must not compete with this job and its
     * result; a long job leaves time for it anyway. */
    if (!relay->run.job.others_wait) {
        link->retry_ms = clock_now_ms() + AHEAD_MS;
    }
    return 0;
}

void sandbox_link_kill(struct relay *relay, enum kill_cause cause)
{
    const struct sandbox *current = &relay->link.current;
    struct message_kill message = {.sandbox = current->number, .cause = cause};

    if (current->state == SANDBOX_RUNNING) {
        (void)tell(relay, MESSAGE_KILL, &message,
                   NULL); /* a dead link killed it already */
    }
}

void sandbox_link_discard(struct relay *relay)
{
    struct sandbox *next = &relay->link.next;
    struct message_kill message = {.sandbox = next->number, .cause = KILL_FAULT};

    if (next->state == SANDBOX_WAITING) {
        (void)tell(relay, MESSAGE_KILL, &message, NULL);
        sandbox_done(next);
    }
}

/* ---- listening ---- */

static void on_linked(struct relay *relay, struct message *message)
{
    relay->link.linked = true;
    relay->link.retry_ms = 0;
    run_linked(relay);
}

static void on_forked(struct relay *relay, struct message *message)
{
    const struct message_forked *forked = &message->payload.FORKED_;
    struct sandbox *next = &relay->link.next;

    if (forked->sandbox != next->number || next->state != SANDBOX_REQUESTED) {
        return;
    }
    if (forked->error < 0) {
        fail(relay, forked->error, "the zygote can not fork");
        return;
    }
    next->pidfd = steal_fd(&message->fds[0]);
    next->state = SANDBOX_WAITING;
}

static void on_exited(struct relay *relay, struct message *message)
{
    const struct message_exited *exited = &message->payload.EXITED_;
    struct sandbox_link *link = &relay->link;
    char what[64];

    message->payload.EXITED_.call[sizeof(exited->call) - 1] = '\0';
    if (link->current.state == SANDBOX_RUNNING &&
        exited->sandbox == link->current.number) {
        link->current.state = SANDBOX_GONE;
        link->retry_ms = link->failures > 0 ? link->retry_ms : 0;
        run_exited(relay, exited);
    } else if (link->next.state != SANDBOX_NONE && exited->sandbox == link->next.number) {
        (void)snprintf(what, sizeof(what), "it ended before its job by %s %d",
                       exited->exited ? "exit" : "signal", exited->status);
        fail(relay, 0, what);
        run_sandbox_lost(relay);
    }
}

static void (*const handlers[MESSAGE_COUNT])(struct relay *, struct message *) = {
    [MESSAGE_LINKED] = on_linked,
    [MESSAGE_FORKED] = on_forked,
    [MESSAGE_EXITED] = on_exited,
};

static uint32_t permitted(const struct sandbox_link *link)
{
    return link->linked ? 1u << MESSAGE_FORKED | 1u << MESSAGE_EXITED
                        : 1u << MESSAGE_LINKED;
}

static void drop(struct relay *relay)
{
    struct sandbox_link *link = &relay->link;

    close_fd(&link->socket);
    link->linked = false;
    link->count = 0;
    sandbox_done(&link->next);
    if (link->current.state == SANDBOX_RUNNING) {
        link->current.state = SANDBOX_GONE;
    }
    run_link_lost(relay);
}

void sandbox_link_service(struct relay *relay)
{
    struct sandbox_link *link = &relay->link;
    struct message message;
    int r;

    while ((r = message_receive(link->socket, permitted(link), &message)) == 1) {
        handlers[message.type](relay, &message);
        message_done(&message);
    }
    if (r == -EAGAIN) {
        return;
    }
    if (r == 0) {
        log_warning("the zygote is gone");
    } else {
        (void)log_failure(r, "unable to understand the zygote");
        relay_break(relay, ROLE_EXIT_SYSTEM);
    }
    drop(relay);
}

void sandbox_link_replace(struct relay *relay, int socket)
{
    if (relay->link.socket >= 0) {
        sandbox_link_service(relay);
    }
    if (relay->link.socket >= 0) {
        drop(relay);
    }
    relay->link.socket = socket;
    relay->link.failures = 0;
}
