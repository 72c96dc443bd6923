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

/* ---- places ---- */

enum view_kind {
    VIEW_NONE,
    VIEW_FILE,
    VIEW_FOLDER,
    VIEW_NULL, /* os.devnull, where the view has one */
    VIEW_MISSING
};

/* Where a path leads. It starts as zeros and is released by view_release(). It owns
 * what it refers to: whatever a program does while it is looked at (another thread's
 * mount() is enough), the archive stays. */
struct view_place {
    PyObject *name;      /* owned: str or bytes, as os.fspath() gives it; NULL for what is
                            neither or was not passed */
    PyObject *shown;     /* owned: in the place of `name` in exceptions; or NULL */
    bool any_mount;      /* IMPORTER_FILES does not matter */
    struct mount *own;   /* borrowed: also when it is mounted no more; or NULL */
    enum view_kind kind; /* VIEW_NONE: it is not ours */
    bool is_moved;  /* relative to the virtual working directory: what is passed on is
                       the absolute path that it stands for */
    int error;      /* of VIEW_MISSING: ENOENT, ENOTDIR or ENAMETOOLONG */
    bool in_folder; /* of VIEW_MISSING: only its last part is missing */
    struct mount *mount; /* owned; may be NULL but for VIEW_FILE and VIEW_FOLDER */
    ssize_t index;       /* of a file in the archive */
    char path[PATH_MAX]; /* absolute, normalised */
    const char *member;  /* in the mount; points into path */
};

void view_release(struct view_place *place);
#define autoplace __attribute__((cleanup(view_release)))

/* What may be passed as a path, besides str, bytes and os.PathLike. */
enum view_takes {
    VIEW_TAKES_BUFFER = 1 << 0, /* with a DeprecationWarning */
    VIEW_TAKES_FD = 1 << 1,
    VIEW_TAKES_NONE = 1 << 2,   /* the working directory, which is the default, too */
    VIEW_TAKES_NUMBER = 1 << 3, /* anything that can be made a number */
    VIEW_TAKES_STR = 1 << 4,    /* and nothing else at all */
};

struct view_hook;

/* Fills place->name: asks an os.PathLike once, and runs the program's code in doing so.
 * `which` is the parameter, for warnings. 1; 0 for what the original is to answer for,
 * refusals of other types included; -1 with an exception. */
int view_take_name(const struct view_hook *hook, int which, PyObject *value,
                   struct view_place *place) must_check;
/* Resolves place->name (NULL for "."). With a virtual working directory every relative
 * path is ours, or is_moved. False, without an exception, for what no file can be called
 * (nothing, too long, a NUL in it): the original refuses it before it looks at a disk. */
bool view_resolve(struct view_place *place);
/* Any object as the path of a member, also of mounts without IMPORTER_FILES, and of `own`
 * (NULL for none), whether it is still mounted or not. 0, or -1 with an exception. */
int view_resolve_any(PyObject *path, struct mount *own,
                     struct view_place *ret) must_check;
/* A path in the program's terms: a str, or bytes. A new reference. */
PyObject *view_name(const char *text, size_t size, bool as_bytes);

/* The errno of reading a place that is no file. */
int view_missing(const struct view_place *place);
/* Raises OSError of an errno, of one or two paths as they were passed, an os.PathLike as
 * what it stands for. Returns NULL. */
PyObject *view_shown(const struct view_place *place); /* borrowed; or NULL */
PyObject *view_error(int error, const struct view_place *place);
PyObject *view_error_two(int error, const struct view_place *from,
                         const struct view_place *to);

/* ---- functions that are stood in for ---- */

#define VIEW_PATHS      2
#define VIEW_PARAMETERS 8

/* One call of such a function, whose arguments are of the original's number and names. */
struct view_call {
    const struct view_hook *hook;
    PyObject *const *args; /* as vectorcall has them */
    Py_ssize_t count;
    PyObject *names;
    Py_ssize_t at[VIEW_PARAMETERS];       /* where in args, or -1 */
    PyObject *values[VIEW_PARAMETERS];    /* borrowed; NULL for what was not passed */
    struct view_place places[VIEW_PATHS]; /* of the first parameters */
};

/* Called if a path of the call's is ours. */
typedef PyObject *(*view_handler)(struct view_call *call);

enum view_flag {
    VIEW_ALWAYS = 1 << 0,     /* the handler is called if no path is ours, too */
    VIEW_FIRST_TEXT = 1 << 1, /* the first path is a text that is not looked at */
};

struct view_hook {
    const char *module, *name; /* where Python has it: "posix", "stat" */
    const char *parameters[VIEW_PARAMETERS];
    int required, positional; /* how many must be passed; how many need no name */
    int paths;                /* how many are paths: the first ones */
    unsigned takes;           /* enum view_takes */
    unsigned flags;           /* enum view_flag */
    view_handler handler;
    int number;         /* for the handler */
    PyObject *original; /* owned */
    PyMethodDef method; /* of the stand-in */
};

extern struct view_hook view_open_hooks[], view_os_hooks[];
extern const size_t view_open_hooks_count, view_os_hooks_count;

/* Makes the types of view_open.c, view_null.c and view_scan.c. 0, or -1 with an
 * exception. */
int view_open_init(void);
int view_null_init(void);
int view_scan_init(void);

/* Calls the function that was there before, with paths as they were taken: an
 * os.PathLike is not asked again, and what is_moved is absolute. */
PyObject *view_original(const struct view_call *call);

/* ---- what handlers answer with ---- */

/* os.stat_result of a place that exists. */
PyObject *view_stat(const struct view_place *place);
/* The names in a folder, a list. */
PyObject *view_list(const struct view_place *place, bool as_bytes);
/* The iterator of os.scandir() over a folder. */
PyObject *view_scandir(const struct view_place *place);
/* A file as open(path, "rb", buffering=0) gives it. */
PyObject *view_raw_file(const struct view_place *place);
/* One that takes everything and holds nothing; `mode` as io.FileIO has it. */
PyObject *view_null_file(const struct view_place *place, const char *mode);
/* Sets what io.FileIO says of itself. 0, or -1 with an exception. */
int view_name_file(PyObject *raw, const struct view_place *place,
                   const char *mode) must_check;
