/* SPDX-License-Identifier: MIT */
/*
 * Options in a file. Runs at start-up and reload, on what the operator wrote: trusted to
 * mean well, not to be right. A file is gone through twice, as a part's options go over
 * the rest of it wherever that stands.
 */
#include "common/option.h"

#include "common/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A sentence has room in any buffer of the parser's callers, behind the file's name. */
#define SENTENCE KIB(2)

struct parser {
    const struct option_table *table;
    void *values;
    const char *file;
    struct option_parts *parts; /* NULL: there can be none */
    struct buffer *why;
    bool second; /* the second time: the wanted part's alone */
    int line;
    const char *section; /* of the table; NULL before the first one, and in a part */
    const char *part;    /* where we are in one */
    uint64_t seen[2][OPTION_ROWS / 64]; /* options of the table that are set: in the file,
                                           in this part */
};

static int refuse(struct parser *parser, const char *format, ...) printf_like(2, 3);
static int refuse(struct parser *parser, const char *format, ...)
{
    va_list args;

    buffer_printf(parser->why, "%s:%d: ", text_quote(parser->file).text, parser->line);
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

/* ---- parts ---- */

static const char *find_part(const struct option_parts *parts, const char *name)
{
    for (uint32_t i = 0; i < parts->count; i++) {
        if (strcmp(parts->names[i], name) == 0) {
            return parts->names[i];
        }
    }
    return NULL;
}

bool option_has_part(const struct option_parts *parts, const char *name)
{
    return find_part(parts, name) != NULL;
}

bool option_part_valid(const char *name)
{
    size_t size = text_name_length(name, "_-");

    return size > 0 && size <= LIMIT_POOL && name[size] == '\0';
}

static bool is_taken(const struct option_parts *parts, const char *name)
{
    return parts->taken != NULL && text_has_word(parts->taken, name, strlen(name));
}

/* The name in KIND NAME, or NULL: that is none. */
static char *part_in(const struct parser *parser, char *section)
{
    size_t size = parser->parts != NULL ? strlen(parser->parts->kind) : 0;

    return size > 0 && strncmp(section, parser->parts->kind, size) == 0 &&
                   (section[size] == ' ' || section[size] == '\t')
               ? trim(section + size)
               : NULL;
}

static int enter_part(struct parser *parser, const char *name)
{
    struct option_parts *parts = parser->parts;

    parser->section = NULL;
    memset(parser->seen[1], 0, sizeof(parser->seen[1]));
    if (parser->second) {
        parser->part = find_part(parts, name);
        return 0;
    }
    if (!option_part_valid(name)) {
        return refuse(parser,
                      "[%s %s]: a %s has a name of at most %d letters, digits, _ and -",
                      parts->kind, text_quote(name).text, parts->kind, LIMIT_POOL);
    }
    if (is_taken(parts, name)) {
        return refuse(parser, "[%s %s]: no %s can have this name, as a file has it",
                      parts->kind, name, parts->kind);
    }
    if (option_has_part(parts, name)) {
        return refuse(parser, "section [%s %s] is there twice", parts->kind, name);
    }
    if (parts->count == LIMIT_POOLS) {
        return refuse(parser, "more than %d sections [%s NAME]", LIMIT_POOLS,
                      parts->kind);
    }
    parser->part = parts->names[parts->count];
    (void)snprintf(parts->names[parts->count++], sizeof(parts->names[0]), "%s", name);
    return 0;
}

/* ---- sections ---- */

static int enter_section(struct parser *parser, char *line)
{
    size_t size = strlen(line);
    char *part;

    if (line[size - 1] != ']') {
        return refuse(parser, "a section is written [NAME]");
    }
    line[size - 1] = '\0';
    part = part_in(parser, line + 1);
    if (part != NULL) {
        return enter_part(parser, part);
    }
    parser->part = NULL;
    for (size_t i = 0; i < parser->table->count; i++) {
        if (strcmp(parser->table->rows[i].section, line + 1) == 0) {
            parser->section = parser->table->rows[i].section;
            return 0;
        }
    }
    return refuse(parser, "there is no section [%s]", text_quote(line + 1).text);
}

static int check_section(struct parser *parser, const struct option_row *row)
{
    if (parser->part != NULL && row->scope == OPTION_WHOLE) {
        return refuse(parser, "'%s' is the whole file's: it belongs into section [%s]",
                      row->name, row->section);
    }
    if (parser->part == NULL &&
        (parser->section == NULL || strcmp(parser->section, row->section) != 0)) {
        return refuse(parser, "'%s' belongs into section [%s]", row->name, row->section);
    }
    return 0;
}

static int check_once(struct parser *parser, const struct option_row *row)
{
    size_t index = (size_t)(row - parser->table->rows);
    uint64_t *seen = &parser->seen[parser->part != NULL][index / 64];
    uint64_t bit = 1ull << index % 64;

    if ((*seen & bit) != 0) {
        return refuse(parser, "'%s' is set twice", row->name);
    }
    *seen |= bit;
    return 0;
}

/* ---- lines ---- */

/* Of a part that is not wanted only the names of options are looked at. */
static bool counts(const struct parser *parser)
{
    bool wanted = parser->part != NULL && parser->parts->wanted != NULL &&
                  strcmp(parser->part, parser->parts->wanted) == 0;

    return parser->second ? wanted : parser->part == NULL;
}

static int set(struct parser *parser, const char *name, const char *value)
{
    autobuffer struct buffer why = BUFFER_INIT(SENTENCE);

    if (option_set(parser->table, parser->values, name, value, &why) < 0) {
        return refuse(parser, "%s", why.data != NULL ? why.data : "a bad value");
    }
    if (parser->parts != NULL) {
        size_t row = (size_t)(option_find(parser->table, name) - parser->table->rows);

        parser->parts->lines[row] = (uint32_t)parser->line;
    }
    return 0;
}

static int parse_setting(struct parser *parser, char *line)
{
    char *equals = strchr(line, '=');
    const struct option_row *row;
    int error = 0;

    if (equals == NULL) {
        return refuse(parser, "expected NAME = VALUE, got '%s'", text_quote(line).text);
    }
    *equals = '\0';
    line = trim(line);
    row = option_find(parser->table, line);
    if (row != NULL && !parser->second) {
        error = check_section(parser, row);
        error = error == 0 ? check_once(parser, row) : error;
    }
    if (error < 0) {
        return error;
    }
    return row == NULL || counts(parser) ? set(parser, line, trim(equals + 1)) : 0;
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

static int parse_all(struct parser *parser, const char *text, const char *end)
{
    int error = 0;

    parser->line = 0;
    parser->section = parser->part = NULL;
    while (error == 0 && text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        size_t length = (size_t)((newline != NULL ? newline : end) - text);

        parser->line++;
        error = parse_bytes(parser, text, length);
        text += length + (newline != NULL);
    }
    return error;
}

static const char mark[] = "\xEF\xBB\xBF"; /* U+FEFF in UTF-8 */

int option_parse(const struct option_table *table, void *values, const char *file,
                 const char *text, size_t size, struct option_parts *parts,
                 struct buffer *why)
{
    struct parser parser = {
        .table = table, .values = values, .file = file, .parts = parts, .why = why};
    const char *end = text + size;
    int error;

    if (table->count > sizeof(parser.seen[0]) * 8) {
        abort(); /* a bug: the table has outgrown `seen` */
    }
    if (parts != NULL) {
        parts->count = 0;
    }
    if (size >= strlen(mark) && memcmp(text, mark, strlen(mark)) == 0) {
        text += strlen(mark);
    }
    error = parse_all(&parser, text, end);
    if (error == 0 && parts != NULL && parts->wanted != NULL) {
        parser.second = true;
        error = parse_all(&parser, text, end);
    }
    return error;
}
