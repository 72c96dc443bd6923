/* SPDX-License-Identifier: MIT */
/*
 * The log. Called from main-level code of every process; the text may hold what a client
 * or a program chose, so it is cleaned on its way out.
 */
#include "common/log.h"

#include "common/limits.h"
#include "common/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct {
    const char *role;
    enum log_level most;
} state = {"paddock", LOG_INFO};

static const char *const names[] = {"error", "warning", "info", "debug"};

void log_open(const char *role, enum log_level most)
{
    state.role = role;
    state.most = most;
}

/* One write per line, so that lines of several processes do not mix. */
static void write_line(enum log_level level, const char *message, const char *reason)
{
    char raw[LIMIT_LOG_LINE];
    char clean[LIMIT_LOG_LINE];
    size_t size;

    (void)snprintf(raw, sizeof(raw), "%s %s[%d] %s%s%s", names[level], state.role,
                   (int)getpid(), message, reason != NULL ? ": " : "",
                   reason != NULL ? reason : "");
    size = utf8_copy_clean(clean, sizeof(clean) - 1, raw, strlen(raw));
    for (size_t i = 0; i < size; i++) {
        if (clean[i] == '\n') {
            clean[i] = ' ';
        }
    }
    clean[size++] = '\n';
    if (write(STDERR_FILENO, clean, size) < 0) {
        return; /* nobody is left to be told */
    }
}

void log_event(enum log_level level, const char *format, ...)
{
    char message[LIMIT_LOG_LINE];
    va_list args;

    if (level > state.most) {
        return;
    }
    va_start(args, format);
    (void)vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    write_line(level, message, NULL);
}

int log_failure(int error, const char *format, ...)
{
    char message[LIMIT_LOG_LINE];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    write_line(LOG_ERROR, message, strerror(-error));
    return error;
}
