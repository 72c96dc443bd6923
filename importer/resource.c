/* SPDX-License-Identifier: MIT */
/*
 * The resources of packages and the metadata of distributions, where no file view serves
 * both: the functions below are what resource.py stands on. Runs under the GIL of whoever
 * embeds the importer, on hostile archives and paths.
 */
#include "importer/importer.h"
#include "importer/resource_py.h"
#include "importer/view.h"

/* Where a path leads, in mounts without a file view. 0, or -1 with an exception. */
static int resolve(PyObject *path, struct view_place *ret)
{
    if (view_resolve_any(path, NULL, ret) != 0) {
        return -1;
    }
    if (ret->kind != VIEW_NONE && ret->mount != NULL &&
        (ret->mount->flags & IMPORTER_FILES) != 0) {
        ret->kind = VIEW_NONE;
    }
    return 0;
}

/* read(path): the bytes of a file */
static PyObject *read_file(PyObject *self, PyObject *path)
{
    autoplace struct view_place place = {.kind = VIEW_NONE};

    if (resolve(path, &place) != 0) {
        return NULL;
    }
    return place.kind == VIEW_FILE ? mount_read(place.mount, (size_t)place.index)
                                   : view_error(view_missing(&place), &place);
}

/* kind(path): "file", "folder" or None */
static PyObject *kind(PyObject *self, PyObject *path)
{
    static const char *const kinds[] = {[VIEW_FILE] = "file", [VIEW_FOLDER] = "folder"};
    autoplace struct view_place place = {.kind = VIEW_NONE};

    if (resolve(path, &place) != 0) {
        return NULL;
    }
    if (place.kind != VIEW_FILE && place.kind != VIEW_FOLDER) {
        Py_RETURN_NONE;
    }
    return PyUnicode_InternFromString(kinds[place.kind]);
}

/* names(path): what lies in a folder */
static PyObject *names(PyObject *self, PyObject *path)
{
    autoplace struct view_place place = {.kind = VIEW_NONE};

    if (resolve(path, &place) != 0) {
        return NULL;
    }
    return place.kind == VIEW_FOLDER
               ? view_list(&place, false)
               : view_error(place.kind == VIEW_FILE ? ENOTDIR : view_missing(&place),
                            &place);
}

static PyMethodDef functions[] = {
    {"read", read_file, METH_O, NULL},
    {"kind", kind, METH_O, NULL},
    {"names", names, METH_O, NULL},
};

/* What resource.py defines; a new reference. */
static PyObject *run_source(void)
{
    PyObject *globals = PyDict_New();
    PyObject *code =
        Py_CompileString(resource_source, "<paddock_importer>", Py_file_input);
    PyObject *name = PyUnicode_InternFromString("paddock_importer");
    PyObject *result = NULL;
    int error = globals != NULL && code != NULL && name != NULL
                    ? PyDict_SetItemString(globals, "__name__", name)
                    : -1;

    for (size_t i = 0; error == 0 && i < array_size(functions); i++) {
        PyObject *function = PyCFunction_New(&functions[i], NULL);

        error = function != NULL
                    ? PyDict_SetItemString(globals, functions[i].ml_name, function)
                    : -1;
        Py_XDECREF(function);
    }
    if (error == 0) {
        result = PyEval_EvalCode(code, globals, globals);
    }
    Py_XDECREF(result);
    Py_XDECREF(code);
    Py_XDECREF(name);
    if (result == NULL) {
        Py_CLEAR(globals);
    }
    return globals;
}

/* What resource.py calls so; borrowed. */
static PyObject *definition(const char *name)
{
    if (importer.resources == NULL) {
        importer.resources = run_source();
    }
    return importer.resources != NULL ? PyDict_GetItemString(importer.resources, name)
                                      : NULL;
}

PyObject *resource_reader(PyObject *path)
{
    PyObject *type = definition("ResourceReader");

    return type != NULL ? PyObject_CallOneArg(type, path) : NULL;
}

/* ---- the finder of distributions ---- */

/* importlib.metadata asks the finders on sys.meta_path, one of which this is. It finds no
 * modules. */
static PyObject *find_spec(PyObject *self, PyObject *args)
{
    Py_RETURN_NONE;
}

static PyObject *find_distributions(PyObject *self, PyObject *context)
{
    PyObject *function = definition("find_distributions");

    return function != NULL ? PyObject_CallOneArg(function, context) : NULL;
}

static void distributions_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);

    PyObject_Free(self);
    Py_DECREF(type);
}

static PyMethodDef distributions_methods[] = {
    {"find_spec", find_spec, METH_VARARGS, NULL},
    {"find_distributions", find_distributions, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot distributions_slots[] = {
    {Py_tp_dealloc, distributions_dealloc},
    {Py_tp_methods, distributions_methods},
    {0, NULL},
};

static PyType_Spec distributions_spec = {
    .name = "paddock_importer.DistributionFinder",
    .basicsize = sizeof(PyObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = distributions_slots,
};

int resource_install_finder(void)
{
    PyObject *finders = PySys_GetObject("meta_path");
    PyObject *type, *finder;

    if (importer.finds_distributions || finders == NULL || !PyList_Check(finders)) {
        return 0;
    }
    type = PyType_FromSpec(&distributions_spec);
    finder = type != NULL ? PyObject_New(PyObject, (PyTypeObject *)type) : NULL;
    if (finder != NULL && PyList_Append(finders, finder) == 0) {
        importer.finds_distributions = true;
    }
    Py_XDECREF(finder);
    Py_XDECREF(type);
    return importer.finds_distributions ? 0 : -1;
}
