/* SPDX-License-Identifier: MIT */
/* What the files of the hints share. Not for users of the library. */
#pragma once

#include "importer/hint.h"
#include "importer/types.h"

#define HINT_NAME_MAX 128 /* longer names are not worth a hint */

struct failure {
    PyObject *exception; /* borrowed */
    struct mount *mount; /* borrowed: of the program */
    const char *folder;  /* its import root, in the archive */
    bool is_live;        /* input may come while it runs */
    importer_text_of *text_of;
    struct buffer *to;
};

/* What the exception's built-in type says of it: a new reference, NULL for nothing. The
 * program's own classes are not asked. */
PyObject *hint_member(PyObject *exception, const char *name);

/* Such a text, copied; false if there is none or it is too long. */
bool hint_member_text(PyObject *exception, const char *name, char to[HINT_NAME_MAX]);

/* Likewise a text attribute of an object, which is asked for it; NULL has none. */
bool hint_text_of(PyObject *object, const char *name, char to[HINT_NAME_MAX]);

/* hint_module.c: of a module that is not there, and of one that hides Python's. */
void hint_missing(const struct failure *failure);
void hint_hidden(const struct failure *failure);
