/* SPDX-License-Identifier: MIT */
/*
 * From a source to its code. Runs under the GIL of whoever embeds the importer, on
 * hostile sources, before anything of them runs.
 */
#include "importer/importer.h"
#include "importer/source.h"
#include "importer/types.h"

#include <string.h>

/* As CPython 3.12 has it; 3.11 raises ValueError without a place. A source that has
 * become a text has none. */
static int refuse_nul(PyObject *source, PyObject *path)
{
    const char *bytes = PyBytes_Check(source) ? PyBytes_AS_STRING(source) : NULL;
    const char *nul =
        bytes != NULL ? memchr(bytes, '\0', (size_t)PyBytes_GET_SIZE(source)) : NULL;
    int line = 1;

    if (nul == NULL) {
        return 0;
    }
    for (const char *c = bytes; c < nul; c++) {
        line += *c == '\n';
    }
    PyErr_SetString(PyExc_SyntaxError, "source code cannot contain null bytes");
    PyErr_SyntaxLocationObject(path, line, -1);
    return -1;
}

/* compile(source, path, "exec", flags=0, dont_inherit=True), without looking for garbage:
 * compiling makes many tuples and no cycles. A hundredth of an import's time. */
static PyObject *compile_checked(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    PyObject *mode = PyUnicode_InternFromString("exec");
    PyObject *zero = PyLong_FromLong(0);
    PyObject *code = NULL;

    if (mode != NULL && zero != NULL && refuse_nul(args[0], args[1]) == 0) {
        int collects = PyGC_Disable();

        code = PyObject_CallFunctionObjArgs(importer.compile, args[0], args[1], mode,
                                            zero, Py_True, NULL);
        if (collects) {
            PyGC_Enable();
        }
    }
    Py_XDECREF(mode);
    Py_XDECREF(zero);
    return code;
}

/* As an object, for _call_with_frames_removed: called by it, every SyntaxError leaves the
 * import system's frames behind. */
static PyMethodDef compile_method = {
    "compile", (PyCFunction)(void (*)(void))compile_checked, METH_FASTCALL, NULL};

static PyObject *compile_source(PyObject *source, PyObject *path, int trimmed)
{
    PyObject *const args[] = {source, path};

    return trimmed ? PyObject_CallFunctionObjArgs(importer.call_trimmed,
                                                  importer.compile_checked, source, path,
                                                  NULL)
                   : compile_checked(NULL, args, 2);
}

/* Lines keep their numbers; columns change with the tabs in front of them. */
static PyObject *without_tabs(PyObject *source)
{
    autobuffer struct buffer expanded =
        BUFFER_INIT(8 * (size_t)PyBytes_GET_SIZE(source) + 1);

    source_expand_tabs(PyBytes_AS_STRING(source), (size_t)PyBytes_GET_SIZE(source),
                       &expanded);
    return buffer_error(&expanded) == 0
               ? PyBytes_FromStringAndSize(expanded.data, (Py_ssize_t)expanded.size)
               : PyErr_NoMemory();
}

/* Of a source that nests too deep Python's compiler says MemoryError without a word, or
 * RecursionError, and not of which module: the traceback ends at the import. */
static void say_which(PyObject *path)
{
    PyObject *type, *value, *traceback, *plain;

    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (PyErr_GivenExceptionMatches(type, PyExc_RecursionError)) {
        PyErr_Format(type, "%U cannot be compiled: %S", path, value);
    } else {
        PyErr_Format(type,
                     "%U cannot be compiled: it is nested too deep, or there is no memory"
                     " for it",
                     path);
    }
    Py_XDECREF(type);
    Py_XDECREF(value);
    PyErr_Fetch(&type, &value, &plain);
    PyErr_Restore(type, value, traceback);
    Py_XDECREF(plain);
}

/* Makes of the error that is set what its reader needs. */
static void explain(PyObject *source, PyObject *path, int trimmed)
{
    if (trimmed && (PyErr_ExceptionMatches(PyExc_MemoryError) ||
                    PyErr_ExceptionMatches(PyExc_RecursionError))) {
        say_which(path);
    } else if (PyErr_ExceptionMatches(PyExc_SyntaxError)) {
        syntax_explain(source, path);
    }
}

/* Behind a last CR LF Python 3.11 adds a line to a source that is no file (Parser/
 * tokenizer.c, translate_newlines), which an error at its end is then in. New reference.
 */
static PyObject *with_plain_end(PyObject *source)
{
    Py_ssize_t size = PyBytes_GET_SIZE(source);
    const char *end = PyBytes_AS_STRING(source) + size;
    PyObject *plain;

    if (size < 2 || end[-2] != '\r' || end[-1] != '\n') {
        return Py_NewRef(source);
    }
    plain = PyBytes_FromStringAndSize(PyBytes_AS_STRING(source), size - 1);
    if (plain != NULL) {
        PyBytes_AS_STRING(plain)[size - 2] = '\n';
    }
    return plain;
}

PyObject *compile_member(PyObject *source, PyObject *path, unsigned flags, int trimmed)
{
    PyObject *plain = with_plain_end(source), *expanded = NULL;
    PyObject *code = plain != NULL ? compile_source(plain, path, trimmed) : NULL;

    source = plain;
    if (code == NULL && (flags & IMPORTER_TABS) != 0 &&
        PyErr_ExceptionMatches(PyExc_TabError)) {
        PyErr_Clear();
        source = expanded = without_tabs(source);
        code = source != NULL ? compile_source(source, path, trimmed) : NULL;
    }
    if (code == NULL && source != NULL) {
        explain(source, path, trimmed);
    }
    Py_XDECREF(expanded);
    Py_XDECREF(plain);
    return code;
}

int compile_install(void)
{
    importer.compile_checked = PyCFunction_New(&compile_method, NULL);
    return importer.compile_checked != NULL ? 0 : -1;
}
