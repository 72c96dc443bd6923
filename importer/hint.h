/* SPDX-License-Identifier: MIT */
/* What a student may try: hints for errors whose message does not say it. */
#pragma once

#include <Python.h>

#include "common/buffer.h"

#include <stdbool.h>

typedef PyObject *importer_text_of(PyObject *exception);

/* Appends a sentence for an exception of the program that is mounted with the import root
 * `folder` ("/robot"), without a full stop; nothing where there is no advice. `is_live`:
 * somebody can send it input while it runs. `text_of`: what an exception says, new, or
 * NULL without an exception; who has asked it already need not again. Objects of the
 * program are asked for attributes, which may run its code; errors of that are dropped.
 */
void importer_hint(PyObject *exception, const char *folder, bool is_live,
                   importer_text_of *text_of, struct buffer *to);

/* What Python 3.11 adds when it prints a NameError or an AttributeError: "Did you mean:
 * 'print'?". New; NULL, without an exception, where it would add nothing. The object
 * whose attribute was asked for is asked for its names, which may run its code. */
PyObject *importer_suggestion(PyObject *exception);

/* Modules that make no sense here: importing one raises ModuleNotFoundError with its
 * sentence, where it would otherwise be looked for in an archive that is mounted with
 * IMPORTER_READY. The rows must live as long as the process. */
struct importer_refusal {
    const char *module;
    const char *sentence;
};
void importer_refuse_modules(const struct importer_refusal *rows, size_t count);
