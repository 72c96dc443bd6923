/* SPDX-License-Identifier: MIT */
/* Commands that ask the queue or change it: `paddock status`, `cancel`, `pause` and
 * `resume`. Each returns the exit code. */
#pragma once

#include "supervisor/ctl/args.h"
#include "supervisor/ctl/endpoint.h"

struct command;

int queue_status_command(const struct command *command, struct args *args);
int queue_cancel_command(const struct command *command, struct args *args);
int queue_pause_command(const struct command *command, struct args *args);
int queue_resume_command(const struct command *command, struct args *args);

/* Prints what is known of a job that is in this state (NULL: any). Returns the exit code.
 */
int queue_print_job(struct endpoint *endpoint, const char *id, const char *state,
                    bool json);
/* Prints what the queue answered about a job, as JSON of this kind or as it is. Returns
 * the exit code: EXIT_NEGATIVE of `unknown` and of the answers in `negative`, a list that
 * ends with NULL. */
int queue_print_answer(const char *kind, const char *id, const char *answer,
                       const char *const *negative, bool json);
