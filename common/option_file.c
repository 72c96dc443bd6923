/* SPDX-License-Identifier: MIT */
/*
 * Options in a file. Runs at start-up and reload, on what the operator wrote: trusted to
 * mean well, not to be right.
 */
#include "common/option.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct parser {
    const struct option_table *table;
    void *values;
    const char *file;
    struct buffer *why;
    int line;
    const char *section; /* of the table; NULL before the first one */
    uint64_t seen[4];    /* options of the table that the file has set */
};

static int refuse(struct parser *parser, const char *format, ...) printf_like(2, 3);
static int refuse(struct parser *parser, const char *format, ...)
{
    va_list args;

    buffer_printf(parser->why, "%s:%d: ", parser->file, parser->line);
    va_start(args, format);
    buffer_vprintf(parser->why, format, args);
    va_end(args);
    return -EINVAL;
}

/* Cuts white space off both ends, in place. */
static char *trim(char *text)
{
    size_t size;

    text += strspn(text, " \t\r");
    size = strlen(text);
    while (size > 0 && strchr(" \t\r", text[size - 1]) != NULL) {
        text[--size] = '\0';
    }
    return text;
}

static int enter_section(struct parser *parser, char *line)
{
    size_t size = strlen(line);

    if (line[size - 1] != ']') {
        return refuse(parser, "a section is written [NAME]");
    }
    line[size - 1] = '\0';
    for (size_t i = 0; i < parser->table->count; i++) {
        if (strcmp(parser->table->rows[i].section, line + 1) == 0) {
            parser->section = parser->table->rows[i].section;
            return 0;
        }
    }
    return refuse(parser, "there is no section [%s]", line + 1);
}

static int check_place(struct parser *parser, const struct option_row *row)
{
    size_t index = (size_t)(row - parser->table->rows);

    if (parser->section == NULL || strcmp(parser->section, row->section) != 0) {
        return refuse(parser, "'%s' belongs into section [%s]", row->name, row->section);
    }
    if ((parser->seen[index / 64] >> index % 64 & 1) != 0) {
        return refuse(parser, "'%s' is set twice", row->name);
    }
    parser->seen[index / 64] |= 1ull << index % 64;
    return 0;
}

static int parse_setting(struct parser *parser, char *line)
{
    char *equals = strchr(line, '=');
    autobuffer struct buffer why = BUFFER_INIT(1024);
    const struct option_row *row;
    int error;

    if (equals == NULL) {
        return refuse(parser, "expected NAME = VALUE, got '%s'", line);
    }
    *equals = '\0';
    line = trim(line);
    row = option_find(parser->table, line);
    if (row != NULL) {
        error = check_place(parser, row);
        if (error < 0) {
            return error;
        }
    }
    if (option_set(parser->table, parser->values, line, trim(equals + 1), &why) < 0) {
        return refuse(parser, "%s", why.data != NULL ? why.data : "a bad value");
    }
    return 0;
}

static int parse_line(struct parser *parser, char *line)
{
    line = trim(line);
    if (*line == '\0' || *line == '#' || *line == ';') {
        return 0;
    }
    return *line == '[' ? enter_section(parser, line) : parse_setting(parser, line);
}

static int parse_bytes(struct parser *parser, const char *text, size_t size)
{
    autofree char *line = strndup(text, size);

    if (line == NULL) {
        return -ENOMEM;
    }
    if (strlen(line) < size) {
        return refuse(parser, "a NUL byte has no place in this file");
    }
    return parse_line(parser, line);
}

static const char mark[] = "\xEF\xBB\xBF"; /* U+FEFF in UTF-8 */

int option_parse(const struct option_table *table, void *values, const char *file,
                 const char *text, size_t size, struct buffer *why)
{
    struct parser parser = {.table = table, .values = values, .file = file, .why = why};
    const char *end = text + size;
    int error = 0;

    if (table->count > sizeof(parser.seen) * 8) {
        abort(); /* a bug: the table has outgrown `seen` */
    }
    if (size >= strlen(mark) && memcmp(text, mark, strlen(mark)) == 0) {
        text += strlen(mark);
    }
    while (error == 0 && text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        size_t length = (size_t)((newline != NULL ? newline : end) - text);

        parser.line++;
        error = parse_bytes(&parser, text, length);
        text += length + (newline != NULL);
    }
    return error;
}
