/* SPDX-License-Identifier: MIT */
/* Stream entries. Runs in the `paddock` command; believes Redis no more than it must: an
 * entry that is not of the form is none. */
#include "supervisor/ctl/entry.h"

#include "common/number.h"

#include <string.h>

const struct redisReply *entry_value(const struct redisReply *fields, const char *name)
{
    for (size_t i = 0; i + 1 < fields->elements; i += 2) {
        if (fields->element[i]->str != NULL &&
            strcmp(fields->element[i]->str, name) == 0) {
            return fields->element[i + 1];
        }
    }
    return NULL;
}

bool entry_read(const struct redisReply *reply, struct entry *ret)
{
    const struct redisReply *kind, *attempt, *data;
    int64_t number;

    if (reply->elements != 2 || reply->element[0]->str == NULL) {
        return false;
    }
    *ret = (struct entry){.id = reply->element[0]->str};
    kind = entry_value(reply->element[1], "k");
    attempt = entry_value(reply->element[1], "a");
    data = entry_value(reply->element[1], "d");
    if (kind != NULL && kind->str != NULL && data != NULL && data->str != NULL &&
        attempt != NULL && attempt->str != NULL &&
        number_parse(attempt->str, 0, INT32_MAX, &number) == 0) {
        ret->kind = kind->str;
        ret->attempt = (int)number;
        ret->data = data;
    }
    return true;
}
