/* SPDX-License-Identifier: MIT */
/* Complaining. Runs in the `paddock` command. */
#include "supervisor/ctl/complain.h"

#include <stdarg.h>
#include <stdio.h>

int complain(int code, const char *format, ...)
{
    va_list args;

    (void)fputs("paddock: ", stderr);
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    (void)fputc('\n', stderr);
    return code;
}

int complain_why(int code, const struct buffer *why)
{
    return complain(code, "%s", why->size > 0 ? why->data : "something went wrong");
}
