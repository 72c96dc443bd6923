/* SPDX-License-Identifier: MIT */
/* Random names. Run by the `paddock` command, for what others could get in the way of if
 * they knew its name beforehand. */
#include "common/random.h"

#include <errno.h>
#include <stdio.h>
#include <sys/random.h>

int random_name(char name[RANDOM_NAME])
{
    unsigned char bytes[16];

    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes)) {
        return -errno;
    }
    for (size_t i = 0; i < sizeof(bytes); i++) {
        (void)snprintf(name + 2 * i, 3, "%02x", bytes[i]);
    }
    return 0;
}
