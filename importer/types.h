/* SPDX-License-Identifier: MIT */
/* The Python types of the importer, and what its files share. Not for users of the
 * library. */
#pragma once

#include <Python.h>

#include "importer/archive.h"

#include <limits.h>

/* An archive that is mounted; finders and loaders keep it alive. */
struct mount {
    PyObject_HEAD struct archive *archive; /* owned */
    PyObject *root;                        /* owned: "/robot" */
    PyObject *owner; /* owned: keeps the archive's bytes; may be NULL */
    unsigned flags;  /* enum importer_flag */
};

/* Of importlib and friends; looked up once, so that nothing a program does to the modules
 * matters to us. All owned. */
struct importer_state {
    PyObject *mounts;       /* dict: root -> struct mount */
    PyObject *kept;         /* dict: name -> module that cannot be made anew (hide.c) */
    PyObject *links;        /* dict: name -> (names, names) */
    PyObject *import;       /* hide.c's: (name) -> module; these three may be NULL */
    PyObject *module_spec;  /* importlib.machinery.ModuleSpec */
    PyObject *call_trimmed; /* importlib._bootstrap._call_with_frames_removed: its frames
                               leave tracebacks */
    PyObject *compile;      /* builtins.compile */
    PyObject *compile_checked; /* compile.c's: (source, path) -> code */
    PyObject *exec;            /* builtins.exec */
    PyObject *decode_source;   /* importlib.util.decode_source */
    PyObject *line_cache;      /* linecache.cache */
    PyObject *stat_result;     /* os.stat_result */
    PyObject *error;           /* zipimport.ZipImportError */
    PyObject *resources;       /* dict: what resource.py defines, once it is wanted */
    bool has_null;             /* the view has an os.devnull of its own */
    bool serves_files;         /* view.c's functions are in the place of Python's */
    bool finds_distributions;  /* resource.c's finder is on sys.meta_path */
    char directory[PATH_MAX];  /* the virtual working directory, or "" while it is a real
                                  one */
};

extern struct importer_state importer;

extern PyType_Spec mount_spec, finder_spec, loader_spec;
extern PyTypeObject *mount_type, *finder_type, *loader_type;

/* A loader for one member. New reference. */
PyObject *loader_new(struct mount *mount, const char *member, PyObject *fullname,
                     int is_package);
/* The loader that gives out a module that importer_keep() keeps, with that module's own
 * specification; NULL, without an exception, for others. New references. */
PyObject *hide_loader(PyObject *fullname, PyObject **ret_spec);
/* A finder for a folder of the archive ("" or "pkg/sub") that stands for `path`. New
 * reference. */
PyObject *finder_new(struct mount *mount, PyObject *path, const char *folder);

/* The UTF-8 of a string without a NUL in it, borrowed; NULL, without an exception, for
 * anything else: no member and no root has such a name. */
const char *importer_text(PyObject *object);

/* The mount that an absolute path lies in (the one with the longest root), borrowed, and
 * the path within it; NULL, without an exception, if there is none. */
struct mount *mount_of(const char *path, const char **ret_member);

/* The bytes of a member, with the path of the virtual file. New references; NULL with an
 * exception. */
PyObject *mount_read(struct mount *mount, size_t index);
PyObject *mount_path(struct mount *mount, const char *member);

/* Compiles a member once, as ROOT/MEMBER. `trimmed`: called from the import system, whose
 * frames are to leave the traceback of a SyntaxError. */
PyObject *mount_compile(struct mount *mount, size_t index, int trimmed);

/* compile.c: compiles a source (bytes) as what stands at `path`, as a module of a mount
 * of these flags. New reference; NULL with an exception that says what its reader needs.
 */
PyObject *compile_member(PyObject *source, PyObject *path, unsigned flags, int trimmed);
/* 0, or -1 with an exception. */
int compile_install(void);

/* again.c: compiles a source that was refused with that SyntaxError in another form
 * (bytes or str). Returns what that is refused with if it is the same, of the same
 * message and line: new; or NULL without an exception. No warning is shown again; those
 * that the program's filters make errors are. */
PyObject *syntax_again(PyObject *exception, PyObject *source);

/* Of the SyntaxError that is set for a source (bytes) of that path: sees to it that it
 * has its line, columns in characters, and args as they are. What Python 3.11 finds wrong
 * once it has read a source to its end, such as a `return` outside of a function, it
 * shows with the line that it reads from the file, which is not there, and with columns
 * in bytes of UTF-8; of an expression within an f-string it tells a line that is none of
 * the source: that gets the source's own, and columns of that, or none where the
 * expression stands in it more than once. */
void syntax_explain(PyObject *source, PyObject *path);

/* importlib.resources.abc.ResourceReader of the package whose __init__ is at `path`, in a
 * mount without a file view. New reference. */
PyObject *resource_reader(PyObject *path);
/* Lets importlib.metadata find what lies in mounts without a file view. 0, or -1 with an
 * exception. */
int resource_install_finder(void);

/* The loader that refuses a module by a sentence; NULL, without an exception, for one
 * that is not refused. New reference. */
PyObject *refusal_loader(const char *module);
