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

/* ---- setting aside ---- */

/* What is known of a module that was loaded ahead: a tuple of names, borrowed. NULL, with
 * an exception or without. */
static PyObject *linked(PyObject *name, Py_ssize_t which)
{
    PyObject *both = PyDict_GetItemWithError(importer.links, name);

    return both != NULL && PyTuple_Check(both) && PyTuple_GET_SIZE(both) == 2
               ? PyTuple_GET_ITEM(both, which)
               : NULL;
}

struct hiding {
    PyObject *modules;  /* sys.modules */
    PyObject *kept;     /* set: what stays */
    PyObject *builtins; /* tuple: sys.builtin_module_names, found before any path */
    PyObject *todo;     /* list: what was set aside, and whose importers are to follow */
};

/* Takes one module out of sys.modules. */
static int set_aside(const struct hiding *hiding, PyObject *name)
{
    PyObject *module = PyDict_GetItemWithError(hiding->modules, name);

    return module != NULL && PyDict_SetItem(importer.aside, name, module) == 0 &&
                   PyDict_DelItem(hiding->modules, name) == 0 &&
                   PyList_Append(hiding->todo, name) == 0
               ? 0
               : -1;
}

/* NAME and NAME.anything, if it is there and may go. */
static int set_tree_aside(const struct hiding *hiding, PyObject *name)
{
    PyObject *names, *prefix;
    int error;

    if (PyDict_Contains(hiding->modules, name) != 1 ||
        PySet_Contains(hiding->kept, name) != 0 ||
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
            error = set_aside(hiding, other);
        }
    }
    Py_XDECREF(prefix);
    Py_XDECREF(names);
    return error;
}

/* On a disk, who imports it would be loaded no earlier than itself. */
static int set_importers_aside(const struct hiding *hiding)
{
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(hiding->todo); i++) {
        PyObject *importers = linked(PyList_GET_ITEM(hiding->todo, i), 1);

        for (Py_ssize_t k = 0; importers != NULL && k < PyTuple_GET_SIZE(importers);
             k++) {
            if (set_tree_aside(hiding, PyTuple_GET_ITEM(importers, k)) != 0) {
                return -1;
            }
        }
    }
    return PyErr_Occurred() ? -1 : 0;
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

int importer_let_hide(const char *path, PyObject *kept, PyObject *links)
{
    const char *folder;
    struct mount *mount = mount_of(path, &folder);
    size_t count = mount != NULL ? archive_count(mount->archive) : 0;
    struct hiding hiding = {.modules = PyImport_GetModuleDict(),
                            .kept = kept,
                            .builtins = PySys_GetObject("builtin_module_names"),
                            .todo = PyList_New(0)};
    int error = hiding.todo != NULL && hiding.builtins != NULL ? 0 : -1;

    Py_XSETREF(importer.links, Py_NewRef(links));
    for (size_t i = 0; i < count && error == 0; i++) {
        PyObject *name = module_name(archive_name(mount->archive, i));

        error = name != NULL ? set_tree_aside(&hiding, name) : 0;
        Py_XDECREF(name);
    }
    if (error == 0) {
        error = set_importers_aside(&hiding);
    }
    Py_XDECREF(hiding.todo);
    return error != 0 || PyErr_Occurred() ? -1 : 0;
}

/* ---- giving out ---- */

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

/* What is not aside was imported meanwhile, or was never in question. */
int hide_import_again(PyObject *fullname)
{
    PyObject *names = linked(fullname, 0);

    for (Py_ssize_t i = 0; names != NULL && i < PyTuple_GET_SIZE(names); i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);
        PyObject *module = NULL;

        if (PyDict_Contains(importer.aside, name) == 1) {
            module = PyImport_ImportModuleLevelObject(name, NULL, NULL, NULL, 0);
        }
        Py_XDECREF(module);
        if (PyErr_Occurred()) {
            return -1;
        }
    }
    return PyErr_Occurred() ? -1 : 0;
}

/* The loader of a module that is C: its file is out of reach. */
struct keeper {
    PyObject_HEAD PyObject *fullname; /* owned */
    PyObject *spec;                   /* owned: the module's own; NULL before it is out */
};

static void keeper_dealloc(PyObject *self)
{
    struct keeper *keeper = (struct keeper *)self;
    PyTypeObject *type = Py_TYPE(self);

    Py_XDECREF(keeper->fullname);
    Py_XDECREF(keeper->spec);
    PyObject_Free(self);
    Py_DECREF(type);
}

static PyObject *keeper_create_module(PyObject *self, PyObject *spec)
{
    struct keeper *keeper = (struct keeper *)self;
    PyObject *module = hide_take_back(keeper->fullname);

    if (module == NULL && !PyErr_Occurred()) {
        PyErr_Format(PyExc_ImportError, "%U is loaded already", keeper->fullname);
    }
    if (module != NULL) {
        Py_XSETREF(keeper->spec, PyObject_GetAttrString(module, "__spec__"));
        PyErr_Clear();
    }
    return module;
}

static PyObject *keeper_exec_module(PyObject *self, PyObject *module)
{
    struct keeper *keeper = (struct keeper *)self;

    return (keeper->spec == NULL ||
            PyObject_SetAttrString(module, "__spec__", keeper->spec) == 0) &&
                   hide_import_again(keeper->fullname) == 0
               ? Py_NewRef(Py_None)
               : NULL;
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

PyObject *hide_loader(PyObject *fullname)
{
    static PyTypeObject *type;
    struct keeper *keeper;

    if (PyDict_Contains(importer.aside, fullname) != 1) {
        return NULL;
    }
    if (type == NULL) {
        type = (PyTypeObject *)PyType_FromSpec(&keeper_spec);
    }
    keeper = type != NULL ? PyObject_New(struct keeper, type) : NULL;
    if (keeper != NULL) {
        keeper->fullname = Py_NewRef(fullname);
        keeper->spec = NULL;
    }
    return (PyObject *)keeper;
}
