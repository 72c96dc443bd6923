/* SPDX-License-Identifier: MIT */
/*
 * What is told of an exception, and what would be if that never came to its end. Runs in
 * the sandbox. All but texts is read of objects as they are; texts are the program's
 * word, asked for one by one: one that hangs, or ends the process, leaves all others as
 * they are, and those that came before it are laid down with what they said.
 */
#include "worker/sandbox/report_parts.h"

#include "common/cleanup.h"
#include "worker/sandbox/deadline.h"
#include "worker/sandbox/last_words.h"
#include "worker/sandbox/recorder.h"

#include <stdio.h>
#include <string.h>

#define TOLD_MAX  (LAST_WORDS_MAX / 3)
#define PRINT_MAX KIB(8) /* of what is shown of one exception that cannot be told */

static struct report_told told[TOLD_MAX];
static size_t told_count;
static unsigned shown; /* of what was laid down: all that is for stderr */
static bool asks;      /* somebody is being asked, and runs code of the program's */
static const struct report_told *latest; /* that stderr has shown */

/* ---- texts ---- */

/* The exception, and behind it its notes: a new reference, or NULL. */
static PyObject *part_of(const struct report_told *one, Py_ssize_t i)
{
    PyObject *notes = i > 0 ? report_notes(one->exception) : NULL;

    if (i == 0) {
        return Py_NewRef(one->exception);
    }
    return notes != NULL && i <= PyList_GET_SIZE(notes)
               ? Py_NewRef(PyList_GET_ITEM(notes, i - 1))
               : NULL;
}

static bool is_plain_part(PyObject *part, Py_ssize_t i)
{
    return i > 0 ? PyUnicode_CheckExact(part) : report_is_plain(part);
}

/* What it said, or will without being asked. */
static PyObject *known_text(const struct report_told *one, PyObject *part, Py_ssize_t i)
{
    PyObject *text = NULL;

    if (one->texts != NULL && i < PyList_GET_SIZE(one->texts)) {
        text = Py_NewRef(PyList_GET_ITEM(one->texts, i));
    } else if (is_plain_part(part, i)) {
        text = report_text_of(part);
    }
    if (text == NULL || text == Py_None) {
        Py_XSETREF(text, PyUnicode_FromString(REPORT_NO_TEXT));
    }
    return text;
}

static PyObject *add_line(PyObject *text, PyObject *line)
{
    PyObject *both = text != NULL && line != NULL
                         ? PyUnicode_FromFormat("%U\n%U", text, line)
                         : Py_XNewRef(text != NULL ? text : line);

    PyErr_Clear();
    Py_XDECREF(line);
    Py_XDECREF(text);
    return both;
}

/* All lines that can be seen. */
static PyObject *message_of(const struct report_told *one)
{
    PyObject *message = NULL, *part = part_of(one, 0);

    for (Py_ssize_t i = 0; part != NULL; part = part_of(one, i)) {
        message = add_line(message, known_text(one, part, i++));
        Py_DECREF(part);
        if (message == NULL || PyUnicode_GET_LENGTH(message) > REPORT_MESSAGE_MAX) {
            break;
        }
    }
    PyErr_Clear();
    return message;
}

static void lay_down(void);

static void begin_asking(void)
{
    asks = true;
    deadline_begin();
}

static bool end_asking(void)
{
    asks = false;
    return deadline_end();
}

static PyObject *timed_text_of(struct report_told *one, PyObject *part)
{
    PyObject *text;

    begin_asking();
    text = report_text_of(part);
    one->late |= end_asking();
    return text;
}

/* Returns the length that it makes. */
static Py_ssize_t ask_part(struct report_told *one, PyObject *part, Py_ssize_t i)
{
    bool plain = is_plain_part(part, i);
    PyObject *text = plain ? report_text_of(part) : timed_text_of(one, part);
    Py_ssize_t length = text != NULL ? PyUnicode_GET_LENGTH(text) + 1 : 1;
    bool is_kept = one->texts != NULL && i == PyList_GET_SIZE(one->texts) &&
                   PyList_Append(one->texts, text != NULL ? text : Py_None) == 0;

    PyErr_Clear();
    Py_XDECREF(text);
    if (is_kept && !plain) {
        lay_down();
    }
    return length;
}

/* Of notes that are not asked any more. */
static void say_cut(const struct report_told *one)
{
    PyObject *notes = report_notes(one->exception);
    PyObject *texts = one->texts;
    PyObject *cut = PyUnicode_FromString(REPORT_CUT);

    if (cut != NULL && texts != NULL && notes != NULL &&
        PyList_GET_SIZE(notes) >= PyList_GET_SIZE(texts)) {
        (void)PyList_Append(texts, cut);
    }
    PyErr_Clear();
    Py_XDECREF(cut);
}

/* The first time; what an exception has said is not asked for again. */
static void ask(struct report_told *one)
{
    Py_ssize_t length = 0;
    PyObject *part;

    if (one->exception == NULL || one->texts != NULL) {
        return;
    }
    one->texts = PyList_New(0);
    PyErr_Clear();
    for (Py_ssize_t i = 0;
         length <= REPORT_MESSAGE_MAX && (part = part_of(one, i)) != NULL; i++) {
        length += ask_part(one, part, i);
        Py_DECREF(part);
    }
    say_cut(one);
}

/* ---- records ---- */

/* Stands for exceptions that are left out. */
static void write_gap(struct wire_writer *record, const struct report_told *one)
{
    char text[64];

    (void)snprintf(text, sizeof(text), "%zu more exception%s", one->left_out,
                   one->left_out == 1 ? "" : "s");
    wire_text(record, one->relation);
    wire_text(record, "...");
    wire_text(record, text);
    wire_unsigned(record, 0);
}

/* Everything that may run the program's code comes before: the record is put together
 * under a lock. `message`: NULL where there is no memory for it. */
static void write_error(struct wire_writer *record, const struct report_told *one,
                        PyObject *message)
{
    wire_text(record, one->relation);
    report_write_class(record, one->exception);
    if (message != NULL) {
        report_write_text(record, message, REPORT_MESSAGE_MAX);
    } else {
        wire_text(record, REPORT_NO_TEXT);
    }
    report_frames_write(record, &one->frames);
}

static void record_one(struct report_told *one)
{
    PyObject *message;

    if (one->exception == NULL) {
        write_gap(recorder_timed(WIRE_ERROR), one);
        recorder_publish();
        return;
    }
    ask(one);
    report_frames_ask(&one->frames);
    message = message_of(one);
    write_error(recorder_timed(WIRE_ERROR), one, message);
    recorder_publish();
    Py_XDECREF(message);
}

void report_record(void)
{
    for (size_t i = 0; i < told_count; i++) {
        record_one(&told[i]);
        last_words_strike(shown + (unsigned)i + 1);
    }
    last_words_strike(LAST_WORDS_MAX);
}

/* ---- what is laid down ---- */

static void lay_down_record(const struct report_told *one)
{
    static struct wire_writer record;
    PyObject *message;

    wire_begin(&record, WIRE_ERROR);
    wire_unsigned(&record, 0);
    if (one->exception == NULL) {
        write_gap(&record, one);
        (void)last_words_add(&record);
        return;
    }
    message = message_of(one);
    write_error(&record, one, message);
    (void)last_words_add(&record);
    Py_XDECREF(message);
}

/* How an exception relates to the one that is shown after it, as Python says it. */
static const struct {
    const char *relation, *text;
} links[] = {
    {"cause", "\nThe above exception was the direct cause of the following exception:\n"
              "\n"},
    {"context", "\nDuring handling of the above exception, another exception occurred:\n"
                "\n"},
};

static const char *link_text(const char *relation)
{
    for (size_t i = 0; i < array_size(links); i++) {
        if (strcmp(links[i].relation, relation) == 0) {
            return links[i].text;
        }
    }
    return "";
}

static void add_last_line(const struct report_told *one, struct buffer *to)
{
    PyObject *message = message_of(one);
    PyObject *bytes = report_encode(message);
    size_t size = bytes != NULL ? (size_t)PyBytes_GET_SIZE(bytes) : 0;

    report_add_class(one->exception, to);
    buffer_add_text(to, size > 0 ? ": " : "");
    buffer_add(to, size > 0 ? PyBytes_AS_STRING(bytes) : "",
               size > 0 ? report_shown(PyBytes_AS_STRING(bytes), size, REPORT_MESSAGE_MAX)
                        : 0);
    buffer_add_text(to, "\n");
    Py_XDECREF(bytes);
    Py_XDECREF(message);
}

static unsigned lay_down_text(struct buffer *text)
{
    unsigned count =
        last_words_add_text(text->data != NULL ? text->data : "", text->size);

    buffer_reset(text);
    return count;
}

/* Two for each: its frames, and what follows them. */
static void lay_down_shown(struct report_told *one)
{
    autobuffer struct buffer text = BUFFER_INIT(PRINT_MAX);

    if (one->exception == NULL) {
        buffer_printf(&text, "... %zu more exception%s ...\n", one->left_out,
                      one->left_out == 1 ? "" : "s");
        one->shown = shown = lay_down_text(&text);
        return;
    }
    report_frames_print(&one->frames, &text);
    one->frames_shown = lay_down_text(&text);
    add_last_line(one, &text);
    buffer_add_text(&text, link_text(one->relation));
    one->shown = shown = lay_down_text(&text);
}

static void lay_down(void)
{
    last_words_begin();
    for (size_t i = 0; i < told_count; i++) {
        lay_down_shown(&told[i]);
    }
    for (size_t i = 0; i < told_count; i++) {
        lay_down_record(&told[i]);
    }
    PyErr_Clear();
}

/* ---- when ---- */

static void remember(PyObject *exception, const char *relation, size_t left_out)
{
    if (told_count < array_size(told)) {
        struct report_told *one = &told[told_count++];

        *one = (struct report_told){.exception = Py_XNewRef(exception),
                                    .left_out = left_out};
        (void)snprintf(one->relation, sizeof(one->relation), "%s", relation);
    }
}

void report_watch(PyObject *exception)
{
    report_for_all(exception, remember);
    for (size_t i = 0; i < told_count; i++) {
        if (told[i].exception != NULL) {
            report_frames_find(told[i].exception, &told[i].frames);
        }
    }
    lay_down();
}

static struct report_told *find(PyObject *exception)
{
    for (size_t i = 0; i < told_count; i++) {
        if (told[i].exception == exception) {
            return &told[i];
        }
    }
    return NULL;
}

const struct report_frames *report_told_frames(PyObject *exception)
{
    const struct report_told *one = find(exception);

    return one != NULL ? &one->frames : NULL;
}

/* Where its notes are no list they are None: `print` looks at them itself. */
static PyObject *print_said(const struct report_told *one, PyObject *print)
{
    PyObject *notes = report_notes(one->exception) != NULL
                          ? PyList_GetSlice(one->texts, 1, PY_SSIZE_T_MAX)
                          : Py_NewRef(Py_None);
    PyObject *lines = NULL;

    if (notes != NULL) {
        begin_asking();
        lines = PyObject_CallFunction(print, "OO", PyList_GET_ITEM(one->texts, 0), notes);
        PyErr_Clear();
        (void)end_asking();
    }
    PyErr_Clear();
    Py_XDECREF(notes);
    return lines;
}

/* What was not in time may not be again. */
static PyObject *lines_of(struct report_told *one, PyObject *print)
{
    bool knows = one->texts != NULL && PyList_GET_SIZE(one->texts) > 0 && !one->late;
    PyObject *lines = knows ? print_said(one, print) : NULL;

    if (lines == NULL) {
        autobuffer struct buffer line = BUFFER_INIT(PRINT_MAX);

        add_last_line(one, &line);
        lines = Py_BuildValue("[s]", line.data != NULL ? line.data : "");
    }
    return lines;
}

/* The main thread tells of the exception that ended the program, one question after the
 * other. Whoever else prints one of its chain meanwhile, another thread or what is being
 * asked, prints it as any: the deadline is not his. */
static bool tells(void)
{
    return told_count > 0 && recorder_thread() == 0 && !asks;
}

static bool shows_on_stderr(void)
{
    return PySys_GetObject("stderr") == PySys_GetObject("__stderr__");
}

/* One that is not recorded, for there are too many, is asked by `print` alone. */
static PyObject *print_left_out(PyObject *exception, PyObject *print)
{
    autobuffer struct buffer line = BUFFER_INIT(PRINT_MAX);
    PyObject *lines;

    if (latest != NULL && shows_on_stderr()) {
        last_words_strike(latest->shown);
    }
    begin_asking();
    lines = PyObject_CallNoArgs(print);
    PyErr_Clear();
    (void)end_asking();
    if (lines == NULL) {
        report_add_class(exception, &line);
        buffer_add_text(&line, ": " REPORT_NO_TEXT "\n");
        lines = Py_BuildValue("[s]", line.data != NULL ? line.data : "");
    }
    return lines;
}

PyObject *report_ask(PyObject *exception, PyObject *print)
{
    bool telling = tells();
    struct report_told *one = telling ? find(exception) : NULL;

    if (one == NULL) {
        return report_shorten(telling ? print_left_out(exception, print)
                                      : PyObject_CallNoArgs(print));
    }
    if (*one->relation == '\0') {
        recorder_tell_last();
    }
    if (shows_on_stderr()) {
        last_words_strike(one->frames_shown);
    }
    latest = one;
    ask(one);
    return report_shorten(lines_of(one, print));
}

void report_is_shown(void)
{
    last_words_strike(shown);
}

PyObject *report_said(PyObject *exception)
{
    const struct report_told *one = find(exception);

    return one != NULL ? known_text(one, exception, 0) : report_text_of(exception);
}

void report_done(void)
{
    for (size_t i = 0; i < told_count; i++) {
        report_frames_done(&told[i].frames);
        Py_CLEAR(told[i].exception);
        Py_CLEAR(told[i].texts);
    }
    told_count = 0;
    latest = NULL;
}
