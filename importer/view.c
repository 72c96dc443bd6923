/* SPDX-License-Identifier: MIT */
/*
 * Putting the file view's functions in the place of Python's, and what each call of one
 * goes through: its arguments are sorted, its paths taken and resolved, and it is
 * answered by a handler, or by Python's own function if no path is ours. Runs under the
 * GIL of whatever embeds the importer, on arguments that a program chose. Must never
 * raise for a path that is not ours where Python would not.
 */
#include "importer/view.h"

#include "importer/importer.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* ---- arguments ---- */

static int parameter_of(const struct view_hook *hook, PyObject *name)
{
    for (int i = 0; i < VIEW_PARAMETERS && hook->parameters[i] != NULL; i++) {
        if (PyUnicode_CompareWithASCIIString(name, hook->parameters[i]) == 0) {
            return i;
        }
    }
    return -1;
}

/* Sorts the arguments by parameter; false for a call that the original refuses. */
static bool sort_arguments(struct view_call *call)
{
    const struct view_hook *hook = call->hook;
    Py_ssize_t named = call->names != NULL ? PyTuple_GET_SIZE(call->names) : 0;

    if (call->count > hook->positional) {
        return false;
    }
    for (Py_ssize_t i = 0; i < call->count + named; i++) {
        int at = i < call->count
                     ? (int)i
                     : parameter_of(hook, PyTuple_GET_ITEM(call->names, i - call->count));

        if (at < 0 || call->values[at] != NULL) {
            return false;
        }
        call->values[at] = call->args[i];
        call->at[at] = i;
    }
    for (int i = 0; i < hook->required; i++) {
        if (call->values[i] == NULL) {
            return false;
        }
    }
    return true;
}

/* Is a path relative to an open folder, which is none of ours? */
static bool is_relative_to_fd(const struct view_call *call, int path)
{
    static const char *const options[VIEW_PATHS] = {"src_dir_fd", "dst_dir_fd"};
    const char *const *parameters = call->hook->parameters;

    for (int i = 0; i < VIEW_PARAMETERS && parameters[i] != NULL; i++) {
        PyObject *fd = call->values[i];

        if ((strcmp(parameters[i], "dir_fd") == 0 ||
             strcmp(parameters[i], options[path]) == 0) &&
            fd != NULL && fd != Py_None) {
            return !PyLong_Check(fd) || PyLong_AsLong(fd) != AT_FDCWD;
        }
    }
    return false;
}

static bool is_absolute(PyObject *name)
{
    return PyBytes_Check(name)
               ? PyBytes_AS_STRING(name)[0] == '/'
               : PyUnicode_GET_LENGTH(name) > 0 && PyUnicode_READ_CHAR(name, 0) == '/';
}

/* False for a path that the original refuses. */
static bool resolve_path(struct view_call *call, int path)
{
    struct view_place *place = &call->places[path];
    bool is_text = path == 0 && (call->hook->flags & VIEW_FIRST_TEXT) != 0;
    bool is_elsewhere =
        is_relative_to_fd(call, path) && place->name != NULL && !is_absolute(place->name);

    PyErr_Clear(); /* an integer that is no descriptor: the original's business */
    return is_text || is_elsewhere || view_resolve(place);
}

/* 1; 0 for a call that the original is to answer; or -1 with an exception. All paths are
 * taken before one is resolved: the program's code runs in between, and may mount
 * something else. */
static int take_paths(struct view_call *call)
{
    int result = 1;

    for (int i = 0; i < call->hook->paths; i++) {
        int taken = view_take_name(call->hook, i, call->values[i], &call->places[i]);

        if (taken < 0) {
            return -1;
        }
        result = result && taken;
    }
    for (int i = 0; result > 0 && i < call->hook->paths; i++) {
        result = resolve_path(call, i);
    }
    return result;
}

/* ---- the originals ---- */

/* The absolute path that a relative one stands for, in its type. A new reference. */
static PyObject *absolute(const struct view_place *place)
{
    char path[sizeof(place->path) + 1];
    bool is_bytes = PyBytes_Check(place->name);
    Py_ssize_t size =
        is_bytes ? PyBytes_GET_SIZE(place->name) : PyUnicode_GET_LENGTH(place->name);
    int last = is_bytes ? PyBytes_AS_STRING(place->name)[size - 1]
                        : (int)PyUnicode_READ_CHAR(place->name, size - 1);

    /* A slash at its end says that it must be a folder. */
    (void)snprintf(path, sizeof(path), "%s%s", place->path,
                   last == '/' || place->path[0] == '\0' ? "/" : "");
    return view_name(path, strlen(path), is_bytes);
}

/* What is passed on for a path. A new reference. */
static PyObject *passed_on(const struct view_place *place, PyObject *value)
{
    if (place->name == NULL) {
        return Py_NewRef(value);
    }
    return place->is_moved ? absolute(place) : Py_NewRef(place->name);
}

/* An OSError names what the program passed. */
static void restore_names(const struct view_call *call, PyObject *const *passed)
{
    static const char *const members[VIEW_PATHS] = {"filename", "filename2"};
    PyObject *type, *error, *traceback;

    PyErr_Fetch(&type, &error, &traceback);
    PyErr_NormalizeException(&type, &error, &traceback);
    for (int i = 0; i < call->hook->paths; i++) {
        PyObject *shown = view_shown(&call->places[i]);
        PyObject *name = shown != NULL && shown != passed[i]
                             ? PyObject_GetAttrString(error, members[i])
                             : NULL;

        if (name != NULL && name == passed[i]) {
            (void)PyObject_SetAttrString(error, members[i], shown);
        }
        Py_XDECREF(name);
        PyErr_Clear();
    }
    PyErr_Restore(type, error, traceback);
}

PyObject *view_original(const struct view_call *call)
{
    PyObject *args[VIEW_PARAMETERS], *passed[VIEW_PATHS] = {NULL};
    Py_ssize_t all =
        call->count + (call->names != NULL ? PyTuple_GET_SIZE(call->names) : 0);
    PyObject *result = NULL;
    bool is_complete = true;

    memcpy(args, call->args, (size_t)all * sizeof(*args));
    for (int i = 0; i < call->hook->paths; i++) {
        if (call->values[i] != NULL) {
            passed[i] = passed_on(&call->places[i], call->values[i]);
            args[call->at[i]] = passed[i];
            is_complete = is_complete && passed[i] != NULL;
        }
    }
    if (is_complete) {
        result = PyObject_Vectorcall(call->hook->original, args, (size_t)call->count,
                                     call->names);
    }
    if (result == NULL && PyErr_ExceptionMatches(PyExc_OSError)) {
        restore_names(call, passed);
    }
    for (int i = 0; i < VIEW_PATHS; i++) {
        Py_XDECREF(passed[i]);
    }
    return result;
}

/* ---- calls ---- */

/* Is a path of the call's ours? */
static bool is_ours(const struct view_call *call)
{
    for (int i = 0; i < call->hook->paths; i++) {
        if (call->places[i].kind != VIEW_NONE) {
            return true;
        }
    }
    return false;
}

static PyObject *answer(struct view_call *call)
{
    int taken = take_paths(call);

    if (taken < 0) {
        return NULL;
    }
    return (call->hook->flags & VIEW_ALWAYS) != 0 || (taken > 0 && is_ours(call))
               ? call->hook->handler(call)
               : view_original(call);
}

static PyObject *call_sorted(struct view_call *call)
{
    PyObject *result;

    if (!sort_arguments(call)) {
        return PyObject_Vectorcall(call->hook->original, call->args, (size_t)call->count,
                                   call->names);
    }
    result = answer(call);
    for (int i = 0; i < VIEW_PATHS; i++) {
        view_release(&call->places[i]);
    }
    return result;
}

/* Too large for a stack: taking a path may call us again, as often as Python may recurse.
 */
static PyObject *call_hook(const struct view_hook *hook, PyObject *const *args,
                           Py_ssize_t count, PyObject *names)
{
    struct view_call *call = PyMem_Calloc(1, sizeof(*call));
    PyObject *result;

    if (call == NULL) {
        return PyErr_NoMemory();
    }
    call->hook = hook;
    call->args = args;
    call->count = count;
    call->names = names;
    result = call_sorted(call);
    PyMem_Free(call);
    return result;
}

/* ---- putting it in ---- */

/* A stand-in has the original's self, a module (pickle goes by it), so that a C function
 * is all that tells one from another: there is one for each. Their numbers are octal. */
#define EIGHT(X, n)  X(n##0) X(n##1) X(n##2) X(n##3) X(n##4) X(n##5) X(n##6) X(n##7)
#define STAND_INS(X) EIGHT(X, 0) EIGHT(X, 1) EIGHT(X, 2) EIGHT(X, 3) EIGHT(X, 4)
#define STAND_IN(n)                                                                      \
    static PyObject *stand_in_##n(PyObject *self, PyObject *const *args,                 \
                                  Py_ssize_t count, PyObject *names)                     \
    {                                                                                    \
        return call_hook(installed[0##n], args, count, names);                           \
    }
#define ADDRESS(n) (PyCFunction)(void (*)(void)) stand_in_##n,

static struct view_hook *installed[5 * 8];
static size_t installed_count;

STAND_INS(STAND_IN)
static const PyCFunction stand_ins[array_size(installed)] = {STAND_INS(ADDRESS)};

/* A builtin function that looks like the one that it stands in for. */
static PyObject *make_stand_in(struct view_hook *hook)
{
    const PyCFunctionObject *original = (PyCFunctionObject *)hook->original;
    bool is_builtin = PyCFunction_Check(hook->original);

    assert(installed_count < array_size(installed));
    installed[installed_count] = hook;
    hook->method = (PyMethodDef){
        .ml_name = hook->name,
        .ml_meth = stand_ins[installed_count++],
        .ml_flags = METH_FASTCALL | METH_KEYWORDS,
        .ml_doc = is_builtin ? original->m_ml->ml_doc : NULL,
    };
    return PyCFunction_NewEx(&hook->method, is_builtin ? original->m_self : NULL,
                             is_builtin ? original->m_module : NULL);
}

/* Replaces values of a namespace, and members of its sets: os.supports_dir_fd and the
 * like hold the functions themselves. */
static int replace_in(PyObject *namespace, PyObject *from, PyObject *to)
{
    PyObject *name, *value;
    Py_ssize_t at = 0;

    while (PyDict_Next(namespace, &at, &name, &value)) {
        if (value == from && PyDict_SetItem(namespace, name, to) != 0) {
            return -1;
        }
        if (PySet_CheckExact(value) && PySet_Contains(value, from) == 1 &&
            PySet_Add(value, to) != 0) {
            return -1;
        }
    }
    return 0;
}

/* Everywhere: many modules keep a name of their own for open. */
static int replace_everywhere(PyObject *from, PyObject *to)
{
    PyObject *modules = PyDict_Values(PyImport_GetModuleDict());
    int error = modules != NULL ? 0 : -1;

    for (Py_ssize_t i = 0; error == 0 && i < PyList_GET_SIZE(modules); i++) {
        PyObject *module = PyList_GET_ITEM(modules, i);

        if (PyModule_Check(module)) {
            error = replace_in(PyModule_GetDict(module), from, to);
        }
    }
    Py_XDECREF(modules);
    return error;
}

static int install(struct view_hook *hook)
{
    PyObject *module = PyImport_ImportModule(hook->module);
    PyObject *function;
    int error;

    hook->original = module != NULL ? PyObject_GetAttrString(module, hook->name) : NULL;
    Py_XDECREF(module);
    if (hook->original == NULL) {
        return -1;
    }
    function = make_stand_in(hook);
    error = function != NULL ? replace_everywhere(hook->original, function) : -1;
    Py_XDECREF(function);
    return error;
}

int importer_install_files(void)
{
    if (importer.serves_files) {
        return 0;
    }
    installed_count = 0; /* those of an interpreter before this one are gone */
    if (view_open_init() != 0 || view_null_init() != 0 || view_scan_init() != 0) {
        return -1;
    }
    for (size_t i = 0; i < view_open_hooks_count; i++) {
        if (install(&view_open_hooks[i]) != 0) {
            return -1;
        }
    }
    for (size_t i = 0; i < view_os_hooks_count; i++) {
        if (install(&view_os_hooks[i]) != 0) {
            return -1;
        }
    }
    importer.serves_files = true;
    return 0;
}

void importer_offer_null(void)
{
    importer.has_null = true;
}

int importer_change_directory(const char *path)
{
    autoplace struct view_place place = {.name = PyUnicode_DecodeFSDefault(path)};

    if (place.name == NULL) {
        return -1;
    }
    (void)view_resolve(&place);
    if (place.kind != VIEW_FOLDER) {
        view_error(place.kind == VIEW_FILE ? ENOTDIR : ENOENT, &place);
        return -1;
    }
    (void)snprintf(importer.directory, sizeof(importer.directory), "%s", place.path);
    return 0;
}
