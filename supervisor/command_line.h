/* SPDX-License-Identifier: MIT */
/* What paddock-supervisor is told on its command line: options of the table in config.c,
 * which go over the file's, and flags of its own. */
#pragma once

#include "common/clock.h"
#include "supervisor/config.h"

#include <stdbool.h>

struct command_line {
    int argc;
    char **argv; /* borrowed, and read again by a reload */
    const char *config_file;
    int ready_fd;   /* -1: none */
    bool check;     /* attack a sandbox and say what held, instead of running a pool */
    bool json;      /* say it in JSON */
    int64_t end_ms; /* when a check is given up */
    int (*instead)(const struct config *config);
};

#define COMMAND_LINE_INIT ((struct command_line){.ready_fd = -1, .end_ms = CLOCK_NEVER})

/* Defaults, then the file, then the options. Returns ROLE_EXIT_OK, or the code to end
 * with and a sentence in `why`: an option that is not there is wrong usage, a bad value
 * is wrong configuration. */
int command_line_read(struct command_line *line, int argc, char **argv,
                      struct config *config, struct buffer *why);
/* The same, for what may have changed since: the file. */
int command_line_read_again(const struct command_line *line, struct config *config,
                            struct buffer *why);

/* Says on stderr why we end. Returns `code`. */
int command_line_complain(int code, const struct buffer *why);

/* What was printed has to arrive; a reader who has seen enough is told nothing. Returns
 * `code`, or that of the error, after saying it. */
int command_line_finish(int code);
