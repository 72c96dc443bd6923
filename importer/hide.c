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

/* ---- what was loaded ahead ---- */

static PyObject *import_name(PyObject *self, PyObject *name)
{
    return PyImport_ImportModuleLevelObject(name, NULL, NULL, NULL, 0);
}

/* As an object, for _call_with_frames_removed. */
static PyMethodDef import_method = {"import", import_name, METH_O, NULL};

int importer_keep(PyObject *modules, PyObject *links)
{
    PyObject *import = PyCFunction_New(&import_method, NULL);

    if (import == NULL) {
        return -1;
    }
    Py_XSETREF(importer.import, import);
    Py_XSETREF(importer.kept, Py_NewRef(modules));
    Py_XSETREF(importer.links, Py_NewRef(links));
    return 0;
}

/* What a module imports (0), or who imports it (1): a tuple of names, new reference.
 * NULL, with an exception or without. */
static PyObject *linked(PyObject *name, Py_ssize_t which)
{
    PyObject *both =
        importer.links != NULL ? PyDict_GetItemWithError(importer.links, name) : NULL;
    PyObject *names = both != NULL && PyTuple_Check(both) && PyTuple_GET_SIZE(both) == 2
                          ? PyTuple_GET_ITEM(both, which)
                          : NULL;

    return names != NULL && PyTuple_Check(names) ? Py_NewRef(names) : NULL;
}

/* ---- letting it go ---- */

struct hiding {
    PyObject *modules;  /* sys.modules */
    PyObject *startup;  /* set: what stays */
    PyObject *builtins; /* tuple: sys.builtin_module_names, found before any path */
    PyObject *gone;     /* list: names that were let go, whose importers are to follow */
    PyObject *old;      /* list: their modules */
};

static int let_go(const struct hiding *hiding, PyObject *name)
{
    PyObject *module = PyDict_GetItemWithError(hiding->modules, name);

    return module != NULL && PyList_Append(hiding->old, module) == 0 &&
                   PyList_Append(hiding->gone, name) == 0 &&
                   PyDict_DelItem(hiding->modules, name) == 0
               ? 0
               : -1;
}

/* A package that stays has its module as an attribute, by which `from` would find it. One
 * that goes, too, keeps it: whoever holds that package may need it. */
static int leave_parent(const struct hiding *hiding, PyObject *name, PyObject *module)
{
    Py_ssize_t size = PyUnicode_GET_LENGTH(name);
    Py_ssize_t dot = PyUnicode_FindChar(name, '.', 0, size, -1);
    PyObject *above = dot > 0 ? PyUnicode_Substring(name, 0, dot) : NULL;
    PyObject *own = dot > 0 ? PyUnicode_Substring(name, dot + 1, size) : NULL;
    PyObject *parent =
        above != NULL ? PyDict_GetItemWithError(hiding->modules, above) : NULL;
    PyObject *globals =
        parent != NULL && PyModule_Check(parent) ? PyModule_GetDict(parent) : NULL;
    int error = 0;

    if (globals != NULL && own != NULL &&
        PyDict_GetItemWithError(globals, own) == module) {
        error = PyDict_DelItem(globals, own);
    }
    Py_XDECREF(own);
    Py_XDECREF(above);
    return error != 0 || PyErr_Occurred() ? -1 : 0;
}

static int leave_parents(const struct hiding *hiding)
{
    int error = 0;

    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(hiding->gone) && error == 0; i++) {
        error = leave_parent(hiding, PyList_GET_ITEM(hiding->gone, i),
                             PyList_GET_ITEM(hiding->old, i));
    }
    return error;
}

/* NAME and NAME.anything, if it is there and may go. */
static int let_tree_go(const struct hiding *hiding, PyObject *name)
{
    PyObject *names, *prefix;
    int error;

    if (PyDict_Contains(hiding->modules, name) != 1 ||
        PySet_Contains(hiding->startup, name) != 0 ||
        PySequence_Contains(hiding->builtins, name) != 0) {
        return PyErr_Occurred() ? -1 : 0;
    }
    names = PyDict_Keys(hiding->modules);
    prefix = PyUnicode_FromFormat("%U.", name);
    error = names != NULL && prefix != NULL ? 0 : -1;
    for (Py_ssize_t i = 0; error == 0 && i < PyList_GET_SIZE(names); i++) {
        PyObject *other = PyList_GET_ITEM(names, i);

        if (PyUnicode_Check(other) &&
            (PyUnicode_Compare(other, name) == 0 ||
             PyUnicode_Tailmatch(other, prefix, 0, PY_SSIZE_T_MAX, -1) == 1)) {
            error = let_go(hiding, other);
        }
    }
    Py_XDECREF(prefix);
    Py_XDECREF(names);
    return error;
}

/* On a disk, who imports it would be loaded no earlier than itself. */
static int let_importers_go(const struct hiding *hiding)
{
    int error = 0;

    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(hiding->gone) && error == 0; i++) {
        PyObject *importers = linked(PyList_GET_ITEM(hiding->gone, i), 1);

        for (Py_ssize_t k = 0;
             importers != NULL && error == 0 && k < PyTuple_GET_SIZE(importers); k++) {
            error = let_tree_go(hiding, PyTuple_GET_ITEM(importers, k));
        }
        Py_XDECREF(importers);
    }
    return error != 0 || PyErr_Occurred() ? -1 : 0;
}

/* The name that a member has as a module when its folder is on sys.path, or for an
 * __init__.py the folder above; a new reference. NULL, without an exception, for one that
 * is no module: a folder without __init__.py hides nothing. */
static PyObject *module_name(const char *member)
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
    return PyUnicode_FromStringAndSize(name, end - name);
}

int importer_let_hide(const char *path, PyObject *startup)
{
    const char *folder;
    struct mount *mount = mount_of(path, &folder);
    size_t count = mount != NULL ? archive_count(mount->archive) : 0;
    struct hiding hiding = {.modules = PyImport_GetModuleDict(),
                            .startup = startup,
                            .builtins = PySys_GetObject("builtin_module_names"),
                            .gone = PyList_New(0),
                            .old = PyList_New(0)};
    int error =
        hiding.gone != NULL && hiding.old != NULL && hiding.builtins != NULL ? 0 : -1;

    for (size_t i = 0; i < count && error == 0; i++) {
        PyObject *name = module_name(archive_name(mount->archive, i));

        error = name != NULL ? let_tree_go(&hiding, name) : 0;
        Py_XDECREF(name);
    }
    if (error == 0) {
        error = let_importers_go(&hiding);
    }
    if (error == 0) {
        error = leave_parents(&hiding);
    }
    Py_XDECREF(hiding.old);
    Py_XDECREF(hiding.gone);
    return error != 0 || PyErr_Occurred() ? -1 : 0;
}

/* ---- giving out what cannot be made anew ---- */

struct keeper {
    PyObject_HEAD PyObject *module; /* owned */
    PyObject *spec;                 /* owned: its own */
};

static void keeper_dealloc(PyObject *self)
{
    struct keeper *keeper = (struct keeper *)self;
    PyTypeObject *type = Py_TYPE(self);

    Py_XDECREF(keeper->module);
    Py_XDECREF(keeper->spec);
    PyObject_Free(self);
    Py_DECREF(type);
}

static PyObject *keeper_create_module(PyObject *self, PyObject *spec)
{
    return Py_NewRef(((struct keeper *)self)->module);
}

/* What is there already was imported meanwhile; and what is not to be had has done no
 * harm when the module ran. */
static int import_again(PyObject *name)
{
    PyObject *module;

    if (PyDict_Contains(PyImport_GetModuleDict(), name) != 0) {
        return PyErr_Occurred() ? -1 : 0;
    }
    module =
        PyObject_CallFunctionObjArgs(importer.call_trimmed, importer.import, name, NULL);
    Py_XDECREF(module);
    if (module == NULL && PyErr_ExceptionMatches(PyExc_ImportError)) {
        PyErr_Clear();
    }
    return PyErr_Occurred() ? -1 : 0;
}

/* The kept modules of a kept package are its attributes, and come back with it: they lie
 * on its own path, where no program's could hide them. */
static int bring_back_parts(PyObject *package)
{
    PyObject *modules = PyImport_GetModuleDict();
    PyObject *prefix = PyUnicode_FromFormat("%U.", package);
    PyObject *name, *module;
    Py_ssize_t at = 0;
    int error = prefix != NULL ? 0 : -1;

    while (error == 0 && PyDict_Next(importer.kept, &at, &name, &module)) {
        if (PyUnicode_Check(name) &&
            PyUnicode_Tailmatch(name, prefix, 0, PY_SSIZE_T_MAX, -1) == 1 &&
            PyDict_Contains(modules, name) == 0) {
            error = PyDict_SetItem(modules, name, module);
        }
    }
    Py_XDECREF(prefix);
    return error != 0 || PyErr_Occurred() ? -1 : 0;
}

/* It has run; what it imported as it did is imported once more. The specification in
 * which it was found this time is not its own. */
static PyObject *keeper_exec_module(PyObject *self, PyObject *module)
{
    struct keeper *keeper = (struct keeper *)self;
    PyObject *name = PyObject_GetAttrString(keeper->spec, "name");
    PyObject *names = name != NULL ? linked(name, 0) : NULL;
    int error =
        name != NULL && PyObject_SetAttrString(module, "__spec__", keeper->spec) == 0
            ? bring_back_parts(name)
            : -1;

    for (Py_ssize_t i = 0; names != NULL && error == 0 && i < PyTuple_GET_SIZE(names);
         i++) {
        error = import_again(PyTuple_GET_ITEM(names, i));
    }
    Py_XDECREF(names);
    Py_XDECREF(name);
    return error == 0 && !PyErr_Occurred() ? Py_NewRef(Py_None) : NULL;
}

static PyMethodDef keeper_methods[] = {
    {"create_module", keeper_create_module, METH_O, NULL},
    {"exec_module", keeper_exec_module, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot keeper_slots[] = {
    {Py_tp_dealloc, keeper_dealloc},
    {Py_tp_methods, keeper_methods},
    {0, NULL},
};

static PyType_Spec keeper_spec = {
    .name = "paddock_importer.KeptModule",
    .basicsize = sizeof(struct keeper),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = keeper_slots,
};

static PyObject *keeper_new(PyObject *module, PyObject *spec)
{
    static PyTypeObject *type;
    struct keeper *keeper;

    if (type == NULL) {
        type = (PyTypeObject *)PyType_FromSpec(&keeper_spec);
    }
    keeper = type != NULL ? PyObject_New(struct keeper, type) : NULL;
    if (keeper != NULL) {
        keeper->module = Py_NewRef(module);
        keeper->spec = Py_NewRef(spec);
    }
    return (PyObject *)keeper;
}

PyObject *hide_loader(PyObject *fullname, PyObject **ret_spec)
{
    PyObject *module =
        importer.kept != NULL ? PyDict_GetItemWithError(importer.kept, fullname) : NULL;
    PyObject *loader;

    if (module == NULL) {
        return NULL;
    }
    *ret_spec = PyObject_GetAttrString(module, "__spec__");
    loader = *ret_spec != NULL ? keeper_new(module, *ret_spec) : NULL;
    if (loader == NULL) {
        Py_CLEAR(*ret_spec);
    }
    return loader;
}
