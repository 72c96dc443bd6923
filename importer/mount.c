/* SPDX-License-Identifier: MIT */
/*
 * Mounting archives, the path hook, and what the sandbox asks of the importer. Runs under
 * the GIL of whatever program embeds it; archives may be hostile, paths are strings that
 * a program may have made. Must never touch the disk.
 */
#include "importer/importer.h"
#include "importer/view.h"

#include <errno.h>
#include <marshal.h>
#include <stdio.h>
#include <string.h>

struct importer_state importer;
PyTypeObject *mount_type, *finder_type, *loader_type;

/* ---- refusals ---- */

PyObject *importer_error(void)
{
    return importer.error;
}

static PyObject *last_refusal; /* the exception; owned */

static void remember_refusal(void)
{
    PyObject *type, *value, *traceback;

    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    Py_XSETREF(last_refusal, Py_XNewRef(value));
    PyErr_Restore(type, value, traceback);
}

bool importer_has_refused(PyObject *exception)
{
    return exception != NULL && exception == last_refusal;
}

PyObject *importer_refuse(const char *sentence, PyObject *name, const char *path)
{
    PyObject *text = PyUnicode_FromString(sentence != NULL ? sentence : "no memory");
    PyObject *where = PyUnicode_FromString(path);

    if (text != NULL && where != NULL) {
        PyErr_SetImportErrorSubclass(importer.error, text, name, where);
        remember_refusal();
    }
    Py_XDECREF(text);
    Py_XDECREF(where);
    return NULL;
}

/* ---- a mount ---- */

static void mount_dealloc(PyObject *self)
{
    struct mount *mount = (struct mount *)self;
    PyTypeObject *type = Py_TYPE(self);

    archive_free(mount->archive);
    Py_XDECREF(mount->root);
    Py_XDECREF(mount->owner);
    PyObject_Free(self);
    Py_DECREF(type);
}

static PyType_Slot mount_slots[] = {{Py_tp_dealloc, mount_dealloc}, {0, NULL}};

PyType_Spec mount_spec = {
    .name = "paddock_importer.Mount",
    .basicsize = sizeof(struct mount),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = mount_slots,
};

PyObject *mount_path(struct mount *mount, const char *member)
{
    return PyUnicode_FromFormat(*member != '\0' ? "%U/%s" : "%U", mount->root, member);
}

static PyObject *refuse_member(struct mount *mount, size_t index, const char *sentence)
{
    PyObject *path = mount_path(mount, archive_name(mount->archive, index));

    if (path != NULL) {
        importer_refuse(sentence, NULL, PyUnicode_AsUTF8(path));
        Py_DECREF(path);
    }
    return NULL;
}

PyObject *mount_read(struct mount *mount, size_t index)
{
    autobuffer struct buffer why = BUFFER_INIT(1024);
    PyObject *bytes =
        PyBytes_FromStringAndSize(NULL, (Py_ssize_t)archive_size(mount->archive, index));
    int error;

    if (bytes == NULL) {
        return NULL;
    }
    error = archive_read_to(mount->archive, index, PyBytes_AS_STRING(bytes), &why);
    if (error == 0) {
        return bytes;
    }
    Py_DECREF(bytes);
    return error == -ENOMEM ? PyErr_NoMemory() : refuse_member(mount, index, why.data);
}

/* The code that was compiled when the archive was made; NULL without an exception if
 * there is none. */
static PyObject *ready_code(struct mount *mount, size_t index)
{
    char name[600];
    ssize_t at;
    PyObject *bytes, *code;

    (void)snprintf(name, sizeof(name), "code/%s", archive_name(mount->archive, index));
    at = archive_find(mount->archive, name);
    bytes = at >= 0 ? mount_read(mount, (size_t)at) : NULL;
    if (bytes == NULL) {
        return NULL;
    }
    code =
        PyMarshal_ReadObjectFromString(PyBytes_AS_STRING(bytes), PyBytes_GET_SIZE(bytes));
    Py_DECREF(bytes);
    return code;
}

static PyObject *(*code_hook)(PyObject *code);

void importer_set_code_hook(PyObject *(*hook)(PyObject *code))
{
    code_hook = hook;
}

static void (*source_hook)(const char *source, size_t size);

void importer_set_source_hook(void (*hook)(const char *source, size_t size))
{
    source_hook = hook;
}

static PyObject *read_source(struct mount *mount, size_t index)
{
    PyObject *source = mount_read(mount, index);

    if (source != NULL && source_hook != NULL) {
        source_hook(PyBytes_AS_STRING(source), (size_t)PyBytes_GET_SIZE(source));
    }
    return source;
}

static PyObject *hooked(PyObject *code)
{
    PyObject *result = code_hook(code);

    Py_DECREF(code);
    return result;
}

PyObject *mount_compile(struct mount *mount, size_t index, int trimmed)
{
    PyObject *ready =
        (mount->flags & IMPORTER_READY) != 0 ? ready_code(mount, index) : NULL;
    PyObject *path, *source, *code;

    if (ready != NULL || PyErr_Occurred()) {
        return ready;
    }
    path = mount_path(mount, archive_name(mount->archive, index));
    source = path != NULL ? read_source(mount, index) : NULL;
    code = source != NULL ? compile_member(source, path, mount->flags, trimmed) : NULL;
    Py_XDECREF(source);
    Py_XDECREF(path);
    return code != NULL && code_hook != NULL ? hooked(code) : code;
}

/* ---- the path hook ---- */

const char *importer_text(PyObject *object)
{
    Py_ssize_t size;
    const char *text =
        PyUnicode_Check(object) ? PyUnicode_AsUTF8AndSize(object, &size) : NULL;

    PyErr_Clear();
    return text != NULL && strlen(text) == (size_t)size ? text : NULL;
}

struct mount *mount_of(const char *path, const char **ret_member)
{
    struct mount *found = NULL;
    PyObject *root, *mount;
    Py_ssize_t at = 0, best = -1;

    /* There are none any more for what a program does when its interpreter ends. */
    while (importer.mounts != NULL && PyDict_Next(importer.mounts, &at, &root, &mount)) {
        Py_ssize_t size;
        const char *prefix = PyUnicode_AsUTF8AndSize(root, &size);

        if (size > best && strncmp(path, prefix, (size_t)size) == 0 &&
            (path[size] == '/' || path[size] == '\0')) {
            *ret_member = path[size] == '/' ? path + size + 1 : "";
            found = (struct mount *)mount;
            best = size;
        }
    }
    return found;
}

/* Whatever way a folder of an archive is written in: what is left to the hooks behind
 * this one is served by the file view, which knows nothing of what is never loaded. */
static PyObject *path_hook(PyObject *self, PyObject *path)
{
    autoplace struct view_place place = {.kind = VIEW_NONE};

    if (PyUnicode_Check(path) && view_resolve_any(path, NULL, &place) != 0) {
        return NULL;
    }
    if (place.kind != VIEW_FOLDER) {
        PyErr_SetString(PyExc_ImportError, "no archive is mounted there");
        return NULL;
    }
    return finder_new(place.mount, path, place.member);
}

static PyMethodDef hook_method = {"paddock_importer", path_hook, METH_O,
                                  "Path hook of archives that are mounted in memory."};

/* ---- starting ---- */

static PyObject *attribute(const char *module_name, const char *name)
{
    PyObject *module = PyImport_ImportModule(module_name);
    PyObject *value = module != NULL ? PyObject_GetAttrString(module, name) : NULL;

    Py_XDECREF(module);
    return value;
}

static int look_up(void)
{
    static const struct {
        PyObject **to;
        const char *module, *name;
    } needed[] = {
        {&importer.module_spec, "importlib.machinery", "ModuleSpec"},
        {&importer.call_trimmed, "importlib._bootstrap", "_call_with_frames_removed"},
        {&importer.decode_source, "importlib.util", "decode_source"},
        {&importer.compile, "builtins", "compile"},
        {&importer.exec, "builtins", "exec"},
        {&importer.line_cache, "linecache", "cache"},
        {&importer.stat_result, "os", "stat_result"},
        {&importer.error, "zipimport", "ZipImportError"},
    };

    for (size_t i = 0; i < array_size(needed); i++) {
        *needed[i].to = attribute(needed[i].module, needed[i].name);
        if (*needed[i].to == NULL) {
            return -1;
        }
    }
    importer.mounts = PyDict_New();
    return importer.mounts != NULL ? 0 : -1;
}

static int make_types(void)
{
    mount_type = (PyTypeObject *)PyType_FromSpec(&mount_spec);
    finder_type = (PyTypeObject *)PyType_FromSpec(&finder_spec);
    loader_type = (PyTypeObject *)PyType_FromSpec(&loader_spec);
    return mount_type != NULL && finder_type != NULL && loader_type != NULL ? 0 : -1;
}

/* The interpreter goes, and all that we know of it; another one may follow. */
static void forget_interpreter(PyObject *capsule)
{
    PyObject *const owned[] = {
        importer.mounts,         importer.kept,
        importer.links,          importer.import,
        importer.module_spec,    importer.call_trimmed,
        importer.compile,        importer.compile_checked,
        importer.exec,           importer.decode_source,
        importer.line_cache,     importer.stat_result,
        importer.error,          importer.resources,
        (PyObject *)mount_type,  (PyObject *)finder_type,
        (PyObject *)loader_type,
    };

    importer = (struct importer_state){0};
    mount_type = finder_type = loader_type = NULL;
    for (size_t i = 0; i < array_size(owned); i++) {
        Py_XDECREF(owned[i]);
    }
}

/* What lies in the interpreter's own dict is released when it ends, after all modules. */
static int end_with_interpreter(void)
{
    PyObject *kept = PyInterpreterState_GetDict(PyInterpreterState_Get());
    PyObject *capsule = PyCapsule_New(&importer, NULL, forget_interpreter);
    int error = kept != NULL && capsule != NULL
                    ? PyDict_SetItemString(kept, "paddock_importer", capsule)
                    : -1;

    Py_XDECREF(capsule);
    return error;
}

static int install_hook(void)
{
    PyObject *hooks = PySys_GetObject("path_hooks");
    PyObject *hook = PyCFunction_New(&hook_method, NULL);
    int error = -1;

    if (hooks == NULL || !PyList_Check(hooks)) {
        PyErr_SetString(PyExc_RuntimeError, "sys.path_hooks is gone");
    } else if (hook != NULL && compile_install() == 0) {
        error = PyList_Insert(hooks, 0, hook);
    }
    Py_XDECREF(hook);
    return error;
}

static int check_interpreter(void)
{
    if (PyInterpreterState_Get() == PyInterpreterState_Main()) {
        return 0;
    }
    PyErr_SetString(PyExc_RuntimeError, "the importer serves the main interpreter only");
    return -1;
}

int importer_init(void)
{
    if (check_interpreter() != 0) {
        return -1;
    }
    if (importer.mounts != NULL) {
        return 0;
    }
    return look_up() == 0 && make_types() == 0 && end_with_interpreter() == 0
               ? install_hook()
               : -1;
}

/* ---- mounting ---- */

/* Is `path` the root, or does it lie below it? "/robot2" does not lie below "/robot". */
static bool lies_below(PyObject *path, PyObject *root)
{
    Py_ssize_t size = PyUnicode_GET_LENGTH(root);

    return PyUnicode_Check(path) &&
           PyUnicode_Tailmatch(path, root, 0, PY_SSIZE_T_MAX, -1) == 1 &&
           (PyUnicode_GET_LENGTH(path) == size || PyUnicode_READ_CHAR(path, size) == '/');
}

/* Removes what a dict of paths knows of a root: finders that were made for it, lines of
 * its files. */
static int forget_paths(PyObject *cache, PyObject *root)
{
    PyObject *paths = cache != NULL && PyDict_Check(cache) ? PyDict_Keys(cache) : NULL;
    int error = 0;

    for (Py_ssize_t i = 0; paths != NULL && i < PyList_GET_SIZE(paths) && error == 0;
         i++) {
        PyObject *path = PyList_GET_ITEM(paths, i);

        if (lies_below(path, root)) {
            error = PyDict_DelItem(cache, path);
        }
    }
    Py_XDECREF(paths);
    return error;
}

static int forget(PyObject *root)
{
    if (forget_paths(PySys_GetObject("path_importer_cache"), root) != 0) {
        return -1;
    }
    return forget_paths(importer.line_cache, root);
}

/* A root within another one would be in its archive and not in it. */
static int check_apart(const char *root)
{
    PyObject *name = PyUnicode_FromString(root);
    PyObject *other, *mount;
    Py_ssize_t at = 0;
    int error = name != NULL ? 0 : -1;

    while (error == 0 && PyDict_Next(importer.mounts, &at, &other, &mount)) {
        if (PyUnicode_Compare(name, other) != 0 &&
            (lies_below(name, other) || lies_below(other, name))) {
            PyErr_Format(PyExc_ValueError,
                         "%R and %R, which is mounted, lie in one another", name, other);
            error = -1;
        }
    }
    Py_XDECREF(name);
    return error;
}

/* A path that names one place: absolute, no slash at its end, no empty part, no dots. */
static int check_root(const char *root)
{
    const char *part = root;

    if (*root != '/' || root[1] == '\0') {
        part = NULL;
    }
    while (part != NULL && *part == '/') {
        size_t size = strcspn(++part, "/");

        if (size == 0 || strncmp(part, "./", 2) == 0 || strcmp(part, ".") == 0 ||
            strncmp(part, "../", 3) == 0 || strcmp(part, "..") == 0) {
            part = NULL;
        } else {
            part += size;
        }
    }
    if (part == NULL) {
        PyErr_Format(PyExc_ValueError,
                     "'%s' is no root: it takes an absolute path such as /robot", root);
        return -1;
    }
    return 0;
}

int importer_mount(struct archive *archive, const char *root, PyObject *owner,
                   unsigned flags)
{
    int ready =
        check_interpreter() == 0 && check_root(root) == 0 ? check_apart(root) : -1;
    struct mount *mount;
    int error = -1;

    if (ready == 0) {
        ready = (flags & IMPORTER_FILES) != 0 ? importer_install_files()
                                              : resource_install_finder();
    }
    mount = ready == 0 ? PyObject_New(struct mount, mount_type) : NULL;
    if (mount == NULL) {
        archive_free(archive);
        return -1;
    }
    mount->archive = archive;
    mount->owner = Py_XNewRef(owner);
    mount->flags = flags;
    mount->root = PyUnicode_FromString(root);
    if (mount->root != NULL &&
        PyDict_SetItem(importer.mounts, mount->root, (PyObject *)mount) == 0) {
        error = forget(mount->root);
    }
    Py_DECREF(mount);
    return error;
}

int importer_unmount(const char *root)
{
    PyObject *name = check_interpreter() == 0 ? PyUnicode_FromString(root) : NULL;
    int error = -1;

    if (name != NULL && PyDict_GetItem(importer.mounts, name) == NULL) {
        PyErr_Format(PyExc_ValueError, "nothing is mounted at %R", name);
    } else if (name != NULL && PyDict_DelItem(importer.mounts, name) == 0) {
        error = forget(name);
    }
    Py_XDECREF(name);
    return error;
}
