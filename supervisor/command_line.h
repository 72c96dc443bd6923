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
    int copy;  /* of that file, read in its place; -1: none. Owned after a RELOAD */
    bool kept; /* whoever started us has read the file, and reads it again for us */
    const char *pool;          /* the one of the file that is to run; NULL: all */
    struct option_parts parts; /* the pools of the file; none: one without a name */
    int ready_fd;              /* -1: none */
    bool hold;                 /* no job is taken until GO has come from there */
    bool check;       /* attack a sandbox and say what held, instead of running a pool */
    bool json;        /* say it in JSON */
    int64_t end_ms;   /* when a check is given up */
    int64_t alive_ms; /* when ready_fd is told again that we are there */
    const char *task; /* which option says what is done instead of running a pool */
    int (*instead)(const struct command_line *line);
};

/* What is written to ready_fd: READY once, then ALIVE every few seconds; once for each
 * reload RELOADED where the configuration that was read is in force, KEPT where the one
 * before it is, also where a newer reload has called that off; ENDING when it is not
 * read, as the pool ends, or UNDONE where that end came before it was over; DRAINING
 * where somebody has asked for that end. Each is a line, what is said of a reload with
 * the number of MESSAGE_RELOAD behind a space, if there was one. */
#define COMMAND_LINE_READY    "ready"
#define COMMAND_LINE_ALIVE    "alive"
#define COMMAND_LINE_RELOADED "reloaded"
#define COMMAND_LINE_KEPT     "kept"
#define COMMAND_LINE_ENDING   "ending"
#define COMMAND_LINE_UNDONE   "undone"
#define COMMAND_LINE_DRAINING "draining"
/* And what is read from it, where that is waited for; afterwards it is MESSAGE_RELOAD. */
#define COMMAND_LINE_GO "go"

#define COMMAND_LINE_INIT                                                                \
    ((struct command_line){                                                              \
        .copy = -1, .ready_fd = -1, .end_ms = CLOCK_NEVER, .alive_ms = CLOCK_NEVER})

/* Defaults, then the file, then the options. Returns ROLE_EXIT_OK, or the code to end
 * with and a sentence in `why`: an option that is not there is wrong usage, a bad value
 * is wrong configuration. */
int command_line_read(struct command_line *line, int argc, char **argv,
                      struct config *config, struct buffer *why);
/* The same, for what may have changed since (the file), or for a pool of the file:
 * `pool`, or NULL for what is the same for all. `parts` (NULL: they do not matter) gets
 * the names of all. */
int command_line_read_again(const struct command_line *line, const char *pool,
                            struct config *config, struct option_parts *parts,
                            struct buffer *why);

/* What was given of options, for a supervisor that is to have them, too: at most `room`
 * words, which are the command line's. Returns how many there are. */
size_t command_line_options(const struct command_line *line, const char **to,
                            size_t room);

/* Says READY to whoever asked for it. Returns 0, or a negative errno where he is gone. */
int command_line_say_ready(struct command_line *line) must_check;
/* Has GO come? Takes it; whatever else is there, and the end, is no GO. */
bool command_line_hear_go(const struct command_line *line);
/* Has MESSAGE_RELOAD come? Takes it: its copy of the file is what is read from now on.
 * Returns 1, or -EMFILE with its number where there was no room for the copy; or 0 where
 * it is anything else, or the end. */
int command_line_hear_reload(struct command_line *line, int64_t *ret_number) must_check;
/* And from then on ALIVE, at alive_ms. Nobody need read it. */
void command_line_say_alive(struct command_line *line, int64_t now_ms);
/* Another of these words, of the reload of that number; 0: it has none. */
void command_line_say(const struct command_line *line, const char *word, int64_t number);

/* Says on stderr why we end. Returns `code`. */
int command_line_complain(int code, const struct buffer *why);

/* What was printed has to arrive; a reader who has seen enough is told nothing. Returns
 * `code`, or that of the error, after saying it. */
int command_line_finish(int code);
