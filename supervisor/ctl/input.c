/* SPDX-License-Identifier: MIT */
/* Arguments and input of a program. Runs in the `paddock` command, as the user; reads
 * standard input to its end before anything is sent. */
#include "supervisor/ctl/input.h"

#include "common/fd.h"
#include "common/limits.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define QUIET_MS 1000

void input_announce(void)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};

    if (isatty(STDERR_FILENO) && poll(&input, 1, QUIET_MS) == 0) {
        (void)fputs("paddock: waiting for standard input to end; Ctrl-D ends it on a "
                    "terminal, and with </dev/null there is none\n",
                    stderr);
    }
}

static int take_arguments(struct args *args, struct buffer *argv, struct buffer *why)
{
    for (int i = 0; i < args->rest_count; i++) {
        if (strchr(args->rest[i], '\n') != NULL) {
            buffer_add_text(why, "an argument of the program may hold no newline");
            return -EINVAL;
        }
        buffer_printf(argv, "%s%s", i > 0 ? "\n" : "", args->rest[i]);
    }
    if (buffer_error(argv) < 0) {
        buffer_add_text(why, "the arguments of the program are too long");
        return -E2BIG;
    }
    if (args->rest_count > 0) {
        args->fields[job_field_by_name("argv") - job_fields] = argv->data;
    }
    return 0;
}

static const char **field_of(struct args *args, const char *name)
{
    return &args->fields[job_field_by_name(name) - job_fields];
}

bool input_feeds(struct args *args, const char *path)
{
    const char **live = field_of(args, "live_input");

    if (*live == NULL && *field_of(args, "stdin") == NULL && strcmp(path, "-") != 0 &&
        isatty(STDIN_FILENO)) {
        *live = "1";
    }
    return *live != NULL && strcmp(*live, "1") == 0;
}

/* A terminal is not read ahead: what is typed before the program asks for it may be meant
 * for whoever comes after. */
static bool is_given(void)
{
    struct stat status;

    return fstat(STDIN_FILENO, &status) == 0 &&
           (S_ISFIFO(status.st_mode) || S_ISREG(status.st_mode));
}

int input_take(struct args *args, const char *path, struct buffer *argv, char **ret_input,
               struct buffer *why)
{
    const char **field = field_of(args, "stdin");
    int error = take_arguments(args, argv, why);
    size_t size;

    if (error < 0 || args->feeds || *field != NULL || strcmp(path, "-") == 0 ||
        !is_given()) {
        return error;
    }
    input_announce();
    if (fd_read_all(STDIN_FILENO, LIMIT_STDIN, ret_input, &size) < 0) {
        buffer_add_text(why, "standard input is larger than 1 MB, or cannot be read");
        return -EFBIG;
    }
    if (strlen(*ret_input) != size) {
        buffer_add_text(
            why, "standard input holds a NUL byte, which can be sent only while the "
                 "program runs: --live-input");
        return -EINVAL;
    }
    *field = *ret_input;
    return 0;
}
