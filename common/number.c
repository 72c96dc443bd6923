/* SPDX-License-Identifier: MIT */
/* Reading numbers. Used by every process, on texts from anybody. */
#include "common/number.h"

#include <errno.h>

int number_parse(const char *text, int64_t least, int64_t most, int64_t *ret)
{
    long long number;
    char *end;

    /* strtoll itself lets white space and a plus pass. */
    if ((*text < '0' || *text > '9') && *text != '-') {
        return -EINVAL;
    }
    errno = 0;
    number = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || number < least || number > most ||
        (number == 0 && *text == '-')) { /* which the queue's functions take for none */
        return -EINVAL;
    }
    *ret = number;
    return 0;
}
