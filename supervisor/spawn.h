/* SPDX-License-Identifier: MIT */
/*
 * Starting the supervisor's children: the process, its fds, its namespaces. A child is
 * born, if not told otherwise, with /dev/null as 0 and 1, our log as 2, its peer socket
 * as 3, default signals, an environment of three variables, and dies with us.
 */
#pragma once

#include "common/buffer.h"
#include "common/message.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define SPAWN_IDS 65536 /* that root maps for the sandboxes of a pool */

struct spawn {
    int binary; /* opened with O_PATH or O_RDONLY; stays the caller's */
    const char *const *argv;
    int input;   /* becomes 0; -1: /dev/null */
    int peer;    /* becomes 3; -1: none */
    int output;  /* becomes 1 and 2; -1: 1 is /dev/null, 2 our log */
    bool locked; /* the zygote: no groups, and the namespaces of `isolation` (user, PID,
                    network, mount, IPC, UTS, cgroup) */
    enum isolation isolation;
    int64_t uid_first; /* on the host; what root maps */
    bool trial;        /* only tries its namespaces, and ends: there is no program */
    bool waits;        /* signals that are blocked here are there, too, and come when it
                          takes them: one of us, which blocks them before it does */
};

struct process {
    pid_t pid; /* 0: none */
    int pidfd; /* -1: none; owned */
};

#define PROCESS_INIT ((struct process){0, -1})

/* Opens one of our files for reading, mostly a program: beside this one (a build tree),
 * or in the libexec folder. Children may see no folder that we see, so they get it by its
 * fd. `path` (may be NULL) receives where it was found. */
int spawn_open_own(const char *name, int *ret_fd, char path[LIMIT_PATH],
                   struct buffer *why) must_check;

/* Starts it. Returns 0 and *ret, or a negative errno with the step that failed in `why`.
 */
int spawn_start(const struct spawn *spawn, struct process *ret,
                struct buffer *why) must_check;

/* Best isolation that this machine grants, by trying. Where it is not the best there is,
 * `why` says what was refused. */
enum isolation spawn_best_isolation(int64_t uid_first, struct buffer *why);

/* Reaps it if it is dead. Returns 1 and *ret_status (as of wait(2)), or 0 while it lives.
 */
int process_reap(struct process *process, int *ret_status) must_check;
void process_signal(const struct process *process, int signo);
