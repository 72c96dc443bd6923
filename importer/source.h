/* SPDX-License-Identifier: MIT */
/*
 * The lines of a Python source, as far as indentation goes (Language Reference, 2.1.8):
 * which lines begin a statement, and which lie within a string, brackets or a line that
 * goes on. Without Python, so that it can say what a compiler that refused cannot.
 */
#pragma once

#include "common/buffer.h"

#include <stdbool.h>
#include <stddef.h>

struct source_line {
    const char *text;  /* borrowed */
    size_t size;       /* with its end of line */
    size_t indent;     /* bytes of white space that it begins with */
    int number;        /* from 1 */
    bool is_statement; /* begins one: its indentation counts */
};

/* Start with .rest and .left set to the source, and zeros. */
struct source_walk {
    const char *rest; /* borrowed */
    size_t left;
    int number;
    int brackets; /* that are open */
    char quote;   /* of the string that is open, or 0 */
    bool triple;  /* that string ends with three of them */
    bool goes_on; /* a backslash stood at the end of the line before */
};

bool source_next(struct source_walk *walk, struct source_line *ret);

/* The line of that number (from 1), of which only .text, .size and .number are set.
 * False: there is none. */
bool source_find(const char *source, size_t size, int number, struct source_line *ret);

/* Columns of an indentation with tabs to the next multiple of `tab` (1: each counts as
 * one). */
size_t source_columns(const struct source_line *line, size_t tab);

/* Appends the source with the tabs in the indentation of its statements made spaces, to
 * multiples of 8 columns, as Python 2 read them. */
void source_expand_tabs(const char *source, size_t size, struct buffer *to);

/* Finds the two lines that a TabError is about: `number`, which Python names, and the
 * earlier one whose indentation it cannot be compared with. Returns false if there is no
 * such line. */
bool source_find_tabs(const char *source, size_t size, int number,
                      struct source_line *ret_earlier, struct source_line *ret_line);

/* What a line is indented with: "tabs", "spaces", "tabs and spaces" or "nothing". */
const char *source_indentation(const struct source_line *line);

/* Finds the two lines of an IndentationError: `number`, which fits no block, and the
 * innermost block's that is indented with something else. Returns false if the block is
 * indented in one way. (A tab of 8 columns, `source_expand_tabs`, changes nothing for
 * these: Python 3 and Python 2 count alike where a block ends.) */
bool source_find_unlike(const char *source, size_t size, int number,
                        struct source_line *ret_earlier, struct source_line *ret_line);
