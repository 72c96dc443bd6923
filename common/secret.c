/* SPDX-License-Identifier: MIT */
/* Passwords on the command line. Called first in main() of the programs that take an
 * address of Redis, on words that their user wrote. */
#include "common/secret.h"

#include <errno.h>
#include <string.h>

int secret_hide_argv(int argc, char **argv)
{
    static const char scheme[] = "redis://";

    for (int i = 0; i < argc; i++) {
        char *login = strstr(argv[i], scheme);
        char *end = login != NULL ? strrchr(login, '@') : NULL;
        char *copy;

        if (end == NULL) {
            continue;
        }
        copy = strdup(argv[i]);
        if (copy == NULL) {
            return -ENOMEM;
        }
        login += strlen(scheme);
        memset(login, '*', (size_t)(end - login));
        argv[i] = copy;
    }
    return 0;
}
