/* SPDX-License-Identifier: MIT */
/*
 * A member that runs as a script does: compiled on its own, in a fresh __main__. Runs
 * under the GIL of whoever embeds the importer, on hostile sources.
 */
#include "importer/importer.h"
#include "importer/types.h"

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
