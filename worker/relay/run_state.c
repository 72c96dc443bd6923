/* SPDX-License-Identifier: MIT */
/* The names of the steps of a job's life. Runs in the relay. Must know nothing else. */
#include "worker/relay/run_state.h"

#include <stdio.h>

static const struct {
    const char *name;
    const char *what;
} rows[RUN_STATES] = {
    [RUN_IDLE] = {"idle", "it has no job and asks for none"},
    [RUN_CLAIMING] = {"claiming", "the queue was asked for a job"},
    [RUN_FETCHING] = {"fetching", "it has a job, whose bytes are under way"},
    [RUN_RUNNING] = {"running", "a sandbox runs the job"},
    [RUN_ORPHANED] = {"orphaned", "the zygote is gone, and the sandbox with it or soon"},
    [RUN_SETTLING] = {"settling",
                      "the job is over; the queue has not acknowledged that yet"},
};

const char *run_state_name(enum run_state state)
{
    return rows[state].name;
}

void run_state_print(void)
{
    for (int state = 0; state < RUN_STATES; state++) {
        (void)printf("%-9s %s\n", rows[state].name, rows[state].what);
    }
}
