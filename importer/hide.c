/* SPDX-License-Identifier: MIT */
/*
 * Modules that were loaded ahead, and the program's own of the same name: what would be
 * found first had nothing been loaded must be found first here. Runs under the GIL in the
 * sandbox's prologue, on names of a client's making, and later when a program imports.
 */
#include "importer/importer.h"
#include "importer/types.h"

#include "common/text.h"

#include <string.h>

/* Is the module's source in Python's library, which then finds it, too? -1 with an
 * exception. */
static int is_in_library(PyObject *module)
{
    PyObject *spec = PyObject_GetAttrString(module, "__spec__");
    PyObject *origin = spec != NULL ? PyObject_GetAttrString(spec, "origin") : NULL;
    const char *path = origin != NULL ? importer_text(origin) : NULL, *member;
    struct mount *mount = path != NULL ? mount_of(path, &member) : NULL;
    int is = mount != NULL && (mount->flags & IMPORTER_READY) != 0 &&
             archive_find(mount->archive, member) >= 0;

    if (origin == NULL && PyErr_ExceptionMatches(PyExc_AttributeError)) {
        PyErr_Clear(); /* __spec__ is None, or something that somebody put there */
    }
    Py_XDECREF(origin);
    Py_XDECREF(spec);
    return PyErr_Occurred() ? -1 : is;
}

/* Takes one module out of sys.modules. What the library has, its loader gives out when an
 * import comes to it after all; what it has not goes only if it `must`: nothing could
 * bring it back. */
static int set_aside(PyObject *modules, PyObject *name, bool must)
{
    PyObject *module = PyDict_GetItemWithError(modules, name);
    int comes_back = module != NULL ? is_in_library(module) : -1;

    if (comes_back < 0 ||
        (comes_back == 1 && PyDict_SetItem(importer.aside, name, module) != 0)) {
        return -1;
    }
    return comes_back == 1 || must ? PyDict_DelItem(modules, name) : 0;
}

/* NAME and NAME.anything. */
static int set_tree_aside(PyObject *modules, PyObject *name, bool must)
{
    PyObject *names = PyDict_Keys(modules);
    PyObject *prefix = PyUnicode_FromFormat("%U.", name);
    int error = names != NULL && prefix != NULL ? 0 : -1;

    for (Py_ssize_t i = 0; error == 0 && i < PyList_GET_SIZE(names); i++) {
        PyObject *other = PyList_GET_ITEM(names, i);

        if (PyUnicode_Check(other) &&
            (PyUnicode_Compare(other, name) == 0 ||
             PyUnicode_Tailmatch(other, prefix, 0, PY_SSIZE_T_MAX, -1) == 1)) {
            error = set_aside(modules, other, must);
        }
    }
    Py_XDECREF(prefix);
    Py_XDECREF(names);
    return error;
}

/* The name that a member has as a module when its folder is on sys.path, or for an
 * __init__.py the folder above; a new reference. NULL, without an exception, for one that
 * is no module: a folder without __init__.py hides nothing. `ret_folder` is that folder's
 * size. */
static PyObject *module_name(const char *member, size_t *ret_folder)
{
    const char *slash = strrchr(member, '/');
    const char *name = slash != NULL ? slash + 1 : member;
    const char *end;

    if (!text_ends_with(name, ".py")) {
        return NULL;
    }
    end = name + strlen(name) - 3;
    if (strcmp(name, "__init__.py") == 0) {
        if (slash == NULL) {
            return NULL;
        }
        end = slash;
        name = memrchr(member, '/', (size_t)(slash - member));
        name = name != NULL ? name + 1 : member;
    }
    *ret_folder = name > member ? (size_t)(name - member) - 1 : 0;
    return PyUnicode_FromStringAndSize(name, end - name);
}

int importer_let_hide(const char *path, PyObject *kept)
{
    PyObject *modules = PyImport_GetModuleDict();
    PyObject *builtins = PySys_GetObject("builtin_module_names");
    const char *first;
    struct mount *mount = mount_of(path, &first);
    size_t count = mount != NULL ? archive_count(mount->archive) : 0;
    int error = 0;

    for (size_t i = 0; i < count && error == 0; i++) {
        const char *member = archive_name(mount->archive, i);
        size_t folder;
        PyObject *name = module_name(member, &folder);

        if (name != NULL && PyDict_Contains(modules, name) == 1 &&
            PySet_Contains(kept, name) == 0 && PySequence_Contains(builtins, name) == 0) {
            bool must = folder == strlen(first) && strncmp(member, first, folder) == 0;

            error = set_tree_aside(modules, name, must);
        }
        Py_XDECREF(name);
    }
    return error != 0 || PyErr_Occurred() ? -1 : 0;
}

PyObject *hide_take_back(PyObject *fullname)
{
    PyObject *module = PyDict_GetItemWithError(importer.aside, fullname);

    if (module == NULL) {
        return NULL;
    }
    Py_INCREF(module);
    if (PyDict_DelItem(importer.aside, fullname) != 0) {
        Py_CLEAR(module);
    }
    return module;
}
