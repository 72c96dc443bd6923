/* SPDX-License-Identifier: MIT */
/* Values of the queue's own JSON. Runs in the `paddock` command. Trusts Redis for the
 * form, nobody for what stands in the strings. */
#include "supervisor/ctl/json.h"

#include "common/number.h"

#include <stdio.h>
#include <string.h>

/* The value behind "name":, or NULL. Within a string a quote has a backslash before it,
 * so that no string holds a quoted name with a colon behind it. */
static const char *value_of(const char *json, const char *name)
{
    char key[64];
    const char *found;

    (void)snprintf(key, sizeof(key), "\"%s\":", name);
    found = strstr(json, key);
    return found != NULL ? found + strlen(key) : NULL;
}

bool json_number(const char *json, const char *name, int64_t *ret)
{
    const char *value = value_of(json, name);
    char digits[24];

    if (value == NULL) {
        return false;
    }
    (void)snprintf(digits, sizeof(digits), "%.*s", (int)strspn(value, "-0123456789"),
                   value);
    return number_parse(digits, INT64_MIN, INT64_MAX, ret) == 0;
}

/* Redis escapes control characters only so; everything else is UTF-8 as it is. */
static const char *add_code(const char *digits, struct buffer *to)
{
    unsigned code = 0;

    for (int i = 0; i < 4; i++, digits++) {
        static const char hex[] = "0123456789abcdef";
        const char *found = *digits != '\0' ? strchr(hex, *digits | 0x20) : NULL;

        if (found == NULL) {
            return digits;
        }
        code = code * 16 + (unsigned)(found - hex);
    }
    buffer_add_char(to, code > 0 && code < 0x80 ? (char)code : '?');
    return digits;
}

/* What stands behind a backslash; returns where it ends. */
static const char *add_escape(const char *at, struct buffer *to)
{
    static const char names[] = "bfnrt\"\\/", meant[] = "\b\f\n\r\t\"\\/";
    const char *found = *at != '\0' ? strchr(names, *at) : NULL;

    if (*at == 'u') {
        return add_code(at + 1, to);
    }
    if (found != NULL) {
        buffer_add_char(to, meant[found - names]);
    }
    return at + (*at != '\0');
}

bool json_text(const char *json, const char *name, struct buffer *to)
{
    const char *at = value_of(json, name);

    if (at == NULL || *at++ != '"') {
        return false;
    }
    buffer_add(to, "", 0); /* an empty string still is a text */
    while (*at != '"' && *at != '\0') {
        size_t plain = strcspn(at, "\"\\");

        buffer_add(to, at, plain);
        at += plain;
        if (*at == '\\') {
            at = add_escape(at + 1, to);
        }
    }
    return buffer_error(to) == 0;
}
