/* SPDX-License-Identifier: MIT */
/*
 * At the foot of a terminal: the line that the program is on, while it is, or that it
 * waits for input. It takes one row, whatever the window's width. Where what was printed
 * last does not end with a newline, or somebody may type, it is the row below, and the
 * cursor stays where it was; nothing of its own row is erased. Where that cannot be (it
 * is behind a full row), or the program drives the terminal itself, or stderr is none or
 * cannot move its cursor, or what is printed goes through another program, which may
 * print it there, too, nothing of it appears.
 */
#pragma once

#include "common/trace.h"
#include "supervisor/ctl/columns.h"

#include <stdbool.h>
#include <stddef.h>

#define LIVE_MAX 512 /* bytes of what is written to show it */

struct live {
    bool is_terminal;
    bool shown, below; /* there is a row; it is the one below the cursor's */
    bool waits;        /* it says that the program waits */
    bool in_line;      /* what was printed last does not end with a newline */
    struct columns_cursor cursor;
};

void live_init(struct live *live);
/* Before anything else is written: returns what to write to stderr first, "" for nothing.
 */
const char *live_hide(struct live *live);
/* Likewise where this was typed: a line has moved the cursor on to the row below, and
 * what is no line stands where the cursor was. At its end nothing was. */
const char *live_typed(struct live *live, const char *bytes, size_t size);
/* These bytes were written, to stdout or stderr. */
void live_wrote(struct live *live, int fd, const char *bytes, size_t size);
/* These return what to write to stderr, in `to`; "" for nothing: what is shown then is to
 * be hidden. The line of the program: */
const char *live_show_line(struct live *live, const struct trace *trace,
                           char to[LIVE_MAX]);
/* That it waits for input, in a few words: again only where live_waits() is false. */
bool live_waits(const struct live *live);
const char *live_show_wait(struct live *live, const char *note, char to[LIVE_MAX]);
