/* SPDX-License-Identifier: MIT */
/*
 * Code that a program makes of a text. Runs in the sandbox, in the place of Python's
 * compile, exec and eval. Where it is traced, exec and eval run what they are given with
 * points; compile() gives out code as Python made it, so that it can be compared and
 * written by marshal.
 */
#include "worker/sandbox/tracer_parts.h"

#include "worker/sandbox/interpreter.h"
#include "worker/sandbox/texts.h"

#include "common/cleanup.h"

#include <string.h>
#include <unistd.h>

static PyObject *compiler;  /* compile(); owned */
static PyObject *text_name; /* "<string>"; owned */
static Py_ssize_t slot; /* of code: the text that it was made of, or None; owned there */
static bool is_traced;

/* ---- whose ---- */

#define ROOT PROGRAM_ROOT "/"

bool texts_is_program_file(PyObject *path)
{
    const size_t length = sizeof(ROOT) - 1;
    bool is = path != NULL && PyUnicode_Check(path) && PyUnicode_IS_READY(path) &&
              (size_t)PyUnicode_GET_LENGTH(path) > length;

    for (size_t i = 0; is && i < length; i++) {
        is = PyUnicode_READ_CHAR(path, i) == (Py_UCS4)ROOT[i];
    }
    return is;
}

static PyObject *mark_of(PyCodeObject *code)
{
    void *mark = NULL;

    return _PyCode_GetExtra((PyObject *)code, slot, &mark) == 0 ? mark : NULL;
}

bool texts_is_of_program(PyCodeObject *code)
{
    return texts_is_program_file(code->co_filename) || mark_of(code) != NULL;
}

PyObject *texts_source(PyCodeObject *code)
{
    PyObject *mark = mark_of(code);

    return mark != Py_None ? mark : NULL;
}

/* In a thread that runs nothing else of the program's: exec() itself is what it was given
 * to do. */
static bool is_all_of_thread(void)
{
    if (gettid() == getpid()) {
        return false;
    }
    for (const frame *at = frames_current(frames_thread()); at != NULL;
         at = frames_back(at)) {
        if (texts_is_of_program(frames_code(at))) {
            return false;
        }
    }
    return true;
}

static bool is_called_by_program(void)
{
    const frame *caller = frames_current(frames_thread());

    return (caller != NULL && texts_is_of_program(frames_code(caller))) ||
           is_all_of_thread();
}

static void free_mark(void *mark)
{
    Py_XDECREF((PyObject *)mark);
}

/* And all code in it. The compiler bounds how deep that is. */
static void mark(PyCodeObject *code, PyObject *source)
{
    PyObject *kept =
        PyUnicode_CheckExact(source) || PyBytes_CheckExact(source) ? source : Py_None;

    if (mark_of(code) != NULL) {
        return;
    }
    if (_PyCode_SetExtra((PyObject *)code, slot, Py_NewRef(kept)) != 0) {
        Py_DECREF(kept);
        PyErr_Clear(); /* out of memory: it is nobody's */
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(code->co_consts); i++) {
        PyObject *constant = PyTuple_GET_ITEM(code->co_consts, i);

        if (PyCode_Check(constant)) {
            mark((PyCodeObject *)constant, source);
        }
    }
}

/* Either may be NULL. */
static void copy_mark(PyObject *from, PyObject *to)
{
    PyObject *source = from != NULL ? mark_of((PyCodeObject *)from) : NULL;

    if (to != NULL && source != NULL) {
        mark((PyCodeObject *)to, source);
    }
}

/* ---- exec and eval ---- */

/* One of the functions that run a text. */
struct runner {
    PyObject *original, *mode; /* owned */
    bool is_eval;
};

/* As eval() does: spaces before an expression do not count. A str or bytes; new
 * reference. */
static PyObject *without_spaces(PyObject *text)
{
    bool is_text = PyUnicode_Check(text);
    bool is_bytes = PyBytes_Check(text);
    Py_ssize_t size = is_text    ? PyUnicode_GET_LENGTH(text)
                      : is_bytes ? PyBytes_GET_SIZE(text)
                                 : PyByteArray_GET_SIZE(text);
    Py_UCS4 first = size == 0  ? 0
                    : is_text  ? PyUnicode_READ_CHAR(text, 0)
                    : is_bytes ? (unsigned char)*PyBytes_AS_STRING(text)
                               : (unsigned char)*PyByteArray_AS_STRING(text);

    return first == ' ' || first == '\t'
               ? PyObject_CallMethod(text, "lstrip", is_text ? "s" : "y", " \t")
               : Py_NewRef(text);
}

/* The text compiled, a new reference; NULL with an exception. Flags of the program's
 * code, as from __future__, hold for it, too: compile() takes them from whoever called
 * us. */
static PyObject *compile_text(PyObject *text, const struct runner *runner)
{
    PyObject *stripped = runner->is_eval ? without_spaces(text) : Py_NewRef(text);
    PyObject *args[] = {stripped, text_name, runner->mode};
    PyObject *code = stripped != NULL
                         ? PyObject_Vectorcall(compiler, args, array_size(args), NULL)
                         : NULL;

    if (code != NULL) {
        mark((PyCodeObject *)code, stripped);
    }
    Py_XDECREF(stripped);
    return code;
}

static PyObject *traced_text(PyObject *text, const struct runner *runner)
{
    PyObject *code = compile_text(text, runner);
    PyObject *result = code != NULL ? tracer_instrument(code) : NULL;

    copy_mark(code, result);
    Py_XDECREF(code);
    return result;
}

static PyObject *traced_code(PyObject *code)
{
    PyObject *twin = functions_twin(code);

    copy_mark(code, twin);
    return twin;
}

/* Code that was changed, or read back, is no text's, and may be no file's either. */
static void mark_if_nobody_s(PyCodeObject *code)
{
    PyObject *name = code->co_filename;

    if (PyUnicode_GET_LENGTH(name) == 0 || PyUnicode_READ_CHAR(name, 0) != '/') {
        mark(code, Py_None);
    }
}

/* What is to run in the place of the first argument, a new reference; NULL with an
 * exception. Without one: that itself. */
static PyObject *made_of(PyObject *source, const struct runner *runner)
{
    const frame *caller = frames_current(frames_thread());
    bool is_called = caller != NULL && texts_is_of_program(frames_code(caller));
    bool is_alone = !is_called && is_all_of_thread();
    bool has_points =
        is_traced &&
        (is_alone || (caller != NULL && functions_of(frames_code(caller)) != NULL));

    if (!has_points && !is_called && !is_alone) {
        return NULL;
    }
    if (PyCode_Check(source)) {
        mark_if_nobody_s((PyCodeObject *)source);
        return has_points ? traced_code(source) : NULL;
    }
    return has_points ? traced_text(source, runner) : compile_text(source, runner);
}

static bool can_be_made(PyObject *source, PyObject *names)
{
    return PyCode_Check(source) ||
           (names == NULL && (PyUnicode_Check(source) || PyBytes_Check(source) ||
                              PyByteArray_Check(source)));
}

#define ARGUMENTS 4 /* source, globals, locals, closure= */

static PyObject *run(const struct runner *runner, PyObject *const *args, Py_ssize_t count,
                     PyObject *names)
{
    Py_ssize_t all = count + (names != NULL ? PyTuple_GET_SIZE(names) : 0);
    PyObject *passed[ARGUMENTS], *code = NULL, *result;

    if (count > 0 && all <= ARGUMENTS && can_be_made(args[0], names)) {
        code = made_of(args[0], runner);
    }
    if (code == NULL) {
        return PyErr_Occurred()
                   ? NULL
                   : PyObject_Vectorcall(runner->original, args, (size_t)count, names);
    }
    memcpy(passed, args, (size_t)all * sizeof(*passed));
    passed[0] = code;
    result = PyObject_Vectorcall(runner->original, passed, (size_t)count, names);
    Py_DECREF(code);
    return result;
}

static struct runner exec_runner, eval_runner = {.is_eval = true};

static PyObject *stand_in_exec(PyObject *self, PyObject *const *args, Py_ssize_t count,
                               PyObject *names)
{
    return run(&exec_runner, args, count, names);
}

static PyObject *stand_in_eval(PyObject *self, PyObject *const *args, Py_ssize_t count,
                               PyObject *names)
{
    return run(&eval_runner, args, count, names);
}

/* ---- compile ---- */

/* What comes first, or is called so. */
static PyObject *source_of(PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    for (Py_ssize_t i = 0; count == 0 && names != NULL && i < PyTuple_GET_SIZE(names);
         i++) {
        if (PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(names, i), "source") == 0) {
            return args[i];
        }
    }
    return count > 0 ? args[0] : Py_None;
}

static PyObject *stand_in_compile(PyObject *self, PyObject *const *args, Py_ssize_t count,
                                  PyObject *names)
{
    PyObject *result = PyObject_Vectorcall(compiler, args, (size_t)count, names);

    if (result != NULL && PyCode_Check(result) && is_called_by_program()) {
        mark((PyCodeObject *)result, source_of(args, count, names));
    }
    return result;
}

/* ---- standing in ---- */

#define STAND_IN(name)                                                                   \
    {                                                                                    \
#name, (PyCFunction)(void (*)(void))stand_in_##name,                             \
            METH_FASTCALL | METH_KEYWORDS, NULL                                          \
    }

static struct {
    PyMethodDef method; /* its text is the original's */
    PyObject **original;
} stand_ins[] = {
    {STAND_IN(compile), &compiler},
    {STAND_IN(exec), &exec_runner.original},
    {STAND_IN(eval), &eval_runner.original},
};

static int stand_in(PyObject *builtins, PyMethodDef *method, PyObject **ret_original)
{
    PyObject *original = PyObject_GetAttrString(builtins, method->ml_name);
    PyObject *function;
    int error;

    if (original == NULL || !PyCFunction_Check(original)) {
        Py_XDECREF(original);
        return -1;
    }
    *ret_original = original;
    method->ml_doc = ((PyCFunctionObject *)original)->m_ml->ml_doc;
    function = PyCFunction_NewEx(method, ((PyCFunctionObject *)original)->m_self,
                                 ((PyCFunctionObject *)original)->m_module);
    error = function != NULL ? PyObject_SetAttrString(builtins, method->ml_name, function)
                             : -1;
    Py_XDECREF(function);
    return error;
}

int texts_init(void)
{
    PyObject *builtins = PyImport_AddModule("builtins"); /* borrowed */
    int error = builtins != NULL ? 0 : -1;

    text_name = PyUnicode_InternFromString("<string>");
    exec_runner.mode = PyUnicode_InternFromString("exec");
    eval_runner.mode = PyUnicode_InternFromString("eval");
    slot = _PyEval_RequestCodeExtraIndex(free_mark);
    for (size_t i = 0; error == 0 && i < array_size(stand_ins); i++) {
        error = stand_in(builtins, &stand_ins[i].method, stand_ins[i].original);
    }
    return slot >= 0 && text_name != NULL && exec_runner.mode != NULL &&
                   eval_runner.mode != NULL
               ? error
               : -1;
}

void texts_trace(void)
{
    is_traced = true;
}
