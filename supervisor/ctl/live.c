/* SPDX-License-Identifier: MIT */
/*
 * The line that runs. Part of the `paddock` command; names are a program's, and may be
 * hostile.
 */
#include "supervisor/ctl/live.h"

#include "common/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ERASE "\r\033[K"

void live_init(struct live *live)
{
    const char *terminal = getenv("TERM");

    live->is_terminal = isatty(STDERR_FILENO) && terminal != NULL && *terminal != '\0' &&
                        strcmp(terminal, "dumb") != 0;
}

const char *live_hide(struct live *live)
{
    bool shown = live->shown;

    live->shown = false;
    return shown ? ERASE : "";
}

void live_wrote(struct live *live, const char *bytes, size_t size)
{
    if (size > 0) {
        live->in_line = bytes[size - 1] != '\n';
    }
}

const char *live_show(struct live *live, const struct trace *trace, char *to, size_t size)
{
    char name[32], path[40];
    struct trace_function call;
    int64_t line;

    if (!live->is_terminal || live->in_line || !trace_where(trace, &call, &line)) {
        return "";
    }
    (void)utf8_copy_clean(name, sizeof(name), call.name, strlen(call.name));
    (void)utf8_copy_clean(path, sizeof(path), call.path, strlen(call.path));
    (void)snprintf(to, size, ERASE "> %s:%lld %s", path, (long long)line, name);
    live->shown = true;
    return to;
}
