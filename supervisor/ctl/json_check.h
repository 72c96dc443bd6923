/* SPDX-License-Identifier: MIT */
/*
 * Is a text JSON (RFC 8259)? It comes in pieces, and nothing of it is kept: only where in
 * it the last piece ended. Bytes from 128 on are taken as they are in strings, where they
 * are to be UTF-8, which is not looked at here.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_DEPTH                                                                       \
    10000 /* arrays and objects within one another; what is more is no JSON */

struct json_check {
    int state;        /* what may come now */
    const char *word; /* what is left of `true`, `false` or `null` */
    unsigned hex;     /* digits of \uXXXX that are to come */
    size_t depth;
    bool is_key;                         /* the string is a name in an object */
    uint8_t objects[JSON_DEPTH / 8 + 1]; /* a bit for each level: it is an object */
};

void json_check_begin(struct json_check *check);
void json_check_add(struct json_check *check, const char *bytes, size_t size);
/* Was that one value, and all of it? */
bool json_check_end(const struct json_check *check);
