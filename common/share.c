/* SPDX-License-Identifier: MIT */
/* The list of queues. Runs in whoever reads the configuration; the text is the
 * operator's. */
#include "common/share.h"

#include "common/number.h"
#include "common/text.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* `text` has `size` bytes. */
static int parse_one(const char *text, size_t size, struct share *ret)
{
    size_t length = text_name_length(text, "_.-");
    char weight[8] = "1";
    int64_t number;

    length = length < size ? length : size;
    if (length < size) {
        size_t digits = size - length - 1;

        if (text[length] != ':' || digits >= sizeof(weight)) {
            return -EINVAL;
        }
        memcpy(weight, text + length + 1, digits);
        weight[digits] = '\0';
    }
    if (length == 0 || length > LIMIT_QUEUE ||
        number_parse(weight, 1, SHARE_WEIGHT_MAX, &number) < 0) {
        return -EINVAL;
    }
    *ret = (struct share){.weight = (uint32_t)number};
    memcpy(ret->name, text, length);
    return 0;
}

static bool is_named(const struct share *shares, int count, const char *name)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(shares[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

int share_parse(const char *text, struct share *ret)
{
    int count = 0;

    for (text += strspn(text, " "); *text != '\0'; text += strspn(text, " ")) {
        size_t size = strcspn(text, " ");
        struct share share;

        if (count == LIMIT_QUEUES || parse_one(text, size, &share) < 0 ||
            is_named(ret, count, share.name)) {
            return -EINVAL;
        }
        ret[count++] = share;
        text += size;
    }
    return count > 0 ? count : -EINVAL;
}

uint32_t share_read(const char *text, struct share ret[LIMIT_QUEUES])
{
    int count = share_parse(text, ret);

    if (count < 0) {
        abort();
    }
    return (uint32_t)count;
}
