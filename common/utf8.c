/* SPDX-License-Identifier: MIT */
/* UTF-8 by the table of well-formed sequences (Unicode 15, table 3-7). Used on hostile
 * bytes. */
#include "common/utf8.h"

#include "common/cleanup.h"

#include <string.h>

static const struct sequence {
    unsigned char first_low, first_high; /* range of the first byte */
    unsigned char second_low, second_high;
    int length;
} sequences[] = {
    {0x00, 0x7f, 0x00, 0x00, 1}, {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
    {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
    {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
};

static const struct sequence *sequence_of(unsigned char first)
{
    for (size_t i = 0; i < array_size(sequences); i++) {
        if (first >= sequences[i].first_low && first <= sequences[i].first_high) {
            return &sequences[i];
        }
    }
    return NULL;
}

/* How many of the bytes are as the row has them: of the first it is known. */
static size_t count_fitting(const struct sequence *row, const unsigned char *at,
                            size_t size)
{
    size_t count = 1;

    while (count < (size_t)row->length && count < size) {
        unsigned char low = count == 1 ? row->second_low : 0x80;
        unsigned char high = count == 1 ? row->second_high : 0xbf;

        if (at[count] < low || at[count] > high) {
            break;
        }
        count++;
    }
    return count;
}

int utf8_sequence(const char *bytes, size_t size)
{
    const unsigned char *at = (const unsigned char *)bytes;
    const struct sequence *row = size > 0 ? sequence_of(at[0]) : NULL;
    size_t fitting;

    if (row == NULL) {
        return size > 0 ? 0 : -1;
    }
    fitting = count_fitting(row, at, size);
    if (fitting == (size_t)row->length) {
        return row->length;
    }
    return fitting == size ? -1 : 0;
}

size_t utf8_replaced(const char *bytes, size_t size)
{
    const unsigned char *at = (const unsigned char *)bytes;
    const struct sequence *row = sequence_of(at[0]);

    return row != NULL ? count_fitting(row, at, size) : 1;
}

size_t utf8_whole(const char *bytes, size_t size)
{
    for (size_t cut = 1; cut <= 3 && cut <= size; cut++) {
        if (utf8_sequence(bytes + size - cut, cut) == -1) {
            return size - cut;
        }
    }
    return size;
}

uint32_t utf8_decode(const char *bytes, size_t length)
{
    uint32_t code = (unsigned char)bytes[0];

    if (length > 1) {
        code &= 0x7fu >> length;
    }
    for (size_t i = 1; i < length; i++) {
        code = code << 6 | ((unsigned char)bytes[i] & 0x3f);
    }
    return code;
}

size_t utf8_encode(uint32_t code, char to[4])
{
    size_t size = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;

    if (size == 1) {
        to[0] = (char)code;
        return 1;
    }
    for (size_t i = size; i-- > 1; code >>= 6) {
        to[i] = (char)(0x80 | (code & 0x3f));
    }
    to[0] = (char)(0xf00u >> size | code);
    return size;
}

bool utf8_valid(const char *bytes, size_t size)
{
    for (size_t i = 0; i < size;) {
        int length = utf8_sequence(bytes + i, size - i);

        if (length <= 0) {
            return false;
        }
        i += (size_t)length;
    }
    return true;
}

size_t utf8_characters(const char *bytes, size_t size)
{
    size_t count = 0;

    for (size_t i = 0; i < size; i++) {
        count += ((unsigned char)bytes[i] & 0xc0) != 0x80;
    }
    return count;
}

/* Above ASCII; the range of the byte behind the lead, mostly the last one. */
struct utf8_range {
    const char *lead;
    unsigned char first, last;
};

static const struct utf8_range moving[] = {
    {"\xc2", 0x80, 0x9f},     /* C1 controls */
    {"\xe2\x80", 0xa8, 0xae}, /* separators, embeddings and overrides */
    {"\xe2\x81", 0xa6, 0xa9}, /* isolates */
};

static const struct utf8_range hidden[] = {
    {"\xc2", 0xad, 0xad},         /* soft hyphen */
    {"\xcd", 0x8f, 0x8f},         /* combining grapheme joiner */
    {"\xd8", 0x9c, 0x9c},         /* Arabic letter mark */
    {"\xe1\x85", 0x9f, 0xa0},     /* Hangul fillers */
    {"\xe1\x9e", 0xb4, 0xb5},     /* Khmer inherent vowels */
    {"\xe1\xa0", 0x8b, 0x8f},     /* Mongolian variation selectors, vowel separator */
    {"\xe2\x80", 0x8b, 0x8f},     /* zero-width space and joiners, marks of direction */
    {"\xe2\x81", 0xa0, 0xa5},     /* word joiner, operators that are not seen */
    {"\xe2\x81", 0xaa, 0xaf},     /* deprecated format characters */
    {"\xe2\xa0", 0x80, 0x80},     /* Braille blank */
    {"\xe3\x85", 0xa4, 0xa4},     /* Hangul filler */
    {"\xef\xb8", 0x80, 0x8f},     /* variation selectors */
    {"\xef\xbb", 0xbf, 0xbf},     /* byte order mark */
    {"\xef\xbe", 0xa0, 0xa0},     /* halfwidth Hangul filler */
    {"\xef\xbf", 0xb0, 0xbb},     /* kept for such; interlinear annotation */
    {"\xf0\x93\x90", 0xb0, 0xbf}, /* joiners of hieroglyphs */
    {"\xf0\x96\xbf", 0xa4, 0xa4}, /* Khitan filler */
    {"\xf0\x9b\xb2", 0xa0, 0xa3}, /* shorthand format controls */
    {"\xf0\x9d\x85", 0xb3, 0xba}, /* musical format controls */
    {"\xf3\xa0", 0x80, 0xbf},     /* tags, more variation selectors, and what is kept
                                   for such */
};

static bool is_among(const struct utf8_range *ranges, size_t count, const char *bytes,
                     size_t length)
{
    for (size_t i = 0; i < count; i++) {
        size_t lead = strlen(ranges[i].lead);

        if (length > lead && memcmp(bytes, ranges[i].lead, lead) == 0 &&
            (unsigned char)bytes[lead] >= ranges[i].first &&
            (unsigned char)bytes[lead] <= ranges[i].last) {
            return true;
        }
    }
    return false;
}

bool utf8_moves(const char *bytes, size_t length)
{
    return is_among(moving, array_size(moving), bytes, length);
}

bool utf8_hides(const char *bytes, size_t length)
{
    return is_among(hidden, array_size(hidden), bytes, length);
}

static bool is_control(unsigned char c)
{
    return (c < 0x20 && c != '\t' && c != '\n') || c == 0x7f;
}

/* `length`: of the character at `from`, as utf8_sequence() says it. */
static bool is_clean(const char *from, int length)
{
    return length > 0 && !is_control((unsigned char)from[0]) &&
           !utf8_moves(from, (size_t)length);
}

size_t utf8_copy_clean(char *to, size_t room, const char *from, size_t size)
{
    size_t used = 0;

    for (size_t i = 0; i < size;) {
        int length = utf8_sequence(from + i, size - i);
        bool clean = is_clean(from + i, length);
        size_t takes = clean ? (size_t)length : 1;

        if (used + takes >= room) {
            break;
        }
        if (clean) {
            memcpy(to + used, from + i, takes);
        } else {
            to[used] = '?';
        }
        used += takes;
        i += length > 0 ? (size_t)length : utf8_replaced(from + i, size - i);
    }
    to[used] = '\0';
    return used;
}
