/* SPDX-License-Identifier: MIT */
/* Where a Redis is: unix:/PATH, HOST:PORT, or redis://[USER:PASSWORD@]HOST[:PORT][/DB].
 */
#pragma once

#include "common/buffer.h"

#include <stdbool.h>

struct redis_address {
    bool is_unix;
    char host[256]; /* or the socket's path */
    char port[8];
    char user[128]; /* "" for none */
    char password[256];
    char database[8]; /* "" for 0 */
};

/* Returns 0, or -EINVAL with a sentence in `why`, in which no password stands. */
int redis_address_parse(const char *text, struct redis_address *ret,
                        struct buffer *why) must_check;
/* "unix:/run/redis.sock" or "host:6379": for messages. */
void redis_address_print(const struct redis_address *address, struct buffer *to);
