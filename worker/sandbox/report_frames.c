/* SPDX-License-Identifier: MIT */
/*
 * Where an exception went through the program. Runs in the sandbox, and asks none of the
 * program's objects anything: a SyntaxError's members are read as they are.
 */
#include "worker/sandbox/frames.h" /* first: what it defines decides what Python.h has */

#include "worker/sandbox/report_parts.h"

#include "common/utf8.h"
#include "importer/importer.h"
#include "importer/source.h"
#include "worker/sandbox/interpreter.h"
#include "worker/sandbox/texts.h"

#include <stdlib.h>
#include <string.h>

static PyObject *source_getline; /* linecache.getline */
static PyObject *line_cache;     /* linecache.cache */

int report_prepare(PyObject *print_exception)
{
    PyObject *linecache = PyImport_ImportModule("linecache");

    if (linecache != NULL) {
        source_getline = PyObject_GetAttrString(linecache, "getline");
        line_cache = PyObject_GetAttrString(linecache, "cache");
        Py_DECREF(linecache);
    }
    return line_cache != NULL && source_getline != NULL
               ? report_print_prepare(print_exception)
               : -1;
}

/* ---- source lines ---- */

/* Of linecache's entries, (size, time, [line, ...], path): as they are looked at, and not
 * asked for. */
#define CACHE_ENTRY 4
#define CACHE_LINES 2

static PyObject *cached_line(const struct report_location *where)
{
    const char *path = PyUnicode_AsUTF8(where->file);
    PyObject *entry = path != NULL ? report_item(line_cache, path) : NULL;
    PyObject *lines = entry != NULL && PyTuple_CheckExact(entry) &&
                              PyTuple_GET_SIZE(entry) == CACHE_ENTRY
                          ? PyTuple_GET_ITEM(entry, CACHE_LINES)
                          : NULL;
    PyObject *line = lines != NULL && PyList_CheckExact(lines) && where->line > 0 &&
                             where->line <= PyList_GET_SIZE(lines)
                         ? PyList_GET_ITEM(lines, where->line - 1)
                         : NULL;

    PyErr_Clear();
    return line != NULL && PyUnicode_CheckExact(line) ? Py_NewRef(line) : NULL;
}

static PyObject *asked_line(const struct report_location *where)
{
    PyObject *number = PyLong_FromLong(where->line);
    PyObject *text =
        number != NULL
            ? PyObject_CallFunctionObjArgs(source_getline, where->file, number, NULL)
            : NULL;

    PyErr_Clear();
    Py_XDECREF(number);
    if (text != NULL && !PyUnicode_CheckExact(text)) {
        Py_CLEAR(text);
    }
    return text;
}

/* Steals the line. */
static PyObject *without_end(PyObject *line)
{
    Py_ssize_t size = line != NULL ? PyUnicode_GET_LENGTH(line) : 0;
    PyObject *stripped;

    while (size > 0 && (PyUnicode_READ_CHAR(line, size - 1) == '\n' ||
                        PyUnicode_READ_CHAR(line, size - 1) == '\r')) {
        size--;
    }
    stripped = line != NULL ? PyUnicode_Substring(line, 0, size) : NULL;
    PyErr_Clear();
    Py_XDECREF(line);
    return stripped;
}

/* How the lines are found of what is told of one exception. */
struct lines {
    struct importer_source source;
    bool asks;
};

/* Of a text that the program has made code of. */
static PyObject *text_line(PyObject *text, int number)
{
    Py_ssize_t size = 0;
    const char *bytes = PyBytes_Check(text) ? PyBytes_AS_STRING(text)
                                            : PyUnicode_AsUTF8AndSize(text, &size);
    struct source_line line;

    PyErr_Clear();
    size = PyBytes_Check(text) ? PyBytes_GET_SIZE(text) : size;
    return bytes != NULL && source_find(bytes, (size_t)size, number, &line)
               ? without_end(
                     PyUnicode_DecodeUTF8(line.text, (Py_ssize_t)line.size, "replace"))
               : NULL;
}

/* What code of a text is called may be a file's name, and is none; by then linecache may
 * have got for it the lines of whoever ran it. */
static PyObject *source_line(struct lines *lines, PyCodeObject *code,
                             const struct report_location *where)
{
    PyObject *text = texts_source(code), *line;

    if (text != NULL || !texts_is_program_file(where->file)) {
        return text != NULL ? text_line(text, where->line) : NULL;
    }
    line = importer_source_line(&lines->source, where->file, where->line, false);
    if (line == NULL) {
        line = without_end(cached_line(where));
    }
    if (line == NULL && lines->asks) {
        line = without_end(asked_line(where));
    }
    return line != NULL
               ? line
               : importer_source_line(&lines->source, where->file, where->line, true);
}

/* Python counts bytes of UTF-8, and shows characters; from 1. */
static int in_characters(PyObject *source, int column)
{
    Py_ssize_t size = 0;
    const char *text = source != NULL && PyUnicode_Check(source)
                           ? PyUnicode_AsUTF8AndSize(source, &size)
                           : NULL;

    PyErr_Clear();
    if (text == NULL || column <= 0 || column - 1 > size) {
        return column;
    }
    return (int)utf8_characters(text, (size_t)column - 1) + 1;
}

/* ---- frames ---- */

static void locate(const struct report_frame *one, struct report_location *ret)
{
    int line = 0, column = -1, end_line = 0, end_column = -1;

    *ret =
        (struct report_location){.file = one->code->co_filename, .line = one->where.line};
    if (PyCode_Addr2Location(one->code, one->at, &line, &column, &end_line,
                             &end_column)) {
        ret->line = line > 0 ? line : ret->line;
        ret->column = column + 1;
        ret->end_line = end_line > 0 ? end_line : 0;
        ret->end_column = end_column + 1;
    }
}

/* Columns are those of the lines that are found. */
static void find_lines(struct report_frame *one, struct lines *lines)
{
    struct report_location end;
    PyObject *last;

    locate(one, &one->where);
    Py_XSETREF(one->source, source_line(lines, one->code, &one->where));
    end = one->where;
    end.line = end.end_line;
    last = end.line == one->where.line ? Py_XNewRef(one->source)
                                       : source_line(lines, one->code, &end);
    one->where.column = in_characters(one->source, one->where.column);
    one->where.end_column = in_characters(last, one->where.end_column);
    Py_XDECREF(last);
}

static void find_frame(const PyTracebackObject *entry, struct lines *lines,
                       struct report_frame *ret)
{
    *ret = (struct report_frame){.code = PyFrame_GetCode(entry->tb_frame),
                                 .at = entry->tb_lasti,
                                 .where.line = entry->tb_lineno};
    find_lines(ret, lines);
}

static bool is_of_program(const PyTracebackObject *entry)
{
    PyCodeObject *code = PyFrame_GetCode(entry->tb_frame);
    bool is = texts_is_of_program(code);

    Py_DECREF(code);
    return is;
}

/* Of those that are told: the outermost, and of the others the last, as a ring. */
struct entries {
    size_t count; /* of the program */
    const PyTracebackObject *outermost[REPORT_OUTERMOST], *innermost[REPORT_INNERMOST];
};

/* All of them are borrowed of the exception: only until code of the program's runs. */
static void find_entries(PyObject *exception, struct entries *ret)
{
    ret->count = 0;
    for (const PyTracebackObject *entry = frames_traceback(exception); entry != NULL;
         entry = entry->tb_next) {
        if (is_of_program(entry)) {
            size_t at = ret->count++;

            *(at < REPORT_OUTERMOST ? &ret->outermost[at]
                                    : &ret->innermost[at % REPORT_INNERMOST]) = entry;
        }
    }
}

static const PyTracebackObject *entry_at(const struct entries *entries, size_t at)
{
    return at < REPORT_OUTERMOST ? entries->outermost[at]
                                 : entries->innermost[at % REPORT_INNERMOST];
}

/* ---- SyntaxError: where it points ---- */

bool report_is_syntax_error(PyObject *exception)
{
    return PyErr_GivenExceptionMatches(exception, PyExc_SyntaxError);
}

bool report_is_compile_error(PyObject *exception)
{
    return report_is_syntax_error(exception) && !report_was_raised(exception) &&
           texts_is_program_file(((PySyntaxErrorObject *)exception)->filename);
}

static int number_of(PyObject *value)
{
    int overflow = 0;
    long number = value != NULL && PyLong_CheckExact(value)
                      ? PyLong_AsLongAndOverflow(value, &overflow)
                      : 0;

    return overflow == 0 && number > 0 && number < INT32_MAX ? (int)number : 0;
}

/* Also into a text that the program has had compiled: then it names the text. Not into a
 * file that is not the program's. */
static bool find_syntax(PyObject *exception, struct report_frames *ret)
{
    const PySyntaxErrorObject *error = (const PySyntaxErrorObject *)exception;
    const char *file = report_is_syntax_error(exception) && error->filename != NULL &&
                               PyUnicode_Check(error->filename)
                           ? PyUnicode_AsUTF8(error->filename)
                           : NULL;

    PyErr_Clear();
    if (file == NULL || (*file == '/' && !texts_is_program_file(error->filename))) {
        return false;
    }
    ret->syntax = (struct report_location){
        .file = Py_NewRef(error->filename),
        .line = number_of(error->lineno),
        .column = number_of(error->offset),
        .end_line = number_of(error->end_lineno),
        .end_column = number_of(error->end_offset),
    };
    ret->syntax_source = error->text != NULL && PyUnicode_Check(error->text)
                             ? without_end(Py_NewRef(error->text))
                             : NULL;
    if (!texts_is_program_file(error->filename) && importer_counts_bytes(exception)) {
        ret->syntax.column = in_characters(error->text, ret->syntax.column);
        ret->syntax.end_column = in_characters(error->text, ret->syntax.end_column);
    }
    return true;
}

/* ---- all of it ---- */

void report_frames_find(PyObject *exception, struct report_frames *ret)
{
    struct lines lines = {0};
    struct entries entries;
    size_t shown;

    find_entries(exception, &entries);
    shown = entries.count < REPORT_FRAMES_MAX ? entries.count : REPORT_FRAMES_MAX;
    *ret = (struct report_frames){.count = shown, .left_out = entries.count - shown};
    for (size_t i = 0; i < shown; i++) {
        find_frame(entry_at(&entries, i < REPORT_OUTERMOST ? i : i + ret->left_out),
                   &lines, &ret->shown[i]);
    }
    free(lines.source.text);
    ret->points = find_syntax(exception, ret);
}

void report_frames_ask(struct report_frames *frames)
{
    struct lines lines = {.asks = true};

    for (size_t i = 0; i < frames->count; i++) {
        find_lines(&frames->shown[i], &lines);
    }
    free(lines.source.text);
}

void report_frames_done(struct report_frames *frames)
{
    for (size_t i = 0; i < frames->count; i++) {
        Py_CLEAR(frames->shown[i].source);
        Py_CLEAR(frames->shown[i].code);
    }
    frames->count = 0;
    Py_CLEAR(frames->syntax_source);
    Py_CLEAR(frames->syntax.file);
}

static void write_number(struct wire_writer *record, int value)
{
    wire_unsigned(record, value > 0 ? (uint64_t)value : 0);
}

static void write_location(struct wire_writer *record,
                           const struct report_location *where, PyObject *function,
                           PyObject *source)
{
    report_write_text(record, where->file, REPORT_TEXT_MAX);
    write_number(record, where->line);
    write_number(record, where->column);
    write_number(record, where->end_line);
    write_number(record, where->end_column);
    report_write_text(record, function, REPORT_TEXT_MAX);
    report_write_text(record, source, REPORT_TEXT_MAX);
}

static void write_left_out(struct wire_writer *record, size_t count)
{
    const struct report_location nowhere = {0};
    PyObject *text =
        PyUnicode_FromFormat("... %zu more frame%s ...", count, count == 1 ? "" : "s");

    PyErr_Clear();
    write_location(record, &nowhere, NULL, text);
    Py_XDECREF(text);
}

void report_frames_write(struct wire_writer *record, const struct report_frames *frames)
{
    wire_unsigned(record, frames->count + (frames->left_out > 0 ? 1 : 0) +
                              (frames->points ? 1 : 0));
    for (size_t i = 0; i < frames->count; i++) {
        const struct report_frame *one = &frames->shown[i];

        if (i == REPORT_OUTERMOST && frames->left_out > 0) {
            write_left_out(record, frames->left_out);
        }
        write_location(record, &one->where, one->code->co_qualname, one->source);
    }
    if (frames->points) {
        write_location(record, &frames->syntax, NULL, frames->syntax_source);
    }
}

static void print_frame(const struct report_frame *one, struct buffer *to)
{
    PyObject *stripped =
        one->source != NULL ? PyObject_CallMethod(one->source, "strip", NULL) : NULL;
    PyObject *text = stripped != NULL && PyUnicode_GET_LENGTH(stripped) > 0
                         ? PyUnicode_FromFormat("  File \"%U\", line %d, in %U\n    %U\n",
                                                one->code->co_filename, one->where.line,
                                                one->code->co_name, stripped)
                         : PyUnicode_FromFormat("  File \"%U\", line %d, in %U\n",
                                                one->code->co_filename, one->where.line,
                                                one->code->co_name);
    PyObject *bytes = report_encode(text);

    buffer_add_text(to, bytes != NULL ? PyBytes_AS_STRING(bytes) : "");
    PyErr_Clear();
    Py_XDECREF(bytes);
    Py_XDECREF(text);
    Py_XDECREF(stripped);
}

void report_frames_print(const struct report_frames *frames, struct buffer *to)
{
    buffer_add_text(to, frames->count > 0 ? "Traceback (most recent call last):\n" : "");
    for (size_t i = 0; i < frames->count; i++) {
        if (i == REPORT_OUTERMOST && frames->left_out > 0) {
            buffer_printf(to, "  ... %zu more frame%s ...\n", frames->left_out,
                          frames->left_out == 1 ? "" : "s");
        }
        print_frame(&frames->shown[i], to);
    }
}

/* Below the program's root, or what a text is called. NULL: it cannot be written. */
static const char *short_path(PyObject *file)
{
    const char *path = PyUnicode_AsUTF8(file);

    PyErr_Clear();
    return path != NULL && texts_is_program_file(file) ? path + sizeof(PROGRAM_ROOT)
                                                       : path;
}

const char *report_innermost(PyObject *exception, int *ret_line)
{
    const PySyntaxErrorObject *error = (const PySyntaxErrorObject *)exception;
    const struct report_frames *known = report_told_frames(exception);
    struct entries entries;
    const PyTracebackObject *entry;
    PyCodeObject *code;
    PyObject *file;

    if (report_is_compile_error(exception)) {
        *ret_line = number_of(error->lineno);
        return short_path(error->filename);
    }
    if (known != NULL && known->count > 0) {
        const struct report_frame *last = &known->shown[known->count - 1];

        *ret_line = last->where.line;
        return short_path(last->where.file);
    }
    find_entries(exception, &entries);
    if (entries.count == 0) {
        return NULL;
    }
    entry = entry_at(&entries, entries.count - 1);
    code = PyFrame_GetCode(entry->tb_frame);
    file = code->co_filename;
    Py_DECREF(code); /* the frame holds it */
    *ret_line = entry->tb_lineno;
    return short_path(file);
}
