/* SPDX-License-Identifier: MIT */
/*
 * Python modules from a ZIP in memory: a path-entry hook on virtual roots, finder and
 * loader in C (PEP 302, 420, 451). Paths such as /robot/robot.py appear in __file__,
 * tracebacks and recordings, and exist nowhere on disk. No function here logs, exits, or
 * touches a file.
 *
 * Every function wants the GIL. Functions that return PyObject * return a new reference,
 * or NULL with a Python exception set; int functions return 0, or -1 with an exception
 * set.
 */
#pragma once

#include <Python.h>

#include "importer/archive.h"

/* Readies types and interned names, and puts the hook into sys.path_hooks, in front.
 * Before any mount; further calls do nothing; costs nothing per program afterwards (a
 * zygote calls it before it forks). The importer serves one interpreter, the main one: a
 * RuntimeError in others. After Py_FinalizeEx() everything is forgotten, and it can be
 * called again. */
int importer_init(void);

/* What the file view does not serve, as it stands in for functions of Python's and knows
 * nothing of the kernel:
 * - File descriptors: there are none. fileno() raises io.UnsupportedOperation, os.open()
 *   of what could be opened EOPNOTSUPP; os.fwalk(), glob's dir_fd=, mmap and what C code
 *   opens by itself (sqlite3, dbm, numpy.fromfile, ctypes) find nothing.
 * - io.FileIO(path): the type is left alone, and looks at the disk.
 * - Functions that were put elsewhere before the view was installed than into a module's
 *   namespace or a set in it: default arguments, attributes of objects, closures, and
 *   modules that are not in sys.modules. They look at the disk, too.
 * - os.statvfs(), os.pathconf(), os.chroot(), exec and spawn.
 * - Extended attributes (there are none) and links.
 * - Source lines in what C code of Python's prints by itself, reading them by file
 *   descriptor: PyErr_Print(), sys.__excepthook__, sys.__unraisablehook__,
 *   threading.excepthook, and so what atexit, __del__ and threads raise. The module
 *   traceback has them; the sandbox prints all of these by it, the Python module
 *   paddock_importer what sys.excepthook is called for.
 * Without IMPORTER_FILES: importlib.resources of a namespace package, and
 * importlib.metadata's Distribution.at().
 * Other limits: what the importer itself uses is loaded by it, and hides a program's own
 * modules of these names unless importer_let_hide() is asked: linecache and
 * importlib.util, with what they import (re, enum, types, tokenize, token, collections,
 * functools, ...); a file is inflated whole when it is opened; a folder's time is the
 * first of 1980; isinstance() knows loaders by none of importlib.abc's classes; and
 * loaders, with them __spec__, are not pickled. */
/* Puts the file view's functions in the place of Python's, wherever modules that are
 * loaded hold them, for as long as the process lives. The first mount with IMPORTER_FILES
 * does it, too; a zygote does it once, before it forks. */
int importer_install_files(void);
/* From here on os.devnull is the view's own: for where there is no disk to have one. */
void importer_offer_null(void);
/* os.chdir() to a virtual folder, which relative paths are resolved against from then on.
 */
int importer_change_directory(const char *path);

enum importer_flag {
    /* Serve open(), os.stat(), os.listdir() and the like for paths below the root, too.
     */
    IMPORTER_FILES = 1 << 0,
    /* The archive is trusted and holds compiled code (library.h): run it. */
    IMPORTER_READY = 1 << 1,
    /* A source that mixes tabs and spaces in a way that Python 3 refuses is read as
     * Python 2 did: a tab reaches to the next multiple of 8 columns. */
    IMPORTER_TABS = 1 << 2,
};

/* Makes `archive` importable for a sys.path entry equal to `root` ("/robot"; with a
 * sub-folder, "/robot/user", for its members below it). There may be several roots, none
 * within another (ValueError); a root is an absolute path without dots in it or a slash
 * at its end. Replaces what was mounted at that root. The archive is the importer's from
 * now on, also on error; `owner` (NULL for none) is what keeps its bytes alive, and is
 * held as long as anything may read them: modules that were imported go on after
 * importer_unmount. */
int importer_mount(struct archive *archive, const char *root, PyObject *owner,
                   unsigned flags);
/* ValueError if nothing is mounted there. Modules that are loaded stay loaded. */
int importer_unmount(const char *root);

/* What was imported ahead, before a program's own modules were there to hide it.
 * `modules`, {name: module}: those that cannot be made anew, being C or changed by hand;
 * an import that comes to the library (library.h) with such a name gets that very module.
 * `links`, {name: (names that it imports, names that import it)}, of tuples: what running
 * a module imported; where a name is in both, what is given out imports that again. */
int importer_keep(PyObject *modules, PyObject *links);
/* Lets modules of the archive that the folder `path` is in hide what was imported ahead,
 * as they would have if nothing had been: takes out of sys.modules what modules in any
 * folder of it may hide once that is on sys.path, and who has imported that, directly or
 * not. The next import finds the program's or, from the library, makes them anew. Names
 * in the set `startup` stay. */
int importer_let_hide(const char *path, PyObject *startup);

/* zipimport.ZipImportError, which every refusal of an archive or a member is; borrowed.
 */
PyObject *importer_error(void);
/* This very exception is one of the importer's refusals, the last one: a program may
 * raise the same type of its own. */
bool importer_has_refused(PyObject *exception);
/* Raises it: a sentence, the module's name or NULL, the virtual path. Returns NULL. */
PyObject *importer_refuse(const char *sentence, PyObject *name, const char *path);

/* From here on what is compiled from archives (not what is IMPORTER_READY) goes through
 * this: it gets the code object, borrowed, and returns a new reference to the one that is
 * to be run, or NULL with an exception. NULL for none. */
void importer_set_code_hook(PyObject *(*hook)(PyObject *code));

/* From here on every source of an archive (not of one that is IMPORTER_READY) is shown to
 * this before it is compiled. NULL for none. */
void importer_set_source_hook(void (*hook)(const char *source, size_t size));

/* A line of the source at a path (any object) below a root, without its end: a new
 * reference, or NULL, without an exception, where there is none. Runs no Python. So of an
 * encoding that Python has no codec for in C there is none, unless `guess`: then U+FFFD
 * stands for what is no UTF-8. `source`
 * keeps what was read last, for the lines after it: zeros to begin with, and the caller
 * frees .text. */
struct importer_source {
    char *text;
    size_t size;
    const void *mount; /* borrowed, and compared alone */
    ssize_t index;
};
PyObject *importer_source_line(struct importer_source *source, PyObject *path, int line,
                               bool guess);

/* The columns of this SyntaxError of a text are in bytes of its line's UTF-8, and not in
 * characters as Python's others are. Those of sources of archives are put right. */
bool importer_counts_bytes(PyObject *exception);

/* The code object of a member (a path in the archive mounted at `root`), compiled with
 * the co_filename ROOT/MEMBER; SyntaxError and the like as Python raises them. */
PyObject *importer_compile(const char *root, const char *member);

/* Makes sys.modules['__main__'] a fresh module as `python FILE` would have it (__file__,
 * __spec__ None, __loader__ so that tracebacks and inspect find the source) and returns
 * it. */
PyObject *importer_main_module(const char *root, const char *member);
/* Makes that module what `python -m MODULE` would have made of the member: its __spec__
 * is the module's and its __package__ the package that it lies in, which is imported, so
 * that relative imports work. */
int importer_main_as(PyObject *main, const char *root, const char *member,
                     const char *module);
