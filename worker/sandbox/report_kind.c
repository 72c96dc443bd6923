/* SPDX-License-Identifier: MIT */
/*
 * What an exception says of the job. Runs in the sandbox on objects of a program that may
 * be hostile: looks at them without asking them.
 */
#include "worker/sandbox/frames.h" /* first: what it defines decides what Python.h has */

#include "common/cleanup.h"
#include "worker/sandbox/memory.h"
#include "worker/sandbox/report_parts.h"
#include "worker/sandbox/texts.h"

#include <frameobject.h>
#include <opcode.h>
#include <string.h>
#include <structmember.h>

#define DEEP 10000 /* entries of a traceback */

/* ---- whose word is it? ---- */

static bool is_plain_value(PyObject *value)
{
    return value == Py_None || PyUnicode_CheckExact(value) || PyLong_CheckExact(value) ||
           PyBool_Check(value) || PyFloat_CheckExact(value) || PyBytes_CheckExact(value);
}

PyObject *report_item(PyObject *dict, const char *name)
{
    PyObject *key, *value;
    Py_ssize_t at = 0;

    while (PyDict_Next(dict, &at, &key, &value)) {
        const char *text = PyUnicode_CheckExact(key) ? PyUnicode_AsUTF8(key) : NULL;

        if (text != NULL && strcmp(text, name) == 0) {
            return value;
        }
        PyErr_Clear();
    }
    return NULL;
}

/* What makes its text is not defined in Python. */
static bool is_plain_type(const PyTypeObject *type)
{
    const PyTypeObject *built_in = type;

    while ((built_in->tp_flags & Py_TPFLAGS_HEAPTYPE) != 0) {
        built_in = built_in->tp_base;
    }
    return type->tp_str == built_in->tp_str;
}

/* Types that do not print their arguments, such as OSError, print these. */
static bool has_plain_members(PyObject *exception)
{
    const PyTypeObject *type = Py_TYPE(exception);
    bool plain = true;

    if (type->tp_str == ((PyTypeObject *)PyExc_BaseException)->tp_str) {
        return true;
    }
    for (; type != NULL && plain; type = type->tp_base) {
        bool is_built_in = (type->tp_flags & Py_TPFLAGS_HEAPTYPE) == 0;

        for (const PyMemberDef *member = is_built_in ? type->tp_members : NULL;
             member != NULL && member->name != NULL && plain; member++) {
            PyObject *value = member->type == T_OBJECT || member->type == T_OBJECT_EX
                                  ? *(PyObject **)((char *)exception + member->offset)
                                  : NULL;

            plain = value == NULL || is_plain_value(value);
        }
    }
    return plain;
}

static bool has_plain_arguments(PyObject *exception)
{
    PyObject *args = ((PyBaseExceptionObject *)exception)->args;
    bool plain = args != NULL;

    for (Py_ssize_t i = 0; plain && i < PyTuple_GET_SIZE(args); i++) {
        plain = is_plain_value(PyTuple_GET_ITEM(args, i));
    }
    return plain;
}

/* A group says how many its members are, and asks none of them. */
bool report_is_plain(PyObject *exception)
{
    const PyTypeObject *type = Py_TYPE(exception);

    if (!is_plain_type(type)) {
        return false;
    }
    if (type->tp_str == ((PyTypeObject *)PyExc_BaseExceptionGroup)->tp_str) {
        return PyUnicode_CheckExact(((PyBaseExceptionGroupObject *)exception)->msg);
    }
    return has_plain_members(exception) && has_plain_arguments(exception);
}

/* ---- what does it say? ---- */

bool report_is_very_deep(PyObject *exception)
{
    const PyTracebackObject *entry = frames_traceback(exception);
    size_t depth = 0;

    while (entry != NULL && depth <= DEEP) {
        entry = entry->tb_next;
        depth++;
    }
    return depth > DEEP;
}

/* A class that the program has made itself is its own word for something else. Looks
 * without asking: a metaclass, or a module, may be the program's as well. */
static bool is_of_program(PyObject *exception)
{
    PyObject *name = report_item(Py_TYPE(exception)->tp_dict, "__module__");
    const char *text =
        name != NULL && PyUnicode_CheckExact(name) ? PyUnicode_AsUTF8(name) : NULL;
    PyObject *module = text != NULL ? report_item(PyImport_GetModuleDict(), text) : NULL;

    PyErr_Clear();
    return module != NULL && PyModule_Check(module) &&
           texts_is_program_file(report_item(PyModule_GetDict(module), "__file__"));
}

static bool is_no_memory(PyObject *exception)
{
    return PyErr_GivenExceptionMatches(exception, PyExc_MemoryError) &&
           !is_of_program(exception);
}

static bool says(PyObject *exception, const char *text)
{
    PyObject *args = ((PyBaseExceptionObject *)exception)->args;

    return args != NULL && PyTuple_GET_SIZE(args) == 1 &&
           PyUnicode_CheckExact(PyTuple_GET_ITEM(args, 0)) &&
           PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(args, 0), text) == 0;
}

bool report_was_raised(PyObject *exception)
{
    const PyTracebackObject *entry = frames_traceback(exception);
    PyCodeObject *code;
    PyObject *bytes;
    bool raised;

    if (entry == NULL) {
        return false;
    }
    while (entry->tb_next != NULL) {
        entry = entry->tb_next;
    }
    code = PyFrame_GetCode(entry->tb_frame);
    bytes = PyCode_GetCode(code);
    raised = bytes == NULL || entry->tb_lasti < 0 ||
             entry->tb_lasti >= PyBytes_GET_SIZE(bytes) ||
             (unsigned char)PyBytes_AS_STRING(bytes)[entry->tb_lasti] == RAISE_VARARGS;
    Py_XDECREF(bytes);
    Py_DECREF(code);
    PyErr_Clear();
    return raised;
}

/* Is it the interpreter's own word? Such a MemoryError has no text. */
static bool is_of_interpreter(PyObject *exception)
{
    PyObject *args = ((PyBaseExceptionObject *)exception)->args;

    return frames_traceback(exception) != NULL && args != NULL &&
           PyTuple_GET_SIZE(args) == 0 && !report_was_raised(exception);
}

/* A program may raise one by hand; packages that have memory of their own have types of
 * their own; Python says so of a size that it does not even try to get, and its compiler
 * of a source that is nested too deep, which the importer then names. Python 3.11 forgets
 * to raise MemoryError where it has no memory for one frame more, and then complains of
 * itself. */
bool report_is_memory_error(PyObject *exception, bool used)
{
    if (is_no_memory(exception)) {
        return used || memory_was_refused() ||
               Py_TYPE(exception) != (PyTypeObject *)PyExc_MemoryError ||
               is_of_interpreter(exception);
    }
    return Py_TYPE(exception) == (PyTypeObject *)PyExc_SystemError &&
           (report_is_very_deep(exception) ||
            (memory_was_refused() &&
             (says(exception, "error return without exception set") ||
              says(exception, "returned NULL without setting an exception"))));
}

/* Nothing of the program has run in it: Python has not read it to its end. */
bool report_is_nested_too_deep(PyObject *exception)
{
    return (Py_TYPE(exception) == (PyTypeObject *)PyExc_MemoryError ||
            Py_TYPE(exception) == (PyTypeObject *)PyExc_RecursionError) &&
           !memory_was_refused() && frames_traceback(exception) == NULL;
}
