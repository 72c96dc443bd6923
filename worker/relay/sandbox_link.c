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
#include <poll.h>
#include <signal.h>
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
    *link = (struct sandbox_link){.links = {{.socket = -1}, {.socket = -1}},
                                  .current = no_sandbox,
                                  .next = no_sandbox,
                                  .heir = no_sandbox};
    link->newest = &link->links[0];
}

void sandbox_link_done(struct sandbox_link *link)
{
    for (size_t i = 0; i < SANDBOX_LINKS; i++) {
        close_fd(&link->links[i].socket);
    }
    sandbox_done(&link->current);
    sandbox_done(&link->next);
    sandbox_done(&link->heir);
}

void sandbox_link_forget(struct relay *relay)
{
    sandbox_done(&relay->link.current);
}

bool sandbox_link_is_up(const struct relay *relay)
{
    return relay->link.newest->linked;
}

bool sandbox_link_ready(const struct relay *relay)
{
    const struct sandbox *next = &relay->link.next;

    return next->state == SANDBOX_WAITING && !next->link->mute;
}

static struct zygote_link *former(struct sandbox_link *link)
{
    return link->newest == &link->links[0] ? &link->links[1] : &link->links[0];
}

/* ---- asking ---- */

static void fail(struct relay *relay, struct sandbox *asked, int error, const char *what)
{
    struct sandbox_link *link = &relay->link;
    int64_t pause = RETRY_MIN_MS << (link->failures < 4 ? link->failures : 4);
    char why[128];
    bool is_news;

    (void)snprintf(why, sizeof(why), "%s%s%s", what, error != 0 ? ": " : "",
                   error != 0 ? strerror(-error) : "");
    is_news = complaints_add(&link->said, why, clock_now_ms());
    log_event(is_news ? LOG_WARNING : LOG_DEBUG, "unable to get a sandbox: %s", why);
    link->failures++;
    link->retry_ms = clock_now_ms() + (pause < RETRY_MAX_MS ? pause : RETRY_MAX_MS);
    sandbox_done(asked);
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
static int tell(struct relay *relay, const struct zygote_link *link,
                enum message_type type, const void *payload, const int *fds)
{
    int r = message_send(link->socket, type, payload, fds);

    if (r < 0 && r != -EPIPE) {
        (void)log_failure(r, "unable to send %s to the zygote", message_type_name(type));
        relay_break(relay, ROLE_EXIT_SYSTEM);
    }
    return r;
}

static void request(struct relay *relay, struct sandbox *wanted)
{
    struct sandbox_link *link = &relay->link;
    struct message_request message = {.sandbox = link->count + 1,
                                      .rehearse = !relay->run.job.others_wait};
    autoclose int ring = -1;
    int r = create(wanted, &ring);

    if (r < 0) {
        fail(relay, wanted, r, "no memory to share");
        return;
    }
    r = tell(relay, link->newest, MESSAGE_REQUEST, &message,
             (int[]){ring, wanted->inbox, wanted->doorbell});
    if (r < 0) {
        sandbox_done(wanted);
        link->retry_ms = clock_now_ms() + RETRY_MIN_MS;
        return;
    }
    wanted->number = ++link->count;
    wanted->link = link->newest;
    wanted->state = SANDBOX_REQUESTED;
}

static bool may_ask(const struct relay *relay)
{
    return relay->link.newest->linked && relay->mode == RELAY_SERVING;
}

static bool needs_next(const struct sandbox_link *link)
{
    return link->next.state == SANDBOX_NONE;
}

static bool needs_heir(const struct sandbox_link *link)
{
    return !needs_next(link) && link->next.link != link->newest &&
           link->heir.state == SANDBOX_NONE;
}

static bool serves(const struct zygote_link *link, const struct sandbox *sandbox)
{
    return sandbox->link == link && sandbox->state >= SANDBOX_REQUESTED &&
           sandbox->state <= SANDBOX_RUNNING;
}

static void leave_former(struct sandbox_link *link)
{
    struct zygote_link *old = former(link);

    if (old->socket >= 0 && !serves(old, &link->current) && !serves(old, &link->next)) {
        close_fd(&old->socket);
        old->linked = false;
    }
}

void sandbox_link_tend(struct relay *relay, int64_t now_ms)
{
    struct sandbox_link *link = &relay->link;

    if (may_ask(relay) && now_ms >= link->retry_ms) {
        if (needs_next(link)) {
            request(relay, &link->next);
        } else if (needs_heir(link)) {
            request(relay, &link->heir);
        }
    }
    leave_former(link);
}

int64_t sandbox_link_deadline(const struct relay *relay)
{
    const struct sandbox_link *link = &relay->link;
    bool asks = may_ask(relay) && (needs_next(link) || needs_heir(link));

    return asks ? link->retry_ms : CLOCK_NEVER;
}

/* ---- the job's turn ---- */

int sandbox_link_start(struct relay *relay, const struct job_limits *limits)
{
    struct sandbox_link *link = &relay->link;
    struct ring_birth birth = ring_reader_birth(&link->next.ring);
    struct message_start start = {.sandbox = link->next.number,
                                  .cpu_ms = limits->cpu_ms,
                                  .memory_mb = limits->memory_mb,
                                  .born_ns = birth.cpu_ns,
                                  .born_kb = birth.resident_kb};
    int r = tell(relay, link->next.link, MESSAGE_START, &start, NULL);

    if (r < 0) {
        return r;
    }
    link->current = link->next;
    link->next = link->heir;
    link->heir = no_sandbox;
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
        /* A dead link killed it already. */
        (void)tell(relay, current->link, MESSAGE_KILL, &message, NULL);
    }
}

/* Whoever may start a zygote may end what came of it, in whatever namespace. */
void sandbox_link_kill_alone(struct relay *relay)
{
    int r = fd_pidfd_send_signal(relay->link.current.pidfd, SIGKILL);

    if (r < 0 && r != -ESRCH) { /* it is dead already */
        (void)log_failure(r, "unable to kill a sandbox");
    }
}

bool sandbox_link_is_dead(const struct relay *relay)
{
    struct pollfd pidfd = {.fd = relay->link.current.pidfd, .events = POLLIN};

    return poll(&pidfd, 1, 0) == 1;
}

void sandbox_link_give_up(struct relay *relay)
{
    struct sandbox *current = &relay->link.current;

    if (current->state == SANDBOX_RUNNING) {
        current->state = SANDBOX_GONE;
        current->link->mute = true;
    }
}

void sandbox_link_discard(struct relay *relay)
{
    struct sandbox_link *link = &relay->link;
    struct message_kill message = {.sandbox = link->next.number, .cause = KILL_FAULT};

    if (link->next.state == SANDBOX_WAITING) {
        (void)tell(relay, link->next.link, MESSAGE_KILL, &message, NULL);
        sandbox_done(&link->next);
        link->next = link->heir;
        link->heir = no_sandbox;
    }
}

/* ---- listening ---- */

static void on_linked(struct relay *relay, struct zygote_link *link,
                      struct message *message)
{
    link->linked = true;
    relay->link.retry_ms = 0;
}

/* The sandbox of that number among those that wait or are to come, or NULL. */
static struct sandbox *find_asked(struct sandbox_link *link, uint64_t number)
{
    struct sandbox *const asked[] = {&link->next, &link->heir};

    for (size_t i = 0; i < array_size(asked); i++) {
        if (asked[i]->state != SANDBOX_NONE && asked[i]->number == number) {
            return asked[i];
        }
    }
    return NULL;
}

/* A sandbox that waited, or was to come, is gone. */
static void lose(struct relay *relay, const struct sandbox *lost)
{
    struct sandbox_link *link = &relay->link;

    if (lost != &link->next) {
        return;
    }
    link->next = link->heir;
    link->heir = no_sandbox;
    if (link->next.state != SANDBOX_WAITING) {
        run_sandbox_lost(relay);
    }
}

static void on_forked(struct relay *relay, struct zygote_link *link,
                      struct message *message)
{
    const struct message_forked *forked = &message->payload.FORKED_;
    struct sandbox *asked = find_asked(&relay->link, forked->sandbox);

    if (asked == NULL || asked->state != SANDBOX_REQUESTED) {
        return;
    }
    if (forked->error < 0) {
        fail(relay, asked, forked->error, "the zygote can not fork");
        lose(relay, asked);
        return;
    }
    asked->pidfd = steal_fd(&message->fds[0]);
    asked->state = SANDBOX_WAITING;
    relay->board.work.counts.sandboxes++;
    /* Either may come first: they are of two zygotes. */
    if (relay->link.heir.state == SANDBOX_WAITING) {
        sandbox_link_discard(relay);
    }
}

static void on_exited(struct relay *relay, struct zygote_link *from,
                      struct message *message)
{
    const struct message_exited *exited = &message->payload.EXITED_;
    struct sandbox_link *link = &relay->link;
    struct sandbox *asked = find_asked(link, exited->sandbox);
    char what[64];

    message->payload.EXITED_.call[sizeof(exited->call) - 1] = '\0';
    if (link->current.state == SANDBOX_RUNNING &&
        exited->sandbox == link->current.number) {
        link->current.state = SANDBOX_GONE;
        link->retry_ms = link->failures > 0 ? link->retry_ms : 0;
        run_exited(relay, exited);
    } else if (asked != NULL) {
        (void)snprintf(what, sizeof(what), "it ended before its job by %s %d",
                       exited->exited ? "exit" : "signal", exited->status);
        fail(relay, asked, 0, what);
        lose(relay, asked);
    }
}

/* There is a sandbox, and no room for its pidfd: it is of no use. FORKED alone has an fd.
 */
static void refuse_forked(struct relay *relay, struct zygote_link *link,
                          struct message *message)
{
    const struct message_kill kill = {.sandbox = message->payload.FORKED_.sandbox,
                                      .cause = KILL_FAULT};
    struct sandbox *asked = find_asked(&relay->link, kill.sandbox);

    (void)tell(relay, link, MESSAGE_KILL, &kill, NULL);
    if (asked != NULL) {
        fail(relay, asked, -EMFILE, "no room for its pidfd");
        lose(relay, asked);
    }
}

static void (*const handlers[MESSAGE_COUNT])(struct relay *, struct zygote_link *,
                                             struct message *) = {
    [MESSAGE_LINKED] = on_linked,
    [MESSAGE_FORKED] = on_forked,
    [MESSAGE_EXITED] = on_exited,
};

static uint32_t permitted(const struct zygote_link *link)
{
    return link->linked ? 1u << MESSAGE_FORKED | 1u << MESSAGE_EXITED
                        : 1u << MESSAGE_LINKED;
}

static void drop(struct relay *relay, struct zygote_link *dead)
{
    struct sandbox_link *link = &relay->link;
    struct sandbox *const asked[] = {&link->heir, &link->next};

    close_fd(&dead->socket);
    dead->linked = false;
    for (size_t i = 0; i < array_size(asked); i++) {
        if (serves(dead, asked[i])) {
            sandbox_done(asked[i]);
            lose(relay, asked[i]);
        }
    }
    if (serves(dead, &link->current)) {
        link->current.state = SANDBOX_GONE;
        run_link_lost(relay);
    }
}

void sandbox_link_service(struct relay *relay, struct zygote_link *link)
{
    struct message message;
    int r;

    while ((r = message_receive(link->socket, permitted(link), &message)) == 1 ||
           r == -EMFILE) {
        link->mute = false;
        (r == 1 ? handlers[message.type] : refuse_forked)(relay, link, &message);
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
    drop(relay, link);
}

/* Of zygotes that live we have links to two at most, the one that serves and one that
 * did: with a third link the one before is of a zygote that is dead, even if we have not
 * heard it yet. */
void sandbox_link_add(struct relay *relay, int socket)
{
    struct sandbox_link *link = &relay->link;

    for (size_t i = 0; i < SANDBOX_LINKS; i++) {
        if (link->links[i].socket >= 0) {
            sandbox_link_service(relay, &link->links[i]);
        }
    }
    if (link->newest->socket >= 0 && former(link)->socket >= 0) {
        drop(relay, link->newest);
    }
    if (link->newest->socket >= 0) {
        link->newest = former(link);
    }
    *link->newest = (struct zygote_link){.socket = socket};
    link->failures = 0;
}
