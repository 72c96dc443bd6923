/* SPDX-License-Identifier: MIT */
/*
 * How did a job end? From evidence (what the zygote and the relay saw) and the program's
 * own claim. Pure: no clock, no process, no queue.
 */
#pragma once

#include "common/job.h"
#include "common/message.h"
#include "common/ring.h"

#include <stdbool.h>

struct judge_case {
    const struct message_exited *exited;
    const struct job_limits *limits;
    const struct ring_claim *claim; /* in range; NULL: none was made */
    bool hostile;                   /* the ring's indexes were impossible */
    bool begun;                     /* it rang, or wrote a byte into the ring */
    bool starved;                   /* it said that Python was refused memory */
};

struct judgement {
    enum verdict
        verdict; /* VERDICT_FAULT: ours or the host's; the attempt is lost, not the job */
    int exit_code; /* of `paddock run` */
    int signal;    /* that ended it; 0: none */
    const char
        *call; /* VERDICT_FORBIDDEN: the call's name; else "". Points into the case. */
    const char *detail; /* for the operator; "" where the verdict says it all */
};

void judge(const struct judge_case *facts, struct judgement *ret);
