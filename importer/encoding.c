/* SPDX-License-Identifier: MIT */
/*
 * Encodings of sources. Runs where programs are compiled, on one that was refused and may
 * be hostile; codecs that the program has registered may run.
 */
#include "importer/encoding.h"

#include "common/cleanup.h"

#include <stdio.h>
#include <string.h>

/* ---- UTF-16 ---- */

/* Every other byte of the beginning is a NUL: what is ASCII looks so. */
static bool has_holes(const char *bytes, size_t size, size_t from)
{
    size_t end = size < 64 ? size : 64;

    for (size_t i = from; i < end; i += 2) {
        if (bytes[i] != '\0') {
            return false;
        }
    }
    return end > from;
}

static bool is_utf16(const char *bytes, size_t size)
{
    return size >= 2 &&
           (memcmp(bytes, "\xff\xfe", 2) == 0 || memcmp(bytes, "\xfe\xff", 2) == 0 ||
            has_holes(bytes, size, 0) || has_holes(bytes, size, 1));
}

/* ---- the line that names an encoding ---- */

static size_t line_end(const char *bytes, size_t size, size_t at)
{
    while (at < size && bytes[at] != '\n' && bytes[at] != '\r') {
        at++;
    }
    return at;
}

static bool is_of_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-_.", c) != NULL);
}

/* The name behind "coding:" or "coding=" in a line that is a comment. */
static bool find_name(const char *bytes, size_t begin, size_t end,
                      struct encoding_fault *ret)
{
    static const char word[] = "coding";
    const char *found = memmem(bytes + begin, end - begin, word, strlen(word));
    size_t at = found != NULL ? (size_t)(found - bytes) + strlen(word) : end;

    if (at >= end || (bytes[at] != ':' && bytes[at] != '=')) {
        return false;
    }
    at++;
    while (at < end && (bytes[at] == ' ' || bytes[at] == '\t')) {
        at++;
    }
    ret->at = at;
    while (at < end && is_of_name(bytes[at])) {
        at++;
    }
    ret->size = at - ret->at;
    (void)snprintf(ret->codec, sizeof(ret->codec), "%.*s", (int)ret->size,
                   bytes + ret->at);
    return ret->size > 0;
}

/* In the first line, or in the second behind a comment or an empty one. */
static bool find_cookie(const char *bytes, size_t size, struct encoding_fault *ret)
{
    size_t at = size >= 3 && memcmp(bytes, UTF8_MARK, 3) == 0 ? 3 : 0;

    for (int line = 0; line < 2; line++) {
        size_t end = line_end(bytes, size, at);

        while (at < end && memchr(" \t\f", bytes[at], 3) != NULL) {
            at++;
        }
        if (at < end && (bytes[at] != '#' || find_name(bytes, at, end, ret))) {
            return bytes[at] == '#';
        }
        at = end + 1 + (end + 1 < size && memcmp(bytes + end, "\r\n", 2) == 0);
        if (at >= size) {
            break;
        }
    }
    return false;
}

/* ---- codecs that Python has in C ---- */

static const struct {
    const char *name;
    enum encoding_kind kind;
} kinds[] = {
    {"utf-8", ENCODING_UTF8},        {"utf8", ENCODING_UTF8},
    {"ascii", ENCODING_UTF8},        {"us-ascii", ENCODING_UTF8},
    {"latin-1", ENCODING_LATIN1},    {"latin1", ENCODING_LATIN1},
    {"iso-8859-1", ENCODING_LATIN1}, {"iso-latin-1", ENCODING_LATIN1},
};

/* As codecs are looked up. */
static bool is_same_name(const char *name, const char *other)
{
    for (; *name != '\0' && *other != '\0'; name++, other++) {
        char c = *name == '_' ? '-' : *name;

        c = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
        if (c != *other) {
            return false;
        }
    }
    return *name == *other;
}

enum encoding_kind encoding_of(const char *bytes, size_t size)
{
    struct encoding_fault cookie;

    if (!find_cookie(bytes, size, &cookie)) {
        return ENCODING_UTF8;
    }
    for (size_t i = 0; i < array_size(kinds); i++) {
        if (is_same_name(cookie.codec, kinds[i].name)) {
            return kinds[i].kind;
        }
    }
    return ENCODING_OTHER;
}

/* ---- bytes that are none ---- */

/* Of the UnicodeDecodeError that is set, if it is one. */
static bool find_bad_byte(const char *bytes, size_t size, struct encoding_fault *fault)
{
    PyObject *type, *value, *traceback;
    Py_ssize_t start = -1;

    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (value != NULL && PyErr_GivenExceptionMatches(value, PyExc_UnicodeDecodeError) &&
        PyUnicodeDecodeError_GetStart(value, &start) != 0) {
        start = -1;
    }
    PyErr_Clear();
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(traceback);
    if (start < 0 || (size_t)start >= size) {
        return false;
    }
    fault->at = (size_t)start;
    fault->size = 1;
    (void)snprintf(fault->sentence, sizeof(fault->sentence),
                   "this line holds a byte that is not %s: 0x%02x", fault->codec,
                   (unsigned char)bytes[start]);
    return true;
}

bool encoding_find_fault(PyObject *source, struct encoding_fault *ret)
{
    const char *bytes = PyBytes_AS_STRING(source);
    size_t size = (size_t)PyBytes_GET_SIZE(source);
    bool is_named;
    PyObject *text;

    *ret = (struct encoding_fault){.codec = "UTF-8"};
    if (is_utf16(bytes, size)) {
        (void)snprintf(ret->sentence, sizeof(ret->sentence),
                       "the file is saved in UTF-16");
        return true;
    }
    is_named = find_cookie(bytes, size, ret);
    text = PyUnicode_Decode(bytes, (Py_ssize_t)size, ret->codec, NULL);
    if (text == NULL && find_bad_byte(bytes, size, ret)) {
        return true;
    }
    Py_XDECREF(text);
    PyErr_Clear();
    return is_named;
}
