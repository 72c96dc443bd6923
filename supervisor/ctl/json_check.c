/* SPDX-License-Identifier: MIT */
/* Checking JSON. Runs in the `paddock` command, on what a hostile program may have
 * written: a machine of states. */
#include "supervisor/ctl/json_check.h"

#include "common/cleanup.h"

#include <string.h>

enum state {
    WRONG,
    VALUE,
    FIRST_VALUE, /* of an array, which may be empty */
    KEY,
    FIRST_KEY,
    COLON,
    AFTER, /* a value */
    STRING,
    ESCAPE,
    HEX,
    WORD,
    MINUS,
    ZERO,
    WHOLE,
    POINT,
    FRACTION,
    EXPONENT,
    EXPONENT_SIGN,
    EXPONENT_DIGITS,
};

#define BLANKS "\t\n\r "
#define DIGITS "0123456789"

/* Where one character leads to, if it opens or closes nothing. */
static const struct step {
    enum state from;
    const char *chars;
    enum state to;
} steps[] = {
    {VALUE, BLANKS, VALUE},
    {VALUE, "\"", STRING},
    {VALUE, "-", MINUS},
    {VALUE, "0", ZERO},
    {VALUE, "123456789", WHOLE},
    {FIRST_VALUE, BLANKS, FIRST_VALUE},
    {KEY, BLANKS, KEY},
    {KEY, "\"", STRING},
    {FIRST_KEY, BLANKS, FIRST_KEY},
    {FIRST_KEY, "\"", STRING},
    {COLON, BLANKS, COLON},
    {COLON, ":", VALUE},
    {AFTER, BLANKS, AFTER},
    {ESCAPE, "\"\\/bfnrt", STRING},
    {ESCAPE, "u", HEX},
    {MINUS, "0", ZERO},
    {MINUS, "123456789", WHOLE},
    {ZERO, ".", POINT},
    {ZERO, "eE", EXPONENT},
    {WHOLE, DIGITS, WHOLE},
    {WHOLE, ".", POINT},
    {WHOLE, "eE", EXPONENT},
    {POINT, DIGITS, FRACTION},
    {FRACTION, DIGITS, FRACTION},
    {FRACTION, "eE", EXPONENT},
    {EXPONENT, "+-", EXPONENT_SIGN},
    {EXPONENT, DIGITS, EXPONENT_DIGITS},
    {EXPONENT_SIGN, DIGITS, EXPONENT_DIGITS},
    {EXPONENT_DIGITS, DIGITS, EXPONENT_DIGITS},
};

static bool is_object(const struct json_check *check)
{
    size_t level = check->depth - 1;

    return check->depth > 0 && (check->objects[level / 8] >> level % 8 & 1) != 0;
}

static bool is_one_of(char c, const char *chars)
{
    return c != '\0' && strchr(chars, c) != NULL;
}

/* A number has no end of its own. */
static bool is_number(int state)
{
    return state == ZERO || state == WHOLE || state == FRACTION ||
           state == EXPONENT_DIGITS;
}

static void open_level(struct json_check *check, bool object)
{
    size_t level = check->depth++;
    uint8_t bit = (uint8_t)(1 << level % 8);

    if (level == JSON_DEPTH) {
        check->state = WRONG;
        return;
    }
    check->objects[level / 8] = (uint8_t)(object ? check->objects[level / 8] | bit
                                                 : check->objects[level / 8] & ~bit);
    check->state = object ? FIRST_KEY : FIRST_VALUE;
}

/* What a value may also begin with. */
static void begin_value(struct json_check *check, char c)
{
    static const char *const words[] = {"true", "false", "null"};

    check->state = WRONG;
    if (c == '{' || c == '[') {
        open_level(check, c == '{');
    }
    for (size_t i = 0; i < array_size(words); i++) {
        if (*words[i] == c) {
            check->word = words[i] + 1;
            check->state = WORD;
        }
    }
}

static void take_between(struct json_check *check, char c)
{
    bool object = is_object(check);

    if (check->depth > 0 && c == ',' && check->state == AFTER) {
        check->state = object ? KEY : VALUE;
    } else if (check->depth > 0 && c == (object ? '}' : ']')) {
        check->depth--;
        check->state = AFTER;
    } else {
        check->state = WRONG;
    }
}

static void take_in_string(struct json_check *check, char c)
{
    if (c == '"') {
        check->state = check->is_key ? COLON : AFTER;
    } else if (c == '\\') {
        check->state = ESCAPE;
    } else if ((unsigned char)c < 0x20) {
        check->state = WRONG;
    }
}

static void take_hex(struct json_check *check, char c)
{
    if (!is_one_of(c, DIGITS "abcdefABCDEF")) {
        check->state = WRONG;
    } else if (--check->hex == 0) {
        check->state = STRING;
    }
}

static void take_in_word(struct json_check *check, char c)
{
    if (c != *check->word++) {
        check->state = WRONG;
    } else if (*check->word == '\0') {
        check->state = AFTER;
    }
}

static bool take_step(struct json_check *check, char c)
{
    for (size_t i = 0; i < array_size(steps); i++) {
        if ((int)steps[i].from == check->state && is_one_of(c, steps[i].chars)) {
            check->is_key = steps[i].to == STRING && check->state != ESCAPE
                                ? check->state != VALUE
                                : check->is_key;
            check->hex = 4;
            check->state = steps[i].to;
            return true;
        }
    }
    return false;
}

/* What no step takes. */
static void (*const others[EXPONENT_DIGITS + 1])(struct json_check *check, char c) = {
    [VALUE] = begin_value,  [FIRST_VALUE] = take_between, [FIRST_KEY] = take_between,
    [AFTER] = take_between, [STRING] = take_in_string,    [HEX] = take_hex,
    [WORD] = take_in_word,
};

static void take(struct json_check *check, char c)
{
    if (check->state == FIRST_VALUE && c != ']' && !is_one_of(c, BLANKS)) {
        check->state = VALUE;
    }
    if (take_step(check, c)) {
        return;
    }
    if (is_number(check->state)) {
        check->state = AFTER;
        if (take_step(check, c)) {
            return;
        }
    }
    if (others[check->state] != NULL) {
        others[check->state](check, c);
    } else {
        check->state = WRONG;
    }
}

void json_check_begin(struct json_check *check)
{
    check->state = VALUE;
    check->depth = 0;
}

void json_check_add(struct json_check *check, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size && check->state != WRONG; i++) {
        take(check, bytes[i]);
    }
}

bool json_check_end(const struct json_check *check)
{
    return check->depth == 0 && (check->state == AFTER || is_number(check->state));
}
