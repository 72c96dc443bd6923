/* SPDX-License-Identifier: MIT */
/*
 * Serving the relays. Runs in the zygote. Relays are Paddock's own, but they read what
 * sandboxes wrote; so a malformed message costs a relay its link (its sandboxes die, the
 * supervisor starts it anew), never the zygote.
 */
#include "worker/sandbox/links.h"

#include "common/fd.h"
#include "common/log.h"
#include "common/message.h"

#include <errno.h>

static const uint32_t permitted =
    1u << MESSAGE_REQUEST | 1u << MESSAGE_START | 1u << MESSAGE_KILL;

void links_init(struct links *links, struct children *children, int supervisor)
{
    links->supervisor = supervisor;
    links->children = children;
    for (size_t i = 0; i < LIMIT_WORKERS; i++) {
        links->slots[i] = (struct link){.socket = -1};
    }
}

static void drop(struct links *links, uint32_t slot)
{
    struct link *link = &links->slots[slot];

    link->owed += link->socket >= 0;
    close_fd(&link->socket);
    link->greeted = false;
    children_forsake(links->children, slot);
}

/* A supervisor that is gone is no concern of ours here: its end is heard by the loop. */
static void tell_unlinked(struct links *links, uint32_t slot)
{
    const struct message_unlinked unlinked = {.slot = slot};
    struct link *link = &links->slots[slot];

    while (link->owed > 0 && message_send(links->supervisor, MESSAGE_UNLINKED, &unlinked,
                                          NULL) != -EAGAIN) {
        link->owed--;
    }
}

static void greet(struct links *links, uint32_t slot)
{
    const struct message_linked linked = {.slot = slot};
    struct link *link = &links->slots[slot];

    if (link->socket < 0 || link->greeted) {
        return;
    }
    link->greeted = true;
    if (message_send(link->socket, MESSAGE_LINKED, &linked, NULL) < 0) {
        drop(links, slot);
    }
}

/* What is due once no sandbox of the slot's former links is left. */
static void settle(struct links *links, uint32_t slot)
{
    if (!children_any(links->children, slot)) {
        greet(links, slot);
        tell_unlinked(links, slot);
    }
}

bool links_owe(const struct links *links)
{
    for (uint32_t slot = 0; slot < LIMIT_WORKERS; slot++) {
        if (links->slots[slot].owed > 0 && !children_any(links->children, slot)) {
            return true;
        }
    }
    return false;
}

void links_settle(struct links *links)
{
    for (uint32_t slot = 0; slot < LIMIT_WORKERS; slot++) {
        settle(links, slot);
    }
}

void links_replace(struct links *links, uint32_t slot, int socket)
{
    drop(links, slot);
    links->slots[slot].socket = socket;
    settle(links, slot);
}

size_t links_poll(const struct links *links, struct pollfd *fds, uint32_t *slots)
{
    size_t count = 0;

    for (uint32_t slot = 0; slot < LIMIT_WORKERS; slot++) {
        if (links->slots[slot].socket >= 0) {
            fds[count] =
                (struct pollfd){.fd = links->slots[slot].socket, .events = POLLIN};
            slots[count++] = slot;
        }
    }
    return count;
}

/* ---- messages ---- */

/* FORKED carries the pidfd of the child; where there is no child, the link itself: for
 * another fd there may be no room. */
static int answer_request(struct links *links, uint32_t slot, uint64_t sandbox, int place)
{
    struct message_forked forked = {.sandbox = sandbox, .error = place < 0 ? place : 0};
    autoclose int pidfd = -1;
    int error = 0;

    if (place >= 0) {
        error = fd_pidfd_open(links->children->places[place].pid, &pidfd);
    }
    if (error < 0) {
        children_kill(links->children, place, KILL_FAULT);
        forked.error = error;
    }
    return message_send(links->slots[slot].socket, MESSAGE_FORKED, &forked,
                        pidfd >= 0 ? &pidfd : &links->slots[slot].socket);
}

static int on_request(struct links *links, uint32_t slot, struct message *message)
{
    const struct message_request *request = &message->payload.REQUEST_;
    int place = children_fork(links->children, slot, request, message->fds);

    return answer_request(links, slot, request->sandbox, place);
}

static int on_start(struct links *links, uint32_t slot, struct message *message)
{
    const struct message_start *start = &message->payload.START_;
    int place = children_find(links->children, slot, start->sandbox);
    int error;

    if (place < 0) {
        return 0; /* it died in the meantime: EXITED is on its way */
    }
    error = children_start(links->children, place, start);
    if (error < 0) {
        (void)log_failure(error, "unable to set the limits of a job");
        children_kill(links->children, place, KILL_FAULT);
    }
    return 0;
}

static int on_kill(struct links *links, uint32_t slot, struct message *message)
{
    const struct message_kill *kill = &message->payload.KILL_;
    int place = children_find(links->children, slot, kill->sandbox);

    if (place >= 0) {
        children_kill(links->children, place, (enum kill_cause)kill->cause);
    }
    return 0;
}

static int (*const handlers[MESSAGE_COUNT])(struct links *, uint32_t,
                                            struct message *) = {
    [MESSAGE_REQUEST] = on_request,
    [MESSAGE_START] = on_start,
    [MESSAGE_KILL] = on_kill,
};

/* Returns as message_receive. A request whose fds there is no room for is refused, as one
 * that can not be forked for. */
static int serve(struct links *links, uint32_t slot)
{
    struct message message;
    int result = message_receive(links->slots[slot].socket, permitted, &message);

    if (result == -EMFILE) {
        result = answer_request(links, slot, message.payload.REQUEST_.sandbox, -EMFILE);
    } else if (result == 1) {
        result = handlers[message.type](links, slot, &message);
        message_done(&message);
    } else {
        return result;
    }
    return result < 0 ? result : 1;
}

void links_service(struct links *links, uint32_t slot)
{
    int result;

    do {
        result = serve(links, slot);
    } while (result == 1);
    if (result == -EAGAIN) {
        return;
    }
    if (result < 0 && result != -EPIPE) { /* a relay that ends is no event */
        (void)log_failure(result, "slot %u: link lost", slot);
    }
    drop(links, slot);
    settle(links, slot);
}

/* ---- deaths ---- */

static void tell(struct links *links, const struct child *child,
                 const struct message_exited *exited)
{
    struct link *link = &links->slots[child->slot];

    if (child->forsaken || link->socket < 0) {
        return;
    }
    if (message_send(link->socket, MESSAGE_EXITED, exited, NULL) < 0) {
        drop(links, child->slot);
    }
}

/* A short job may be over before we have read that it began. Its relay said so first: a
 * dead child's evidence is taken after what stands in its link. */
void links_reap(struct links *links)
{
    struct message_exited exited;
    struct child child;
    int place;

    while ((place = children_dead(links->children)) >= 0) {
        uint32_t slot = links->children->places[place].slot;

        if (links->slots[slot].socket >= 0) {
            links_service(links, slot);
        }
        children_reap(links->children, place, &exited, &child);
        tell(links, &child, &exited);
        settle(links, child.slot);
    }
}
