/* SPDX-License-Identifier: MIT */
/*
 * The zygote's own lock, put on once, after Python is warm and before any job: what is
 * done here costs nothing per job, and every sandbox inherits it.
 *
 *   empty root    its mount namespace shows an empty, read-only tmpfs and nothing else
 *   Landlock      no file, no TCP, no abstract socket, no signal outside, to the highest
 *                 ABI that there is
 *   capabilities  none but those to change ids and to kill
 *   notify        forbidden calls stop and are reported to the zygote, which names and
 *                 kills
 *
 * Sources: pivot_root(2), landlock(7), capabilities(7), seccomp_unotify(2).
 */
#pragma once

#include "common/buffer.h"
#include "common/message.h"

#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

struct lockdown {
    uint32_t layers; /* enum layer: what was put in place (the self-test confirms it) */
    uint32_t held;   /* those that were attacked here, before the filter forbids to */
    uint32_t landlock_abi; /* 0: the kernel has none */
    int listener;          /* seccomp notifications; -1: the kernel has none */
    /* an abstract socket that is out of Landlock's reach, for the self-test: owned; -1:
     * there is none */
    int outside;
    struct sockaddr_un outside_name;
    socklen_t outside_size;
};

/* Returns 0, or a negative errno after logging what could not be done. A layer that this
 * machine does not offer is left out and missing in `layers`; who calls decides whether
 * that will do. */
int lockdown_zygote(const struct message_setup *setup, struct lockdown *ret);

/* The capabilities that the zygote keeps, as bits: some where sandboxes get ids of their
 * own, else none. */
uint64_t lockdown_kept(enum isolation isolation);
/* One line per capability that is kept, per ABI of Landlock, and per attribute. */
void lockdown_print(struct buffer *to);
