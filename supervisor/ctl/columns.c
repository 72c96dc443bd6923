/* SPDX-License-Identifier: MIT */
/*
 * The width of characters. Runs in the `paddock` command, on texts that may be a hostile
 * program's; libc knows what is wide and what takes no room, whatever language the user
 * has set.
 */
#include "supervisor/ctl/columns.h"

#include "common/cleanup.h"
#include "common/utf8.h"

#include <locale.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#define USUAL_COLUMNS 80

size_t columns_of_terminal(void)
{
    struct winsize size;

    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0
               ? size.ws_col
               : USUAL_COLUMNS;
}

/* -1: libc does not know. */
static int known_width(uint32_t code)
{
    static locale_t unicode;
    locale_t before;
    int width;

    if (code < 0x80) {
        return 1;
    }
    if (unicode == (locale_t)0) {
        unicode = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    }
    before = uselocale(unicode); /* 0, where there is none, only asks */
    width = wcwidth((wchar_t)code);
    (void)uselocale(before);
    return width;
}

/* What libc does not know may be wide. */
static size_t room_of(int width)
{
    return width >= 0 ? (size_t)width : 2;
}

size_t columns_fit(const char *text, size_t columns)
{
    size_t size = strlen(text), at = 0, taken = 0;

    while (at < size) {
        int length = utf8_sequence(text + at, size - at);
        size_t width =
            length > 0 ? room_of(known_width(utf8_decode(text + at, (size_t)length))) : 1;

        if (taken + width > columns) {
            break;
        }
        taken += width;
        at += length > 0 ? (size_t)length : 1;
    }
    return at;
}

/* ---- the cursor ---- */

#define TAB        8
#define VALUE_MOST 9999 /* of a parameter: none that large means anything */

/* Of a sequence (ECMA-48, 5.4): ESC, and what it begins with. */
enum { NO_ESCAPE, ESCAPE, CONTROL_SEQUENCE };

/* Emoji, and what makes one of two: each terminal has its own idea of their width. */
static bool is_emoji(uint32_t code)
{
    static const struct {
        uint32_t first, last;
    } ranges[] = {
        {0x200d, 0x200d}, {0x2300, 0x2bff}, {0xfe00, 0xfe0f}, {0x1f000, 0x1ffff}};

    for (size_t i = 0; i < array_size(ranges); i++) {
        if (code >= ranges[i].first && code <= ranges[i].last) {
            return true;
        }
    }
    return false;
}

static void put(struct columns_cursor *cursor, size_t width, size_t columns)
{
    cursor->column = cursor->column + width > columns ? width : cursor->column + width;
}

/* BEL and NUL move nothing. */
static void move(struct columns_cursor *cursor, char control, size_t columns)
{
    size_t last = columns - 1, *column = &cursor->column;

    if (control == '\n' || control == '\r') {
        *column = cursor->unsure = 0;
    } else if (control == '\b') {
        *column = *column > last ? last : *column;
        *column -= *column > 0;
    } else if (control == '\t' && *column < last) {
        *column += TAB - *column % TAB;
        *column = *column > last ? last : *column;
    } else if (control == '\033') {
        cursor->in_escape = ESCAPE;
    } else if (control != '\t' && control != '\a' && control != '\0') {
        cursor->is_driven = true;
    }
}

/* Terminals take so many, and each does something else with more. */
#define PARAMETERS_MAX 16

/* One parameter of Select Graphic Rendition (ECMA-48, 8.3.117; 38 and 48: ISO 8613-6; 58,
 * an underline's, has their form). */
static void colour(struct columns_cursor *cursor)
{
    unsigned value = cursor->value;

    cursor->value = 0;
    cursor->is_driven |= ++cursor->count > PARAMETERS_MAX;
    if (cursor->is_part) {
        return;
    }
    if (cursor->skip > 0) { /* 5 and a number, or 2 and three */
        cursor->skip = cursor->skip != 4 ? cursor->skip - 1 : value == 5 ? 1 : 3;
        return;
    }
    cursor->skip = value == 38 || value == 48 || value == 58 ? 4 : 0;
    if (value == 0) {
        cursor->is_paper = cursor->is_turned = false;
    } else if (value == 7 || value == 27) {
        cursor->is_turned = value == 7;
    } else if ((value >= 40 && value <= 49) || (value >= 100 && value <= 107)) {
        cursor->is_paper = value != 49;
    }
}

static void pass_escape(struct columns_cursor *cursor, char byte)
{
    if (cursor->in_escape == ESCAPE && byte == '[') {
        cursor->in_escape = CONTROL_SEQUENCE;
        cursor->value = cursor->count = cursor->skip = 0;
        cursor->is_part = false;
    } else if (cursor->in_escape == CONTROL_SEQUENCE && byte >= '0' && byte <= '9') {
        cursor->value = cursor->value * 10 + (unsigned)(byte - '0');
        cursor->value = cursor->value < VALUE_MOST ? cursor->value : VALUE_MOST;
    } else if (cursor->in_escape == CONTROL_SEQUENCE && (byte == ';' || byte == ':')) {
        colour(cursor);
        cursor->is_part = byte == ':';
        cursor->skip = byte == ':' ? 0 : cursor->skip;
    } else if (cursor->in_escape == CONTROL_SEQUENCE && byte == 'm') {
        colour(cursor);
        cursor->in_escape = NO_ESCAPE;
    } else {
        cursor->is_driven = true;
        cursor->in_escape = NO_ESCAPE;
    }
}

/* What is no character is one column wide, or is not shown. */
static void end_character(struct columns_cursor *cursor, size_t columns)
{
    if (cursor->size > 0) {
        cursor->size = 0;
        cursor->unsure++;
        put(cursor, 1, columns);
    }
}

static void add_character(struct columns_cursor *cursor, uint32_t code, size_t columns)
{
    int width = known_width(code);
    bool is_unsure = width < 0 || is_emoji(code);

    cursor->unsure += is_unsure;
    if ((is_unsure || width > 1) && cursor->unsure > 0 &&
        cursor->column + cursor->unsure + 2 > columns) {
        cursor->unsure++; /* it may be at the end of a row, or begin the next */
    }
    cursor->is_driven |= code >= 0x7f && code < 0xa0; /* controls as well */
    put(cursor, room_of(width), columns);
}

static void add_byte(struct columns_cursor *cursor, char byte, size_t columns)
{
    int length;

    if ((byte & 0xc0) != 0x80) {
        end_character(cursor, columns);
    }
    cursor->begun[cursor->size++] = byte;
    length = utf8_sequence(cursor->begun, cursor->size);
    if (length == 0) {
        end_character(cursor, columns);
    } else if (length > 0) {
        add_character(cursor, utf8_decode(cursor->begun, cursor->size), columns);
        cursor->size = 0;
    }
}

void columns_follow(struct columns_cursor *cursor, const char *bytes, size_t size,
                    size_t columns)
{
    for (size_t i = 0; i < size; i++) {
        if (cursor->in_escape != NO_ESCAPE) {
            pass_escape(cursor, bytes[i]);
        } else if ((unsigned char)bytes[i] < ' ') {
            end_character(cursor, columns);
            move(cursor, bytes[i], columns);
        } else {
            add_byte(cursor, bytes[i], columns);
        }
    }
}

bool columns_is_free(const struct columns_cursor *cursor, size_t columns)
{
    size_t column = cursor->column, unsure = cursor->unsure;

    return column + unsure < columns && (unsure == 0 || column > unsure) &&
           cursor->size == 0 && cursor->in_escape == NO_ESCAPE && !cursor->is_paper &&
           !cursor->is_turned && !cursor->is_driven;
}
