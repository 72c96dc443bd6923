/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: a configuration file of any bytes, over a table with an option of every
 * type. Values stay in their ranges and places; a refusal begins with file:line. Run by
 * libFuzzer.
 */
#include "common/option.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct values {
    int64_t number, flag, choice;
    char text[9];
    char guard[7];
};

static const struct option_row rows[] = {
    {"first", "number", OPTION_NUMBER, offsetof(struct values, number), -5, 100, "10",
     NULL, OPTION_AT_ONCE, OPTION_EACH, "ms", "A number"},
    {"first", "flag", OPTION_FLAG, offsetof(struct values, flag), 0, 0, "yes", NULL,
     OPTION_AT_START, OPTION_EACH, "", "A flag"},
    {"first", "choice", OPTION_CHOICE, offsetof(struct values, choice), 0, 0, "green",
     "red green blue", OPTION_AT_START, OPTION_EACH, "", "A colour"},
    {"second", "text", OPTION_TEXT, offsetof(struct values, text), 0, 8, "a b", NULL,
     OPTION_AT_START, OPTION_EACH, "", "A text"},
};
static const struct option_table table = {rows, array_size(rows)};

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void check_values(const struct values *values)
{
    require(values->number >= -5 && values->number <= 100);
    require(values->flag == 0 || values->flag == 1);
    require(values->choice >= 0 && values->choice <= 2);
    require(strnlen(values->text, sizeof(values->text)) <= 8);
    require(memcmp(values->guard, "#######", sizeof(values->guard)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    autobuffer struct buffer why = BUFFER_INIT(65536);
    struct option_parts parts = {.kind = "part", .wanted = size % 2 == 0 ? "a" : NULL};
    struct values values;
    char *text = malloc(size + 1);

    memcpy(text, data, size);
    text[size] = '\0';
    option_defaults(&table, &values);
    memset(values.guard, '#', sizeof(values.guard));
    if (option_parse(&table, &values, "f", text, size, &parts, &why) < 0) {
        require(why.size > 4 && memcmp(why.data, "f:", 2) == 0);
    } else {
        require(why.size == 0);
    }
    check_values(&values);
    require(parts.count <= LIMIT_POOLS);
    for (uint32_t i = 0; i < parts.count; i++) {
        require(option_part_valid(parts.names[i]));
    }
    (void)option_nearest(&table, text);
    free(text);
    return 0;
}
