/* SPDX-License-Identifier: MIT */
/*
 * Paths of the file view: taking them from whatever a program passed, as CPython does
 * (path_t of its posixmodule.c), and where they lead. Runs under the GIL of whatever
 * embeds the importer. Taking a path may run the program's code; resolving one never
 * does. Must never touch the disk.
 */
#include "importer/importer.h"
#include "importer/view.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void view_release(struct view_place *place)
{
    Py_CLEAR(place->name);
    Py_CLEAR(place->shown);
    Py_CLEAR(place->mount);
}

/* ---- taking ---- */

/* The sentence of CPython's for a bytes-like object, which it takes as yet. */
static int warn_of_buffer(const struct view_hook *hook, int which, PyObject *value)
{
    static const char *const kinds[] = {
        [0] = "string, bytes or os.PathLike",
        [VIEW_TAKES_FD] = "string, bytes, os.PathLike or integer",
        [VIEW_TAKES_NONE] = "string, bytes, os.PathLike or None",
        [VIEW_TAKES_FD | VIEW_TAKES_NONE] = "string, bytes, os.PathLike, integer or None",
    };

    return PyErr_WarnFormat(
        PyExc_DeprecationWarning, 1, "%s: %s should be %s, not %.200s", hook->name,
        hook->parameters[which], kinds[hook->takes & (VIEW_TAKES_FD | VIEW_TAKES_NONE)],
        Py_TYPE(value)->tp_name);
}

/* What the original takes or refuses without asking for a path. */
static bool is_no_path(unsigned takes, PyObject *value)
{
    return (takes & VIEW_TAKES_STR) != 0 ||
           ((takes & VIEW_TAKES_FD) != 0 && PyIndex_Check(value)) ||
           ((takes & VIEW_TAKES_NUMBER) != 0 && PyNumber_Check(value)) ||
           !PyObject_HasAttrString((PyObject *)Py_TYPE(value), "__fspath__");
}

int view_take_name(const struct view_hook *hook, int which, PyObject *value,
                   struct view_place *place)
{
    unsigned takes = hook->takes;

    if (value == NULL || (value == Py_None && (takes & VIEW_TAKES_NONE) != 0)) {
        return (takes & VIEW_TAKES_NONE) != 0;
    }
    if (PyUnicode_Check(value) ||
        (PyBytes_Check(value) && (takes & VIEW_TAKES_STR) == 0)) {
        place->name = Py_NewRef(value);
    } else if ((takes & VIEW_TAKES_BUFFER) != 0 && PyObject_CheckBuffer(value)) {
        if (warn_of_buffer(hook, which, value) == 0) {
            place->name = PyBytes_FromObject(value);
            place->shown = Py_NewRef(value);
        }
    } else if (is_no_path(takes, value)) {
        return 0;
    } else {
        place->name = PyOS_FSPath(value);
    }
    return place->name != NULL ? 1 : -1;
}

/* Archives are in UTF-8, and so is a path for us; bytes that are none go there and back
 * by surrogateescape, as Python's own. */
static PyObject *encode(PyObject *name)
{
    return PyBytes_Check(name)
               ? Py_NewRef(name)
               : PyUnicode_AsEncodedString(name, "utf-8", "surrogateescape");
}

PyObject *view_name(const char *text, size_t size, bool as_bytes)
{
    return as_bytes ? PyBytes_FromStringAndSize(text, (Py_ssize_t)size)
                    : PyUnicode_DecodeUTF8(text, (Py_ssize_t)size, "surrogateescape");
}

/* ---- resolving ---- */

/* The mount of a path, and where in it: of several the one with the longest root, and the
 * place's own before one that is mounted there now. Borrowed. */
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

static bool is_null(const struct view_place *place)
{
    return importer.has_null && strcmp(place->path, "/dev/null") == 0;
}

/* What stands at the normalised path so far. */
static void look(struct view_place *place)
{
    struct mount *mount = mount_at(place);

    Py_XINCREF(mount);
    Py_XSETREF(place->mount, mount);
    place->index = -1;
    if (mount == NULL) {
        place->kind = is_null(place) ? VIEW_NULL : VIEW_NONE;
        return;
    }
    place->index = archive_find(mount->archive, place->member);
    if (place->index >= 0) {
        place->kind = VIEW_FILE;
    } else if (archive_is_directory(mount->archive, place->member)) {
        place->kind = VIEW_FOLDER;
    } else {
        place->kind = VIEW_MISSING;
        place->error = ENOENT;
    }
}

static void set_missing(struct view_place *place, int error)
{
    place->kind = VIEW_MISSING;
    place->error = error;
    place->in_folder = false;
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
    if (place->kind != VIEW_NONE && place->kind != VIEW_FOLDER) {
        set_missing(place, place->kind == VIEW_MISSING ? ENOENT : ENOTDIR);
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
        /* A path that is passed on must be whole. */
        if (place->mount != NULL || place->is_moved) {
            set_missing(place, ENAMETOOLONG);
            place->in_folder = is_last && place->mount != NULL;
        }
        return false;
    }
    place->in_folder = is_last;
    return true;
}

static void walk_all(const char *text, struct view_place *place)
{
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

static void resolve_text(const char *text, struct view_place *place)
{
    if (*text != '/') {
        if (importer.directory[0] == '\0') {
            return;
        }
        place->is_moved = true;
        (void)snprintf(place->path, sizeof(place->path), "%s", importer.directory);
        look(place);
        if (place->kind != VIEW_FOLDER) { /* as in a folder that was deleted */
            set_missing(place, ENOENT);
            return;
        }
    }
    walk_all(text, place);
}

bool view_resolve(struct view_place *place)
{
    PyObject *bytes = place->name != NULL ? encode(place->name) : NULL;
    const char *text = ".";
    Py_ssize_t size = 1;
    bool is_path;

    if (bytes != NULL) {
        text = PyBytes_AS_STRING(bytes);
        size = PyBytes_GET_SIZE(bytes);
    } else if (place->name != NULL) {
        PyErr_Clear();
        return false;
    }
    is_path = size > 0 && size < PATH_MAX && strlen(text) == (size_t)size;
    if (is_path) {
        resolve_text(text, place);
    }
    Py_XDECREF(bytes);
    return is_path;
}

int view_resolve_any(PyObject *path, struct mount *own, struct view_place *ret)
{
    ret->any_mount = true;
    ret->own = own;
    ret->name = PyOS_FSPath(path);
    if (ret->name == NULL) {
        return -1;
    }
    (void)view_resolve(ret); /* nothing is called so: it is not found */
    return 0;
}

/* ---- errors ---- */

int view_missing(const struct view_place *place)
{
    if (place->kind == VIEW_FOLDER) {
        return EISDIR;
    }
    return place->kind == VIEW_MISSING ? place->error : ENOENT;
}

PyObject *view_shown(const struct view_place *place)
{
    return place->shown != NULL ? place->shown : place->name;
}

PyObject *view_error(int error, const struct view_place *place)
{
    errno = error;
    return PyErr_SetFromErrnoWithFilenameObject(PyExc_OSError, view_shown(place));
}

PyObject *view_error_two(int error, const struct view_place *from,
                         const struct view_place *to)
{
    errno = error;
    return PyErr_SetFromErrnoWithFilenameObjects(PyExc_OSError, view_shown(from),
                                                 view_shown(to));
}
