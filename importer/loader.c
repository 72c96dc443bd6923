/* SPDX-License-Identifier: MIT */
/*
 * The loader of one module: compiles it once, runs it, and gives out its source and its
 * package's data. Being C it has no frames of its own; the import system's are taken out
 * of tracebacks by _call_with_frames_removed, which CPython's own loaders use for that.
 * Runs under the GIL on hostile sources.
 */
#include "importer/importer.h"
#include "importer/view.h"

#include <stddef.h>
#include <string.h>
#include <structmember.h>

struct loader {
    PyObject_HEAD struct mount *mount; /* owned */
    size_t index;                      /* of the member */
    PyObject *fullname;                /* owned */
    PyObject *path;                    /* owned: ROOT/MEMBER */
    int is_package;
};

static void loader_dealloc(PyObject *self)
{
    struct loader *loader = (struct loader *)self;
    PyTypeObject *type = Py_TYPE(self);

    Py_XDECREF(loader->mount);
    Py_XDECREF(loader->fullname);
    Py_XDECREF(loader->path);
    PyObject_Free(self);
    Py_DECREF(type);
}

/* ---- source ---- */

static PyObject *read_source(struct loader *loader)
{
    PyObject *bytes = mount_read(loader->mount, loader->index);
    PyObject *text =
        bytes != NULL ? PyObject_CallOneArg(importer.decode_source, bytes) : NULL;

    Py_XDECREF(bytes);
    return text;
}

/* For linecache, which calls it without arguments; a source that cannot be decoded has no
 * lines. */
static PyObject *lines_for_cache(PyObject *self, PyObject *ignored)
{
    PyObject *text = read_source((struct loader *)self);

    if (text == NULL) {
        PyErr_Clear();
        Py_RETURN_NONE;
    }
    return text;
}

static PyMethodDef cache_method = {"source", lines_for_cache, METH_NOARGS, NULL};

/* linecache finds the lines by the file's name alone: pdb, warnings and tracebacks of
 * dead frames have no more. An entry of one callable is linecache's own form for lines
 * that are fetched when they are wanted. */
static int register_lines(PyObject *loader)
{
    PyObject *source = PyCFunction_New(&cache_method, loader);
    PyObject *entry = source != NULL ? PyTuple_Pack(1, source) : NULL;
    int error =
        entry != NULL && PyDict_Check(importer.line_cache)
            ? PyDict_SetItem(importer.line_cache, ((struct loader *)loader)->path, entry)
            : -1;

    Py_XDECREF(source);
    Py_XDECREF(entry);
    return error;
}

PyObject *loader_new(struct mount *mount, const char *member, PyObject *fullname,
                     int is_package)
{
    struct loader *loader = PyObject_New(struct loader, loader_type);

    if (loader == NULL) {
        return NULL;
    }
    loader->mount = (struct mount *)Py_NewRef((PyObject *)mount);
    loader->index =
        (size_t)archive_find(mount->archive, member); /* the caller has found it */
    loader->fullname = Py_NewRef(fullname);
    loader->is_package = is_package;
    loader->path = mount_path(mount, member);
    if (loader->path == NULL || register_lines((PyObject *)loader) != 0) {
        Py_DECREF(loader);
        return NULL;
    }
    return (PyObject *)loader;
}

/* ---- the protocol (importlib.abc.InspectLoader, ResourceLoader) ---- */

/* runpy and inspect pass a name: it must be this module's, or __main__. */
static int check_name(struct loader *loader, PyObject *name)
{
    if (name == Py_None || PyUnicode_CompareWithASCIIString(name, "__main__") == 0 ||
        PyUnicode_Compare(name, loader->fullname) == 0) {
        return 0;
    }
    if (!PyErr_Occurred()) {
        PyErr_Format(PyExc_ImportError, "loader for %U cannot handle %U",
                     loader->fullname, name);
    }
    return -1;
}

/* The optional name of the methods below. */
static int take_name(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    if (count > 1 || (count == 1 && args[0] != Py_None && !PyUnicode_Check(args[0]))) {
        PyErr_SetString(PyExc_TypeError, "takes the name of a module");
        return -1;
    }
    return count == 1 ? check_name((struct loader *)self, args[0]) : 0;
}

static PyObject *create_module(PyObject *self, PyObject *spec)
{
    Py_RETURN_NONE;
}

static PyObject *exec_module(PyObject *self, PyObject *module)
{
    struct loader *loader = (struct loader *)self;
    PyObject *code = mount_compile(loader->mount, loader->index, 1);
    PyObject *globals = code != NULL ? PyObject_GetAttrString(module, "__dict__") : NULL;
    PyObject *result = NULL;

    if (globals != NULL) {
        result = PyObject_CallFunctionObjArgs(importer.call_trimmed, importer.exec, code,
                                              globals, NULL);
    }
    Py_XDECREF(globals);
    Py_XDECREF(code);
    return result;
}

static PyObject *get_code(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    struct loader *loader = (struct loader *)self;

    return take_name(self, args, count) == 0
               ? mount_compile(loader->mount, loader->index, 1)
               : NULL;
}

static PyObject *get_source(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    return take_name(self, args, count) == 0 ? read_source((struct loader *)self) : NULL;
}

static PyObject *get_filename(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    return take_name(self, args, count) == 0 ? Py_NewRef(((struct loader *)self)->path)
                                             : NULL;
}

static PyObject *is_package(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    return take_name(self, args, count) == 0
               ? PyBool_FromLong(((struct loader *)self)->is_package)
               : NULL;
}

/* By absolute virtual path, as pkgutil.get_data makes it from __file__. */
static PyObject *get_data(PyObject *self, PyObject *path)
{
    autoplace struct view_place place = {.kind = VIEW_NONE};

    if (view_resolve_any(path, ((struct loader *)self)->mount, &place) != 0) {
        return NULL;
    }
    if (place.kind == VIEW_FILE) {
        return mount_read(place.mount, (size_t)place.index);
    }
    return view_error(view_missing(&place), &place);
}

/* With a file view as from disk: importlib.resources gives pathlib.Path objects. */
static PyObject *get_resource_reader(PyObject *self, PyObject *const *args,
                                     Py_ssize_t count)
{
    struct loader *loader = (struct loader *)self;
    PyObject *module, *reader;

    if (take_name(self, args, count) != 0) {
        return NULL;
    }
    if ((loader->mount->flags & IMPORTER_FILES) == 0) {
        return resource_reader(loader->path);
    }
    module = PyImport_ImportModule("importlib.readers");
    reader = module != NULL ? PyObject_CallMethod(module, "FileReader", "O", self) : NULL;
    Py_XDECREF(module);
    return reader;
}

/* As importlib's own loaders have it: PEP 302, for packages that still call it. */
static PyObject *load_module(PyObject *self, PyObject *name)
{
    PyObject *bootstrap = PyImport_ImportModule("importlib._bootstrap");
    PyObject *module =
        bootstrap != NULL
            ? PyObject_CallMethod(bootstrap, "_load_module_shim", "OO", self, name)
            : NULL;

    Py_XDECREF(bootstrap);
    return module;
}

static PyObject *loader_repr(PyObject *self)
{
    return PyUnicode_FromFormat("<archive loader of %R>", ((struct loader *)self)->path);
}

#define NAMED(function) (PyCFunction)(void (*)(void))(function), METH_FASTCALL

static PyMethodDef loader_methods[] = {
    {"create_module", create_module, METH_O, NULL},
    {"exec_module", exec_module, METH_O, NULL},
    {"get_code", NAMED(get_code), NULL},
    {"get_source", NAMED(get_source), NULL},
    {"get_filename", NAMED(get_filename), NULL},
    {"is_package", NAMED(is_package), NULL},
    {"get_data", get_data, METH_O, NULL},
    {"load_module", load_module, METH_O, NULL},
    {"get_resource_reader", NAMED(get_resource_reader), NULL},
    {NULL, NULL, 0, NULL},
};

/* As importlib.machinery.SourceFileLoader has them. */
static PyMemberDef loader_members[] = {
    {"name", T_OBJECT, offsetof(struct loader, fullname), READONLY, NULL},
    {"path", T_OBJECT, offsetof(struct loader, path), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot loader_slots[] = {
    {Py_tp_dealloc, loader_dealloc},
    {Py_tp_methods, loader_methods},
    {Py_tp_members, loader_members},
    {Py_tp_repr, loader_repr},
    {0, NULL},
};

PyType_Spec loader_spec = {
    .name = "paddock_importer.ArchiveLoader",
    .basicsize = sizeof(struct loader),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = loader_slots,
};
