/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the self-test share: the children (selftest.c), and what each of them
 * tries (selftest_attacks.c).
 */
#pragma once

#include "worker/sandbox/children.h"
#include "worker/sandbox/lockdown.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct findings {
    _Atomic uint32_t held; /* enum layer */
    struct sandbox_failure failure;
};

struct target {
    const struct sandbox_settings *settings;
    const struct lockdown *lockdown;
    struct children *children;         /* where it is while it lives */
    int signals;                       /* the signalfd that tells of them */
    const struct control_group *group; /* NULL: none */
    int doorbell;                      /* of the one that breaks a limit */
    struct findings *findings;         /* shared with the children */
};

/* Another one than the first: its id must be another, too. */
#define UNFILTERED_PLACE 1

/* From within a locked child: each row of the table that is for a sandbox with the
 * filter, or for one without. What held is in the findings. */
void selftest_attack(const struct target *target, bool filtered);
