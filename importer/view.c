/* SPDX-License-Identifier: MIT */
/*
 * Resolving paths of the file view, and putting its functions in the place of Python's.
 * Runs under the GIL of whatever embeds the importer, on paths that a program chose; the
 * archive's directory has been checked. Must never raise for a path that is not ours, and
 * never touch the disk for one that is.
 */
#include "importer/view.h"

#include "importer/importer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- resolving ---- */

/* The mount of a path, and where in it: of several the one with the longest root, and the
 * place's own before one that is mounted there now. */
static struct mount *mount_at(struct view_place *place)
{
    struct mount *found = mount_of(place->path, &place->member);
    Py_ssize_t size, best = -1;
    const char *root;

    if (found != NULL) {
        (void)PyUnicode_AsUTF8AndSize(found->root, &best);
    }
    if (place->own != NULL) {
        root = PyUnicode_AsUTF8AndSize(place->own->root, &size);
        if (size >= best && strncmp(place->path, root, (size_t)size) == 0 &&
            (place->path[size] == '/' || place->path[size] == '\0')) {
            place->member = place->path + size + (place->path[size] == '/');
            return place->own;
        }
    }
    return found != NULL && (place->any_mount || (found->flags & IMPORTER_FILES) != 0)
               ? found
               : NULL;
}

/* What stands at the normalised path so far. */
static void look(struct view_place *place)
{
    place->index = -1;
    place->mount = mount_at(place);
    if (place->mount == NULL) {
        place->kind = VIEW_NONE;
        return;
    }
    place->index = archive_find(place->mount->archive, place->member);
    if (place->index >= 0) {
        place->kind = VIEW_FILE;
    } else if (archive_is_directory(place->mount->archive, place->member)) {
        place->kind = VIEW_FOLDER;
    } else {
        place->kind = VIEW_MISSING;
        place->error = ENOENT;
    }
}

/* Takes the last part off. */
static void go_up(struct view_place *place)
{
    char *slash = strrchr(place->path, '/');

    if (slash != NULL) {
        *slash = '\0';
    }
}

/* Appends a part; false if it does not fit. */
static bool go_down(struct view_place *place, const char *part, size_t size)
{
    size_t used = strlen(place->path);

    if (used + 1 + size >= sizeof(place->path)) {
        return false;
    }
    place->path[used] = '/';
    memcpy(place->path + used + 1, part, size);
    place->path[used + 1 + size] = '\0';
    return true;
}

/* One part of a path, as path_resolution(7) walks it: what stands before it must be a
 * folder, also before ".." and behind a slash at the end. */
static bool walk(struct view_place *place, const char *part, size_t size, bool is_last)
{
    look(place);
    if (place->kind == VIEW_FILE || place->kind == VIEW_MISSING) {
        place->error = place->kind == VIEW_FILE ? ENOTDIR : ENOENT;
        place->kind = VIEW_MISSING;
        place->in_folder = false;
        return false;
    }
    if (size == 0 || (size == 1 && part[0] == '.')) {
        return true;
    }
    if (size == 2 && memcmp(part, "..", 2) == 0) {
        go_up(place);
        return true;
    }
    if (size > NAME_MAX || !go_down(place, part, size)) {
        look(place);
        place->kind = place->mount != NULL ? VIEW_MISSING : VIEW_NONE;
        place->error = ENAMETOOLONG;
        place->in_folder = false;
        return false;
    }
    place->in_folder = is_last;
    return true;
}

static void resolve_text(const char *text, struct view_place *place)
{
    if (*text != '/') {
        (void)snprintf(place->path, sizeof(place->path), "%s", importer.directory);
    }
    while (*text != '\0') {
        size_t size = strcspn(text, "/");
        bool is_last = text[size] == '\0';

        if (!walk(place, text, size, is_last)) {
            return;
        }
        text += size + !is_last;
        if (!is_last && *text == '\0' && size > 0 && !walk(place, "", 0, true)) {
            return; /* a slash behind what is no folder */
        }
    }
    look(place);
}

/* The bytes of a path, borrowed from *ret_owner (a new reference); NULL for what is no
 * path of ours. */
static const char *path_text(PyObject *path, PyObject **ret_owner)
{
    PyObject *plain = PyOS_FSPath(path);
    const char *text = NULL;
    Py_ssize_t size = 0;

    if (plain != NULL && PyUnicode_Check(plain)) {
        text = PyUnicode_AsUTF8AndSize(plain, &size);
    } else if (plain != NULL) {
        text = PyBytes_AS_STRING(plain);
        size = PyBytes_GET_SIZE(plain);
    }
    PyErr_Clear();
    *ret_owner = plain;
    return text != NULL && strlen(text) == (size_t)size && size < PATH_MAX ? text : NULL;
}

static void resolve(PyObject *path, struct view_place *ret)
{
    PyObject *owner = NULL;
    const char *text = NULL;

    ret->kind = VIEW_NONE;
    ret->path[0] = '\0';
    if (path != NULL && !PyLong_Check(path) && path != Py_None) {
        text = path_text(path, &owner);
    }
    if (text != NULL && *text != '\0' &&
        (*text == '/' || importer.directory[0] != '\0')) {
        resolve_text(text, ret);
    }
    Py_XDECREF(owner);
}

void view_resolve(PyObject *path, struct view_place *ret)
{
    ret->any_mount = false;
    ret->own = NULL;
    resolve(path, ret);
}

void view_resolve_any(PyObject *path, struct mount *own, struct view_place *ret)
{
    ret->any_mount = true;
    ret->own = own;
    resolve(path, ret);
}

/* ---- arguments ---- */

PyObject *view_argument(PyObject *const *args, Py_ssize_t count, PyObject *names,
                        Py_ssize_t position, const char *name)
{
    if (position >= 0 && position < count) {
        return args[position];
    }
    for (Py_ssize_t i = 0; names != NULL && i < PyTuple_GET_SIZE(names); i++) {
        if (PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(names, i), name) == 0) {
            return args[count + i];
        }
    }
    return NULL;
}

bool view_has_dir_fd(PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    static const char *const options[] = {"dir_fd", "src_dir_fd", "dst_dir_fd"};

    for (size_t i = 0; i < array_size(options); i++) {
        PyObject *fd = view_argument(args, count, names, -1, options[i]);

        if (fd != NULL && fd != Py_None) {
            return true;
        }
    }
    return false;
}

int view_missing(const struct view_place *place)
{
    if (place->kind == VIEW_FOLDER) {
        return EISDIR;
    }
    return place->kind == VIEW_MISSING ? place->error : ENOENT;
}

PyObject *view_error(int error, PyObject *path)
{
    PyObject *plain = PyLong_Check(path) ? Py_NewRef(path) : PyOS_FSPath(path);

    if (plain != NULL) {
        errno = error;
        PyErr_SetFromErrnoWithFilenameObject(PyExc_OSError, plain);
        Py_DECREF(plain);
    }
    return NULL;
}

/* ---- the originals ---- */

/* A relative path, with a virtual working directory, that led out of all roots: as the
 * absolute path that it stands for. A new reference, or NULL for "as it is". */
static PyObject *absolute(PyObject *path)
{
    struct view_place place;
    PyObject *owner = NULL;
    const char *text = importer.directory[0] != '\0' ? path_text(path, &owner) : NULL;
    PyObject *result = NULL;

    if (text != NULL && *text != '/' && *text != '\0') {
        bool is_bytes = PyBytes_Check(owner);

        view_resolve(path, &place);
        if (place.path[0] == '\0') {
            (void)snprintf(place.path, sizeof(place.path), "/");
        }
        result = is_bytes ? PyBytes_FromString(place.path)
                          : PyUnicode_DecodeFSDefault(place.path);
    }
    PyErr_Clear();
    Py_XDECREF(owner);
    return result;
}

#define ARGUMENTS_MAX 16

PyObject *view_original(const struct view_hook *hook, PyObject *const *args,
                        Py_ssize_t count, PyObject *names)
{
    Py_ssize_t all = count + (names != NULL ? PyTuple_GET_SIZE(names) : 0);
    PyObject *passed[ARGUMENTS_MAX], *made[2] = {NULL, NULL};
    const char *const paths[] = {hook->first, hook->second};
    PyObject *result;

    if (importer.directory[0] == '\0' || all > ARGUMENTS_MAX) {
        return PyObject_Vectorcall(hook->original, args, (size_t)count, names);
    }
    memcpy(passed, args, (size_t)all * sizeof(*args));
    for (size_t i = 0; i < array_size(paths); i++) {
        PyObject *path = paths[i] != NULL
                             ? view_argument(args, count, names, (Py_ssize_t)i, paths[i])
                             : NULL;

        made[i] = path != NULL && !PyLong_Check(path) && path != Py_None ? absolute(path)
                                                                         : NULL;
        for (Py_ssize_t at = 0; made[i] != NULL && at < all; at++) {
            passed[at] = passed[at] == path ? made[i] : passed[at];
        }
    }
    result = PyObject_Vectorcall(hook->original, passed, (size_t)count, names);
    Py_XDECREF(made[0]);
    Py_XDECREF(made[1]);
    return result;
}

/* ---- putting it in ---- */

static PyObject *stand_in(PyObject *self, PyObject *const *args, Py_ssize_t count,
                          PyObject *names)
{
    const struct view_hook *hook = PyCapsule_GetPointer(self, NULL);

    return hook->handler(hook, args, count, names);
}

/* A builtin function that looks like the one that it stands in for. */
static PyObject *make_stand_in(struct view_hook *hook)
{
    PyObject *capsule = PyCapsule_New(hook, NULL, NULL);
    PyObject *module = PyUnicode_InternFromString(hook->module);
    PyObject *function = NULL;

    hook->method = (PyMethodDef){
        .ml_name = hook->name,
        .ml_meth = (PyCFunction)(void (*)(void))stand_in,
        .ml_flags = METH_FASTCALL | METH_KEYWORDS,
        .ml_doc = PyCFunction_Check(hook->original)
                      ? ((PyCFunctionObject *)hook->original)->m_ml->ml_doc
                      : NULL,
    };
    if (capsule != NULL && module != NULL) {
        function = PyCFunction_NewEx(&hook->method, capsule, module);
    }
    Py_XDECREF(capsule);
    Py_XDECREF(module);
    return function;
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
    if (view_open_init() != 0 || view_scan_init() != 0) {
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

int importer_change_directory(const char *path)
{
    PyObject *name = PyUnicode_DecodeFSDefault(path);
    struct view_place place = {.kind = VIEW_NONE};

    if (name != NULL) {
        view_resolve(name, &place);
    }
    if (place.kind == VIEW_FOLDER) {
        (void)snprintf(importer.directory, sizeof(importer.directory), "%s", place.path);
    } else if (name != NULL) {
        view_error(place.kind == VIEW_FILE ? ENOTDIR : ENOENT, name);
    }
    Py_XDECREF(name);
    return place.kind == VIEW_FOLDER ? 0 : -1;
}
