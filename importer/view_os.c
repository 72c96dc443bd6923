/* SPDX-License-Identifier: MIT */
/*
 * The functions of os that the file view answers. Runs under the GIL of whatever embeds
 * the importer, on arguments that a program chose. What would change something is refused
 * as by a disk that is mounted read-only, in the order in which the kernel looks (Linux,
 * fs/namei.c: a name that is to be made must not exist, one that is to be changed must).
 */
#include "importer/view.h"

#include "common/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ---- stat ---- */

/* Numbers that are the same for the same place, and differ for others. */
static unsigned long long inode_of(const struct view_place *place)
{
    return text_add_hash(TEXT_HASH, place->path) >> 2 | 1;
}

/* The first moment that a ZIP can say, for what has no time of its own: the year 1970
 * could not be packed again (zipfile). */
static time_t first_moment(void)
{
    struct tm time = {.tm_year = 80, .tm_mday = 1, .tm_isdst = -1};

    return mktime(&time);
}

static long long modified(const struct view_place *place)
{
    time_t first = first_moment();
    time_t when = place->kind == VIEW_FILE
                      ? archive_modified(place->mount->archive, (size_t)place->index)
                      : first;

    return when > first ? when : first;
}

static const struct {
    mode_t mode;
    int links;
    int device;
} natures[] = {
    [VIEW_FILE] = {S_IFREG | 0444, 1, 0},
    [VIEW_FOLDER] = {S_IFDIR | 0555, 2, 0},
    [VIEW_NULL] = {S_IFCHR | 0666, 1, 0x103}, /* 1, 3: Linux's */
};

PyObject *view_stat(const struct view_place *place)
{
    bool is_file = place->kind == VIEW_FILE;
    size_t size = is_file ? archive_size(place->mount->archive, (size_t)place->index) : 0;
    long long when = modified(place);
    long long nanoseconds = when * 1000000000;
    double seconds = (double)when;
    PyObject *fields = Py_BuildValue(
        "((iKiiIInLLL){sdsdsdsLsLsLsisnsi})", natures[place->kind].mode, inode_of(place),
        0, natures[place->kind].links, geteuid(), getegid(), size, when, when, when,
        "st_atime", seconds, "st_mtime", seconds, "st_ctime", seconds, "st_atime_ns",
        nanoseconds, "st_mtime_ns", nanoseconds, "st_ctime_ns", nanoseconds, "st_blksize",
        4096, "st_blocks", (size + 511) / 512, "st_rdev", natures[place->kind].device);
    PyObject *result = NULL;

    if (fields != NULL) {
        result = PyObject_CallObject(importer.stat_result, fields);
    }
    Py_XDECREF(fields);
    return result;
}

static PyObject *stat_path(struct view_call *call)
{
    const struct view_place *place = &call->places[0];

    return place->kind == VIEW_MISSING ? view_error(place->error, place)
                                       : view_stat(place);
}

static PyObject *access_path(struct view_call *call)
{
    enum view_kind kind = call->places[0].kind;
    long wanted = PyLong_AsLong(call->values[1]);

    if (wanted == -1 && PyErr_Occurred()) {
        return NULL;
    }
    return PyBool_FromLong(kind != VIEW_MISSING &&
                           ((wanted & W_OK) == 0 || kind == VIEW_NULL) &&
                           ((wanted & X_OK) == 0 || kind == VIEW_FOLDER));
}

/* There are no links, so that what exists is none. */
static PyObject *read_link(struct view_call *call)
{
    const struct view_place *place = &call->places[0];

    return view_error(place->kind == VIEW_MISSING ? place->error : EINVAL, place);
}

/* There are no extended attributes either: whoever asks for one is told so. */
static PyObject *list_attributes(struct view_call *call)
{
    const struct view_place *place = &call->places[0];

    return place->kind == VIEW_MISSING ? view_error(place->error, place) : PyList_New(0);
}

static PyObject *get_attribute(struct view_call *call)
{
    const struct view_place *place = &call->places[0];

    return view_error(place->kind == VIEW_MISSING ? place->error : ENODATA, place);
}

/* ---- folders ---- */

/* 0, or -1 with OSError if the place is no folder. */
static int check_folder(const struct view_place *place)
{
    if (place->kind == VIEW_FOLDER) {
        return 0;
    }
    view_error(place->kind == VIEW_MISSING ? place->error : ENOTDIR, place);
    return -1;
}

PyObject *view_list(const struct view_place *place, bool as_bytes)
{
    struct archive_walk walk = {0};
    PyObject *list = PyList_New(0);

    while (list != NULL && archive_walk(place->mount->archive, place->member, &walk)) {
        PyObject *name = view_name(walk.name, walk.size, as_bytes);

        if (name == NULL || PyList_Append(list, name) != 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(name);
    }
    return list;
}

static PyObject *list_path(struct view_call *call)
{
    const struct view_place *place = &call->places[0];

    return check_folder(place) == 0
               ? view_list(place, place->name != NULL && PyBytes_Check(place->name))
               : NULL;
}

static PyObject *scan_path(struct view_call *call)
{
    return check_folder(&call->places[0]) == 0 ? view_scandir(&call->places[0]) : NULL;
}

/* ---- the working directory ---- */

/* chdir and fchdir: to a real folder, too, which ends the virtual one. */
static PyObject *change_directory(struct view_call *call)
{
    const struct view_place *place = &call->places[0];
    PyObject *result;

    if (place->kind == VIEW_NONE) {
        result = view_original(call);
        if (result != NULL) {
            importer.directory[0] = '\0';
        }
        return result;
    }
    if (check_folder(place) != 0) {
        return NULL;
    }
    (void)snprintf(importer.directory, sizeof(importer.directory), "%s", place->path);
    Py_RETURN_NONE;
}

static PyObject *get_directory(struct view_call *call)
{
    autoplace struct view_place here = {.kind = VIEW_NONE};

    if (importer.directory[0] == '\0') {
        return view_original(call);
    }
    (void)view_resolve(&here);
    if (here.kind != VIEW_FOLDER) {
        return view_error(ENOENT, &here);
    }
    return view_name(importer.directory, strlen(importer.directory), call->hook->number);
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

    if (is_missing && (!place->in_folder || change == CHANGE_ALTER ||
                       (change == CHANGE_MAKE && place->error != ENOENT))) {
        return place->error;
    }
    return change == CHANGE_MAKE && !is_missing ? EEXIST : EROFS;
}

static PyObject *change_one(struct view_call *call)
{
    const struct view_place *place = &call->places[0];

    return view_error(change_error((enum change)call->hook->number, place), place);
}

/* rename, replace, link: both names are on one disk, or nothing is done at all. */
static PyObject *change_two(struct view_call *call)
{
    const struct view_place *from = &call->places[0], *to = &call->places[1];
    int error = EXDEV;

    if (from->kind == VIEW_MISSING && !from->in_folder) {
        error = from->error;
    } else if (to->kind == VIEW_MISSING && !to->in_folder) {
        error = to->error;
    } else if (from->kind != VIEW_NONE && from->mount == to->mount) {
        error = change_error((enum change)call->hook->number, from);
    }
    return view_error_two(error, from, to);
}

/* symlink(src, dst): what the link would say is never looked at. */
static PyObject *make_link(struct view_call *call)
{
    return view_error_two(change_error(CHANGE_MAKE, &call->places[1]), &call->places[0],
                          &call->places[1]);
}

/* What open(2) answers with these flags, in the kernel's order; EOPNOTSUPP where it would
 * open the file: there is no file descriptor to be had. */
static int open_error(const struct view_place *place, long flags)
{
    bool is_making = (flags & O_CREAT) != 0;

    if (place->kind == VIEW_MISSING) {
        return change_error(is_making ? CHANGE_MAKE : CHANGE_ALTER, place);
    }
    if (is_making && (flags & O_EXCL) != 0) {
        return EEXIST;
    }
    if (place->kind == VIEW_FOLDER) {
        /* Who opens a folder for reading wants to empty it (shutil.rmtree). */
        return is_making || (flags & O_ACCMODE) != O_RDONLY ? EISDIR : EROFS;
    }
    return (flags & O_ACCMODE) != O_RDONLY && place->kind != VIEW_NULL ? EROFS
                                                                       : EOPNOTSUPP;
}

static PyObject *open_descriptor(struct view_call *call)
{
    long flags = PyLong_AsLong(call->values[1]);

    if (flags == -1 && PyErr_Occurred()) {
        return NULL;
    }
    return view_error(open_error(&call->places[0], flags), &call->places[0]);
}

/* ---- the table ---- */

/* The path's types; as a parameter of CPython 3.11's functions (posixmodule.c). */
#define PATH   VIEW_TAKES_BUFFER
#define OR_FD  (VIEW_TAKES_BUFFER | VIEW_TAKES_FD)
#define OR_ALL (VIEW_TAKES_BUFFER | VIEW_TAKES_FD | VIEW_TAKES_NONE)

/* NAME(PARAMETERS), of which the first `must` have to be passed, and those behind the
 * first `plain` only by name. */
#define ROW(called, count, function, types, must, plain, ...)                            \
    .module = "posix", .name = called, .paths = (count), .handler = (function),          \
    .takes = (types), .required = (must), .positional = (plain),                         \
    .parameters = {__VA_ARGS__}
#define READ(called, function, types, must, plain, ...)                                  \
    {                                                                                    \
        ROW(called, 1, function, types, must, plain, "path", __VA_ARGS__)                \
    }
#define CHANGE(called, change, types, must, plain, ...)                                  \
    {                                                                                    \
        ROW(called, 1, change_one, types, must, plain, "path", __VA_ARGS__),             \
            .number = (change)                                                           \
    }
#define TWO(called, change, ...)                                                         \
    {                                                                                    \
        ROW(called, 2, change_two, PATH, 2, 2, "src", "dst", "src_dir_fd", "dst_dir_fd", \
            __VA_ARGS__),                                                                \
            .number = (change)                                                           \
    }
/* The working directory: also where no path of ours is passed. */
#define HERE(called, count, function, types, must, path, value)                          \
    {                                                                                    \
        ROW(called, count, function, types, must, must, path), .flags = VIEW_ALWAYS,     \
                                                               .number = (value)         \
    }

struct view_hook view_os_hooks[] = {
    READ("stat", stat_path, OR_FD, 1, 1, "dir_fd", "follow_symlinks"),
    READ("lstat", stat_path, PATH, 1, 1, "dir_fd"),
    READ("access", access_path, PATH, 2, 2, "mode", "dir_fd", "effective_ids",
         "follow_symlinks"),
    READ("readlink", read_link, PATH, 1, 1, "dir_fd"),
    READ("listxattr", list_attributes, OR_ALL, 0, 1, "follow_symlinks"),
    READ("getxattr", get_attribute, OR_FD, 2, 2, "attribute", "follow_symlinks"),
    READ("listdir", list_path, OR_ALL, 0, 1, NULL),
    READ("scandir", scan_path, OR_ALL, 0, 1, NULL),
    READ("open", open_descriptor, PATH, 2, 3, "flags", "mode", "dir_fd"),
    HERE("chdir", 1, change_directory, OR_FD, 1, "path", 0),
    HERE("fchdir", 0, change_directory, 0, 1, "fd", 0),
    HERE("getcwd", 0, get_directory, 0, 0, NULL, false),
    HERE("getcwdb", 0, get_directory, 0, 0, NULL, true),
    CHANGE("mkdir", CHANGE_MAKE, PATH, 1, 2, "mode", "dir_fd"),
    CHANGE("mkfifo", CHANGE_MAKE, PATH, 1, 2, "mode", "dir_fd"),
    CHANGE("mknod", CHANGE_MAKE, PATH, 1, 3, "mode", "device", "dir_fd"),
    CHANGE("rmdir", CHANGE_REMOVE, PATH, 1, 1, "dir_fd"),
    CHANGE("remove", CHANGE_REMOVE, PATH, 1, 1, "dir_fd"),
    CHANGE("unlink", CHANGE_REMOVE, PATH, 1, 1, "dir_fd"),
    CHANGE("chmod", CHANGE_ALTER, OR_FD, 2, 2, "mode", "dir_fd", "follow_symlinks"),
    CHANGE("chown", CHANGE_ALTER, OR_FD, 3, 3, "uid", "gid", "dir_fd", "follow_symlinks"),
    CHANGE("lchown", CHANGE_ALTER, PATH, 3, 3, "uid", "gid"),
    CHANGE("truncate", CHANGE_ALTER, OR_FD, 2, 2, "length"),
    CHANGE("utime", CHANGE_ALTER, OR_FD, 1, 2, "times", "ns", "dir_fd",
           "follow_symlinks"),
    CHANGE("setxattr", CHANGE_ALTER, OR_FD, 3, 4, "attribute", "value", "flags",
           "follow_symlinks"),
    CHANGE("removexattr", CHANGE_ALTER, OR_FD, 2, 2, "attribute", "follow_symlinks"),
    TWO("rename", CHANGE_REMOVE, NULL),
    TWO("replace", CHANGE_REMOVE, NULL),
    TWO("link", CHANGE_ALTER, "follow_symlinks"),
    {ROW("symlink", 2, make_link, PATH, 2, 3, "src", "dst", "target_is_directory",
         "dir_fd"),
     .flags = VIEW_FIRST_TEXT},
};
const size_t view_os_hooks_count = array_size(view_os_hooks);
