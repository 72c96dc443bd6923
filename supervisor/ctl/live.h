/* SPDX-License-Identifier: MIT */
/*
 * At the foot of a terminal: the line that the program is on, while it is. Where stderr
 * is no terminal, or cannot move its cursor, nothing of it appears.
 */
#pragma once

#include "common/trace.h"

#include <stdbool.h>
#include <stddef.h>

struct live {
    bool is_terminal;
    bool shown;
    bool in_line; /* what was printed last does not end with a newline: that is left alone
                   */
};

void live_init(struct live *live);
/* Before anything else is written: returns what to write to stderr first, "" for nothing.
 */
const char *live_hide(struct live *live);
/* These bytes were written, to stdout or stderr. */
void live_wrote(struct live *live, const char *bytes, size_t size);
/* Returns what to write to stderr, at most `size` bytes of it in `to`. */
const char *live_show(struct live *live, const struct trace *trace, char *to,
                      size_t size);
