/* SPDX-License-Identifier: MIT */
/* Base64. Encoded in the sandbox, without allocation; decoded in the `paddock` command,
 * from a hostile program's text. */
#include "common/base64.h"

#include <errno.h>
#include <string.h>

static const char digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_add(struct buffer *to, const void *bytes, size_t size)
{
    const unsigned char *at = bytes;

    for (size_t left = size; left > 0;) {
        size_t takes = left < 3 ? left : 3;
        unsigned char three[3] = {0};
        char four[4];

        memcpy(three, at, takes);
        four[0] = digits[three[0] >> 2];
        four[1] = digits[(three[0] & 3) << 4 | three[1] >> 4];
        four[2] = takes > 1 ? digits[(three[1] & 15) << 2 | three[2] >> 6] : '=';
        four[3] = takes > 2 ? digits[three[2] & 63] : '=';
        buffer_add(to, four, sizeof(four));
        at += takes;
        left -= takes;
    }
}

/* How many of the last four characters are padding. */
static size_t padding(const char *text, size_t size)
{
    size_t count = 0;

    while (count < 2 && count < size && text[size - 1 - count] == '=') {
        count++;
    }
    return count;
}

ssize_t base64_decode(char *text, size_t size)
{
    size_t pad = padding(text, size), count = 0;
    unsigned bits = 0;

    if (size % 4 != 0) {
        return -EBADMSG;
    }
    for (size_t i = 0; i < size - pad; i++) {
        const char *digit = memchr(digits, text[i], sizeof(digits) - 1);

        if (digit == NULL) {
            return -EBADMSG;
        }
        bits = bits << 6 | (unsigned)(digit - digits);
        if (i % 4 != 0) { /* the first of four is not a byte yet */
            text[count++] = (char)(bits >> (6 - i % 4 * 2) & 0xff);
        }
    }
    return (ssize_t)count;
}
