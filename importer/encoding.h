/* SPDX-License-Identifier: MIT */
/*
 * What is wrong with how a source is encoded (PEP 263), and where: Python's compiler
 * tells it as its codecs do, often without a line.
 */
#pragma once

#include <Python.h>

#include <stdbool.h>
#include <stddef.h>

#define UTF8_MARK "\xef\xbb\xbf" /* that a file may begin with (a BOM) */

struct encoding_fault {
    char sentence[128]; /* "": Python's own will do */
    char codec[32];     /* that reads the line */
    size_t at, size;    /* bytes of the source that it is about; none: all of it */
};

enum encoding_kind { ENCODING_UTF8, ENCODING_LATIN1, ENCODING_OTHER };

/* How a source is read that Python has compiled: by which codec, of those that are told
 * apart. Runs no Python. */
enum encoding_kind encoding_of(const char *bytes, size_t size);

/* Looks for what made Python refuse a source (bytes). Returns false, without an
 * exception, where there is nothing. */
bool encoding_find_fault(PyObject *source, struct encoding_fault *ret);
