/* SPDX-License-Identifier: MIT */
/*
 * Telling an exception. Runs in the sandbox on objects of a program that may be hostile:
 * every attribute may raise, lie or run code, so all of it happens under the job's
 * limits, every length is capped, and no error in it is more than a missing word.
 */
#include "worker/sandbox/report_parts.h"

#include "common/cleanup.h"
#include "worker/sandbox/last_words.h"
#include "worker/sandbox/recorder.h"

#include <string.h>

#define CLASS_MAX 80     /* bytes of an exception's name in a sentence */
#define PRINT_MAX KIB(8) /* of what is shown of one exception that cannot be told */

/* ---- records ---- */

/* Everything that may run the program's code comes before: the record is put together
 * under a lock. `message`: NULL where it is not to be had. */
static void write_error(struct wire_writer *record, PyObject *exception,
                        const char *relation, PyObject *message,
                        const struct report_frames *frames)
{
    wire_text(record, relation);
    report_write_class(record, exception);
    if (message != NULL) {
        report_write_text(record, message, REPORT_MESSAGE_MAX);
    } else {
        wire_text(record, REPORT_NO_TEXT);
    }
    report_frames_write(record, frames);
}

/* Stands for exceptions that are left out. */
static void write_gap(struct wire_writer *record, const char *relation, size_t left_out)
{
    char text[64];

    (void)snprintf(text, sizeof(text), "%zu more exception%s", left_out,
                   left_out == 1 ? "" : "s");
    wire_text(record, relation);
    wire_text(record, "...");
    wire_text(record, text);
    wire_unsigned(record, 0);
}

static unsigned recorded; /* of what was laid down: what need not be said any more */

static void record_one(PyObject *exception, const char *relation, size_t left_out)
{
    struct report_frames frames;
    PyObject *message;

    if (exception == NULL) {
        write_gap(recorder_timed(WIRE_ERROR), relation, left_out);
        recorder_publish();
        last_words_strike(++recorded);
        return;
    }
    report_frames_find(exception, &frames);
    message = report_message_and_notes(exception);
    write_error(recorder_timed(WIRE_ERROR), exception, relation, message, &frames);
    recorder_publish();
    last_words_strike(++recorded);
    Py_XDECREF(message);
    report_frames_done(&frames);
}

void report_record(PyObject *exception)
{
    report_for_all(exception, record_one);
    last_words_strike(LAST_WORDS_MAX);
}

/* ---- what is laid down ---- */

/* Of what is shown: whose text is asked for when so many are struck out. The address is
 * compared, and not looked at: what is there may be gone. */
static struct {
    const void *exception;
    unsigned shown;
} asked[REPORT_RECORDS + REPORT_NEWEST + REPORT_OLDEST];
static size_t asked_count;

static void lay_down_record(PyObject *exception, const char *relation, size_t left_out)
{
    static struct wire_writer record;
    struct report_frames frames;
    PyObject *message;

    wire_begin(&record, WIRE_ERROR);
    wire_unsigned(&record, 0);
    if (exception == NULL) {
        write_gap(&record, relation, left_out);
        (void)last_words_add(&record);
        return;
    }
    report_frames_find(exception, &frames);
    message = report_is_plain(exception) ? report_message(exception) : NULL;
    write_error(&record, exception, relation, message, &frames);
    (void)last_words_add(&record);
    Py_XDECREF(message);
    report_frames_done(&frames);
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

static void add_class(PyObject *exception, struct buffer *to)
{
    const char *name = Py_TYPE(exception)->tp_name;
    size_t size = strlen(name);
    size_t fits = report_shown(name, size, CLASS_MAX);

    buffer_add(to, name, fits);
    buffer_add_text(to, fits < size ? "..." : "");
}

static void add_last_line(PyObject *exception, struct buffer *to)
{
    PyObject *message = report_is_plain(exception) ? report_message(exception) : NULL;
    PyObject *bytes = report_encode(message);

    add_class(exception, to);
    buffer_printf(to, ": %s\n",
                  bytes != NULL ? PyBytes_AS_STRING(bytes) : REPORT_NO_TEXT);
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
static void lay_down_shown(PyObject *exception, const char *relation, size_t left_out)
{
    autobuffer struct buffer text = BUFFER_INIT(PRINT_MAX);
    struct report_frames frames;
    unsigned count;

    if (exception == NULL) {
        buffer_printf(&text, "... %zu more exception%s ...\n", left_out,
                      left_out == 1 ? "" : "s");
        recorded = lay_down_text(&text);
        return;
    }
    report_frames_find(exception, &frames);
    report_frames_print(&frames, &text);
    report_frames_done(&frames);
    count = lay_down_text(&text);
    if (asked_count < array_size(asked)) {
        asked[asked_count].exception = exception;
        asked[asked_count++].shown = count;
    }
    add_last_line(exception, &text);
    buffer_add_text(&text, link_text(relation));
    recorded = lay_down_text(&text);
}

void report_watch(PyObject *exception)
{
    if (!report_asks_nothing(exception)) {
        report_for_all(exception, lay_down_shown);
        report_for_all(exception, lay_down_record);
        PyErr_Clear();
    }
}

void report_asks(PyObject *exception)
{
    for (size_t i = 0; i < asked_count; i++) {
        if (asked[i].exception == exception &&
            PySys_GetObject("stderr") == PySys_GetObject("__stderr__")) {
            last_words_strike(asked[i].shown);
        }
    }
}

void report_is_shown(void)
{
    last_words_strike(recorded);
}

/* ---- one line ---- */

static void add_where(PyObject *exception, struct buffer *to)
{
    int line = 0;
    const char *path = report_innermost(exception, &line);

    if (path != NULL) {
        buffer_add_text(to, " (");
        buffer_add_visible(to, path, strlen(path));
        buffer_printf(to, ", line %d)", line);
    }
}

void report_brief(PyObject *exception, struct buffer *to)
{
    add_class(exception, to);
    add_where(exception, to);
}

void report_line(PyObject *exception, struct buffer *to)
{
    PyObject *message, *bytes;

    if (report_is_syntax_error(exception)) {
        message = PyObject_GetAttrString(exception, "msg");
        PyErr_Clear();
    } else {
        message = report_message(exception);
    }
    bytes = report_encode(message);
    add_class(exception, to);
    if (bytes != NULL && PyBytes_GET_SIZE(bytes) > 0) {
        const char *text = PyBytes_AS_STRING(bytes);
        size_t size = (size_t)PyBytes_GET_SIZE(bytes);

        buffer_add_text(to, ": ");
        buffer_add(to, text, report_shown(text, size, REPORT_MESSAGE_MAX));
    }
    add_where(exception, to);
    Py_XDECREF(bytes);
    Py_XDECREF(message);
}
