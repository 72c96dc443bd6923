/* SPDX-License-Identifier: MIT */
/*
 * The command line of `paddock`: which options a command takes is a bit set in the
 * commands' table, what they are is one table (args.c); the fields of a job are options
 * of their own names (common/job.h).
 */
#pragma once

#include "common/buffer.h"
#include "common/job.h"

#include <stdbool.h>

#define ARGS_FIELDS 64

enum args_set {
    ARGS_POOL = 1 << 0, /* --redis, --queue, --runtime-dir, --pool */
    ARGS_JSON = 1 << 1,
    ARGS_ID = 1 << 2,
    ARGS_FOLLOW = 1 << 3,
    ARGS_FIELDS_OF_JOB = 1 << 4,
    ARGS_CHECK = 1 << 5, /* --policy, --config, --redis */
    ARGS_TRACE = 1 << 6, /* --format, --output */
    ARGS_SAVE = 1 << 7,  /* --output */
    ARGS_EOF = 1 << 8,
    ARGS_ALL = 1 << 9,
    ARGS_ONCE = 1 << 10,
    ARGS_NAMES = 1 << 11, /* no options: words that are names or texts */
};

struct args {
    const char *redis, *queue, *runtime_dir, *pool, *id, *config, *format,
        *output; /* NULL: not given */
    bool json, follow, policy, eof, all, once, help;
    bool operates; /* not an option: it does what the queue's operator may */
    bool feeds;    /* not an option: our standard input goes to the job while it runs */
    const char *fields[ARGS_FIELDS]; /* by the index in job_fields; NULL: not given */
    char **words;                    /* what is no option; borrowed from argv */
    int count;
    char **rest; /* what stands behind "--", where that is the program's */
    int rest_count;
};

/* Parses what follows the command's name; reorders argv. Returns 0, or -EINVAL with a
 * sentence in `why`. */
int args_parse(unsigned set, int argc, char **argv, struct args *ret,
               struct buffer *why) must_check;
/* The options of a set, for --help. */
void args_help(unsigned set, struct buffer *to);
