/* SPDX-License-Identifier: MIT */
/*
 * Starting Python in the zygote. Runs before the lock and before any job: trusts the
 * operator's configuration and the machine's Python, reads the disk, and leaves nothing
 * open.
 */
#include "worker/sandbox/interpreter.h"

#include "common/fd.h"
#include "common/log.h"
#include "importer/hint.h"
#include "importer/importer.h"
#include "importer/library.h"
#include "worker/sandbox/bootstrap.h"
#include "worker/sandbox/guest.h"
#include "worker/sandbox/host_clock.h"
#include "worker/sandbox/host_loading.h"
#include "worker/sandbox/host_module.h"
#include "worker/sandbox/hosts.h"
#include "worker/sandbox/imports.h"
#include "worker/sandbox/memory.h"
#include "worker/sandbox/module.h"
#include "worker/sandbox/pages.h"
#include "worker/sandbox/program_module.h"
#include "worker/sandbox/refusals.h"
#include "worker/sandbox/report.h"
#include "worker/sandbox/sqlite.h"
#include "worker/sandbox/stdio.h"
#include "worker/sandbox/texts.h"
#include "worker/sandbox/tracer.h"

#include <Python.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* random.Random's own instance; borrowed from the module, which lives as long as we do.
 */
static PyObject *random_instance;
static PyObject *reseeders; /* list of functions; of the bootstrap's globals */
static PyObject *random_seed;

/* Programs see pipes: what has been decided about a file object's nature (seekable, a
 * terminal) when Python creates sys.stdin, sys.stdout and sys.stderr is what it will be
 * in the sandbox. Our own stderr is put back afterwards. */
static int use_pipes_as_stdio(int *ret_errors)
{
    int ends[2];

    *ret_errors = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (*ret_errors < 0 || pipe(ends) != 0 || dup2(ends[0], STDIN_FILENO) < 0 ||
        dup2(ends[1], STDOUT_FILENO) < 0 || dup2(ends[1], STDERR_FILENO) < 0) {
        return -errno;
    }
    close_fd(&ends[0]);
    close_fd(&ends[1]);
    return 0;
}

static PyStatus configure(PyConfig *config, int64_t hash_seed)
{
    static const wchar_t *const paths[] = {
        L"" LIBRARY_STANDARD, L"" LIBRARY_STANDARD L"/lib-dynload", L"" LIBRARY_PACKAGES};
    PyStatus status = PyStatus_Ok();

    config->site_import = 0;
    config->write_bytecode = 0;
    config->install_signal_handlers = 0;
    config->parse_argv = 0;
    config->use_frozen_modules = 0; /* frozen ones have neither __file__ nor source */
    config->buffered_stdio = 1;
    config->pathconfig_warnings = 0;
    config->use_hash_seed = hash_seed >= 0;
    config->hash_seed = hash_seed >= 0 ? (unsigned long)hash_seed : 0;
    config->module_search_paths_set = 1;
    for (size_t i = 0; i < array_size(paths) && !PyStatus_Exception(status); i++) {
        status = PyWideStringList_Append(&config->module_search_paths, paths[i]);
    }
    if (!PyStatus_Exception(status)) {
        status = PyConfig_SetString(config, &config->program_name, L"python3");
    }
    if (!PyStatus_Exception(status)) {
        status = PyConfig_SetString(config, &config->stdio_encoding, L"utf-8");
    }
    if (!PyStatus_Exception(status)) {
        status = PyConfig_SetString(config, &config->stdio_errors, L"strict");
    }
    return status;
}

static int start_python(int64_t hash_seed, int errors)
{
    PyPreConfig preconfig;
    PyConfig config;
    PyStatus status;

    PyPreConfig_InitIsolatedConfig(&preconfig);
    preconfig.utf8_mode = 1;
    status = Py_PreInitialize(&preconfig);
    if (PyStatus_Exception(status)) {
        (void)dup2(errors, STDERR_FILENO);
        log_error("unable to start Python: %s", status.err_msg);
        return -EINVAL;
    }
    PyConfig_InitIsolatedConfig(&config);
    status = configure(&config, hash_seed);
    if (!PyStatus_Exception(status)) {
        status = Py_InitializeFromConfig(&config);
    }
    (void)dup2(errors, STDERR_FILENO);
    PyConfig_Clear(&config);
    if (PyStatus_Exception(status)) {
        log_error("unable to start Python: %s", status.err_msg);
        return -EINVAL;
    }
    return 0;
}

/* Logs the current exception as one line and clears it. That of bootstrap.py which is for
 * the operator to read is a SystemExit. */
static int python_failure(const char *doing)
{
    bool is_told = PyErr_ExceptionMatches(PyExc_SystemExit);
    PyObject *type, *value, *traceback, *text;
    const char *said;

    PyErr_Fetch(&type, &value, &traceback);
    text = value != NULL ? PyObject_Str(value) : NULL;
    said = text != NULL ? PyUnicode_AsUTF8(text) : "?";
    if (is_told) {
        log_error("%s", said);
    } else {
        log_error("unable to %s: %s: %s", doing,
                  type != NULL ? ((PyTypeObject *)type)->tp_name : "error", said);
    }
    PyErr_Clear();
    Py_XDECREF(text);
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(traceback);
    return is_told ? -ENOPKG : -EINVAL;
}

/* `between`: NULL for any white space. */
static PyObject *split(const char *words, const char *between)
{
    PyObject *text = PyUnicode_FromString(words);
    PyObject *separator = between != NULL ? PyUnicode_FromString(between) : NULL;
    PyObject *list = text != NULL ? PyUnicode_Split(text, separator, -1) : NULL;

    Py_XDECREF(separator);
    Py_XDECREF(text);
    return list;
}

static PyObject *split_names(const char *names)
{
    return split(names, NULL);
}

static PyObject *split_path(const char *path)
{
    return *path != '\0' ? split(path, ":") : PyList_New(0);
}

/* Runs a script in fresh globals, which it returns (a new reference); NULL with an
 * exception. */
static PyObject *run_script(const char *source, PyObject *globals)
{
    PyObject *result = NULL;

    if (globals != NULL &&
        PyDict_SetItemString(globals, "__builtins__", PyEval_GetBuiltins()) == 0 &&
        PyDict_SetItemString(globals, "__name__",
                             PyUnicode_InternFromString("paddock")) == 0) {
        result = PyRun_String(source, Py_file_input, globals, globals);
    }
    if (result == NULL) {
        Py_CLEAR(globals);
    }
    Py_XDECREF(result);
    return globals;
}

static PyObject *suggestion(PyObject *self, PyObject *exception)
{
    PyObject *text = importer_suggestion(exception);

    return text != NULL ? text : Py_NewRef(Py_None);
}

static PyMethodDef suggestion_method = {"suggestion", suggestion, METH_O, NULL};

static PyObject *ask(PyObject *self, PyObject *args)
{
    PyObject *exception, *print;

    return PyArg_ParseTuple(args, "OO", &exception, &print) ? report_ask(exception, print)
                                                            : NULL;
}

static PyMethodDef ask_method = {"ask", ask, METH_VARARGS, NULL};

/* What Python has in C, and we in Python, is nothing that a program's own trace or
 * profile function is told of. */
static PyObject *call_untraced(PyObject *function, PyObject *args, PyObject *keywords)
{
    PyThreadState *thread = PyThreadState_Get();
    PyObject *result;

    PyThreadState_EnterTracing(thread);
    result = PyObject_Call(function, args, keywords);
    PyThreadState_LeaveTracing(thread);
    return result;
}

static PyMethodDef hook_method = {"hook", (PyCFunction)(void (*)(void))call_untraced,
                                  METH_VARARGS | METH_KEYWORDS, NULL};

static PyObject *untraced(PyObject *self, PyObject *function)
{
    return PyCFunction_New(&hook_method, function);
}

static PyMethodDef untraced_method = {"untraced", untraced, METH_O, NULL};

/* Runs bootstrap.py; returns its globals (a new reference) or NULL. */
static PyObject *run_bootstrap(const struct message_setup *setup, PyObject *startup,
                               PyObject *notes, const char *added)
{
    autobuffer struct buffer used = BUFFER_INIT(4096);
    PyObject *globals = PyDict_New();

    refusals_used(&used);
    {
        const struct {
            const char *name;
            PyObject *value; /* owned */
        } given[] = {
            {"REPLACED", split_names(used.data != NULL ? used.data : "")},
            {"PRELOAD", split_names(setup->preload)},
            {"HOST_MODULES", split_names(setup->host_modules)},
            {"HOST_PATH", split_path(setup->host_path)},
            {"NOTES", Py_NewRef(notes)},
            {"STARTUP", Py_NewRef(startup)},
            {"ADDED", split_names(added)},
            {"MODULE", PyUnicode_FromString(program_module_source)},
            {"HOST", module_host()},
            {"HOSTS_MODULE", PyUnicode_FromString(host_module_source)},
            {"HOSTS_CLOCK", PyUnicode_FromString(host_clock_source)},
            {"HOSTS", hosts_module()},
            {"LOADING", host_loading_function()},
            {"SUGGESTION", PyCFunction_New(&suggestion_method, NULL)},
            {"ASK", PyCFunction_New(&ask_method, NULL)},
            {"UNTRACED", PyCFunction_New(&untraced_method, NULL)},
            {"ALLOW_CTYPES", PyBool_FromLong(setup->allow_ctypes != 0)},
        };

        for (size_t i = 0; i < array_size(given); i++) {
            if (globals != NULL &&
                (given[i].value == NULL ||
                 PyDict_SetItemString(globals, given[i].name, given[i].value) != 0)) {
                Py_CLEAR(globals);
            }
            Py_XDECREF(given[i].value);
        }
    }
    return globals != NULL ? run_script(bootstrap_source, globals) : NULL;
}

static void log_missing(PyObject *globals)
{
    PyObject *missing = PyDict_GetItemString(globals, "missing");

    for (Py_ssize_t i = 0; missing != NULL && i < PyList_GET_SIZE(missing); i++) {
        log_warning("unable to preload %s",
                    PyUnicode_AsUTF8(PyList_GET_ITEM(missing, i)));
    }
}

/* And takes out of the globals, which programs can reach, what is not theirs to change.
 */
static int keep_modules(PyObject *globals)
{
    static const char *const ours[] = {"kept", "links", "startup_modules", "NOTES"};
    PyObject *kept = PyDict_GetItemString(globals, "kept");
    PyObject *links = PyDict_GetItemString(globals, "links");
    int error = kept != NULL && links != NULL ? importer_keep(kept, links) : -1;

    for (size_t i = 0; i < array_size(ours) && error == 0; i++) {
        error = PyDict_DelItemString(globals, ours[i]);
    }
    return error;
}

static int take_from_bootstrap(PyObject *globals, struct interpreter *interpreter)
{
    PyObject *loaded = PyDict_GetItemString(globals, "loaded");

    random_instance = PyDict_GetItemString(globals, "random_instance");
    reseeders = PyDict_GetItemString(globals, "reseeders");
    if (random_instance == NULL || reseeders == NULL || !PyList_Check(reseeders) ||
        loaded == NULL || !PyList_Check(loaded)) {
        return -EINVAL;
    }
    /* The C method, not random.Random.seed, which is Python. */
    random_seed =
        PyObject_GetAttrString((PyObject *)Py_TYPE(random_instance)->tp_base, "seed");
    interpreter->modules = (uint32_t)PyList_GET_SIZE(loaded);
    log_missing(globals);
    if (random_seed == NULL || guest_prepare(globals) != 0) {
        return -EINVAL;
    }
    return keep_modules(globals);
}

/* ---- Python's library ---- */

/* The file stays mapped for as long as we live. */
static int map_library(int fd, const void **ret, size_t *ret_size)
{
    struct stat status;
    void *bytes;

    if (fstat(fd, &status) != 0) {
        return -errno;
    }
    *ret_size = (size_t)status.st_size;
    if (*ret_size == 0) {
        *ret = ""; /* which cannot be mapped, and is no library either */
        return 0;
    }
    bytes = mmap(NULL, *ret_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED) {
        return -errno;
    }
    *ret = bytes;
    return 0;
}

static int open_library(int fd, const char *path, struct library *ret)
{
    autobuffer struct buffer why = BUFFER_INIT(1024);
    const void *bytes = NULL;
    size_t size = 0;
    int error = map_library(fd, &bytes, &size);

    if (error < 0) {
        return log_failure(error, "unable to map Python's library, %s", path);
    }
    error = library_open(bytes, size, ret, &why);
    if (error < 0) {
        log_error("unable to use Python's library, %s: %s: make it anew with "
                  "paddock-library --update --output %s",
                  path, why.data != NULL ? why.data : "no memory", path);
    }
    return error;
}

/* From here on what is not loaded yet comes from the archive, and so does what open()
 * reads below its root. */
static int mount_library(struct library *library)
{
    return importer_mount(library->archive, LIBRARY_ROOT, NULL,
                          IMPORTER_FILES | IMPORTER_READY);
}

/* As LANG=C.UTF-8 has it on a terminal: what encoding="locale" means. All of the locale
 * is held, so that a program that asks for it needs no file. */
static void set_locale(void)
{
    static locale_t held;

    held = newlocale(LC_ALL_MASK, "C.UTF-8", NULL);
    if (held == NULL || setlocale(LC_CTYPE, "C.UTF-8") == NULL) {
        log_warning("no locale C.UTF-8: encoding=\"locale\" will mean ASCII");
    }
}

int interpreter_start(const struct message_setup *setup, int library_fd,
                      struct interpreter *ret)
{
    static struct library library;
    PyObject *globals = NULL, *startup, *notes;
    autoclose int errors = -1;
    int error;

    /* One malloc arena: further ones would cost a job's memory limit 64 MiB of address
     * space each. */
    (void)mallopt(M_ARENA_MAX, 1);
    set_locale();
    error = use_pipes_as_stdio(&errors);
    if (error < 0) {
        return log_failure(error, "unable to make pipes");
    }
    error = start_python(setup->hash_seed, errors);
    if (error < 0) {
        return error;
    }
    memory_watch();
    stdio_by_lines();
    startup = PyDict_Keys(PyImport_GetModuleDict());
    error = open_library(library_fd, setup->library, &library);
    if (error < 0) {
        return error;
    }
    notes = run_script(imports_source, PyDict_New());
    /* Before any module is loaded: some keep an open() of their own where none could
     * replace it. */
    if (notes == NULL || importer_init() != 0 || importer_install_files() != 0) {
        return python_failure("prepare the importer");
    }
    refusals_install();
    globals =
        startup != NULL ? run_bootstrap(setup, startup, notes, library.added) : NULL;
    Py_XDECREF(startup);
    Py_DECREF(notes);
    if (globals == NULL) {
        return python_failure("prepare Python");
    }
    if (mount_library(&library) != 0 || tracer_init() != 0 || texts_init() != 0) {
        return python_failure("prepare the importer");
    }
    importer_offer_null();
    if (refusals_install_uses() != 0) {
        return python_failure("refuse what makes no sense in a sandbox");
    }
    error = take_from_bootstrap(globals, ret);
    if (error < 0) {
        return python_failure("prepare Python");
    }
    error = sqlite_prepare();
    if (error < 0) {
        return log_failure(error, "unable to prepare SQLite");
    }
    /* The globals stay alive: functions of bootstrap.py refer to them. */
    return 0;
}

static int read_pages(struct interpreter *interpreter)
{
    autofree char *text = NULL;
    size_t size;
    int error = fd_read_file("/proc/self/statm", 4096, &text, &size);

    if (error < 0) {
        return error;
    }
    /* total resident shared text lib data dirty */
    if (sscanf(text, "%ld %*d %*d %*d %*d %ld", &interpreter->total_pages,
               &interpreter->data_pages) != 2) {
        return -EINVAL;
    }
    return 0;
}

int interpreter_settle(struct interpreter *interpreter)
{
    PyObject *gc = PyImport_ImportModule("gc");
    PyObject *result = NULL;
    PyObject *path = Py_BuildValue("[ss]", LIBRARY_STANDARD, LIBRARY_PACKAGES);
    int error = 0;

    if (gc == NULL || path == NULL || PySys_SetObject("path", path) != 0) {
        error = python_failure("set sys.path");
        goto out;
    }
    PyDict_Clear(PySys_GetObject("path_importer_cache"));
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(path); i++) {
        /* Makes the finder once, in the place of once in each job. */
        Py_XDECREF(PyImport_GetImporter(PyList_GET_ITEM(path, i)));
        PyErr_Clear();
    }
    result = PyObject_CallMethod(gc, "collect", NULL);
    Py_XDECREF(result);
    result = PyObject_CallMethod(gc, "freeze", NULL);
    if (result == NULL) {
        error = python_failure("freeze objects");
        goto out;
    }
    pages_settle();
    error = read_pages(interpreter);
out:
    Py_XDECREF(result);
    Py_XDECREF(path);
    Py_XDECREF(gc);
    return error;
}

void interpreter_after_fork(void)
{
    PyObject *result;

    PyOS_AfterFork_Child();
    result = PyObject_CallOneArg(random_seed, random_instance);
    for (Py_ssize_t i = 0; result != NULL && i < PyList_GET_SIZE(reseeders); i++) {
        Py_DECREF(result);
        result = PyObject_CallNoArgs(PyList_GET_ITEM(reseeders, i));
    }
    if (result == NULL) {
        _exit(1);
    }
    Py_DECREF(result);
}
