/* SPDX-License-Identifier: MIT */
/* Key names. Used by the relay and the command; ids and queue names come from outside and
 * are checked by those. */
#include "queue/keys.h"

#include "common/text.h"

#include <stdio.h>

struct queue_key queue_key(const char *queue, const char *name, const char *id)
{
    struct queue_key key;

    (void)snprintf(key.text, sizeof(key.text), "paddock:{%s}:%s%s", queue, name, id);
    return key;
}

static bool valid(const char *text, size_t most, const char *punctuation)
{
    size_t size = text_name_length(text, punctuation);

    return text[size] == '\0' && size > 0 && size <= most;
}

bool queue_name_valid(const char *name)
{
    return valid(name, LIMIT_QUEUE, "_.-");
}

bool queue_id_valid(const char *id)
{
    return valid(id, LIMIT_JOB_ID, "_-");
}
