/* SPDX-License-Identifier: MIT */
/* Complaining. Runs in the `paddock` command. What is quoted may be anybody's: a terminal
 * is told nothing by it. */
#include "supervisor/ctl/complain.h"

#include <stdarg.h>
#include <stdio.h>

int complain(int code, const char *format, ...)
{
    autobuffer struct buffer why = BUFFER_INIT(WHY_MAX);
    va_list args;

    va_start(args, format);
    buffer_vprintf(&why, format, args);
    va_end(args);
    return complain_why(code, &why);
}

int complain_why(int code, const struct buffer *why)
{
    autobuffer struct buffer visible = BUFFER_INIT(4 * WHY_MAX);

    buffer_add_visible(&visible, why->data, why->size);
    (void)fprintf(stderr, "paddock: %s\n",
                  visible.size > 0 ? visible.data : "something went wrong");
    return code;
}
