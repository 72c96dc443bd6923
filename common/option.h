/* SPDX-License-Identifier: MIT */
/*
 * Configuration by one table: name, type, range, default and help of every option.
 * Parsing (INI file and --name=value), `--help`, the commented sample file and the list
 * of paddock.conf(5) follow it.
 *
 * A file may have parts, each for one of several of a kind: what stands in a section
 * [KIND NAME], options of any section, goes over the rest of the file for that one alone.
 *
 * The file: `[section]` lines, `name = value` lines, comments from # or ; at the start of
 * a line. An option of a section is written in it; sections that are no part of the table
 * are errors, as are unknown names and bad values, each with file:line. A byte order mark
 * at its start, which editors of Windows write, is skipped.
 */
#pragma once

#include "common/buffer.h"
#include "common/limits.h"

#include <stdbool.h>
#include <stdint.h>

enum option_type {
    OPTION_NUMBER, /* int64_t, min..max (min at least 0 where it has `choices`: words that
                      may stand in the place of a number, kept as -1, -2 ...) */
    OPTION_FLAG,   /* int64_t, yes or no */
    OPTION_CHOICE, /* int64_t, the index in `choices` (separated by spaces) */
    /* char [max + 1], at least `min` bytes: */
    OPTION_TEXT,
    OPTION_QUEUES,  /* NAME[:WEIGHT] ..., as share_parse takes them */
    OPTION_PATH,    /* absolute, or one of the words in `choices` */
    OPTION_FOLDER,  /* the same, of a folder that is there */
    OPTION_FILE,    /* the same, of a file that can be read */
    OPTION_ADDRESS, /* of a Redis; its password is never repeated */
    OPTION_MODULES, /* names of host modules, as host_modules_check takes them */
    OPTION_FOLDERS, /* of host modules, as host_modules_check_path takes them */
};

/* How a value that is another one after a reload comes into force. */
enum option_reload {
    OPTION_AT_START,   /* it does not: by a restart */
    OPTION_AT_ONCE,    /* for the process that reads it */
    OPTION_BY_RENEWAL, /* its children are to be started anew */
};

/* Whether it can be another one in each part of a file. */
enum option_scope {
    OPTION_EACH,  /* it can */
    OPTION_WHOLE, /* it is the whole file's */
    OPTION_APART, /* it has to be, where it is set at all */
};

struct option_row {
    const char *section;
    const char *name;
    enum option_type type;
    size_t offset; /* of the value in the caller's structure */
    int64_t min, max;
    const char *initial; /* the default, as it would be written */
    const char *choices;
    enum option_reload reload;
    enum option_scope scope;
    const char *unit; /* "", "ms", "MB": for the help */
    const char *help;
};

struct option_table {
    const struct option_row *rows;
    size_t count;
};

/* Sets every option to its default. */
void option_defaults(const struct option_table *table, void *values);

/* Sets one option by name (unique over sections). Returns 0, -ENOENT for a name that is
 * not in the table, or -EINVAL for a bad value, with a sentence in `why`. */
int option_set(const struct option_table *table, void *values, const char *name,
               const char *value, struct buffer *why) must_check;

/* The row of that name, or NULL. */
const struct option_row *option_find(const struct option_table *table, const char *name);
/* The name of the table that is nearest to a mistyped one, or NULL if none is near. */
const char *option_nearest(const struct option_table *table, const char *name);

#define OPTION_ROWS 256 /* of a table, at most */

/* What a file has beside the values. */
struct option_parts {
    const char *kind;   /* of section [KIND NAME] */
    const char *taken;  /* names that none can have, separated by spaces; NULL: all can */
    const char *wanted; /* the part whose options count; NULL: none's do, nor are their
                           values looked at */
    uint32_t count;     /* found in the file, in its order */
    char names[LIMIT_POOLS][LIMIT_POOL + 1]; /* letters, digits, _ and - */
    uint32_t
        lines[OPTION_ROWS]; /* where each value comes from, by its row; 0: not from it */
};

/* Reads a file's text of `size` bytes. `file` names it in messages. `parts` (NULL: there
 * can be none) says which part is wanted, and gets their names and the lines. Returns 0,
 * or -EINVAL with "file:line: sentence" in `why`; stops at the first error. */
int option_parse(const struct option_table *table, void *values, const char *file,
                 const char *text, size_t size, struct option_parts *parts,
                 struct buffer *why) must_check;
/* Is there one of that name? */
bool option_has_part(const struct option_parts *parts, const char *name);
/* Can a part have that name? */
bool option_part_valid(const char *name);

/* Is an option's value the same in both? */
bool option_same(const struct option_row *row, const void *values, const void *others);
/* Copies an option's value. */
void option_copy(const struct option_row *row, void *to, const void *from);

/* The commented sample file, with every option at its default. */
void option_sample(const struct option_table *table, struct buffer *to);
/* One line per option, for --help. */
void option_help(const struct option_table *table, struct buffer *to);
