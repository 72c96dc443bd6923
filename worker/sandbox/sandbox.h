/* SPDX-License-Identifier: MIT */
/*
 * A sandbox: forked from the zygote ahead of its job, locked, and then asleep until the
 * relay wakes it. It runs one job and ends.
 */
#pragma once

#include "common/message.h"
#include "worker/sandbox/groups.h"

#include <stdbool.h>
#include <stdint.h>

/* What it is born with, in this order; nothing else stays open. */
enum sandbox_fd { SANDBOX_FD_RING, SANDBOX_FD_INBOX, SANDBOX_FD_DOORBELL, SANDBOX_FDS };

struct sandbox_settings {
    enum isolation isolation;
    uint32_t uid_first; /* 0: every sandbox has the zygote's own id */
    uint32_t uid_count;
    uint32_t sandboxes; /* that can be alive at once */
    int64_t memory_mb;  /* the operator's maximum */
    long data_pages;    /* the zygote's own: a job's memory is counted from there */
    long total_pages;
};

/* Which step of a birth failed, and why. */
struct sandbox_failure {
    const char *what; /* "limit its resources"; NULL: none did */
    int error;        /* a negative errno */
};

/* The birth: puts on every layer that is the sandbox's own, in this order: signals,
 * control group, fds, rlimits, ids, parent-death signal, not dumpable, no_new_privs,
 * seccomp. `doorbell` becomes the fds 0, 1 and 2; `group` may be NULL. Ends the process
 * (_exit with SANDBOX_EXIT_BIRTH) where a step fails: a sandbox that is not whole does
 * not exist. `failure` is told before, if it is not NULL. `filtered` is false only for
 * the self-test's second child. */
#define SANDBOX_EXIT_BIRTH 81
/* Of one that was asked where it is, and has said so (where.h). */
#define SANDBOX_EXIT_ASKED 82
void sandbox_lock(const struct sandbox_settings *settings, uint32_t place,
                  const struct control_group *group, int doorbell, bool filtered,
                  struct sandbox_failure *failure);

/* The life of a sandbox, in the child of a fork: maps its memory, locks itself, waits for
 * its job, runs it, ends. */
_Noreturn void sandbox_main(const struct sandbox_settings *settings, uint32_t place,
                            const struct control_group *group, const int fds[SANDBOX_FDS],
                            bool rehearse);
