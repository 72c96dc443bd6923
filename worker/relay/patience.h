/* SPDX-License-Identifier: MIT */
/*
 * What a relay with a job waits for, and for how long: that the job's bytes come, that
 * its sandbox begins, that it is dead, and that the zygote says how it died. A job that
 * is claimed and beaten is nobody else's, so nobody else would ever end such a wait.
 */
#pragma once

#include <stdint.h>

struct relay;

enum patience_for {
    PATIENCE_NOTHING, /* or for what has a limit of its own: a program, an answer */
    PATIENCE_BYTES,
    PATIENCE_BEGIN,        /* the sandbox has its job, and has said nothing */
    PATIENCE_DEATH,        /* the zygote was asked to kill it */
    PATIENCE_WORD,         /* it is dead, and the zygote has not said so */
    PATIENCE_ORPHAN_DEATH, /* its zygote is gone */
};

struct patience {
    enum patience_for what;
    int64_t began_ms; /* this wait */
    int64_t since_ms; /* it began, or something was done about it */
    unsigned steps;   /* that were taken */
};

/* Does what the table says once something is overdue. */
void patience_tend(struct relay *relay, int64_t now_ms);
int64_t patience_deadline(const struct relay *relay);
