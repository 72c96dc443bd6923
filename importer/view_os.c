/* SPDX-License-Identifier: MIT */
/*
 * The functions of os that the file view answers. Runs under the GIL of whatever embeds
 * the importer, on arguments that a program chose. What would change something is refused
 * as by a disk that is mounted read-only, in the order in which the kernel looks (Linux,
 * fs/namei.c: a name that is to be made must not exist, one that is to be changed must).
 */
#include "importer/view.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- stat ---- */

/* Numbers that are the same for the same place, and differ for others. */
static unsigned long long inode_of(const struct view_place *place)
{
    unsigned long long hash = 1469598103934665603ull; /* FNV-1a */

    for (const char *c = place->path; *c != '\0'; c++) {
        hash = (hash ^ (unsigned char)*c) * 1099511628211ull;
    }
    return hash >> 2 | 1;
}

PyObject *view_stat(const struct view_place *place)
{
    bool is_file = place->kind == VIEW_FILE;
    size_t size = is_file ? archive_size(place->mount->archive, (size_t)place->index) : 0;
    long long when =
        is_file ? archive_modified(place->mount->archive, (size_t)place->index) : 0;
    long long nanoseconds = when * 1000000000;
    double seconds = (double)when;
    PyObject *fields = Py_BuildValue(
        "((iKiiIInLLL){sdsdsdsLsLsLsisnsi})", is_file ? S_IFREG | 0444 : S_IFDIR | 0555,
        inode_of(place), 0, is_file ? 1 : 2, geteuid(), getegid(), size, when, when, when,
        "st_atime", seconds, "st_mtime", seconds, "st_ctime", seconds, "st_atime_ns",
        nanoseconds, "st_mtime_ns", nanoseconds, "st_ctime_ns", nanoseconds, "st_blksize",
        4096, "st_blocks", (size + 511) / 512, "st_rdev", 0);
    PyObject *result = NULL;

    if (fields != NULL) {
        result = PyObject_CallObject(importer.stat_result, fields);
    }
    Py_XDECREF(fields);
    return result;
}

static PyObject *stat_path(const struct view_hook *hook, PyObject *const *args,
                           Py_ssize_t count, PyObject *names)
{
    PyObject *path = view_argument(args, count, names, 0, "path");
    struct view_place place;

    view_resolve(path, &place);
    if (place.kind == VIEW_NONE || view_has_dir_fd(args, count, names)) {
        return view_original(hook, args, count, names);
    }
    return place.kind == VIEW_MISSING ? view_error(place.error, path) : view_stat(&place);
}

static PyObject *access_path(const struct view_hook *hook, PyObject *const *args,
                             Py_ssize_t count, PyObject *names)
{
    PyObject *mode = view_argument(args, count, names, 1, "mode");
    struct view_place place;
    long wanted;

    view_resolve(view_argument(args, count, names, 0, "path"), &place);
    if (place.kind == VIEW_NONE || mode == NULL || view_has_dir_fd(args, count, names)) {
        return view_original(hook, args, count, names);
    }
    wanted = PyLong_AsLong(mode);
    if (wanted == -1 && PyErr_Occurred()) {
        return NULL;
    }
    return PyBool_FromLong(place.kind != VIEW_MISSING && (wanted & W_OK) == 0 &&
                           ((wanted & X_OK) == 0 || place.kind == VIEW_FOLDER));
}

/* There are no links, so that what exists is none. */
static PyObject *read_link(const struct view_hook *hook, PyObject *const *args,
                           Py_ssize_t count, PyObject *names)
{
    PyObject *path = view_argument(args, count, names, 0, "path");
    struct view_place place;

    view_resolve(path, &place);
    if (place.kind == VIEW_NONE || view_has_dir_fd(args, count, names)) {
        return view_original(hook, args, count, names);
    }
    return view_error(place.kind == VIEW_MISSING ? place.error : EINVAL, path);
}

/* ---- folders ---- */

/* Resolves the path of a listing, "." if there is none, which must be a folder. Returns
 * 0, 1 for a path that is not ours, or -1 with OSError. */
static int resolve_folder(PyObject *path, struct view_place *place)
{
    PyObject *here = NULL;

    if (path == NULL || path == Py_None) {
        path = here = PyUnicode_InternFromString(".");
    }
    view_resolve(path, place);
    if (place->kind == VIEW_MISSING) {
        view_error(place->error, path);
    } else if (place->kind == VIEW_FILE) {
        view_error(ENOTDIR, path);
    }
    Py_XDECREF(here);
    return place->kind == VIEW_NONE ? 1 : PyErr_Occurred() ? -1 : 0;
}

static bool is_bytes(PyObject *path)
{
    PyObject *plain = path != NULL && path != Py_None ? PyOS_FSPath(path) : NULL;
    bool result = plain != NULL && PyBytes_Check(plain);

    PyErr_Clear();
    Py_XDECREF(plain);
    return result;
}

static PyObject *list_folder(const struct view_place *place, bool as_bytes)
{
    struct archive_walk walk = {0};
    PyObject *list = PyList_New(0);

    while (list != NULL && archive_walk(place->mount->archive, place->member, &walk)) {
        PyObject *name =
            as_bytes ? PyBytes_FromStringAndSize(walk.name, (Py_ssize_t)walk.size)
                     : PyUnicode_FromStringAndSize(walk.name, (Py_ssize_t)walk.size);

        if (name == NULL || PyList_Append(list, name) != 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(name);
    }
    return list;
}

static PyObject *list_path(const struct view_hook *hook, PyObject *const *args,
                           Py_ssize_t count, PyObject *names)
{
    PyObject *path = view_argument(args, count, names, 0, "path");
    struct view_place place;
    int outcome = resolve_folder(path, &place);

    if (outcome > 0) {
        return view_original(hook, args, count, names);
    }
    return outcome == 0 ? list_folder(&place, is_bytes(path)) : NULL;
}

static PyObject *scan_path(const struct view_hook *hook, PyObject *const *args,
                           Py_ssize_t count, PyObject *names)
{
    PyObject *path = view_argument(args, count, names, 0, "path");
    struct view_place place;
    int outcome = resolve_folder(path, &place);

    if (outcome > 0) {
        return view_original(hook, args, count, names);
    }
    return outcome == 0 ? view_scandir(&place, path) : NULL;
}

/* ---- the working directory ---- */

static PyObject *change_directory(const struct view_hook *hook, PyObject *const *args,
                                  Py_ssize_t count, PyObject *names)
{
    PyObject *path = view_argument(args, count, names, 0, "path");
    struct view_place place;
    PyObject *result;

    if (path == NULL || path == Py_None) {
        return view_original(hook, args, count, names);
    }
    switch (resolve_folder(path, &place)) {
    case 0:
        (void)snprintf(importer.directory, sizeof(importer.directory), "%s", place.path);
        Py_RETURN_NONE;
    case -1: return NULL;
    default:
        result = view_original(hook, args, count, names);
        if (result != NULL) {
            importer.directory[0] = '\0';
        }
        return result;
    }
}

static PyObject *get_directory(const struct view_hook *hook, PyObject *const *args,
                               Py_ssize_t count, PyObject *names)
{
    if (importer.directory[0] == '\0' || count > 0) {
        return view_original(hook, args, count, names);
    }
    return hook->number ? PyBytes_FromString(importer.directory)
                        : PyUnicode_DecodeFSDefault(importer.directory);
}

/* ---- what would change something ---- */

enum change {
    CHANGE_MAKE,   /* a new name */
    CHANGE_REMOVE, /* a name goes */
    CHANGE_ALTER,  /* what a name stands for */
};

static int change_error(enum change change, const struct view_place *place)
{
    bool is_missing = place->kind == VIEW_MISSING;

    if (is_missing && (!place->in_folder || change == CHANGE_ALTER)) {
        return place->error;
    }
    return change == CHANGE_MAKE && !is_missing ? EEXIST : EROFS;
}

static PyObject *change_one(const struct view_hook *hook, PyObject *const *args,
                            Py_ssize_t count, PyObject *names)
{
    PyObject *path = view_argument(args, count, names, 0, hook->first);
    struct view_place place;

    view_resolve(path, &place);
    if (place.kind == VIEW_NONE || view_has_dir_fd(args, count, names)) {
        return view_original(hook, args, count, names);
    }
    return view_error(change_error((enum change)hook->number, &place), path);
}

static PyObject *raise_two(int error, PyObject *from, PyObject *to)
{
    errno = error;
    return PyErr_SetFromErrnoWithFilenameObjects(PyExc_OSError, from, to);
}

/* rename, replace, link: both names are on one disk, or nothing is done at all. */
static PyObject *change_two(const struct view_hook *hook, PyObject *const *args,
                            Py_ssize_t count, PyObject *names)
{
    PyObject *from = view_argument(args, count, names, 0, hook->first);
    PyObject *to = view_argument(args, count, names, 1, hook->second);
    struct view_place source, target;

    view_resolve(from, &source);
    view_resolve(to, &target);
    if (from == NULL || to == NULL || view_has_dir_fd(args, count, names) ||
        (source.kind == VIEW_NONE && target.kind == VIEW_NONE)) {
        return view_original(hook, args, count, names);
    }
    if (source.kind == VIEW_NONE || target.kind == VIEW_NONE ||
        source.mount != target.mount) {
        return raise_two(EXDEV, from, to);
    }
    return raise_two(change_error((enum change)hook->number, &source), from, to);
}

/* symlink(src, dst): what the link would say is never looked at. */
static PyObject *make_link(const struct view_hook *hook, PyObject *const *args,
                           Py_ssize_t count, PyObject *names)
{
    PyObject *from = view_argument(args, count, names, 0, "src");
    PyObject *to = view_argument(args, count, names, 1, "dst");
    struct view_place place;

    view_resolve(to, &place);
    if (from == NULL || place.kind == VIEW_NONE || view_has_dir_fd(args, count, names)) {
        return view_original(hook, args, count, names);
    }
    return raise_two(change_error(CHANGE_MAKE, &place), from, to);
}

/* os.open(): there is no file descriptor to be had. */
static PyObject *open_descriptor(const struct view_hook *hook, PyObject *const *args,
                                 Py_ssize_t count, PyObject *names)
{
    PyObject *path = view_argument(args, count, names, 0, "path");
    PyObject *flags = view_argument(args, count, names, 1, "flags");
    struct view_place place;
    long wanted;

    view_resolve(path, &place);
    if (place.kind == VIEW_NONE || flags == NULL || view_has_dir_fd(args, count, names)) {
        return view_original(hook, args, count, names);
    }
    wanted = PyLong_AsLong(flags);
    if (wanted == -1 && PyErr_Occurred()) {
        return NULL;
    }
    if (place.kind == VIEW_MISSING) {
        return view_error(
            change_error((wanted & O_CREAT) != 0 ? CHANGE_MAKE : CHANGE_ALTER, &place),
            path);
    }
    /* Who opens a folder wants to empty it (shutil.rmtree). */
    return view_error((wanted & O_ACCMODE) != O_RDONLY || place.kind == VIEW_FOLDER
                          ? EROFS
                          : EOPNOTSUPP,
                      path);
}

#define READ(called, function, ...)                                                      \
    {                                                                                    \
        .module = "posix", .name = called, .handler = function, __VA_ARGS__              \
    }
#define CHANGE(called, change)                                                           \
    {                                                                                    \
        .module = "posix", .name = called, .first = "path", .handler = change_one,       \
        .number = change                                                                 \
    }
#define TWO(called, function, change)                                                    \
    {                                                                                    \
        .module = "posix", .name = called, .first = "src", .second = "dst",              \
        .handler = function, .number = change                                            \
    }

struct view_hook view_os_hooks[] = {
    READ("stat", stat_path, .first = "path"),
    READ("lstat", stat_path, .first = "path"),
    READ("access", access_path, .first = "path"),
    READ("readlink", read_link, .first = "path"),
    READ("listdir", list_path, .first = "path"),
    READ("scandir", scan_path, .first = "path"),
    READ("chdir", change_directory, .first = "path"),
    READ("getcwd", get_directory),
    READ("getcwdb", get_directory, .number = 1),
    READ("open", open_descriptor, .first = "path"),
    CHANGE("mkdir", CHANGE_MAKE),
    CHANGE("mkfifo", CHANGE_MAKE),
    CHANGE("mknod", CHANGE_MAKE),
    CHANGE("rmdir", CHANGE_REMOVE),
    CHANGE("remove", CHANGE_REMOVE),
    CHANGE("unlink", CHANGE_REMOVE),
    CHANGE("chmod", CHANGE_ALTER),
    CHANGE("chown", CHANGE_ALTER),
    CHANGE("lchown", CHANGE_ALTER),
    CHANGE("truncate", CHANGE_ALTER),
    CHANGE("utime", CHANGE_ALTER),
    CHANGE("setxattr", CHANGE_ALTER),
    CHANGE("removexattr", CHANGE_ALTER),
    TWO("rename", change_two, CHANGE_REMOVE),
    TWO("replace", change_two, CHANGE_REMOVE),
    TWO("link", change_two, CHANGE_ALTER),
    TWO("symlink", make_link, CHANGE_MAKE),
};
const size_t view_os_hooks_count = array_size(view_os_hooks);
