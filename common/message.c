/* SPDX-License-Identifier: MIT */
/*
 * Messages between Paddock's own processes. Runs in all of them but the sandbox. A peer
 * is of the same build, but one that reads hostile bytes (a relay) may have been taken
 * over: types, sizes and fds are checked against the table before anything is believed.
 */
#include "common/message.h"

#include "common/cleanup.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

struct header {
    uint16_t type;
    uint16_t flags;  /* 0 */
    uint32_t length; /* of the payload */
};

static const struct message_row {
    const char *name;
    size_t size;
    int fds;
} rows[MESSAGE_COUNT] = {
#define MESSAGE_ROW(id, payload, fds) [MESSAGE_##id] = {#id, sizeof(payload), fds},
    MESSAGES(MESSAGE_ROW)
#undef MESSAGE_ROW
};

_Static_assert(sizeof(struct header) + sizeof(union message_payload) <= LIMIT_MESSAGE,
               "every message is within the limit");

const char *message_type_name(enum message_type type)
{
    return type > MESSAGE_NONE && type < MESSAGE_COUNT ? rows[type].name : "?";
}

int message_pair(int ret_fds[2])
{
    int type = SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK;

    return socketpair(AF_UNIX, type, 0, ret_fds) == 0 ? 0 : -errno;
}

/* ---- sending ---- */

union control {
    char bytes[CMSG_SPACE(LIMIT_FDS * sizeof(int))];
    struct cmsghdr aligned;
};

static void attach_fds(struct msghdr *envelope, union control *control, const int *fds,
                       int count)
{
    struct cmsghdr *part;

    if (count == 0) {
        return;
    }
    memset(control, 0, sizeof(*control));
    envelope->msg_control = control->bytes;
    envelope->msg_controllen = CMSG_SPACE((size_t)count * sizeof(int));
    part = CMSG_FIRSTHDR(envelope);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
    memcpy(CMSG_DATA(part), fds, (size_t)count * sizeof(int));
}

int message_send(int socket, enum message_type type, const void *payload, const int *fds)
{
    struct header header = {.type = (uint16_t)type, .length = (uint32_t)rows[type].size};
    struct iovec parts[] = {{&header, sizeof(header)},
                            {(void *)(uintptr_t)payload, rows[type].size}};
    struct msghdr envelope = {.msg_iov = parts, .msg_iovlen = array_size(parts)};
    union control control;
    ssize_t sent;

    attach_fds(&envelope, &control, fds, rows[type].fds);
    do {
        sent = sendmsg(socket, &envelope, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0) {
        return errno == ECONNRESET ? -EPIPE : -errno;
    }
    return 0;
}

/* ---- receiving ---- */

/* Takes the fds that came; more than there is room for are closed by the kernel
 * (MSG_CTRUNC). Returns how many. */
static int take_fds(struct msghdr *envelope, int fds[LIMIT_FDS])
{
    int count = 0;

    for (struct cmsghdr *part = CMSG_FIRSTHDR(envelope); part != NULL;
         part = CMSG_NXTHDR(envelope, part)) {
        if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_RIGHTS &&
            count == 0) {
            count = (int)((part->cmsg_len - CMSG_LEN(0)) / sizeof(int));
            memcpy(fds, CMSG_DATA(part), (size_t)count * sizeof(int));
        }
    }
    return count;
}

static bool is_sound(const struct header *header, size_t size, uint32_t permitted,
                     const struct msghdr *envelope)
{
    return size >= sizeof(*header) && (envelope->msg_flags & MSG_TRUNC) == 0 &&
           header->type > MESSAGE_NONE && header->type < MESSAGE_COUNT &&
           (permitted >> header->type & 1) != 0 && header->flags == 0 &&
           header->length == rows[header->type].size &&
           size == sizeof(*header) + header->length;
}

/* Returns 0, -EMFILE where we have no room for all that belong to it, or -EBADMSG. */
static int count_fds(const struct header *header, int fds, const struct msghdr *envelope)
{
    bool cut = (envelope->msg_flags & MSG_CTRUNC) != 0;

    if (cut && fds < rows[header->type].fds) {
        return -EMFILE;
    }
    return !cut && fds == rows[header->type].fds ? 0 : -EBADMSG;
}

static ssize_t receive(int socket, struct msghdr *envelope)
{
    ssize_t size;

    do {
        size = recvmsg(socket, envelope, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    } while (size < 0 && errno == EINTR);
    return size;
}

int message_receive(int socket, uint32_t permitted, struct message *ret)
{
    struct header header = {0};
    union control control;
    struct iovec parts[] = {{&header, sizeof(header)},
                            {&ret->payload, sizeof(ret->payload)}};
    struct msghdr envelope = {.msg_iov = parts,
                              .msg_iovlen = array_size(parts),
                              .msg_control = control.bytes,
                              .msg_controllen = sizeof(control.bytes)};
    ssize_t size;
    int fds, error;

    memset(ret->fds, 0xff, sizeof(ret->fds)); /* -1 each */
    ret->type = MESSAGE_NONE;
    size = receive(socket, &envelope);
    if (size < 0) {
        return errno == ECONNRESET ? 0 : -errno;
    }
    if (size == 0) {
        return 0;
    }
    fds = take_fds(&envelope, ret->fds);
    error = is_sound(&header, (size_t)size, permitted, &envelope)
                ? count_fds(&header, fds, &envelope)
                : -EBADMSG;
    if (error < 0) {
        message_done(ret);
    }
    if (error != -EBADMSG) {
        ret->type = (enum message_type)header.type;
    }
    return error < 0 ? error : 1;
}

void message_done(struct message *message)
{
    for (size_t i = 0; i < LIMIT_FDS; i++) {
        close_fd(&message->fds[i]);
    }
}
