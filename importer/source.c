/* SPDX-License-Identifier: MIT */
/*
 * Lines of sources. Runs in the sandbox, on hostile bytes; looks at each once, and
 * allocates nothing but what it appends.
 */
#include "importer/source.h"

#include <stdint.h>
#include <string.h>

#define INDENTS_MAX 100 /* as Python's tokenizer has it (MAXINDENT) */

/* ---- lines ---- */

static size_t line_size(const char *text, size_t left)
{
    size_t size = 0;

    while (size < left && text[size] != '\n' && text[size] != '\r') {
        size++;
    }
    if (size + 1 < left && text[size] == '\r' && text[size + 1] == '\n') {
        return size + 2;
    }
    return size < left ? size + 1 : size;
}

static bool is_end(char c)
{
    return c == '\n' || c == '\r';
}

/* Enters a string at text[at], a quote. Returns how many bytes it took. */
static size_t enter_string(struct source_walk *walk, const char *text, size_t size,
                           size_t at)
{
    walk->quote = text[at];
    walk->triple = at + 2 < size && text[at + 1] == text[at] && text[at + 2] == text[at];
    return walk->triple ? 3 : 1;
}

/* Within a string. Returns how many bytes it took. */
static size_t in_string(struct source_walk *walk, const char *text, size_t size,
                        size_t at)
{
    if (text[at] == '\\') {
        bool at_end = at + 1 >= size || is_end(text[at + 1]);

        walk->goes_on = at_end && !walk->triple;
        return at_end ? size - at : 2;
    }
    if (text[at] != walk->quote) {
        return 1;
    }
    if (!walk->triple) {
        walk->quote = 0;
        return 1;
    }
    if (at + 2 < size && text[at + 1] == walk->quote && text[at + 2] == walk->quote) {
        walk->quote = 0;
        return 3;
    }
    return 1;
}

/* Outside of strings. Returns how many bytes it took. */
static size_t in_code(struct source_walk *walk, const char *text, size_t size, size_t at)
{
    switch (text[at]) {
    case '#': return size - at;
    case '"':
    case '\'': return enter_string(walk, text, size, at);
    case '(':
    case '[':
    case '{': walk->brackets++; return 1;
    case ')':
    case ']':
    case '}': walk->brackets -= walk->brackets > 0; return 1;
    case '\\': walk->goes_on = at + 1 < size && is_end(text[at + 1]); return 1;
    default: return 1;
    }
}

static void read_line(struct source_walk *walk, const struct source_line *line)
{
    size_t at = line->indent;

    walk->goes_on = false;
    while (at < line->size) {
        at += walk->quote != 0 ? in_string(walk, line->text, line->size, at)
                               : in_code(walk, line->text, line->size, at);
    }
    if (!walk->triple && !walk->goes_on) {
        walk->quote = 0; /* it was left open, which the compiler says */
    }
}

bool source_next(struct source_walk *walk, struct source_line *ret)
{
    bool begins = walk->brackets == 0 && walk->quote == 0 && !walk->goes_on;
    char first;

    if (walk->left == 0) {
        return false;
    }
    *ret = (struct source_line){.text = walk->rest,
                                .size = line_size(walk->rest, walk->left),
                                .number = ++walk->number};
    while (ret->indent < ret->size &&
           memchr(" \t\f", ret->text[ret->indent], 3) != NULL) {
        ret->indent++;
    }
    first = ret->indent < ret->size ? ret->text[ret->indent] : '\n';
    ret->is_statement = begins && first != '#' && !is_end(first);
    walk->rest += ret->size;
    walk->left -= ret->size;
    if (!begins && walk->quote != 0) {
        ret->indent = 0; /* it is text */
    }
    read_line(walk, ret);
    return true;
}

bool source_find(const char *source, size_t size, int number, struct source_line *ret)
{
    *ret = (struct source_line){.text = source};
    while (ret->number < number && size > 0) {
        ret->text += ret->size;
        ret->size = line_size(ret->text, size);
        size -= ret->size;
        ret->number++;
    }
    return number > 0 && ret->number == number;
}

/* ---- indentation ---- */

size_t source_columns(const struct source_line *line, size_t tab)
{
    size_t columns = 0;

    for (size_t i = 0; i < line->indent; i++) {
        if (line->text[i] == '\t') {
            columns = (columns / tab + 1) * tab;
        } else {
            columns = line->text[i] == '\f' ? 0 : columns + 1;
        }
    }
    return columns;
}

void source_expand_tabs(const char *source, size_t size, struct buffer *to)
{
    struct source_walk walk = {.rest = source, .left = size};
    struct source_line line;

    while (source_next(&walk, &line)) {
        size_t columns = line.is_statement ? source_columns(&line, 8) : 0;

        if (line.is_statement) {
            for (size_t i = 0; i < columns; i++) {
                buffer_add(to, " ", 1);
            }
            buffer_add(to, line.text + line.indent, line.size - line.indent);
        } else {
            buffer_add(to, line.text, line.size);
        }
    }
}

/* Python compares the columns with tabs of 8 and with tabs of 1: both must say the same.
 */
static bool disagree(const struct source_line *one, const struct source_line *two)
{
    size_t wide[] = {source_columns(one, 8), source_columns(two, 8)};
    size_t narrow[] = {source_columns(one, 1), source_columns(two, 1)};

    return (wide[0] < wide[1]) != (narrow[0] < narrow[1]) ||
           (wide[0] > wide[1]) != (narrow[0] > narrow[1]);
}

bool source_find_tabs(const char *source, size_t size, int number,
                      struct source_line *ret_earlier, struct source_line *ret_line)
{
    struct source_walk walk = {.rest = source, .left = size};
    struct source_line line, stack[INDENTS_MAX];
    size_t depth = 0;

    while (source_next(&walk, &line) && line.number <= number) {
        if (!line.is_statement) {
            continue;
        }
        while (depth > 0 && !disagree(&stack[depth - 1], &line) &&
               source_columns(&line, 8) < source_columns(&stack[depth - 1], 8)) {
            depth--;
        }
        if (depth > 0 && disagree(&stack[depth - 1], &line)) {
            *ret_earlier = stack[depth - 1];
            *ret_line = line;
            return line.number == number;
        }
        if (depth == 0 ||
            source_columns(&line, 8) > source_columns(&stack[depth - 1], 8)) {
            if (depth == INDENTS_MAX) {
                return false;
            }
            stack[depth++] = line;
        } else {
            stack[depth - 1] = line; /* the nearest one of this indentation */
        }
    }
    return false;
}

const char *source_indentation(const struct source_line *line)
{
    bool tabs = memchr(line->text, '\t', line->indent) != NULL;
    bool spaces = memchr(line->text, ' ', line->indent) != NULL;

    return tabs && spaces ? "tabs and spaces"
           : tabs         ? "tabs"
           : spaces       ? "spaces"
                          : "nothing";
}

/* Are both indented, and not in the same way? */
static bool unlike(const struct source_line *one, const struct source_line *two)
{
    return one->indent > 0 && two->indent > 0 &&
           strcmp(source_indentation(one), source_indentation(two)) != 0;
}

/* Of the open blocks, the innermost that the line is unlike: those that it would end, and
 * the one that it would then be in. */
static bool find_unlike(const struct source_line *stack, size_t depth,
                        const struct source_line *line, struct source_line *ret_earlier)
{
    while (depth > 0) {
        *ret_earlier = stack[--depth];
        if (unlike(ret_earlier, line)) {
            return true;
        }
        if (source_columns(ret_earlier, 8) < source_columns(line, 8)) {
            return false;
        }
    }
    return false;
}

bool source_find_unlike(const char *source, size_t size, int number,
                        struct source_line *ret_earlier, struct source_line *ret_line)
{
    struct source_walk walk = {.rest = source, .left = size};
    struct source_line line, stack[INDENTS_MAX];
    size_t depth = 0;

    while (source_next(&walk, &line) && line.number <= number) {
        if (!line.is_statement) {
            continue;
        }
        if (line.number == number) {
            *ret_line = line;
            return find_unlike(stack, depth, &line, ret_earlier);
        }
        while (depth > 0 &&
               source_columns(&line, 8) <= source_columns(&stack[depth - 1], 8)) {
            depth--;
        }
        if (depth == INDENTS_MAX) {
            return false;
        }
        stack[depth++] = line;
    }
    return false;
}
