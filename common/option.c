/* SPDX-License-Identifier: MIT */
/*
 * Options by one table. Runs at start-up and reload, on a file and a command line that
 * the operator wrote: trusted to mean well, not to be right.
 */
#include "common/option.h"

#include "common/host_modules.h"
#include "common/number.h"
#include "common/redis_address.h"
#include "common/share.h"
#include "common/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- values ---- */

static void *at(const struct option_row *row, void *values)
{
    return (char *)values + row->offset;
}

/* Returns the place of a word in a row's choices, or -1. */
static int64_t place_of(const struct option_row *row, const char *text)
{
    int64_t place = 0;

    for (const char *word = row->choices; word != NULL && *word != '\0'; place++) {
        size_t length = strcspn(word, " ");

        if (length == strlen(text) && memcmp(word, text, length) == 0) {
            return place;
        }
        word += length + (word[length] == ' ');
    }
    return -1;
}

static bool set_number(const struct option_row *row, const char *text, void *value)
{
    int64_t place = place_of(row, text), number = -1 - place;

    if (place < 0 && number_parse(text, row->min, row->max, &number) < 0) {
        return false;
    }
    memcpy(value, &number, sizeof(number));
    return true;
}

static bool set_flag(const struct option_row *row, const char *text, void *value)
{
    int64_t number = strcmp(text, "yes") == 0;

    if (number == 0 && strcmp(text, "no") != 0) {
        return false;
    }
    memcpy(value, &number, sizeof(number));
    return true;
}

static bool set_text(const struct option_row *row, const char *text, void *value)
{
    size_t size = strlen(text);

    if (size < (size_t)row->min || size > (size_t)row->max) {
        return false;
    }
    memcpy(value, text, size + 1);
    return true;
}

static bool set_queues(const struct option_row *row, const char *text, void *value)
{
    struct share shares[LIMIT_QUEUES];

    return share_parse(text, shares) > 0 && set_text(row, text, value);
}

/* Where a row may be empty, that is no path but the word for its default. */
static bool is_unset(const struct option_row *row, const char *text)
{
    return *text == '\0' && row->min == 0;
}

static bool set_path(const struct option_row *row, const char *text, void *value)
{
    return (*text == '/' || is_unset(row, text) || place_of(row, text) >= 0) &&
           set_text(row, text, value);
}

static bool set_folder(const struct option_row *row, const char *text, void *value)
{
    struct stat status;

    return (is_unset(row, text) ||
            (stat(text, &status) == 0 && S_ISDIR(status.st_mode))) &&
           set_path(row, text, value);
}

static bool set_file(const struct option_row *row, const char *text, void *value)
{
    struct stat status;

    return (is_unset(row, text) || (stat(text, &status) == 0 && S_ISREG(status.st_mode) &&
                                    access(text, R_OK) == 0)) &&
           set_path(row, text, value);
}

static bool set_address(const struct option_row *row, const char *text, void *value)
{
    struct redis_address address;

    return (is_unset(row, text) || redis_address_parse(text, &address, NULL) == 0) &&
           set_text(row, text, value);
}

static bool set_choice(const struct option_row *row, const char *text, void *value)
{
    int64_t place = place_of(row, text);

    if (place < 0) {
        return false;
    }
    memcpy(value, &place, sizeof(place));
    return true;
}

static void say_number(const struct option_row *row, struct buffer *to)
{
    buffer_printf(to, "a whole number from %lld to %lld", (long long)row->min,
                  (long long)row->max);
    if (row->choices != NULL) {
        buffer_printf(to,
                      strchr(row->choices, ' ') != NULL ? ", or one of: %s" : ", or %s",
                      row->choices);
    }
}

static void say_flag(const struct option_row *row, struct buffer *to)
{
    buffer_add_text(to, "yes or no");
}

static void say_text(const struct option_row *row, struct buffer *to)
{
    buffer_printf(to, "a text of at most %lld bytes", (long long)row->max);
}

static void say_queues(const struct option_row *row, struct buffer *to)
{
    buffer_printf(
        to,
        "at most %d different names of at most %d letters, digits and _.-, each "
        "with or without a weight from 1 to %d behind a colon",
        LIMIT_QUEUES, LIMIT_QUEUE, SHARE_WEIGHT_MAX);
}

static void say_path(const struct option_row *row, struct buffer *to)
{
    buffer_add_text(to, "an absolute path");
    if (row->choices != NULL) {
        buffer_printf(to, ", or one of: %s", row->choices);
    }
}

static void say_folder(const struct option_row *row, struct buffer *to)
{
    buffer_add_text(to, "the absolute path of a folder that is there");
}

static void say_file(const struct option_row *row, struct buffer *to)
{
    buffer_add_text(to, "the absolute path of a file that can be read");
}

static void say_address(const struct option_row *row, struct buffer *to)
{
    buffer_add_text(to,
                    "unix:/PATH, HOST:PORT or redis://[USER:PASSWORD@]HOST[:PORT][/DB]");
}

static void say_modules(const struct option_row *row, struct buffer *to)
{
    buffer_printf(to, "different names of modules, of at most %lld bytes in all",
                  (long long)row->max);
}

static void say_folders(const struct option_row *row, struct buffer *to)
{
    buffer_printf(to,
                  "absolute paths of folders, with colons between them, of at most %lld "
                  "bytes in all",
                  (long long)row->max);
}

static void say_choice(const struct option_row *row, struct buffer *to)
{
    buffer_printf(to, "one of: %s", row->choices);
}

static const struct {
    bool (*set)(const struct option_row *row, const char *text, void *value);
    void (*say)(const struct option_row *row, struct buffer *to);
    bool secret;                                        /* a value may hold a password */
    int (*check)(const char *text, struct buffer *why); /* ahead of `set`; may be NULL */
} types[] = {
    [OPTION_NUMBER] = {set_number, say_number, false, NULL},
    [OPTION_FLAG] = {set_flag, say_flag, false, NULL},
    [OPTION_CHOICE] = {set_choice, say_choice, false, NULL},
    [OPTION_TEXT] = {set_text, say_text, false, NULL},
    [OPTION_QUEUES] = {set_queues, say_queues, false, NULL},
    [OPTION_PATH] = {set_path, say_path, false, NULL},
    [OPTION_FOLDER] = {set_folder, say_folder, false, NULL},
    [OPTION_FILE] = {set_file, say_file, false, NULL},
    [OPTION_ADDRESS] = {set_address, say_address, true, NULL},
    [OPTION_MODULES] = {set_text, say_modules, false, host_modules_check},
    [OPTION_FOLDERS] = {set_text, say_folders, false, host_modules_check_path},
};

void option_defaults(const struct option_table *table, void *values)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct option_row *row = &table->rows[i];

        if (!types[row->type].set(row, row->initial, at(row, values))) {
            abort(); /* a default outside its own range is a bug in the table */
        }
    }
}

/* ---- names ---- */

static size_t least(size_t a, size_t b, size_t c)
{
    size_t ab = a < b ? a : b;

    return ab < c ? ab : c;
}

/* Levenshtein's distance, of names of at most 63 characters. */
static size_t distance(const char *a, const char *b)
{
    size_t row[64];
    size_t length = strlen(b);

    if (length >= array_size(row)) {
        return SIZE_MAX;
    }
    for (size_t j = 0; j <= length; j++) {
        row[j] = j;
    }
    for (size_t i = 1; a[i - 1] != '\0'; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= length; j++) {
            size_t above = row[j];

            row[j] = least(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[length];
}

const char *option_nearest(const struct option_table *table, const char *name)
{
    const char *nearest = NULL;
    size_t best = 3;

    for (size_t i = 0; i < table->count; i++) {
        size_t far = distance(name, table->rows[i].name);

        if (far < best) {
            best = far;
            nearest = table->rows[i].name;
        }
    }
    return nearest;
}

const struct option_row *option_find(const struct option_table *table, const char *name)
{
    for (size_t i = 0; i < table->count; i++) {
        if (strcmp(table->rows[i].name, name) == 0) {
            return &table->rows[i];
        }
    }
    return NULL;
}

static void say_unknown(const struct option_table *table, const char *name,
                        struct buffer *why)
{
    const char *nearest = option_nearest(table, name);

    buffer_printf(why, "there is no option '%s'", text_quote(name).text);
    if (nearest != NULL) {
        buffer_printf(why, "; did you mean '%s'?", nearest);
    }
}

int option_set(const struct option_table *table, void *values, const char *name,
               const char *value, struct buffer *why)
{
    const struct option_row *row = option_find(table, name);
    autobuffer struct buffer wrong = BUFFER_INIT(2 * LIMIT_PATH);

    if (row == NULL) {
        say_unknown(table, name, why);
        return -ENOENT;
    }
    if ((types[row->type].check != NULL && types[row->type].check(value, &wrong) < 0) ||
        !types[row->type].set(row, value, at(row, values))) {
        buffer_printf(why, types[row->type].secret ? "%s: takes " : "%s = %s: takes ",
                      name, text_quote(value).text);
        types[row->type].say(row, why);
        if (wrong.size > 0) {
            buffer_printf(why, "; %s", wrong.data);
        }
        return -EINVAL;
    }
    return 0;
}

/* ---- values ---- */

bool option_same(const struct option_row *row, const void *values, const void *others)
{
    const char *one = (const char *)values + row->offset;
    const char *other = (const char *)others + row->offset;

    return row->type >= OPTION_TEXT ? strcmp(one, other) == 0
                                    : memcmp(one, other, sizeof(int64_t)) == 0;
}

void option_copy(const struct option_row *row, void *to, const void *from)
{
    memmove((char *)to + row->offset, (const char *)from + row->offset,
            row->type >= OPTION_TEXT ? (size_t)row->max + 1 : sizeof(int64_t));
}

/* ---- texts ---- */

/* Appends `text` in lines of at most 90 columns, each behind `prefix`. */
static void wrap(const char *text, const char *prefix, struct buffer *to)
{
    size_t room = 90 - strlen(prefix);

    while (*text != '\0') {
        size_t size = strlen(text);

        if (size > room) {
            size = room;
            while (size > 1 && text[size] != ' ') {
                size--;
            }
        }
        buffer_printf(to, "%s%.*s\n", prefix, (int)size, text);
        text += size;
        text += strspn(text, " ");
    }
}

static void say_range(const struct option_row *row, struct buffer *to)
{
    types[row->type].say(row, to);
    if (*row->unit != '\0') {
        buffer_printf(to, " (%s)", row->unit);
    }
    if (row->reload != OPTION_AT_START) {
        buffer_add_text(to, "; reloads");
    }
}

void option_sample(const struct option_table *table, struct buffer *to)
{
    const char *section = "";

    for (size_t i = 0; i < table->count; i++) {
        const struct option_row *row = &table->rows[i];
        autobuffer struct buffer range = BUFFER_INIT(1024);

        if (strcmp(section, row->section) != 0) {
            section = row->section;
            buffer_printf(to, "%s[%s]\n", i > 0 ? "\n" : "", section);
        }
        say_range(row, &range);
        buffer_add_char(to, '\n');
        wrap(row->help, "# ", to);
        wrap(range.data != NULL ? range.data : "", "# ", to);
        buffer_printf(to, "%s =%s%s\n", row->name, *row->initial != '\0' ? " " : "",
                      row->initial);
    }
}

void option_help(const struct option_table *table, struct buffer *to)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct option_row *row = &table->rows[i];
        autobuffer struct buffer text = BUFFER_INIT(16384);

        buffer_printf(to, "  --%s=VALUE\n", row->name);
        buffer_printf(&text, "%s. Takes ", row->help);
        say_range(row, &text);
        if (strlen(row->initial) < 60) {
            buffer_printf(&text, "; default: %s",
                          *row->initial != '\0' ? row->initial : "none");
        }
        wrap(text.data != NULL ? text.data : "", "        ", to);
    }
}
