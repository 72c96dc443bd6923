/* SPDX-License-Identifier: MIT */
/* Entries of a job's Stream, as Redis gives them (docs/PROTOCOL.md, "Follow"). */
#pragma once

#include <hiredis/hiredis.h>
#include <stdbool.h>

struct entry {
    const char *id;   /* of the Stream; all is the reply's */
    const char *kind; /* NULL: it is none of ours */
    int attempt;
    const struct redisReply *data;
};

/* Of names and values, one after the other (an entry's, or a hash's), that of a name;
 * NULL where there is none. */
const struct redisReply *entry_value(const struct redisReply *fields, const char *name);
/* Reads one element of what XREAD or XRANGE answer. Returns false where it has no id. */
bool entry_read(const struct redisReply *reply, struct entry *ret);
