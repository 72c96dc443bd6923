/* SPDX-License-Identifier: MIT */
/*
 * The steps of one job's life in a relay, by name: as run.c goes through them, as the log
 * has them (log_level=debug), and as the tests walk them.
 */
#pragma once

enum run_state {
    RUN_IDLE,
    RUN_CLAIMING,
    RUN_FETCHING, /* from here on it has a job */
    RUN_RUNNING,
    RUN_ORPHANED,
    RUN_SETTLING,
    RUN_STATES,
};

const char *run_state_name(enum run_state state);

/* Prints the table to stdout, a state a line: its name, and what it is. */
void run_state_print(void);
