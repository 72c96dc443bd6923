/* SPDX-License-Identifier: MIT */
/*
 * The path-entry finder (PEP 451, PEP 420): one for each folder of an archive that is on
 * sys.path or in a package's __path__. Looks names up in the archive's checked directory
 * and inflates nothing. Runs under the GIL on names that a program chose.
 */
#include "importer/importer.h"
#include "importer/types.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <structmember.h>

#define PATH_MAX_BYTES 600

struct finder {
    PyObject_HEAD struct mount *mount; /* owned */
    PyObject *path;                    /* owned: the path that it was made for */
    char *folder;                      /* owned: "" or "pkg/sub" */
};

static void finder_dealloc(PyObject *self)
{
    struct finder *finder = (struct finder *)self;
    PyTypeObject *type = Py_TYPE(self);

    Py_XDECREF(finder->mount);
    Py_XDECREF(finder->path);
    free(finder->folder);
    PyObject_Free(self);
    Py_DECREF(type);
}

PyObject *finder_new(struct mount *mount, PyObject *path, const char *folder)
{
    struct finder *finder = PyObject_New(struct finder, finder_type);

    if (finder == NULL) {
        return NULL;
    }
    finder->mount = (struct mount *)Py_NewRef((PyObject *)mount);
    finder->path = Py_NewRef(path);
    finder->folder = strdup(folder);
    if (finder->folder == NULL) {
        Py_DECREF(finder);
        return PyErr_NoMemory();
    }
    return (PyObject *)finder;
}

/* ---- specs ---- */

/* Sets the attribute and takes over the reference. */
static int set_attribute(PyObject *object, const char *name, PyObject *value)
{
    int error = value != NULL ? PyObject_SetAttrString(object, name, value) : -1;

    Py_XDECREF(value);
    return error;
}

static PyObject *make_spec(PyObject *fullname, PyObject *loader, PyObject *origin,
                           int is_package)
{
    PyObject *arguments = PyTuple_Pack(2, fullname, loader);
    PyObject *keywords = Py_BuildValue("{sOsO}", "origin", origin, "is_package",
                                       is_package ? Py_True : Py_False);
    PyObject *spec = NULL;

    if (arguments != NULL && keywords != NULL) {
        spec = PyObject_Call(importer.module_spec, arguments, keywords);
    }
    Py_XDECREF(arguments);
    Py_XDECREF(keywords);
    return spec;
}

static PyObject *folder_list(struct mount *mount, const char *folder)
{
    PyObject *path = mount_path(mount, folder);
    PyObject *list = path != NULL ? PyList_New(1) : NULL;

    if (list == NULL) {
        Py_XDECREF(path);
        return NULL;
    }
    PyList_SET_ITEM(list, 0, path);
    return list;
}

/* `folder` is the package's own, for its __path__; NULL for a plain module. */
static PyObject *file_spec(struct finder *finder, PyObject *fullname, const char *member,
                           const char *folder)
{
    PyObject *origin = mount_path(finder->mount, member);
    PyObject *loader = loader_new(finder->mount, member, fullname, folder != NULL);
    PyObject *spec = NULL;

    if (origin != NULL && loader != NULL) {
        spec = make_spec(fullname, loader, origin, folder != NULL);
    }
    if (spec != NULL &&
        (set_attribute(spec, "has_location", Py_NewRef(Py_True)) != 0 ||
         (folder != NULL && set_attribute(spec, "submodule_search_locations",
                                          folder_list(finder->mount, folder)) != 0))) {
        Py_CLEAR(spec);
    }
    Py_XDECREF(origin);
    Py_XDECREF(loader);
    return spec;
}

/* A portion of a namespace package: a folder without __init__.py. */
static PyObject *namespace_spec(struct finder *finder, PyObject *fullname,
                                const char *folder)
{
    PyObject *spec = make_spec(fullname, Py_None, Py_None, 1);

    if (spec != NULL && set_attribute(spec, "submodule_search_locations",
                                      folder_list(finder->mount, folder)) != 0) {
        Py_CLEAR(spec);
    }
    return spec;
}

/* ---- looking a name up ---- */

/* FOLDER/NAME. False if it would be longer than any member's name. */
static bool member_path(const struct finder *finder, const char *name,
                        char to[PATH_MAX_BYTES])
{
    int size = snprintf(to, PATH_MAX_BYTES, "%s%s%s", finder->folder,
                        *finder->folder != '\0' ? "/" : "", name);

    return size > 0 && size < PATH_MAX_BYTES - 16; /* room for "/__init__.py" */
}

/* Is there a member PATH END? Leaves its name in `name`. */
static bool exists(const struct finder *finder, const char *path, const char *end,
                   char name[PATH_MAX_BYTES + 64])
{
    (void)snprintf(name, PATH_MAX_BYTES + 64, "%s%s", path, end);
    return archive_find(finder->mount->archive, name) >= 0;
}

/* Compiled files are never loaded: bytecode is not checked by Python, and there is no
 * disk to map a library from. */
static PyObject *refuse_compiled(const struct finder *finder, PyObject *fullname,
                                 const char *path)
{
    char name[PATH_MAX_BYTES + 64];
    static const char *const ends[] = {".pyc", ".so", ".cpython-311-x86_64-linux-gnu.so",
                                       ".abi3.so", ".pyd"};

    for (size_t i = 0; i < array_size(ends); i++) {
        if (exists(finder, path, ends[i], name)) {
            PyErr_Format(
                PyExc_ImportError,
                "%U is only there as %s%s, which is not loaded: upload its Python source",
                fullname, path, ends[i]);
            return NULL;
        }
    }
    Py_RETURN_NONE;
}

static PyObject *find(struct finder *finder, PyObject *fullname, const char *path)
{
    char member[PATH_MAX_BYTES + 64];

    if (exists(finder, path, "/__init__.py", member)) {
        return file_spec(finder, fullname, member, path);
    }
    if (exists(finder, path, ".py", member)) {
        return file_spec(finder, fullname, member, NULL);
    }
    if (archive_is_directory(finder->mount->archive, path)) {
        return namespace_spec(finder, fullname, path);
    }
    return refuse_compiled(finder, fullname, path);
}

/* The specification of a module that was loaded ahead and cannot be made anew; None for
 * others. */
static PyObject *kept_spec(PyObject *fullname)
{
    PyObject *own = NULL;
    PyObject *loader = hide_loader(fullname, &own);
    PyObject *origin = loader != NULL ? PyObject_GetAttrString(own, "origin") : NULL;
    PyObject *folders =
        origin != NULL ? PyObject_GetAttrString(own, "submodule_search_locations") : NULL;
    PyObject *spec = NULL;

    if (folders != NULL) {
        spec = make_spec(fullname, loader, origin, folders != Py_None);
    }
    if (spec != NULL &&
        set_attribute(spec, "submodule_search_locations", Py_NewRef(folders)) != 0) {
        Py_CLEAR(spec);
    }
    Py_XDECREF(folders);
    Py_XDECREF(origin);
    Py_XDECREF(loader);
    Py_XDECREF(own);
    return spec != NULL || PyErr_Occurred() ? spec : Py_NewRef(Py_None);
}

/* The specification of a module that is refused by a sentence; None for others. */
static PyObject *refused_spec(PyObject *fullname)
{
    const char *module = importer_text(fullname);
    PyObject *loader = module != NULL ? refusal_loader(module) : NULL;
    PyObject *spec;

    if (loader == NULL) {
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
    }
    spec = make_spec(fullname, loader, Py_None, 0);
    Py_DECREF(loader);
    return spec;
}

/* In Python's library. */
static PyObject *find_ready(struct finder *finder, PyObject *fullname, const char *path)
{
    PyObject *spec = kept_spec(fullname);

    if (spec == Py_None) {
        Py_DECREF(spec);
        spec = find(finder, fullname, path);
    }
    if (spec == Py_None) {
        Py_DECREF(spec);
        spec = refused_spec(fullname);
    }
    return spec;
}

static PyObject *find_spec(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    struct finder *finder = (struct finder *)self;
    char path[PATH_MAX_BYTES];
    const char *name, *dot;

    if (count < 1 || count > 2 || !PyUnicode_Check(args[0])) {
        PyErr_SetString(PyExc_TypeError, "find_spec(fullname, target=None)");
        return NULL;
    }
    name = importer_text(args[0]);
    if (name == NULL) {
        Py_RETURN_NONE;
    }
    dot = strrchr(name, '.');
    name = dot != NULL ? dot + 1 : name;
    if (*name == '\0' || strchr(name, '/') != NULL || !member_path(finder, name, path)) {
        Py_RETURN_NONE;
    }
    return (finder->mount->flags & IMPORTER_READY) != 0
               ? find_ready(finder, args[0], path)
               : find(finder, args[0], path);
}

static PyObject *invalidate_caches(PyObject *self, PyObject *ignored)
{
    Py_RETURN_NONE; /* an archive does not change */
}

/* ---- pkgutil ---- */

/* Is what the walk has come to a module, and a package? Leaves the size of its name. */
static bool walked_module(const struct finder *finder, const struct archive_walk *walk,
                          size_t *ret_size, int *ret_is_package)
{
    char package[PATH_MAX_BYTES];
    size_t size = walk->size;

    if (!walk->is_folder) {
        size -= size > 3 && memcmp(walk->name + size - 3, ".py", 3) == 0 ? 3 : size;
    }
    if (size == 0 || memchr(walk->name, '.', size) != NULL ||
        (size == 8 && memcmp(walk->name, "__init__", 8) == 0)) {
        return false;
    }
    (void)snprintf(package, sizeof(package), "%s%s%.*s/__init__.py", finder->folder,
                   *finder->folder != '\0' ? "/" : "", (int)size, walk->name);
    *ret_size = size;
    *ret_is_package = archive_find(finder->mount->archive, package) >= 0;
    /* A package is imported in the place of a module of its name. */
    return *ret_is_package == walk->is_folder;
}

static int add_module(PyObject *list, const char *prefix, const char *name, size_t size,
                      int is_package)
{
    PyObject *own = PyUnicode_FromStringAndSize(name, (Py_ssize_t)size);
    PyObject *full = own != NULL ? PyUnicode_FromFormat("%s%U", prefix, own) : NULL;
    PyObject *pair =
        full != NULL ? PyTuple_Pack(2, full, is_package ? Py_True : Py_False) : NULL;
    int error = pair != NULL ? PyList_Append(list, pair) : -1;

    Py_XDECREF(pair);
    Py_XDECREF(full);
    Py_XDECREF(own);
    return error;
}

static PyObject *iter_modules(PyObject *self, PyObject *args)
{
    struct finder *finder = (struct finder *)self;
    struct archive_walk walk = {0};
    PyObject *list, *iterator = NULL;
    const char *prefix = "";
    int error = 0;

    if (!PyArg_ParseTuple(args, "|s", &prefix)) {
        return NULL;
    }
    list = PyList_New(0);
    while (list != NULL && error == 0 &&
           archive_walk(finder->mount->archive, finder->folder, &walk)) {
        size_t size;
        int is_package;

        if (walked_module(finder, &walk, &size, &is_package)) {
            error = add_module(list, prefix, walk.name, size, is_package);
        }
    }
    if (list != NULL && error == 0 && PyList_Sort(list) == 0) {
        iterator = PyObject_GetIter(list);
    }
    Py_XDECREF(list);
    return iterator;
}

static PyObject *finder_repr(PyObject *self)
{
    return PyUnicode_FromFormat("<archive finder of %R>", ((struct finder *)self)->path);
}

/* ---- the protocol before PEP 451, which some packages still speak ---- */

static PyObject *find_module(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    PyObject *spec = find_spec(self, args, count);
    PyObject *loader = spec != NULL && spec != Py_None
                           ? PyObject_GetAttrString(spec, "loader")
                           : Py_XNewRef(spec);

    Py_XDECREF(spec);
    return loader;
}

static PyMemberDef finder_members[] = {
    {"path", T_OBJECT, offsetof(struct finder, path), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyMethodDef finder_methods[] = {
    {"find_module", (PyCFunction)(void (*)(void))find_module, METH_FASTCALL, NULL},
    {"find_spec", (PyCFunction)(void (*)(void))find_spec, METH_FASTCALL, NULL},
    {"invalidate_caches", invalidate_caches, METH_NOARGS, NULL},
    {"iter_modules", iter_modules, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot finder_slots[] = {
    {Py_tp_dealloc, finder_dealloc},
    {Py_tp_methods, finder_methods},
    {Py_tp_members, finder_members},
    {Py_tp_repr, finder_repr},
    {0, NULL},
};

PyType_Spec finder_spec = {
    .name = "paddock_importer.ArchiveFinder",
    .basicsize = sizeof(struct finder),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = finder_slots,
};
