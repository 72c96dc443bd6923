/* SPDX-License-Identifier: MIT */
/*
 * The importer as a Python module of its own, paddock_importer, for any Python 3.11 of
 * this machine. Runs in whatever program imports it, under its GIL; the archives may be
 * hostile, the caller is trusted.
 */
#include "importer/importer.h"
#include "importer/types.h"

#include "common/cleanup.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

/* ---- limits ---- */

#define LIMIT(member) #member, offsetof(struct archive_limits, member)

static const struct {
    const char *name;
    size_t at;
} limit_names[] = {
    {LIMIT(bytes)},  {LIMIT(entries)}, {LIMIT(name)},  {LIMIT(depth)},
    {LIMIT(member)}, {LIMIT(total)},   {LIMIT(ratio)},
};

static int set_limit(struct archive_limits *limits, PyObject *name, PyObject *value)
{
    for (size_t i = 0; PyUnicode_Check(name) && i < array_size(limit_names); i++) {
        if (PyUnicode_CompareWithASCIIString(name, limit_names[i].name) == 0) {
            size_t number = PyLong_AsSize_t(value);

            if (number == (size_t)-1 && PyErr_Occurred()) {
                return -1;
            }
            memcpy((char *)limits + limit_names[i].at, &number, sizeof(number));
            return 0;
        }
    }
    PyErr_Format(
        PyExc_ValueError,
        "there is no limit %R: bytes, entries, name, depth, member, total, ratio", name);
    return -1;
}

static int take_limits(PyObject *wanted, struct archive_limits *ret)
{
    PyObject *name, *value;
    Py_ssize_t at = 0;

    *ret = archive_limits_default;
    if (wanted == Py_None) {
        return 0;
    }
    if (!PyDict_Check(wanted)) {
        PyErr_SetString(PyExc_TypeError, "limits takes a dict, or None");
        return -1;
    }
    while (PyDict_Next(wanted, &at, &name, &value)) {
        if (set_limit(ret, name, value) != 0) {
            return -1;
        }
    }
    return 0;
}

/* ---- functions ---- */

/* Opens the bytes; NULL with ZipImportError. */
static struct archive *open_bytes(PyObject *bytes, const char *root,
                                  const struct archive_limits *limits)
{
    autobuffer struct buffer why = BUFFER_INIT(1024);
    struct archive *archive = NULL;
    int error = archive_open(PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes),
                             limits, &archive, &why);

    if (error == -ENOMEM) {
        PyErr_NoMemory();
    } else if (error < 0) {
        importer_refuse(why.data, NULL, root);
    }
    return archive;
}

/* ---- uncaught exceptions ---- */

/* sys.path without the archives, whose modules of these names are not meant. New
 * reference. */
static PyObject *path_without_mounts(PyObject *path)
{
    PyObject *list = PyList_New(0);

    for (Py_ssize_t i = 0; list != NULL && i < PyList_GET_SIZE(path); i++) {
        PyObject *entry = PyList_GET_ITEM(path, i);
        const char *text = importer_text(entry), *member;

        if ((text == NULL || mount_of(text, &member) == NULL) &&
            PyList_Append(list, entry) != 0) {
            Py_CLEAR(list);
        }
    }
    return list;
}

/* traceback.print_exception, with ast, which that imports when it is called. New
 * reference; NULL, without an exception, if it cannot be had. */
static PyObject *find_printer(void)
{
    PyObject *path = Py_XNewRef(PySys_GetObject("path"));
    PyObject *ours =
        path != NULL && PyList_Check(path) ? path_without_mounts(path) : NULL;
    PyObject *traceback = NULL, *ast = NULL, *print = NULL;

    if (ours != NULL && PySys_SetObject("path", ours) == 0) {
        traceback = PyImport_ImportModule("traceback");
        ast = traceback != NULL ? PyImport_ImportModule("ast") : NULL;
        print = ast != NULL ? PyObject_GetAttrString(traceback, "print_exception") : NULL;
        PyErr_Clear();
        (void)PySys_SetObject("path", path);
    }
    PyErr_Clear();
    Py_XDECREF(ast);
    Py_XDECREF(traceback);
    Py_XDECREF(ours);
    Py_XDECREF(path);
    return print;
}

/* sys.excepthook with source lines: Python's own reads them by file descriptor. */
static PyObject *show_exception(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    PyObject *print = find_printer();
    PyObject *shown =
        print != NULL ? PyObject_Vectorcall(print, args, (size_t)count, NULL) : NULL;
    PyObject *original = Py_XNewRef(PySys_GetObject("__excepthook__"));

    if (shown == NULL && original != NULL) {
        PyErr_Clear();
        shown = PyObject_Vectorcall(original, args, (size_t)count, NULL);
    }
    Py_XDECREF(original);
    Py_XDECREF(print);
    return shown;
}

static PyMethodDef show_method = {
    "excepthook", (PyCFunction)(void (*)(void))show_exception, METH_FASTCALL, NULL};

/* Unless the program has a hook of its own. */
static int show_lines(void)
{
    PyObject *hook = PySys_GetObject("excepthook");
    PyObject *function;
    int error;

    if (hook == NULL || hook != PySys_GetObject("__excepthook__")) {
        return 0;
    }
    function = PyCFunction_New(&show_method, NULL);
    error = function != NULL ? PySys_SetObject("excepthook", function) : -1;
    Py_XDECREF(function);
    return error;
}

/* A bytes object is used as it is; what its owner could change later is copied. */
static PyObject *mount(PyObject *module, PyObject *args, PyObject *keywords)
{
    static const char *const names[] = {"", "", "files", "limits", NULL};
    struct archive_limits limits;
    struct archive *archive;
    PyObject *data, *bytes, *wanted = Py_None;
    const char *root;
    int files = 0, error = -1;

    if (!PyArg_ParseTupleAndKeywords(args, keywords, "Os|$pO:mount", (char **)names,
                                     &data, &root, &files, &wanted) ||
        take_limits(wanted, &limits) != 0) {
        return NULL;
    }
    if (!PyObject_CheckBuffer(data)) {
        PyErr_Format(PyExc_TypeError, "a bytes-like object is required, not '%.100s'",
                     Py_TYPE(data)->tp_name);
        return NULL;
    }
    bytes = PyBytes_CheckExact(data) ? Py_NewRef(data) : PyBytes_FromObject(data);
    archive = bytes != NULL ? open_bytes(bytes, root, &limits) : NULL;
    if (archive != NULL) {
        error = importer_mount(archive, root, bytes, files ? IMPORTER_FILES : 0);
        error = error == 0 ? show_lines() : error;
    }
    Py_XDECREF(bytes);
    return error == 0 ? Py_NewRef(Py_None) : NULL;
}

static PyObject *unmount(PyObject *module, PyObject *args)
{
    const char *root;

    if (!PyArg_ParseTuple(args, "s:unmount", &root) || importer_unmount(root) != 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(
    mount_doc,
    "mount(data, root, /, *, files=False, limits=None)\n--\n\n"
    "Make the ZIP in the bytes-like `data` importable for a sys.path entry equal "
    "to `root`,\na virtual absolute path such as '/robot'. What was mounted "
    "there is replaced.\n\n"
    "Uncaught exceptions are printed with their source lines, where sys.excepthook is "
    "Python's\nown.\n\n"
    "files=True: open(), os.listdir(), pathlib and the like serve its members, "
    "too, read-only.\n"
    "Python modules that the importer itself uses (traceback, ast, linecache, re, enum "
    "and "
    "what\nthey import) are loaded by then, and hide the archive's own of these names.\n"
    "limits: a dict of what the archive may be at most: bytes (of the ZIP), "
    "entries, name\n(bytes), depth (folders), member and total (inflated bytes), "
    "ratio.\n\n"
    "Raises ZipImportError, which names the entry and the reason.");
PyDoc_STRVAR(unmount_doc, "unmount(root, /)\n--\n\n"
                          "Undo mount(). Modules that are loaded stay loaded.");
PyDoc_STRVAR(module_doc,
             "Python packages from ZIPs in memory; nothing touches the disk.");

static PyMethodDef functions[] = {
    {"mount", (PyCFunction)(void (*)(void))mount, METH_VARARGS | METH_KEYWORDS,
     mount_doc},
    {"unmount", unmount, METH_VARARGS, unmount_doc},
    {NULL, NULL, 0, NULL},
};

/* The importer's state is the process's: path hooks and mounts of one interpreter. */
static struct PyModuleDef definition = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "paddock_importer",
    .m_doc = module_doc,
    .m_size = -1,
    .m_methods = functions,
};

PyMODINIT_FUNC PyInit_paddock_importer(void);
PyMODINIT_FUNC PyInit_paddock_importer(void)
{
    PyObject *module = importer_init() == 0 ? PyModule_Create(&definition) : NULL;

    if (module != NULL &&
        (PyModule_AddObjectRef(module, "ZipImportError", importer_error()) != 0 ||
         PyModule_AddStringConstant(module, "__version__", PADDOCK_VERSION) != 0)) {
        Py_CLEAR(module);
    }
    return module;
}
