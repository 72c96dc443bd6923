/* SPDX-License-Identifier: MIT */
/*
 * Telling an exception. Runs in the sandbox on objects of a program that may be hostile:
 * every attribute may raise, lie or run code, so all of it happens under the job's
 * limits, every length is capped, and no error in it is more than a missing word.
 */
#include "worker/sandbox/report.h"

#include "common/utf8.h"
#include "worker/sandbox/interpreter.h"
#include "worker/sandbox/recorder.h"

#include <frameobject.h>
#include <string.h>

#define CHAIN_MAX   8   /* exceptions of a chain */
#define FRAMES_MAX  20  /* innermost frames of one exception */
#define TEXT_MAX    256 /* bytes of a name or a source line */
#define CLASS_MAX   80  /* bytes of an exception's name in a sentence */
#define MESSAGE_MAX 2048

static PyObject *print_function; /* traceback.print_exception */
static PyObject *source_getline; /* linecache.getline */
static PyObject *original_hook;  /* sys.__excepthook__ */

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
    print_function = Py_NewRef(print_exception);
    original_hook = Py_XNewRef(PySys_GetObject("__excepthook__"));
    return source_getline != NULL && original_hook != NULL ? 0 : -1;
}

bool report_is_program_file(PyObject *path)
{
    const char *text =
        path != NULL && PyUnicode_Check(path) ? PyUnicode_AsUTF8(path) : NULL;

    PyErr_Clear();
    return text != NULL && strncmp(text, PROGRAM_ROOT "/", sizeof(PROGRAM_ROOT)) == 0;
}

/* ---- the chain ---- */

/* Returns the exception (new reference) that is told before this one, and how this one
 * relates to it. */
static PyObject *earlier(PyObject *exception, const char **ret_relation)
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

static bool any_is_very_deep(PyObject *exception)
{
    PyObject *one = Py_NewRef(exception);
    bool found = false;

    for (size_t i = 0; one != NULL && i < CHAIN_MAX && !found; i++) {
        const char *relation;
        PyObject *next = earlier(one, &relation);

        found = report_is_very_deep(one);
        Py_DECREF(one);
        one = next;
    }
    Py_XDECREF(one);
    return found;
}

/* ---- stderr ---- */

/* Returns what `hook` does (new), or NULL with an exception. */
static PyObject *show(PyObject *hook, PyObject *exception)
{
    PyObject *traceback = PyException_GetTraceback(exception);
    PyObject *shown = traceback != NULL ? traceback : Py_None;
    PyObject *limit = NULL; /* stays NULL where there is none: it ends the arguments */
    PyObject *result;

    /* traceback takes some microseconds and some hundred bytes for each entry before it
     * sees that they are all alike. */
    if (hook == print_function) {
        limit = any_is_very_deep(exception) ? PyLong_FromLong(-FRAMES_MAX) : NULL;
    }
    result = PyObject_CallFunctionObjArgs(hook, (PyObject *)Py_TYPE(exception), exception,
                                          shown, limit, NULL);
    Py_XDECREF(limit);
    Py_XDECREF(traceback);
    return result;
}

/* Shows what the program's own hook has raised, and what it was called for; as Python. */
static void show_both(PyObject *exception)
{
    PyObject *type, *value, *traceback;

    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (value != NULL && !PyErr_GivenExceptionMatches(value, PyExc_SystemExit)) {
        if (traceback != NULL) {
            (void)PyException_SetTraceback(value, traceback);
        }
        PySys_WriteStderr("Error in sys.excepthook:\n");
        Py_XDECREF(show(print_function, value));
        PyErr_Clear();
        PySys_WriteStderr("\nOriginal exception was:\n");
        Py_XDECREF(show(print_function, exception));
    }
    Py_XDECREF(traceback);
    Py_XDECREF(value);
    Py_XDECREF(type);
}

void report_print(PyObject *exception)
{
    PyObject *hook = Py_XNewRef(PySys_GetObject("excepthook"));
    PyObject *result;

    /* The built-in hook looks for source lines on the disk; a program's own is honoured.
     */
    if (hook == NULL || hook == Py_None || hook == original_hook) {
        Py_XSETREF(hook, Py_NewRef(print_function));
    }
    result = show(hook, exception);
    if (result == NULL && hook != print_function) {
        show_both(exception);
    }
    PyErr_Clear();
    Py_XDECREF(result);
    Py_DECREF(hook);
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

/* Returns a new reference; never NULL with an exception left set. */
static PyObject *message_of(PyObject *exception)
{
    PyObject *text = PyObject_Str(exception);

    if (text == NULL) {
        PyErr_Clear();
        text = PyUnicode_FromString("<its text could not be made>");
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
    size_t count;                           /* of the program */
    PyTracebackObject *entries[FRAMES_MAX]; /* borrowed: the innermost, as a ring */
};

static void collect_frames(PyTracebackObject *entry, struct frames *ret)
{
    ret->count = 0;
    while (entry != NULL) {
        PyCodeObject *code = PyFrame_GetCode(entry->tb_frame);

        if (report_is_program_file(code->co_filename)) {
            ret->entries[ret->count++ % FRAMES_MAX] = entry;
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
    struct location where[FRAMES_MAX]; /* whose file is its frame's */
    PyObject *sources[FRAMES_MAX];     /* owned */
};

/* Everything that may run the program's code comes first: the record is put together
 * under a lock. */
static void prepare(PyObject *exception, struct told *told)
{
    memset(told, 0, sizeof(*told));
    told->message = message_of(exception);
    told->traceback = PyException_GetTraceback(exception);
    collect_frames((PyTracebackObject *)told->traceback, &told->frames);
    told->shown = told->frames.count < FRAMES_MAX ? told->frames.count : FRAMES_MAX;
    for (size_t i = 0; i < told->shown; i++) {
        size_t at = (told->frames.count - told->shown + i) % FRAMES_MAX;

        told->sources[i] = frame_location(told->frames.entries[at], &told->where[i]);
    }
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

static void record_one(PyObject *exception, const char *relation)
{
    struct told told;
    struct wire_writer *record;

    prepare(exception, &told);
    record = recorder_timed(WIRE_ERROR);
    wire_text(record, relation);
    write_class(record, exception);
    write_text(record, told.message, MESSAGE_MAX);
    wire_unsigned(record, told.shown + (told.syntax_file != NULL ? 1 : 0));
    for (size_t i = 0; i < told.shown; i++) {
        size_t at = (told.frames.count - told.shown + i) % FRAMES_MAX;

        write_frame(record, told.frames.entries[at], &told.where[i], told.sources[i]);
    }
    if (told.syntax_file != NULL) {
        write_syntax_location(record, exception, told.syntax_file, told.syntax_source);
    }
    recorder_publish();
    forget(&told);
}

void report_record(PyObject *exception)
{
    PyObject *chain[CHAIN_MAX]; /* owned, the last one first */
    const char *relations[CHAIN_MAX];
    size_t count = 0;

    for (PyObject *one = Py_NewRef(exception); one != NULL && count < CHAIN_MAX;
         count++) {
        chain[count] = one;
        one = earlier(one, &relations[count]);
        if (count + 1 == CHAIN_MAX) {
            Py_XDECREF(one);
        }
    }
    while (count-- > 0) {
        /* How the next one to be told relates to this one. */
        record_one(chain[count], count == 0 ? "" : relations[count - 1]);
        Py_DECREF(chain[count]);
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
        PyTracebackObject *innermost = frames.entries[(frames.count - 1) % FRAMES_MAX];
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

static void add_class(PyObject *exception, struct buffer *to)
{
    const char *name = Py_TYPE(exception)->tp_name;
    size_t size = strlen(name);
    size_t fits = shown(name, size, CLASS_MAX);

    buffer_add(to, name, fits);
    buffer_add_text(to, fits < size ? "..." : "");
}

void report_brief(PyObject *exception, struct buffer *to)
{
    PyObject *traceback = ((PyBaseExceptionObject *)exception)->traceback;
    struct frames frames;

    collect_frames((PyTracebackObject *)traceback, &frames);
    add_class(exception, to);
    if (frames.count > 0) {
        PyTracebackObject *innermost = frames.entries[(frames.count - 1) % FRAMES_MAX];
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
