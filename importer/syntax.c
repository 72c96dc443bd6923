/* SPDX-License-Identifier: MIT */
/*
 * The place that a SyntaxError is about. Runs where programs are compiled, on a source
 * that may be hostile, before anything of it runs.
 */
#include "common/utf8.h"
#include "importer/encoding.h"
#include "importer/importer.h"
#include "importer/source.h"
#include "importer/types.h"

/* Of any object, or NULL: 0 where it is none. */
static long number_of(PyObject *object)
{
    return object != NULL && PyLong_Check(object) ? PyLong_AsLong(object) : 0;
}

/* The line of that number (any object, or NULL) of a source's text, or NULL without an
 * exception. New reference. */
static PyObject *line_of(PyObject *text, PyObject *number)
{
    long wanted = number_of(number);
    Py_ssize_t size = 0;
    const char *bytes = text != NULL ? PyUnicode_AsUTF8AndSize(text, &size) : NULL;
    struct source_line line;
    PyObject *result = NULL;

    if (bytes != NULL && wanted > 0 && wanted < INT_MAX &&
        source_find(bytes, (size_t)size, (int)wanted, &line)) {
        result = PyUnicode_DecodeUTF8(line.text, (Py_ssize_t)line.size, NULL);
    }
    PyErr_Clear();
    return result;
}

/* Both count from 1; what is no column of that line is left as it is. */
static void count_characters(PyObject **column, PyObject *line)
{
    Py_ssize_t size = 0;
    const char *bytes = line != NULL ? PyUnicode_AsUTF8AndSize(line, &size) : NULL;
    long number = number_of(*column);
    PyObject *counted;

    if (bytes != NULL && number > 0 && number - 1 <= size) {
        counted = PyLong_FromSize_t(utf8_characters(bytes, (size_t)number - 1) + 1);
        if (counted != NULL) {
            Py_XSETREF(*column, counted);
        }
    }
    PyErr_Clear();
}

static void show_line(PySyntaxErrorObject *error, PyObject *text)
{
    PyObject *line = line_of(text, error->lineno);
    PyObject *end = line_of(text, error->end_lineno);

    count_characters(&error->offset, line);
    count_characters(&error->end_offset, end);
    if (line != NULL) {
        Py_XSETREF(error->text, line);
    }
    PyErr_Clear();
    Py_XDECREF(end);
}

/* ---- encodings ---- */

static bool says(PyObject *message, const char *beginning)
{
    PyObject *part = PyUnicode_FromString(beginning);
    bool is = message != NULL && PyUnicode_Check(message) && part != NULL &&
              PyUnicode_Tailmatch(message, part, 0, PY_SSIZE_T_MAX, -1) == 1;

    PyErr_Clear();
    Py_XDECREF(part);
    return is;
}

/* A place of its own has what is wrong with a literal or a name, however it is encoded.
 */
static bool is_about_encoding(const PySyntaxErrorObject *error)
{
    return (error->lineno != NULL && PyLong_CheckExact(error->lineno) &&
            PyLong_AsLong(error->lineno) == 0) ||
           says(error->msg, "(unicode error) 'utf-8' codec can't decode") ||
           says(error->msg, "source code cannot contain null bytes");
}

static void set_number(PyObject **member, size_t number)
{
    PyObject *value = PyLong_FromSize_t(number);

    if (value != NULL) {
        Py_XSETREF(*member, value);
    }
    PyErr_Clear();
}

/* Of what a codec makes of these bytes. */
static PyObject *decode(const char *bytes, size_t size, const char *codec)
{
    PyObject *text = PyUnicode_Decode(bytes, (Py_ssize_t)size, codec, "replace");

    PyErr_Clear();
    return text != NULL ? text : PyUnicode_DecodeLatin1(bytes, (Py_ssize_t)size, NULL);
}

/* Columns are in characters: what stands before the fault may have more bytes. */
static void set_place(PySyntaxErrorObject *error, PyObject *source,
                      const struct encoding_fault *fault)
{
    const char *bytes = PyBytes_AS_STRING(source), *at = bytes + fault->at;
    size_t size = (size_t)PyBytes_GET_SIZE(source);
    size_t mark = size > 3 && memcmp(bytes, UTF8_MARK, 3) == 0 ? 3 : 0;
    struct source_walk walk = {.rest = bytes + mark, .left = size - mark};
    struct source_line line = {0};
    PyObject *before, *text;

    while (source_next(&walk, &line) && line.text + line.size <= at) {
    }
    set_number(&error->lineno, (size_t)(line.number > 0 ? line.number : 1));
    if (fault->size == 0 || line.text == NULL) {
        return;
    }
    before = decode(line.text, (size_t)(at - line.text), fault->codec);
    text = decode(line.text, line.size, fault->codec);
    if (before != NULL && text != NULL) {
        size_t column = (size_t)PyUnicode_GET_LENGTH(before) + 1;

        set_number(&error->offset, column);
        set_number(&error->end_lineno, (size_t)line.number);
        set_number(&error->end_offset, column + fault->size);
        Py_XSETREF(error->text, Py_NewRef(text));
    }
    PyErr_Clear();
    Py_XDECREF(before);
    Py_XDECREF(text);
}

static bool explain_encoding(PySyntaxErrorObject *error, PyObject *source)
{
    struct encoding_fault fault;
    PyObject *message;

    if (!is_about_encoding(error) || !encoding_find_fault(source, &fault)) {
        return false;
    }
    set_place(error, source, &fault);
    message = *fault.sentence != '\0' ? PyUnicode_FromString(fault.sentence) : NULL;
    if (message != NULL) {
        Py_XSETREF(error->msg, message);
    }
    PyErr_Clear();
    return true;
}

/* ---- one line ---- */

/* Both count from 1. The column's bytes were counted as characters of `lines`, and are of
 * the last of these. */
static void count_in_line(PyObject **column, PyObject *lines, PyObject *line)
{
    long number = number_of(*column);
    PyObject *before =
        number > 0 ? PyUnicode_Substring(lines, 0, (Py_ssize_t)number - 1) : NULL;
    Py_ssize_t size = 0;
    PyObject *counted = before != NULL && PyUnicode_AsUTF8AndSize(before, &size) != NULL
                            ? PyLong_FromSsize_t(size + 1)
                            : NULL;

    if (counted != NULL) {
        Py_XSETREF(*column, counted);
        count_characters(column, line);
    }
    PyErr_Clear();
    Py_XDECREF(before);
}

/* Behind a backslash, or a text of several lines, Python 3.11 tells all lines from where
 * these begin, and columns of the last of them. In a source's file it reads that one. */
static PyObject *last_line(PySyntaxErrorObject *error, PyObject *lines)
{
    Py_ssize_t size = PyUnicode_GetLength(lines);
    Py_ssize_t end = size > 1 ? PyUnicode_FindChar(lines, '\n', 0, size - 1, -1) : -1;
    PyObject *line = end >= 0 ? PyUnicode_Substring(lines, end + 1, size) : NULL;

    if (line != NULL) {
        count_in_line(&error->offset, lines, line);
        count_in_line(&error->end_offset, lines, line);
    }
    return line;
}

/* What goes on in later lines has the end of its own there, in a source's file. */
static PyObject *whole_line(const PySyntaxErrorObject *error, PyObject *line)
{
    Py_ssize_t size = PyUnicode_GetLength(line);

    return number_of(error->end_lineno) > number_of(error->lineno) && size > 0 &&
                   PyUnicode_READ_CHAR(line, size - 1) != '\n'
               ? PyUnicode_FromFormat("%U\n", line)
               : NULL;
}

static void show_one_line(PySyntaxErrorObject *error)
{
    PyObject *line;

    if (error->text == NULL || !PyUnicode_Check(error->text)) {
        return;
    }
    line = last_line(error, error->text);
    line = line != NULL ? line : whole_line(error, error->text);
    if (line != NULL) {
        Py_XSETREF(error->text, line);
    }
    PyErr_Clear();
}

/* ---- bytes for characters ---- */

bool importer_counts_bytes(PyObject *exception)
{
    return says(((PySyntaxErrorObject *)exception)->msg,
                "leading zeros in decimal integer literals");
}

static bool begins_with(PyObject *text, PyObject *beginning)
{
    return PyUnicode_Tailmatch(text, beginning, 0, PY_SSIZE_T_MAX, -1) == 1;
}

/* An expression within an f-string is read as a source of its own, with brackets around
 * it, which is then the error's text: its columns are of that. Returns the line that it
 * stands in (new), or NULL: it is about none. */
static PyObject *line_around(const PySyntaxErrorObject *error, PyObject *text)
{
    PyObject *line = line_of(text, error->lineno);

    if (line == NULL || error->text == NULL || !PyUnicode_Check(error->text) ||
        !(says(error->msg, "f-string: ") || says(error->text, "(")) ||
        begins_with(line, error->text) || begins_with(error->text, line)) {
        Py_CLEAR(line);
    }
    PyErr_Clear();
    return line;
}

/* ---- f-strings ---- */

/* What is between the brackets; new, or NULL. */
static PyObject *expression_of(PyObject *text)
{
    Py_ssize_t size = PyUnicode_GET_LENGTH(text);

    size -= size > 0 && PyUnicode_READ_CHAR(text, size - 1) == '\n';
    return size > 2 && PyUnicode_READ_CHAR(text, 0) == '(' &&
                   PyUnicode_READ_CHAR(text, size - 1) == ')'
               ? PyUnicode_Substring(text, 1, size - 1)
               : NULL;
}

/* Where it stands in the line: -1 also where it does more than once. */
static Py_ssize_t only_place(PyObject *line, PyObject *part)
{
    Py_ssize_t size = PyUnicode_GET_LENGTH(line);
    Py_ssize_t at = part != NULL ? PyUnicode_Find(line, part, 0, size, 1) : -1;

    return at >= 0 && PyUnicode_Find(line, part, at + 1, size, 1) < 0 ? at : -1;
}

/* From the expression in its brackets to its line, where it begins at `at`. */
static void move_column(PyObject **column, Py_ssize_t at)
{
    long number = number_of(*column);

    if (at >= 0 && number > 1) {
        set_number(column, (size_t)(number - 1) + (size_t)at);
    } else {
        Py_XSETREF(*column, Py_NewRef(Py_None));
    }
    PyErr_Clear();
}

static void place_in_line(PySyntaxErrorObject *error, PyObject *line)
{
    PyObject *expression = expression_of(error->text);
    Py_ssize_t at = only_place(line, expression);

    move_column(&error->offset, at);
    move_column(&error->end_offset, at);
    Py_XSETREF(error->text, Py_NewRef(line));
    PyErr_Clear();
    Py_XDECREF(expression);
}

static void show_line_around(PySyntaxErrorObject *error, PyObject *text)
{
    PyObject *line = line_around(error, text);

    if (line != NULL) {
        place_in_line(error, line);
    }
    Py_XDECREF(line);
}

/* ---- characters ---- */

/* What says how a source is encoded stands in a comment. */
static void forget_encoding(char *bytes, Py_ssize_t size)
{
    struct source_walk walk = {.rest = bytes, .left = (size_t)size};
    struct source_line line;

    while (source_next(&walk, &line) && line.number <= 2) {
        const char *end = line.text + line.size;
        char *at = memchr(line.text, '#', line.size);

        while (at != NULL && (at = memmem(at, (size_t)(end - at), "coding", 6)) != NULL) {
            *at = 'x';
        }
    }
}

/* The same text in ASCII, each byte where it was: what is no ASCII may stand in texts,
 * comments and names, where an x may stand too. Of bytes that nothing is said of Python
 * counts bytes, and cuts nothing. */
static PyObject *in_ascii(PyObject *text)
{
    Py_ssize_t size = 0;
    const char *bytes = text != NULL ? PyUnicode_AsUTF8AndSize(text, &size) : NULL;
    PyObject *ascii = bytes != NULL ? PyBytes_FromStringAndSize(bytes, size) : NULL;

    for (Py_ssize_t i = 0; ascii != NULL && i < size; i++) {
        PyBytes_AS_STRING(ascii)[i] = bytes[i] < 0 ? 'x' : bytes[i];
    }
    if (ascii != NULL) {
        forget_encoding(PyBytes_AS_STRING(ascii), size);
    }
    return ascii;
}

/* Where one line's bytes were counted as characters of another, by Python 3.11: behind a
 * text of several lines, and at an end in a later line. Returns whether they are right.
 */
static bool count_again(PySyntaxErrorObject *error, PyObject *text)
{
    PyObject *ascii = in_ascii(text);
    PyObject *same = ascii != NULL ? syntax_again((PyObject *)error, ascii) : NULL;
    bool is_same = same != NULL;

    if (is_same) {
        const PySyntaxErrorObject *other = (PySyntaxErrorObject *)same;
        PyObject *line = line_of(text, error->lineno);
        PyObject *end = line_of(text, other->end_lineno);

        Py_XSETREF(error->offset, Py_XNewRef(other->offset));
        Py_XSETREF(error->end_offset, Py_XNewRef(other->end_offset));
        count_characters(&error->offset, line);
        count_characters(&error->end_offset, end);
        Py_XDECREF(line);
        Py_XDECREF(end);
    }
    PyErr_Clear();
    Py_XDECREF(ascii);
    Py_XDECREF(same);
    return is_same;
}

/* What Python 3.11 counts in bytes even in a source that it was given as a text. */
static void count_bytes(PySyntaxErrorObject *error, PyObject *text)
{
    PyObject *line = line_around(error, text);

    if (line != NULL ||
        (!count_again(error, text) && importer_counts_bytes((PyObject *)error))) {
        count_characters(&error->offset, error->text);
        count_characters(&error->end_offset, error->text);
    }
    Py_XDECREF(line);
}

/* ---- all of it ---- */

static PyObject *or_none(PyObject *member)
{
    return member != NULL ? member : Py_None;
}

static void settle(PySyntaxErrorObject *error, PyObject *path)
{
    PyObject *args =
        Py_BuildValue("(O(OOOOOO))", or_none(error->msg), path, or_none(error->lineno),
                      or_none(error->offset), or_none(error->text),
                      or_none(error->end_lineno), or_none(error->end_offset));

    Py_XSETREF(error->filename, Py_NewRef(path));
    if (args != NULL && PyTuple_GET_SIZE(error->args) == 2) {
        Py_SETREF(error->args, Py_NewRef(args));
    }
    PyErr_Clear();
    Py_XDECREF(args);
}

static bool is_ascii(PyObject *source)
{
    const char *bytes = PyBytes_AS_STRING(source);
    bool is = true;

    for (Py_ssize_t i = 0; i < PyBytes_GET_SIZE(source) && is; i++) {
        is = (unsigned char)bytes[i] < 0x80;
    }
    return is;
}

/* Of a source's bytes Python 3.11 counts columns in bytes, where nothing in it says that
 * they are UTF-8, and of a text in characters: it is refused as a text, in the same
 * place. Takes a reference, and returns one. */
static PyObject *refuse_text(PyObject *error, PyObject *text)
{
    PyObject *same = text != NULL ? syntax_again(error, text) : NULL;

    if (same != NULL) {
        Py_SETREF(error, same);
    }
    return error;
}

/* Takes a reference, and returns one. */
static PyObject *explain(PyObject *value, PyObject *source, PyObject *text)
{
    PySyntaxErrorObject *error = (PySyntaxErrorObject *)value;

    if (explain_encoding(error, source)) {
        return value;
    }
    if (error->text == NULL || error->text == Py_None) {
        show_line(error, text);
    } else if (is_ascii(source)) {
        show_one_line(error);
    } else {
        value = refuse_text(value, text);
        error = (PySyntaxErrorObject *)value;
        show_one_line(error);
        count_bytes(error, text);
    }
    return value;
}

void syntax_explain(PyObject *source, PyObject *path)
{
    PyObject *type, *value, *traceback, *text;

    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (PyErr_GivenExceptionMatches(value,
                                    PyExc_SyntaxError)) { /* it may be out of memory */
        text = PyObject_CallOneArg(importer.decode_source, source);
        PyErr_Clear(); /* it has none, then */
        value = explain(value, source, text);
        show_line_around((PySyntaxErrorObject *)value, text);
        settle((PySyntaxErrorObject *)value, path);
        Py_XDECREF(text);
    }
    PyErr_Restore(type, value, traceback);
}
