/* SPDX-License-Identifier: MIT */
/*
 * The parts of report.h, private to them: one line (report.c), texts (report_text.c),
 * frames (report_frames.c), which exceptions are told (report_chain.c), records, and what
 * is laid down (report_told.c), what is shown on stderr (report_print.c), and what kind
 * of exception it is (report_kind.c).
 */
#pragma once

#include "common/wire.h"
#include "worker/sandbox/report.h"

#include <frameobject.h>

/* docs/PROTOCOL.md names these. */
#define REPORT_OUTERMOST   10 /* frames of one exception */
#define REPORT_INNERMOST   10 /* likewise */
#define REPORT_NEWEST      4  /* exceptions of a chain */
#define REPORT_OLDEST      4  /* likewise */
#define REPORT_MEMBERS     8  /* of a group */
#define REPORT_DEPTH       4  /* of groups in groups */
#define REPORT_RECORDS     16 /* of all of them, but for what says how many are left out */
#define REPORT_TEXT_MAX    256    /* bytes of a name or a source line */
#define REPORT_MESSAGE_MAX 2048   /* bytes of an exception's text */
#define REPORT_SHOWN_MAX   KIB(8) /* bytes of it and its notes on stderr */

#define REPORT_RELATION_MAX 128 /* some words for each group around it */

#define REPORT_FRAMES_MAX (REPORT_OUTERMOST + REPORT_INNERMOST)

#define REPORT_CUT "..."

/* ---- texts ---- */

/* The UTF-8 of a text, with halves of characters (surrogates) escaped, as Python has it
 * on stderr: new reference to bytes; NULL, without an exception, for what is no text. */
PyObject *report_encode(PyObject *text);
/* How many bytes of a text are shown: whole characters, `most` at most. */
size_t report_shown(const char *bytes, size_t size, size_t most);
/* A text that is longer than `most` ends in "...". */
void report_write_text(struct wire_writer *record, PyObject *text, size_t most);
void report_write_class(struct wire_writer *record, PyObject *exception);
/* The exception's name; likewise, cut for a sentence. */
void report_add_class(PyObject *exception, struct buffer *to);
/* What str() makes of it, as a str and nothing else, cut where it is longer than
 * REPORT_MESSAGE_MAX: a new reference, or NULL, without an exception, where that cannot
 * be made. Runs code of the program's, unless report_is_plain(). */
PyObject *report_text_of(PyObject *object);
/* Cuts what is too long of lines (a list, or NULL), and returns it. */
PyObject *report_shorten(PyObject *lines);
/* Its notes, borrowed of it; NULL, without an exception, for none, and for anything else
 * than a list. Runs no code of the program's. */
PyObject *report_notes(PyObject *exception);

/* ---- frames ---- */

struct report_location {
    PyObject *file; /* borrowed, of a frame's code; of a SyntaxError owned */
    int line, column, end_line, end_column;
};

struct report_frame {
    PyCodeObject *code; /* owned */
    int at;             /* in it, as tb_lasti */
    struct report_location where;
    PyObject *source; /* owned; may be NULL */
};

/* The frames of the program that an exception went through, and where in a text a
 * SyntaxError points. */
struct report_frames {
    size_t count, left_out;
    struct report_frame shown[REPORT_FRAMES_MAX]; /* the outermost first */
    bool points;
    struct report_location syntax;
    PyObject *syntax_source; /* owned; may be NULL */
};

/* Runs no code of the program's, nor of Python's library, which the program may have
 * changed: a source line that is in none of Python's own encodings has U+FFFD in it.
 * Holds on to all that it has found, whatever becomes of the exception. */
void report_frames_find(PyObject *exception, struct report_frames *ret);
/* Asks for such lines; this may run both. */
void report_frames_ask(struct report_frames *frames);
void report_frames_done(struct report_frames *frames);
/* The group of an `error` record. */
void report_frames_write(struct wire_writer *record, const struct report_frames *frames);
/* As traceback prints them. */
void report_frames_print(const struct report_frames *frames, struct buffer *to);

/* ---- which are told ---- */

/* Calls `visit` for an exception, its causes and contexts, each of them once and itself
 * first, until it returns false. */
void report_walk(PyObject *exception, bool (*visit)(PyObject *one, void *context),
                 void *context);
/* Calls `tell` for those that are told, in the order in which Python prints them. Of a
 * chain that is too long the newest and the oldest are; NULL stands for those that are
 * left out. */
void report_for_all(PyObject *exception,
                    void (*tell)(PyObject *one, const char *relation, size_t left_out));

/* ---- what is told ---- */

/* An exception, or what stands for some that are left out. */
struct report_told {
    PyObject *exception;         /* owned; NULL: `left_out` are */
    struct report_frames frames; /* as they were before anything was asked */
    /* owned: list of what it said, and its notes, None where that could not be made;
     * NULL: not asked */
    PyObject *texts;
    bool late; /* one of these did not come in time */
    size_t left_out;
    unsigned frames_shown; /* of what is laid down, when stderr has shown its frames, */
    unsigned shown;        /* and when all of it */
    char relation[REPORT_RELATION_MAX];
};

/* The frames of one that is being told, or NULL. */
const struct report_frames *report_told_frames(PyObject *exception);

/* ---- kinds ---- */

/* The value of a dict's item, borrowed; NULL for none. Runs no code of the program's: its
 * keys may be objects of the program's, which are equal to what they like. */
PyObject *report_item(PyObject *dict, const char *name);
/* Its text can be had without running any code of the program's. */
bool report_is_plain(PyObject *exception);
bool report_is_syntax_error(PyObject *exception);
/* By a `raise`, and not by what Python did. */
bool report_was_raised(PyObject *exception);

/* ---- stderr ---- */

int report_print_prepare(PyObject *print_exception);
/* stderr has shown all that it is to show. */
void report_is_shown(void);
