/* SPDX-License-Identifier: MIT */
/*
 * The read-only file view: what open(), os.stat(), os.listdir() and the like answer for
 * paths below a root that is mounted with IMPORTER_FILES. All other paths go to the
 * functions that were there before. Errors are those of a disk that is mounted read-only
 * (open(2), path_resolution(7)); there are no symbolic links and no file descriptors.
 * Not for users of the library.
 *
 * Handlers are C functions, so that no frame of ours stands in a traceback. Each stands
 * in for one function of Python's and calls that one where the path is not ours.
 */
#pragma once

#include "importer/types.h"

struct view_hook;

typedef PyObject *(*view_handler)(const struct view_hook *hook, PyObject *const *args,
                                  Py_ssize_t count, PyObject *names);

/* One function that is stood in for. */
struct view_hook {
    const char *module, *name;  /* where Python has it: "posix", "stat" */
    const char *first, *second; /* names of the arguments that are paths; or NULL */
    view_handler handler;
    int number;         /* for the handler */
    PyObject *original; /* owned */
    PyMethodDef method; /* of the stand-in */
};

extern struct view_hook view_open_hooks[], view_os_hooks[];
extern const size_t view_open_hooks_count, view_os_hooks_count;

/* Makes the types of view_open.c and view_scan.c. 0, or -1 with an exception. */
int view_open_init(void);
int view_scan_init(void);

/* ---- places ---- */

enum view_kind { VIEW_NONE, VIEW_FILE, VIEW_FOLDER, VIEW_MISSING };

/* Where a path leads. */
struct view_place {
    bool any_mount;      /* IMPORTER_FILES does not matter */
    struct mount *own;   /* borrowed: also when it is mounted no more; or NULL */
    enum view_kind kind; /* VIEW_NONE: it is not ours */
    int error;           /* of VIEW_MISSING: ENOENT or ENOTDIR */
    bool in_folder;      /* of VIEW_MISSING: only its last part is missing */
    struct mount *mount; /* borrowed */
    ssize_t index;       /* of a file in the archive */
    char path[PATH_MAX]; /* absolute, normalised */
    const char *member;  /* in the mount; points into path */
};

/* Resolves what was passed as a path: str, bytes or os.PathLike; anything else, and a
 * path outside of all roots, is VIEW_NONE without an exception. */
void view_resolve(PyObject *path, struct view_place *ret);
/* Also in mounts without IMPORTER_FILES, and in `own` (NULL for none), whether it is
 * still mounted or not. */
void view_resolve_any(PyObject *path, struct mount *own, struct view_place *ret);

/* The argument of a handler by position and name; borrowed, NULL if it was not passed. */
PyObject *view_argument(PyObject *const *args, Py_ssize_t count, PyObject *names,
                        Py_ssize_t position, const char *name);
/* Was dir_fd passed? Then the path is relative to something that is not ours. */
bool view_has_dir_fd(PyObject *const *args, Py_ssize_t count, PyObject *names);
/* Calls the function that was there before. A relative path that was resolved against
 * the virtual working directory is passed on as the absolute one that it stands for. */
PyObject *view_original(const struct view_hook *hook, PyObject *const *args,
                        Py_ssize_t count, PyObject *names);
/* The errno of reading a place that is no file. */
int view_missing(const struct view_place *place);
/* Raises OSError of an errno; its filename is the path as it was passed, an os.PathLike
 * as what it stands for. Returns NULL. */
PyObject *view_error(int error, PyObject *path);

/* os.stat_result of a place that exists. */
PyObject *view_stat(const struct view_place *place);
/* The iterator of os.scandir() over a folder; `path` as it was passed, or NULL. */
PyObject *view_scandir(const struct view_place *place, PyObject *path);
/* A file as open(path, "rb", buffering=0) gives it; `name` as it was passed. */
PyObject *view_raw_file(const struct view_place *place, PyObject *name);
