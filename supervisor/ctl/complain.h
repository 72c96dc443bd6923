/* SPDX-License-Identifier: MIT */
/* How the commands end when something is wrong: a line on stderr, and an exit code. */
#pragma once

#include "common/buffer.h"
#include "common/limits.h"

#include <signal.h>

/* Exit codes beside those of the verdicts (docs/PROTOCOL.md). */
enum {
    EXIT_NEGATIVE = 1,
    EXIT_USAGE = 2,
    EXIT_BUSY = 75,
    EXIT_OURS = 99,
    EXIT_CONFIG = 100,
    EXIT_UNREAD = 128 + SIGPIPE, /* as a shell sees who dies of a closed pipe */
};

/* Bytes of a sentence, at most: it may name any word of a command line, of which Linux
 * takes 128 KB. */
#define WHY_MAX KIB(256)
/* Of an answer in JSON that names one: a byte may take six. */
#define ANSWER_MAX (6 * WHY_MAX)

/* Says it on stderr, behind our name, on one line and made visible as in the log. Returns
 * `code`. */
int complain(int code, const char *format, ...) printf_like(2, 3);
int complain_why(int code, const struct buffer *why);
