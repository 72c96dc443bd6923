/* SPDX-License-Identifier: MIT */
/*
 * A member that runs as a script does: compiled on its own, in a fresh __main__. Runs
 * under the GIL of whoever embeds the importer, on hostile sources.
 */
#include "importer/importer.h"
#include "importer/types.h"

#include <string.h>

/* The mount of a root and a member of it; NULL with an exception. */
static struct mount *find_member(const char *root, const char *member, size_t *ret_index)
{
    struct mount *mount = (struct mount *)PyDict_GetItemString(importer.mounts, root);
    ssize_t index = mount != NULL ? archive_find(mount->archive, member) : -1;

    if (index < 0) {
        PyErr_Format(PyExc_ImportError, "there is no %s in what is mounted at %s", member,
                     root);
        return NULL;
    }
    *ret_index = (size_t)index;
    return mount;
}

PyObject *importer_compile(const char *root, const char *member)
{
    size_t index;
    struct mount *mount = find_member(root, member, &index);
    PyObject *name, *loader, *code;

    if (mount == NULL) {
        return NULL;
    }
    name = PyUnicode_InternFromString("__main__");
    loader = name != NULL ? loader_new(mount, member, name, 0) : NULL;
    /* Having made a loader, linecache knows where the lines are, also those of a
     * SyntaxError. */
    code = loader != NULL ? mount_compile(mount, index, 0) : NULL;
    Py_XDECREF(name);
    Py_XDECREF(loader);
    return code;
}

static int set(PyObject *globals, const char *name, PyObject *value)
{
    return value != NULL ? PyDict_SetItemString(globals, name, value) : -1;
}

PyObject *importer_main_module(const char *root, const char *member)
{
    size_t index;
    struct mount *mount = find_member(root, member, &index);
    PyObject *module = mount != NULL ? PyModule_New("__main__") : NULL;
    PyObject *globals = module != NULL ? PyModule_GetDict(module) : NULL;
    PyObject *path = mount != NULL ? mount_path(mount, member) : NULL;
    PyObject *annotations = PyDict_New();
    PyObject *name = PyUnicode_InternFromString("__main__");
    PyObject *loader =
        mount != NULL && name != NULL ? loader_new(mount, member, name, 0) : NULL;
    PyObject *modules = PyImport_GetModuleDict();

    if (globals == NULL || set(globals, "__file__", path) != 0 ||
        set(globals, "__loader__", loader) != 0 ||
        set(globals, "__spec__", Py_None) != 0 ||
        set(globals, "__cached__", Py_None) != 0 ||
        set(globals, "__annotations__", annotations) != 0 ||
        set(globals, "__builtins__", PyImport_AddModule("builtins")) != 0 ||
        PyDict_SetItem(modules, name, module) != 0) {
        Py_CLEAR(module);
    }
    Py_XDECREF(path);
    Py_XDECREF(annotations);
    Py_XDECREF(name);
    Py_XDECREF(loader);
    return module;
}

/* ---- as `python -m` ---- */

/* Imports the package that the module lies in; a program's code may run. */
static int import_parent(const char *module)
{
    const char *dot = strrchr(module, '.');
    PyObject *name =
        dot != NULL ? PyUnicode_FromStringAndSize(module, dot - module) : NULL;
    PyObject *parent = name != NULL ? PyImport_Import(name) : NULL;
    int error = dot == NULL || parent != NULL ? 0 : -1;

    Py_XDECREF(parent);
    Py_XDECREF(name);
    return error;
}

/* The specification that an import of the member would have. */
static PyObject *member_spec(struct mount *mount, const char *member, const char *module)
{
    char folder[sizeof(((struct archive_entry *)NULL)->folder)];
    const char *slash = strrchr(member, '/');
    PyObject *path, *finder, *spec;

    (void)snprintf(folder, sizeof(folder), "%.*s",
                   slash != NULL ? (int)(slash - member) : 0, member);
    path = mount_path(mount, folder);
    finder = path != NULL ? finder_new(mount, path, folder) : NULL;
    spec = finder != NULL ? PyObject_CallMethod(finder, "find_spec", "s", module) : NULL;
    Py_XDECREF(finder);
    Py_XDECREF(path);
    return spec;
}

/* Copies an attribute of the specification. */
static int set_from(PyObject *globals, const char *name, PyObject *spec,
                    const char *attribute)
{
    PyObject *value = PyObject_GetAttrString(spec, attribute);
    int error = set(globals, name, value);

    Py_XDECREF(value);
    return error;
}

int importer_main_as(PyObject *main, const char *root, const char *member,
                     const char *module)
{
    PyObject *globals = PyModule_GetDict(main);
    size_t index;
    struct mount *mount = find_member(root, member, &index);
    PyObject *spec = mount != NULL && import_parent(module) == 0
                         ? member_spec(mount, member, module)
                         : NULL;
    int error = spec == NULL || set(globals, "__spec__", spec) != 0 ||
                        set_from(globals, "__loader__", spec, "loader") != 0 ||
                        set_from(globals, "__package__", spec, "parent") != 0
                    ? -1
                    : 0;

    Py_XDECREF(spec);
    return error;
}
