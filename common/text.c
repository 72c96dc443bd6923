/* SPDX-License-Identifier: MIT */
/*
 * Questions to a text, and quoting it. Runs everywhere; trusts nothing of the text but
 * its end.
 */
#include "common/text.h"

#include "common/utf8.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

typedef int compare_function(const char *, const char *);

static bool ends_with(const char *text, const char *end, compare_function *compare)
{
    size_t size = strlen(text), length = strlen(end);

    return size >= length && compare(text + size - length, end) == 0;
}

bool text_ends_with(const char *text, const char *end)
{
    return ends_with(text, end, strcmp);
}

bool text_ends_with_any_case(const char *text, const char *end)
{
    return ends_with(text, end, strcasecmp);
}

size_t text_name_length(const char *text, const char *others)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    size_t length = 0, more;

    do {
        more = strspn(text + length, letters);
        more += strspn(text + length + more, others);
        length += more;
    } while (more > 0);
    return length;
}

bool text_has_word(const char *list, const char *word, size_t size)
{
    for (const char *at = list + strspn(list, " "); *at != '\0'; at += strspn(at, " ")) {
        size_t length = strcspn(at, " ");

        if (length == size && memcmp(at, word, size) == 0) {
            return true;
        }
        at += length;
    }
    return false;
}

struct text_quote text_quote(const char *text)
{
    struct text_quote quote;
    size_t size = strnlen(text, TEXT_QUOTED + 1);
    bool is_whole = size <= TEXT_QUOTED;

    size = is_whole ? size : utf8_whole(text, TEXT_QUOTED);
    (void)snprintf(quote.text, sizeof(quote.text), "%.*s%s", (int)size, text,
                   is_whole ? "" : "...");
    return quote;
}

uint64_t text_add_hash(uint64_t hash, const char *text)
{
    for (; *text != '\0'; text++) {
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    }
    return hash;
}
