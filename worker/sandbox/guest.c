/* SPDX-License-Identifier: MIT */
/*
 * Running one program. Runs in a locked sandbox. Theory of operation:
 *
 * - prologue: the job's limits are applied while every byte that has run is ours; they
 *   can only be lowered;
 * - load: the ZIP is opened, its entry found; a refusal ends here, with its sentence;
 * - run: the entry runs as __main__, or its function is called, and awaited if that is
 *   what it needs;
 * - claim: how it ended by itself, as one code and one line of text;
 * - end: what Python does before it exits (threads joined, atexit, buffers flushed), in
 *   the relay's grace; then the process is gone.
 *
 * From `run` on the program shares our memory: what this file says afterwards is no more
 * than the program's own word, and is treated so by the relay.
 */
#include "worker/sandbox/guest.h"

#include "importer/hint.h"
#include "importer/importer.h"
#include "worker/sandbox/deadline.h"
#include "worker/sandbox/ending.h"
#include "worker/sandbox/hosts.h"
#include "worker/sandbox/interpreter.h"
#include "worker/sandbox/memory.h"
#include "worker/sandbox/recorder.h"
#include "worker/sandbox/report.h"
#include "worker/sandbox/rlimits.h"
#include "worker/sandbox/stdio.h"
#include "worker/sandbox/tracer.h"
#include "worker/sandbox/where.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct outcome {
    enum verdict verdict;
    int exit_code;
    struct buffer report;
    bool used;                    /* most of the job's memory was in use at some time */
    PyObject *result, *exception; /* owned */
};

struct program {
    const struct job_inbox *inbox;
    struct archive_entry entry;
    char root[sizeof(PROGRAM_ROOT) + 512]; /* import root: /robot or /robot/FOLDER */
};

static PyObject *returned;        /* of program_module.py */
static PyObject *rehearsal;       /* bytes: a ZIP */
static PyObject *startup_modules; /* set: what no program's module can hide */
static PyObject *code_name;       /* "code" */

int guest_prepare(PyObject *globals)
{
    PyObject *print_exception = PyDict_GetItemString(globals, "print_exception");

    rehearsal = Py_XNewRef(PyDict_GetItemString(globals, "rehearsal"));
    startup_modules = Py_XNewRef(PyDict_GetItemString(globals, "startup_modules"));
    returned = Py_XNewRef(PyDict_GetItemString(globals, "returned"));
    code_name = PyUnicode_InternFromString("code");
    hosts_prepare(globals);
    if (print_exception == NULL || ending_prepare(globals) != 0 || rehearsal == NULL ||
        startup_modules == NULL || returned == NULL || code_name == NULL ||
        deadline_prepare() != 0 || where_find_threads() != 0) {
        return -1;
    }
    return report_prepare(print_exception);
}

/* ---- rehearsal ---- */

#define REHEARSAL_ROOT "/rehearsal"
#define NUMBER_MAX     24 /* digits of a number that is no exit code */

static int mount_rehearsal(void)
{
    autobuffer struct buffer why = BUFFER_INIT(1024);
    struct archive *archive = NULL;

    if (archive_open(PyBytes_AS_STRING(rehearsal), (size_t)PyBytes_GET_SIZE(rehearsal),
                     &archive_limits_default, &archive, &why) < 0) {
        return -1;
    }
    return importer_mount(archive, REHEARSAL_ROOT, rehearsal, 0);
}

void guest_rehearse(void)
{
    PyObject *code =
        mount_rehearsal() == 0 ? importer_compile(REHEARSAL_ROOT, "robot.py") : NULL;
    PyObject *globals = code != NULL ? PyDict_New() : NULL;
    PyObject *result = NULL;

    if (globals != NULL &&
        PyDict_SetItemString(globals, "__builtins__", PyEval_GetBuiltins()) == 0 &&
        PyDict_SetItemString(globals, "__name__",
                             PyUnicode_InternFromString("rehearsal")) == 0) {
        result = PyEval_EvalCode(code, globals, globals);
    }
    Py_XDECREF(result);
    Py_XDECREF(globals);
    Py_XDECREF(code);
    (void)importer_unmount(REHEARSAL_ROOT);
    PyErr_Clear(); /* a rehearsal that fails costs time, nothing else */
}

/* ---- load ---- */

static int open_archive(const struct program *program, struct archive **ret,
                        struct buffer *why)
{
    struct job_part_bytes code = job_inbox_part(program->inbox, JOB_PART_CODE);
    struct job_part_bytes source = job_inbox_part(program->inbox, JOB_PART_SOURCE);
    struct job_part_bytes entry = job_inbox_part(program->inbox, JOB_PART_ENTRY);
    char name[LIMIT_ENTRY + 1] = "main.py";

    if (source.size != 2 || memcmp(source.bytes, "py", 2) != 0) {
        return archive_open(code.bytes, code.size, &archive_limits_default, ret, why);
    }
    if (entry.size > 0) {
        (void)snprintf(name, sizeof(name), "%.*s", (int)entry.size,
                       (const char *)entry.bytes);
    }
    return archive_open_source(name, code.bytes, code.size, &archive_limits_default, ret,
                               why);
}

static int find_entry(struct program *program, struct archive *archive,
                      struct buffer *why)
{
    struct job_part_bytes wanted = job_inbox_part(program->inbox, JOB_PART_ENTRY);
    char name[LIMIT_ENTRY + 1];
    int error;

    (void)snprintf(name, sizeof(name), "%.*s", (int)wanted.size,
                   (const char *)wanted.bytes);
    error = archive_find_entry(archive, name, &program->entry, why);
    if (error == 0) {
        (void)snprintf(program->root, sizeof(program->root), "%s%s%s", PROGRAM_ROOT,
                       program->entry.folder[0] != '\0' ? "/" : "",
                       program->entry.folder);
    }
    return error;
}

/* Opens the archive, finds the entry and mounts it. Returns false with the outcome
 * decided. */
static bool load(struct program *program, struct outcome *outcome)
{
    struct archive *archive = NULL;

    if (open_archive(program, &archive, &outcome->report) < 0) {
        outcome->verdict = VERDICT_BAD_ZIP;
        return false;
    }
    if (find_entry(program, archive, &outcome->report) < 0) {
        outcome->verdict = VERDICT_NO_ENTRY;
        archive_free(archive);
        return false;
    }
    return importer_mount(archive, PROGRAM_ROOT, NULL,
                          IMPORTER_FILES |
                              (program->inbox->limits.tabs != 0 ? IMPORTER_TABS : 0)) ==
               0 &&
           importer_change_directory(program->root) == 0 &&
           importer_let_hide(program->root, startup_modules) == 0;
}

/* ---- sys.argv and sys.path ---- */

/* argv[0] and then one argument per line of the job's field. */
static int set_argv(const struct program *program)
{
    struct job_part_bytes part = job_inbox_part(program->inbox, JOB_PART_ARGV);
    PyObject *name = PyUnicode_FromFormat("%s/%s", PROGRAM_ROOT, program->entry.member);
    PyObject *text = PyUnicode_DecodeUTF8(part.bytes, (Py_ssize_t)part.size, "replace");
    PyObject *newline = PyUnicode_FromString("\n");
    PyObject *list = NULL;
    int error = -1;

    if (name == NULL || text == NULL || newline == NULL) {
        goto out;
    }
    list = part.size > 0 ? PyUnicode_Split(text, newline, -1) : PyList_New(0);
    if (list != NULL && PyList_Insert(list, 0, name) == 0) {
        error = PySys_SetObject("argv", list);
    }
out:
    Py_XDECREF(name);
    Py_XDECREF(text);
    Py_XDECREF(newline);
    Py_XDECREF(list);
    return error;
}

static int set_path(const struct program *program)
{
    PyObject *path = PySys_GetObject("path");
    PyObject *root = PyUnicode_FromString(program->root);
    int error = root != NULL && path != NULL ? PyList_Insert(path, 0, root) : -1;

    Py_XDECREF(root);
    return error;
}

/* ---- run ---- */

/* Imports the packages around a module, as `python -m` does before it compiles it. */
static int take_module_name(const struct archive_entry *entry, PyObject *main)
{
    return *entry->module != '\0'
               ? importer_main_as(main, PROGRAM_ROOT, entry->member, entry->module)
               : 0;
}

static PyObject *run_main(const struct archive_entry *entry)
{
    PyObject *main = importer_main_module(PROGRAM_ROOT, entry->member);
    PyObject *code = main != NULL && take_module_name(entry, main) == 0
                         ? importer_compile(PROGRAM_ROOT, entry->member)
                         : NULL;
    PyObject *globals = code != NULL ? PyModule_GetDict(main) : NULL;
    PyObject *result = code != NULL ? PyEval_EvalCode(code, globals, globals) : NULL;

    Py_XDECREF(code);
    Py_XDECREF(main);
    return result;
}

/* What an `async def` function is called for has yet to run: as by asyncio.run(main()) at
 * the end of a program. Takes the reference. */
static PyObject *run_coroutine(PyObject *coroutine)
{
    PyObject *asyncio = PyImport_ImportModule("asyncio");
    PyObject *result =
        asyncio != NULL ? PyObject_CallMethod(asyncio, "run", "O", coroutine) : NULL;

    Py_XDECREF(asyncio);
    Py_DECREF(coroutine);
    return result;
}

static PyObject *run_function(const struct archive_entry *entry)
{
    PyObject *module = PyImport_ImportModule(entry->module);
    PyObject *function =
        module != NULL ? PyObject_GetAttrString(module, entry->function) : NULL;
    PyObject *result = function != NULL ? PyObject_CallNoArgs(function) : NULL;

    Py_XDECREF(function);
    Py_XDECREF(module);
    return result != NULL && PyCoro_CheckExact(result) ? run_coroutine(result) : result;
}

static PyObject *run(const struct program *program)
{
    /* What host modules import is none of the program's, which is not on sys.path yet. */
    if (hosts_start() != 0 || set_argv(program) != 0 || set_path(program) != 0) {
        return NULL;
    }
    importer_set_source_hook(ending_read);
    tracer_start((enum job_trace)program->inbox->limits.trace);
    return program->entry.member[0] != '\0' ? run_main(&program->entry)
                                            : run_function(&program->entry);
}

/* ---- outcome ---- */

/* The `code` of a SystemExit, borrowed; may be NULL. One that the program's own class has
 * comes first, where it is a plain value: to ask a property would run it. */
static PyObject *exit_code_of(PyObject *exception)
{
    PyObject *of_class = _PyType_Lookup(Py_TYPE(exception), code_name);

    return of_class != NULL &&
                   (PyLong_CheckExact(of_class) || PyUnicode_CheckExact(of_class))
               ? of_class
               : ((PySystemExitObject *)exception)->code;
}

/* Of a number that is no exit code, and may be a very long one, or of a class that has
 * something to say. */
static void add_number(PyObject *code, struct buffer *to)
{
    PyObject *text = PyLong_Type.tp_repr(code);
    const char *digits = text != NULL ? PyUnicode_AsUTF8(text) : NULL;
    bool is_long = digits == NULL || strlen(digits) > NUMBER_MAX;

    PyErr_Clear(); /* Python makes no text of one that is longer still */
    buffer_printf(to, "%.*s%s", NUMBER_MAX, digits != NULL ? digits : "",
                  is_long ? "..." : "");
    Py_XDECREF(text);
}

/* SystemExit as the interpreter itself understands it: None is 0, of a number the last 8
 * bits are the status, anything else is printed and means 1. */
static void judge_exit(PyObject *exception, struct outcome *outcome)
{
    PyObject *code = exit_code_of(exception);
    long number;

    outcome->exit_code = code == NULL || code == Py_None ? 0 : 1;
    if (code != NULL && PyLong_Check(code)) {
        number = PyLong_AsLong(code); /* -1 beyond a long */
        outcome->exit_code = (int)(number & 0xff);
        if (number != outcome->exit_code || PyErr_Occurred() != NULL) {
            PyErr_Clear();
            add_number(code, &outcome->report);
        }
    }
    outcome->verdict = outcome->exit_code == 0 ? VERDICT_OK : VERDICT_EXIT;
}

/* Nobody but the program can say how it ended, and so no fault comes of it: but its
 * author is to know that it never began. */
static void say_whose(struct buffer *to)
{
    if (hosts_have_failed()) {
        buffer_add_text(to, "the simulator failed before the program began, which is "
                            "not the program's fault: ");
    }
}

static void judge_exception(PyObject *exception, struct outcome *outcome)
{
    outcome->verdict = VERDICT_EXCEPTION;
    outcome->exit_code = 1;
    if (report_is_memory_error(exception, outcome->used)) {
        outcome->verdict = VERDICT_MEMORY_LIMIT;
    } else if (report_is_compile_error(exception) ||
               report_is_nested_too_deep(exception)) {
        outcome->verdict = VERDICT_COMPILE_ERROR;
    } else if (importer_has_refused(exception)) {
        outcome->verdict = VERDICT_BAD_ZIP;
    }
    say_whose(&outcome->report);
    report_brief(exception, &outcome->report);
}

/* Decides how it ended. Runs no code of the program's, so that nothing of it can hang or
 * lie before the claim. */
static void judge(PyObject *result, struct outcome *outcome)
{
    PyObject *type, *value, *traceback;

    outcome->result = result;
    outcome->verdict = VERDICT_OK;
    if (result != NULL) {
        return;
    }
    PyErr_Fetch(&type, &value, &traceback);
    if (value == NULL || !PyExceptionInstance_Check(value)) { /* or its class is asked */
        PyErr_NormalizeException(&type, &value, &traceback);
    }
    /* It has what the import system has taken off the other: none is left. */
    if (value != NULL && PyExceptionInstance_Check(value)) {
        (void)PyException_SetTraceback(value, traceback != NULL ? traceback : Py_None);
    }
    if (value != NULL && PyErr_GivenExceptionMatches(value, PyExc_SystemExit)) {
        judge_exit(value, outcome);
    } else if (value != NULL) {
        judge_exception(value, outcome);
    }
    outcome->exception = value;
    Py_XDECREF(type);
    Py_XDECREF(traceback);
}

/* To C's stderr where the program has none. */
static void print_text(PyObject *text)
{
    PyObject *errors = Py_XNewRef(PySys_GetObject("stderr"));

    if (errors != NULL && errors != Py_None) {
        (void)PyFile_WriteObject(text, errors, Py_PRINT_RAW);
    } else {
        (void)PyObject_Print(text, stderr, Py_PRINT_RAW);
    }
    PyErr_Clear();
    Py_XDECREF(errors);
}

static void print_exit_text(PyObject *exception)
{
    PyObject *code = Py_XNewRef(exit_code_of(exception)), *text;

    if (code != NULL && code != Py_None && !PyLong_Check(code)) {
        deadline_begin();
        text = PyObject_Str(code);
        PyErr_Clear();
        if (deadline_end() && text == NULL) {
            text = PyUnicode_FromString(REPORT_NO_TEXT);
        }
        if (text != NULL) {
            print_text(text);
        }
        PySys_WriteStderr("\n");
        Py_XDECREF(text);
    }
    PyErr_Clear();
    Py_XDECREF(code);
}

static void add_hint(PyObject *exception, const struct program *program,
                     struct buffer *to)
{
    autobuffer struct buffer hint = BUFFER_INIT(1024);

    deadline_begin(); /* it looks at texts */
    importer_hint(exception, program->root, program->inbox->limits.live_input != 0,
                  report_said, &hint);
    (void)deadline_end();
    if (report_is_nested_too_deep(exception)) {
        buffer_add_text(&hint,
                        "It is nested too deep, or too long, for Python's compiler: "
                        "write it in smaller steps."); /* no line is known to look at */
    }
    if (hint.size > 0) {
        buffer_printf(to, ". %s", hint.data);
    }
}

/* A stream that hangs costs no error. */
static void flush_within_deadline(void)
{
    deadline_begin();
    ending_flush_main();
    (void)deadline_end();
}

/* What the program's author sees of it; here its own __str__, hooks and streams run. */
static void tell(const struct program *program, struct outcome *outcome)
{
    if (outcome->exception == NULL) {
        return;
    }
    if (PyErr_GivenExceptionMatches(outcome->exception, PyExc_SystemExit)) {
        flush_within_deadline();
        print_exit_text(outcome->exception);
        return;
    }
    if (outcome->verdict == VERDICT_MEMORY_LIMIT) {
        (void)rlimits_open_reserve(SIZE_MAX, 0); /* without it, it is shorter */
    }
    report_watch(outcome->exception);
    flush_within_deadline();
    recorder_tell(true);
    report_print(outcome->exception);
    recorder_tell(false);
    recorder_settle();
    report_record();
    buffer_reset(&outcome->report);
    say_whose(&outcome->report);
    report_line(outcome->exception, &outcome->report);
    add_hint(outcome->exception, program, &outcome->report);
    report_done();
}

/* ---- end ---- */

static void claim(struct ring_writer *ring, const struct outcome *outcome)
{
    ring_writer_claim(ring, outcome->verdict, outcome->exit_code,
                      outcome->report.data != NULL ? outcome->report.data : "",
                      outcome->report.size);
}

/* What a function returned, as a result: that is still the program's own. */
static void give_back(PyObject *result)
{
    if (result != NULL && result != Py_None) {
        Py_XDECREF(PyObject_CallOneArg(returned, result));
        PyErr_Clear();
    }
}

/* Of a limit that Python itself met, and said so. */
static void say_where(const struct outcome *outcome)
{
    int line = 0;
    const char *path = outcome->verdict == VERDICT_MEMORY_LIMIT
                           ? report_innermost(outcome->exception, &line)
                           : NULL;

    if (path != NULL) {
        where_was(path, line);
    }
}

/* The claim comes before all that can hang or fail and is no longer the program, the
 * telling of its error included: the relay then gives what is left a grace. Threads that
 * Python waits for are the program's own going on, but not where the main one has failed.
 */
static void conclude(const struct program *program, struct outcome *outcome,
                     struct ring_writer *ring)
{
    bool written = false;

    if (outcome->verdict == VERDICT_OK) {
        written = ending_has_threads();
        if (written) {
            ending_flush_main();
            ending_join_threads();
        }
        give_back(outcome->result);
    }
    say_where(outcome);
    claim(ring, outcome);
    if (outcome->exception != NULL) {
        tell(program, outcome);
        claim(ring, outcome);
    } else if (!written) {
        ending_flush_main();
    }
}

/* With the exception and the result go the program's frames, and what is in them. */
static void end_program(struct outcome *outcome)
{
    if (outcome->exception != NULL) {
        ending_flush(); /* what has been printed of it, which may go on for long */
    }
    Py_CLEAR(outcome->exception);
    Py_CLEAR(outcome->result);
    ending_run();
    tracer_stop();
}

static void run_program(struct program *program, struct outcome *outcome,
                        struct ring_writer *ring)
{
    if (load(program, outcome)) {
        PyObject *result = run(program);

        outcome->used = memory_is_used(ring, program->inbox->limits.memory_mb);
        judge(result, outcome);
        conclude(program, outcome, ring);
        end_program(outcome);
        return;
    }
    if (outcome->verdict == VERDICT_NONE) {
        judge(NULL, outcome);
    }
    conclude(program, outcome, ring);
}

_Noreturn void guest_run(const struct sandbox_settings *settings,
                         const struct job_inbox *inbox, struct ring_writer *ring)
{
    static struct program program;
    struct outcome outcome = {.report = BUFFER_INIT(LIMIT_REPORT)};
    struct job_part_bytes input;

    program.inbox = inbox;
    if (inbox->magic != JOB_INBOX_MAGIC || rlimits_lower(settings, &inbox->limits) < 0) {
        _exit(SANDBOX_EXIT_BIRTH);
    }
    input = job_inbox_part(inbox, JOB_PART_STDIN);
    stdio_set_input(input.bytes, input.size, inbox->limits.live_input != 0 ? ring : NULL);
    recorder_start(&inbox->limits);
    hosts_begin(inbox, ring);
    where_watch(ring);
    run_program(&program, &outcome, ring);
    stdio_flush();
    recorder_settle();
    recorder_end();
    _exit(outcome.exit_code);
}
