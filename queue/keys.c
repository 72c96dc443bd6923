/* SPDX-License-Identifier: MIT */
/* Key names. Used by the relay and the command; ids and queue names come from outside and
 * are checked by those. */
#include "queue/keys.h"

#include <stdio.h>
#include <string.h>

struct queue_key queue_key(const char *queue, const char *name, const char *id)
{
    struct queue_key key;

    (void)snprintf(key.text, sizeof(key.text), "paddock:{%s}:%s%s", queue, name, id);
    return key;
}

static bool valid(const char *text, size_t most, const char *punctuation)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    size_t size = strlen(text);

    for (size_t i = 0; i < size; i++) {
        if (strchr(letters, text[i]) == NULL && strchr(punctuation, text[i]) == NULL) {
            return false;
        }
    }
    return size > 0 && size <= most;
}

bool queue_name_valid(const char *name)
{
    return valid(name, LIMIT_QUEUE, "_.-");
}

bool queue_id_valid(const char *id)
{
    return valid(id, LIMIT_JOB_ID, "_-");
}
