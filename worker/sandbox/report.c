/* SPDX-License-Identifier: MIT */
/*
 * Telling an exception. Runs in the sandbox on objects of a program that may be hostile:
 * every attribute may raise, lie or run code, so all of it happens under the job's
 * limits, every length is capped, and no error in it is more than a missing word.
 */
#include "worker/sandbox/report_parts.h"

#include "common/utf8.h"
#include "worker/sandbox/interpreter.h"
#include "worker/sandbox/last_words.h"
#include "worker/sandbox/recorder.h"

#include <frameobject.h>
#include <string.h>

#define TEXT_MAX    256 /* bytes of a name or a source line */
#define CLASS_MAX   80  /* bytes of an exception's name in a sentence */
#define MESSAGE_MAX 2048

static PyObject *source_getline; /* linecache.getline */

_Static_assert(REPORT_CHAIN_MAX <= LAST_WORDS_MAX, "a chain is laid down whole");

struct location {
    PyObject *file; /* borrowed */
    int line, column, end_line, end_column;
};

int report_prepare(PyObject *print_exception)
{
    PyObject *linecache = PyImport_ImportModule("linecache");

    if (linecache != NULL) {
        source_getline = PyObject_GetAttrString(linecache, "getline");
        Py_DECREF(linecache);
    }
    return source_getline != NULL ? report_print_prepare(print_exception) : -1;
}

bool report_is_program_file(PyObject *path)
{
    const char *text =
        path != NULL && PyUnicode_Check(path) ? PyUnicode_AsUTF8(path) : NULL;

    PyErr_Clear();
    return text != NULL && strncmp(text, PROGRAM_ROOT "/", sizeof(PROGRAM_ROOT)) == 0;
}

/* ---- the chain ---- */

PyObject *report_earlier(PyObject *exception, const char **ret_relation)
{
    PyObject *cause = PyException_GetCause(exception);

    *ret_relation = "cause";
    if (cause != NULL) {
        return cause;
    }
    *ret_relation = "context";
    if (((PyBaseExceptionObject *)exception)->suppress_context) {
        return NULL;
    }
    return PyException_GetContext(exception);
}

/* ---- texts ---- */

/* The UTF-8 of a text, with halves of characters (surrogates) escaped, as Python has it
 * on stderr: new reference to bytes; NULL, without an exception, for what is no text. */
static PyObject *encode(PyObject *text)
{
    PyObject *bytes = text != NULL && PyUnicode_Check(text)
                          ? PyUnicode_AsEncodedString(text, "utf-8", "backslashreplace")
                          : NULL;

    PyErr_Clear();
    return bytes;
}

/* How many bytes of a text are shown: whole characters, `most` at most. */
static size_t shown(const char *bytes, size_t size, size_t most)
{
    return size <= most ? size : utf8_whole(bytes, most);
}

static void write_text(struct wire_writer *record, PyObject *text, size_t most)
{
    PyObject *bytes = encode(text);
    const char *start = bytes != NULL ? PyBytes_AS_STRING(bytes) : "";
    size_t size = bytes != NULL ? (size_t)PyBytes_GET_SIZE(bytes) : 0;

    wire_bytes(record, start, shown(start, size, most));
    Py_XDECREF(bytes);
}

static void write_class(struct wire_writer *record, PyObject *exception)
{
    const char *name = Py_TYPE(exception)->tp_name;

    wire_bytes(record, name, shown(name, strlen(name), TEXT_MAX));
}

static void add_class(PyObject *exception, struct buffer *to)
{
    const char *name = Py_TYPE(exception)->tp_name;
    size_t size = strlen(name);
    size_t fits = shown(name, size, CLASS_MAX);

    buffer_add(to, name, fits);
    buffer_add_text(to, fits < size ? "..." : "");
}

#define NO_TEXT "<its text could not be made>"

/* Returns a new reference; never NULL with an exception left set. */
static PyObject *message_of(PyObject *exception)
{
    PyObject *text = PyObject_Str(exception);

    if (text == NULL) {
        PyErr_Clear();
        text = PyUnicode_FromString(NO_TEXT);
    }
    PyErr_Clear();
    return text;
}

static PyObject *source_line(const struct location *where)
{
    PyObject *number = PyLong_FromLong(where->line);
    PyObject *text =
        number != NULL
            ? PyObject_CallFunctionObjArgs(source_getline, where->file, number, NULL)
            : NULL;
    PyObject *stripped = NULL;

    if (text != NULL && PyUnicode_Check(text)) {
        stripped = PyObject_CallMethod(text, "rstrip", "s", "\r\n");
    }
    PyErr_Clear();
    Py_XDECREF(text);
    Py_XDECREF(number);
    return stripped;
}

/* ---- frames ---- */

static void locate(PyTracebackObject *entry, PyCodeObject *code, struct location *ret)
{
    int line = 0, column = -1, end_line = 0, end_column = -1;

    *ret = (struct location){.file = code->co_filename, .line = entry->tb_lineno};
    if (PyCode_Addr2Location(code, entry->tb_lasti, &line, &column, &end_line,
                             &end_column)) {
        ret->line = line > 0 ? line : ret->line;
        ret->column = column + 1;
        ret->end_line = end_line > 0 ? end_line : 0;
        ret->end_column = end_column + 1;
    }
}

static void write_unsigned_int(struct wire_writer *record, int value)
{
    wire_unsigned(record, value > 0 ? (uint64_t)value : 0);
}

static void write_location(struct wire_writer *record, const struct location *where,
                           PyObject *function, PyObject *source)
{
    write_text(record, where->file, TEXT_MAX);
    write_unsigned_int(record, where->line);
    write_unsigned_int(record, where->column);
    write_unsigned_int(record, where->end_line);
    write_unsigned_int(record, where->end_column);
    write_text(record, function, TEXT_MAX);
    write_text(record, source, TEXT_MAX);
}

struct frames {
    size_t count; /* of the program */
    PyTracebackObject
        *entries[REPORT_FRAMES_MAX]; /* borrowed: the innermost, as a ring */
};

static void collect_frames(PyTracebackObject *entry, struct frames *ret)
{
    ret->count = 0;
    while (entry != NULL) {
        PyCodeObject *code = PyFrame_GetCode(entry->tb_frame);

        if (report_is_program_file(code->co_filename)) {
            ret->entries[ret->count++ % REPORT_FRAMES_MAX] = entry;
        }
        Py_DECREF(code);
        entry = entry->tb_next;
    }
}

/* Python counts bytes of UTF-8, and shows characters; from 1. */
static int in_characters(PyObject *source, int column)
{
    Py_ssize_t size = 0;
    const char *text = source != NULL && PyUnicode_Check(source)
                           ? PyUnicode_AsUTF8AndSize(source, &size)
                           : NULL;
    int count = 0;

    PyErr_Clear();
    if (text == NULL || column <= 0 || column - 1 > size) {
        return column;
    }
    for (int i = 0; i < column - 1; i++) {
        count += ((unsigned char)text[i] & 0xc0) != 0x80;
    }
    return count + 1;
}

/* Where a frame was, and the line there: new. */
static PyObject *frame_location(PyTracebackObject *entry, struct location *ret)
{
    PyCodeObject *code = PyFrame_GetCode(entry->tb_frame);
    struct location end;
    PyObject *source, *last;

    locate(entry, code, ret);
    source = source_line(ret);
    end = *ret;
    end.line = ret->end_line;
    last = ret->end_line == ret->line ? Py_XNewRef(source) : source_line(&end);
    ret->column = in_characters(source, ret->column);
    ret->end_column = in_characters(last, ret->end_column);
    Py_XDECREF(last);
    Py_DECREF(code);
    return source;
}

static void write_frame(struct wire_writer *record, PyTracebackObject *entry,
                        const struct location *where, PyObject *source)
{
    PyCodeObject *code = PyFrame_GetCode(entry->tb_frame);

    write_location(record, where, code->co_qualname, source);
    Py_DECREF(code);
}

/* ---- SyntaxError: where it points ---- */

static int int_attribute(PyObject *object, const char *name)
{
    PyObject *value = PyObject_GetAttrString(object, name);
    long number = value != NULL && PyLong_Check(value) ? PyLong_AsLong(value) : 0;

    PyErr_Clear();
    Py_XDECREF(value);
    return number > 0 && number < INT32_MAX ? (int)number : 0;
}

static bool is_syntax_error(PyObject *exception)
{
    return PyErr_GivenExceptionMatches(exception, PyExc_SyntaxError);
}

bool report_is_compile_error(PyObject *exception)
{
    return is_syntax_error(exception) &&
           report_is_program_file(((PySyntaxErrorObject *)exception)->filename);
}

static void write_syntax_location(struct wire_writer *record, PyObject *exception,
                                  PyObject *file, PyObject *source)
{
    struct location where = {.file = file,
                             .line = int_attribute(exception, "lineno"),
                             .column = int_attribute(exception, "offset"),
                             .end_line = int_attribute(exception, "end_lineno"),
                             .end_column = int_attribute(exception, "end_offset")};

    write_location(record, &where, NULL, source);
}

/* ---- records ---- */

struct told {
    PyObject *message;                     /* owned */
    PyObject *traceback;                   /* owned */
    PyObject *syntax_file, *syntax_source; /* owned; of a SyntaxError in the program */
    struct frames frames;
    size_t shown;
    struct location where[REPORT_FRAMES_MAX]; /* whose file is its frame's */
    PyObject *sources[REPORT_FRAMES_MAX];     /* owned */
};

/* Of those that are shown, from the outermost. */
static PyTracebackObject *entry_of(const struct told *told, size_t i)
{
    return told->frames
        .entries[(told->frames.count - told->shown + i) % REPORT_FRAMES_MAX];
}

static void prepare_frames(PyObject *exception, struct told *told)
{
    memset(told, 0, sizeof(*told));
    told->traceback = PyException_GetTraceback(exception);
    collect_frames((PyTracebackObject *)told->traceback, &told->frames);
    told->shown =
        told->frames.count < REPORT_FRAMES_MAX ? told->frames.count : REPORT_FRAMES_MAX;
    for (size_t i = 0; i < told->shown; i++) {
        told->sources[i] = frame_location(entry_of(told, i), &told->where[i]);
    }
}

/* Everything that may run the program's code comes first: the record is put together
 * under a lock. */
static void prepare(PyObject *exception, struct told *told)
{
    prepare_frames(exception, told);
    told->message = message_of(exception);
    if (report_is_compile_error(exception)) {
        told->syntax_file = PyObject_GetAttrString(exception, "filename");
        told->syntax_source = PyObject_GetAttrString(exception, "text");
        PyErr_Clear();
    }
}

static void forget(struct told *told)
{
    for (size_t i = 0; i < told->shown; i++) {
        Py_XDECREF(told->sources[i]);
    }
    Py_XDECREF(told->syntax_file);
    Py_XDECREF(told->syntax_source);
    Py_XDECREF(told->traceback);
    Py_XDECREF(told->message);
}

static void write_error(struct wire_writer *record, PyObject *exception,
                        const char *relation, const struct told *told)
{
    wire_text(record, relation);
    write_class(record, exception);
    if (told->message != NULL) {
        write_text(record, told->message, MESSAGE_MAX);
    } else {
        wire_text(record, NO_TEXT);
    }
    wire_unsigned(record, told->shown + (told->syntax_file != NULL ? 1 : 0));
    for (size_t i = 0; i < told->shown; i++) {
        write_frame(record, entry_of(told, i), &told->where[i], told->sources[i]);
    }
    if (told->syntax_file != NULL) {
        write_syntax_location(record, exception, told->syntax_file, told->syntax_source);
    }
}

static void record_one(PyObject *exception, const char *relation)
{
    struct told told;

    prepare(exception, &told);
    if (last_words_turn()) {
        write_error(recorder_timed(WIRE_ERROR), exception, relation, &told);
        recorder_publish();
    }
    forget(&told);
}

/* As traceback prints it, but for the text. */
static void lay_down_text(PyObject *exception, const struct told *told, struct buffer *to)
{
    PyObject *text;

    buffer_add_text(to, told->shown > 0 ? "Traceback (most recent call last):\n" : "");
    for (size_t i = 0; i < told->shown; i++) {
        PyCodeObject *code = PyFrame_GetCode(entry_of(told, i)->tb_frame);
        PyObject *line =
            PyUnicode_FromFormat("  File \"%U\", line %d, in %U\n", code->co_filename,
                                 told->where[i].line, code->co_name);
        PyObject *bytes = encode(line);

        buffer_add_text(to, bytes != NULL ? PyBytes_AS_STRING(bytes) : "");
        Py_XDECREF(bytes);
        Py_XDECREF(line);
        Py_DECREF(code);
    }
    add_class(exception, to);
    text = encode(told->message);
    buffer_printf(to, ": %s\n", text != NULL ? PyBytes_AS_STRING(text) : NO_TEXT);
    Py_XDECREF(text);
}

static void lay_down(PyObject *exception, const char *relation)
{
    static struct wire_writer record;
    struct told told;

    prepare_frames(exception, &told);
    told.message = report_is_plain(exception) ? message_of(exception) : NULL;
    wire_begin(&record, WIRE_ERROR);
    write_error(&record, exception, relation, &told);
    last_words_add(&record);
    if (*relation == '\0') {
        lay_down_text(exception, &told, last_words_text());
    }
    PyErr_Clear();
    forget(&told);
}

/* From the first to the last, which is the exception itself. */
static void for_chain(PyObject *exception,
                      void (*tell)(PyObject *exception, const char *relation))
{
    PyObject *chain[REPORT_CHAIN_MAX]; /* owned, the last one first */
    const char *relations[REPORT_CHAIN_MAX];
    size_t count = 0;

    for (PyObject *one = Py_NewRef(exception); one != NULL && count < REPORT_CHAIN_MAX;
         count++) {
        chain[count] = one;
        one = report_earlier(one, &relations[count]);
        if (count + 1 == REPORT_CHAIN_MAX) {
            Py_XDECREF(one);
        }
    }
    while (count-- > 0) {
        /* How the next one to be told relates to this one. */
        tell(chain[count], count == 0 ? "" : relations[count - 1]);
        Py_DECREF(chain[count]);
    }
}

void report_record(PyObject *exception)
{
    for_chain(exception, record_one);
}

void report_watch(PyObject *exception)
{
    if (!report_asks_nothing(exception)) {
        for_chain(exception, lay_down);
        last_words_watch();
    }
}

/* ---- one line ---- */

static void add_where(PyObject *exception, struct buffer *to)
{
    PyObject *traceback = PyException_GetTraceback(exception);
    PyObject *file = NULL;
    struct frames frames;
    int line = 0;

    collect_frames((PyTracebackObject *)traceback, &frames);
    if (report_is_compile_error(exception)) {
        file = PyObject_GetAttrString(exception, "filename");
        line = int_attribute(exception, "lineno");
    } else if (frames.count > 0) {
        PyTracebackObject *innermost =
            frames.entries[(frames.count - 1) % REPORT_FRAMES_MAX];
        PyCodeObject *code = PyFrame_GetCode(innermost->tb_frame);

        file = Py_NewRef(code->co_filename);
        line = innermost->tb_lineno;
        Py_DECREF(code);
    }
    if (report_is_program_file(file)) {
        buffer_printf(to, " (%s, line %d)", PyUnicode_AsUTF8(file) + sizeof(PROGRAM_ROOT),
                      line);
    }
    PyErr_Clear();
    Py_XDECREF(file);
    Py_XDECREF(traceback);
}

void report_brief(PyObject *exception, struct buffer *to)
{
    PyObject *traceback = ((PyBaseExceptionObject *)exception)->traceback;
    struct frames frames;

    collect_frames((PyTracebackObject *)traceback, &frames);
    add_class(exception, to);
    if (frames.count > 0) {
        PyTracebackObject *innermost =
            frames.entries[(frames.count - 1) % REPORT_FRAMES_MAX];
        PyCodeObject *code = PyFrame_GetCode(innermost->tb_frame);

        buffer_printf(to, " (%s, line %d)",
                      PyUnicode_AsUTF8(code->co_filename) + sizeof(PROGRAM_ROOT),
                      innermost->tb_lineno);
        Py_DECREF(code);
    }
}

void report_line(PyObject *exception, struct buffer *to)
{
    PyObject *message, *bytes;

    if (is_syntax_error(exception)) {
        message = PyObject_GetAttrString(exception, "msg");
        PyErr_Clear();
    } else {
        message = message_of(exception);
    }
    bytes = encode(message);
    add_class(exception, to);
    if (bytes != NULL && PyBytes_GET_SIZE(bytes) > 0) {
        const char *text = PyBytes_AS_STRING(bytes);

        buffer_add_text(to, ": ");
        buffer_add(to, text, shown(text, (size_t)PyBytes_GET_SIZE(bytes), MESSAGE_MAX));
    }
    add_where(exception, to);
    Py_XDECREF(bytes);
    Py_XDECREF(message);
}
