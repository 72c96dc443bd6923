/* SPDX-License-Identifier: MIT */
/*
 * The row at the foot of a terminal. Part of the `paddock` command; names are a
 * program's, and may be hostile.
 */
#include "supervisor/ctl/live.h"

#include "common/buffer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What terminals have in common (ECMA-48, and DEC's VT100 before it). */
#define ERASE       "\r\033[K" /* the row that the cursor is on */
#define ERASE_AFTER "\033[J"   /* what is behind the cursor */
#define DOWN        "\033D"    /* scrolls where there is no row */
#define UP          "\033M"
#define SAVE        "\0337" /* the cursor's place */
#define RESTORE     "\0338"

/* Left free: for the ^C of who ends it, and as behind the last column some terminals are
 * on the next row. */
#define SPARE_COLUMNS 3

#define NAME_COLUMNS 31 /* of a function's name; of a file's */
#define PATH_COLUMNS 39

/* To another program, which may print it on this terminal, at any time. */
static bool is_passed_on(int fd)
{
    struct stat status;

    return fstat(fd, &status) == 0 &&
           (S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode));
}

void live_init(struct live *live)
{
    const char *terminal = getenv("TERM");

    live->is_terminal = isatty(STDERR_FILENO) && terminal != NULL && *terminal != '\0' &&
                        strcmp(terminal, "dumb") != 0 && !is_passed_on(STDOUT_FILENO);
}

const char *live_hide(struct live *live)
{
    bool shown = live->shown;

    live->shown = false;
    return !shown ? "" : live->below ? SAVE DOWN ERASE RESTORE : ERASE;
}

/* A row further down, the one of ours is where the cursor is. */
static const char *hide_below_line(struct live *live)
{
    bool below = live->shown && live->below;

    live->shown = live->shown && !below;
    return below ? ERASE_AFTER : live_hide(live);
}

/* What is typed is shown as it is, but for controls, such as ^G. */
static void follow_echo(struct live *live, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        bool is_control =
            (unsigned char)bytes[i] < ' ' && bytes[i] != '\n' && bytes[i] != '\t';

        columns_follow(&live->cursor, is_control ? "^x" : bytes + i, is_control ? 2 : 1,
                       columns_of_terminal());
    }
}

const char *live_typed(struct live *live, const char *bytes, size_t size)
{
    const char *hide = memchr(bytes, '\n', size) != NULL ? hide_below_line(live)
                       : size > 0                        ? live_hide(live)
                                                         : "";

    if (size > 0) {
        live->in_line = bytes[size - 1] != '\n';
        follow_echo(live, bytes, size);
    }
    return hide;
}

void live_wrote(struct live *live, int fd, const char *bytes, size_t size)
{
    if (size > 0 && live->is_terminal && (fd == STDERR_FILENO || isatty(fd))) {
        live->in_line = bytes[size - 1] != '\n';
        columns_follow(&live->cursor, bytes, size, columns_of_terminal());
    }
}

static const char *show(struct live *live, const char *text, bool below,
                        char to[LIVE_MAX])
{
    const char *hide = live->shown && live->below != below ? live_hide(live) : "";
    size_t columns = columns_of_terminal();
    int fits =
        (int)columns_fit(text, columns > SPARE_COLUMNS ? columns - SPARE_COLUMNS : 0);

    if (!columns_is_free(&live->cursor, columns)) {
        return "";
    }
    /* The row below is there before the place is saved: to make it may scroll. */
    (void)snprintf(to, LIVE_MAX,
                   below ? "%s" DOWN UP SAVE DOWN ERASE "%.*s" RESTORE
                         : "%s" ERASE "%.*s",
                   hide, fits, text);
    live->shown = true;
    live->waits = false;
    live->below = below;
    return to;
}

static void add_name(struct buffer *to, const char *name, size_t columns)
{
    autobuffer struct buffer visible = BUFFER_INIT(KIB(8));

    buffer_add_visible(&visible, name, strlen(name));
    if (visible.data != NULL) {
        buffer_add(to, visible.data, columns_fit(visible.data, columns));
    }
}

const char *live_show_line(struct live *live, const struct trace *trace,
                           char to[LIVE_MAX])
{
    autobuffer struct buffer text = BUFFER_INIT(LIVE_MAX);
    struct trace_function call;
    int64_t line;

    if (!live->is_terminal || !trace_where(trace, &call, &line)) {
        return "";
    }
    buffer_add_text(&text, "> ");
    add_name(&text, call.path, PATH_COLUMNS);
    buffer_printf(&text, ":%lld ", (long long)line);
    add_name(&text, call.name, NAME_COLUMNS);
    return buffer_error(&text) == 0 ? show(live, text.data, live->in_line, to) : "";
}

bool live_waits(const struct live *live)
{
    return live->shown && live->waits;
}

const char *live_show_wait(struct live *live, const char *note, char to[LIVE_MAX])
{
    const char *row;
    char text[200];

    if (!live->is_terminal) {
        return "";
    }
    (void)snprintf(text, sizeof(text), "> %s", note);
    row = show(live, text, true, to);
    live->waits = live->shown;
    return row;
}
