/* SPDX-License-Identifier: MIT */
/*
 * os.scandir() of the file view: an iterator of entries. Runs under the GIL of whatever
 * embeds the importer. Both keep the mount alive: the folder that a scan began in is what
 * it goes on with.
 */
#include "importer/view.h"

#include <stdio.h>
#include <string.h>

struct scan {
    PyObject_HEAD struct mount *mount; /* owned; NULL when it is closed */
    PyObject *path;                    /* owned: str or bytes, "." by default */
    char *folder;                      /* owned: in the archive */
    char *place;                       /* owned: absolute */
    struct archive_walk walk;
};

struct entry {
    PyObject_HEAD struct mount *mount; /* owned */
    PyObject *name, *path;             /* owned */
    char *place;                       /* owned: absolute */
};

static PyTypeObject *scan_type, *entry_type;

/* ---- entries ---- */

static void entry_dealloc(PyObject *self)
{
    struct entry *entry = (struct entry *)self;
    PyTypeObject *type = Py_TYPE(self);

    Py_XDECREF(entry->mount);
    Py_XDECREF(entry->name);
    Py_XDECREF(entry->path);
    free(entry->place);
    PyObject_Free(self);
    Py_DECREF(type);
}

/* What the entry was when it was scanned, also if another archive is mounted there now.
 */
static void entry_place(PyObject *self, struct view_place *ret)
{
    struct entry *entry = (struct entry *)self;
    Py_ssize_t root;

    (void)PyUnicode_AsUTF8AndSize(entry->mount->root, &root);
    (void)snprintf(ret->path, sizeof(ret->path), "%s", entry->place);
    ret->mount = (struct mount *)Py_NewRef((PyObject *)entry->mount);
    ret->member = ret->path + root + 1;
    ret->index = archive_find(entry->mount->archive, ret->member);
    ret->kind = ret->index >= 0 ? VIEW_FILE : VIEW_FOLDER;
}

static PyObject *entry_is_dir(PyObject *self, PyObject *args, PyObject *keywords)
{
    autoplace struct view_place place = {.kind = VIEW_NONE};

    entry_place(self, &place);
    return PyBool_FromLong(place.kind == VIEW_FOLDER);
}

static PyObject *entry_is_file(PyObject *self, PyObject *args, PyObject *keywords)
{
    autoplace struct view_place place = {.kind = VIEW_NONE};

    entry_place(self, &place);
    return PyBool_FromLong(place.kind == VIEW_FILE);
}

static PyObject *entry_is_symlink(PyObject *self, PyObject *ignored)
{
    Py_RETURN_FALSE;
}

static PyObject *entry_stat(PyObject *self, PyObject *args, PyObject *keywords)
{
    autoplace struct view_place place = {.kind = VIEW_NONE};

    entry_place(self, &place);
    return view_stat(&place);
}

static PyObject *entry_inode(PyObject *self, PyObject *ignored)
{
    autoplace struct view_place place = {.kind = VIEW_NONE};
    PyObject *result, *inode;

    entry_place(self, &place);
    result = view_stat(&place);
    inode = result != NULL ? PyObject_GetAttrString(result, "st_ino") : NULL;
    Py_XDECREF(result);
    return inode;
}

static PyObject *entry_fspath(PyObject *self, PyObject *ignored)
{
    return Py_NewRef(((struct entry *)self)->path);
}

static PyObject *entry_get(PyObject *self, void *which)
{
    struct entry *entry = (struct entry *)self;

    return Py_NewRef(which != NULL ? entry->path : entry->name);
}

static PyObject *entry_repr(PyObject *self)
{
    return PyUnicode_FromFormat("<DirEntry %R>", ((struct entry *)self)->name);
}

#define WITH_KEYWORDS(function)                                                          \
    (PyCFunction)(void (*)(void))(function), METH_VARARGS | METH_KEYWORDS

static PyMethodDef entry_methods[] = {
    {"is_dir", WITH_KEYWORDS(entry_is_dir), NULL},
    {"is_file", WITH_KEYWORDS(entry_is_file), NULL},
    {"is_symlink", entry_is_symlink, METH_NOARGS, NULL},
    {"stat", WITH_KEYWORDS(entry_stat), NULL},
    {"inode", entry_inode, METH_NOARGS, NULL},
    {"__fspath__", entry_fspath, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef entry_members[] = {
    {"name", entry_get, NULL, NULL, NULL},
    {"path", entry_get, NULL, NULL, (void *)1},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot entry_slots[] = {
    {Py_tp_dealloc, entry_dealloc},
    {Py_tp_methods, entry_methods},
    {Py_tp_getset, entry_members},
    {Py_tp_repr, entry_repr},
    {0, NULL},
};

static PyType_Spec entry_spec = {
    .name = "paddock_importer.DirEntry",
    .basicsize = sizeof(struct entry),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = entry_slots,
};

/* PATH/NAME, in the type of PATH; of a class of the program's, what it holds, whatever
 * its methods say. */
static PyObject *join(PyObject *path, PyObject *name)
{
    Py_ssize_t size;
    bool ends_in_slash;

    if (PyBytes_Check(path)) {
        size = PyBytes_GET_SIZE(path);
        ends_in_slash = size > 0 && PyBytes_AS_STRING(path)[size - 1] == '/';
        return PyBytes_FromFormat("%s%s%s", PyBytes_AS_STRING(path),
                                  ends_in_slash ? "" : "/", PyBytes_AS_STRING(name));
    }
    size = PyUnicode_GET_LENGTH(path);
    ends_in_slash = size > 0 && PyUnicode_READ_CHAR(path, size - 1) == '/';
    return PyUnicode_FromFormat("%U%s%U", path, ends_in_slash ? "" : "/", name);
}

static PyObject *make_entry(const struct scan *scan)
{
    struct entry *entry = PyObject_New(struct entry, entry_type);
    const struct archive_walk *walk = &scan->walk;

    if (entry == NULL) {
        return NULL;
    }
    entry->mount = (struct mount *)Py_NewRef((PyObject *)scan->mount);
    entry->name = view_name(walk->name, walk->size, PyBytes_Check(scan->path));
    entry->path = entry->name != NULL ? join(scan->path, entry->name) : NULL;
    if (asprintf(&entry->place, "%s/%.*s", scan->place, (int)walk->size, walk->name) <
        0) {
        entry->place = NULL;
    }
    if (entry->path == NULL || entry->place == NULL) {
        Py_DECREF(entry);
        return PyErr_Occurred() ? NULL : PyErr_NoMemory();
    }
    return (PyObject *)entry;
}

/* ---- the iterator ---- */

static void scan_dealloc(PyObject *self)
{
    struct scan *scan = (struct scan *)self;
    PyTypeObject *type = Py_TYPE(self);

    Py_XDECREF(scan->mount);
    Py_XDECREF(scan->path);
    free(scan->folder);
    free(scan->place);
    PyObject_Free(self);
    Py_DECREF(type);
}

static PyObject *scan_next(PyObject *self)
{
    struct scan *scan = (struct scan *)self;

    if (scan->mount == NULL ||
        !archive_walk(scan->mount->archive, scan->folder, &scan->walk)) {
        return NULL;
    }
    return make_entry(scan);
}

static PyObject *scan_close(PyObject *self, PyObject *ignored)
{
    Py_CLEAR(((struct scan *)self)->mount);
    Py_RETURN_NONE;
}

static PyObject *scan_enter(PyObject *self, PyObject *ignored)
{
    return Py_NewRef(self);
}

static PyMethodDef scan_methods[] = {
    {"close", scan_close, METH_NOARGS, NULL},
    {"__enter__", scan_enter, METH_NOARGS, NULL},
    {"__exit__", scan_close, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot scan_slots[] = {
    {Py_tp_dealloc, scan_dealloc},
    {Py_tp_methods, scan_methods},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, scan_next},
    {0, NULL},
};

static PyType_Spec scan_spec = {
    .name = "paddock_importer.ScandirIterator",
    .basicsize = sizeof(struct scan),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = scan_slots,
};

int view_scan_init(void)
{
    entry_type = (PyTypeObject *)PyType_FromSpec(&entry_spec);
    scan_type = (PyTypeObject *)PyType_FromSpec(&scan_spec);
    return entry_type != NULL && scan_type != NULL ? 0 : -1;
}

PyObject *view_scandir(const struct view_place *place)
{
    struct scan *scan = PyObject_New(struct scan, scan_type);

    if (scan == NULL) {
        return NULL;
    }
    scan->mount = (struct mount *)Py_NewRef((PyObject *)place->mount);
    scan->path =
        place->name != NULL ? Py_NewRef(place->name) : PyUnicode_InternFromString(".");
    scan->folder = strdup(place->member);
    scan->place = strdup(place->path);
    scan->walk = (struct archive_walk){0};
    if (scan->path == NULL || scan->folder == NULL || scan->place == NULL) {
        Py_DECREF(scan);
        return PyErr_Occurred() ? NULL : PyErr_NoMemory();
    }
    return (PyObject *)scan;
}
