/* SPDX-License-Identifier: MIT */
/*
 * open() of the file view. Runs under the GIL of whatever embeds the importer, on paths
 * and modes that a program chose. A member is inflated whole when it is opened, under the
 * archive's caps; what reads it then is Python's own io.
 */
#include "importer/view.h"

#include <errno.h>
#include <string.h>

static PyTypeObject *raw_type;
static PyObject *bytes_io, *buffered_reader, *text_wrapper, *unsupported;

/* ---- the raw file ---- */

static PyObject *no(PyObject *self, PyObject *ignored)
{
    Py_RETURN_FALSE;
}

static PyObject *refuse_writing(PyObject *self, PyObject *ignored)
{
    PyErr_SetString(unsupported, "File not open for writing");
    return NULL;
}

static PyObject *readall(PyObject *self, PyObject *ignored)
{
    return PyObject_CallMethod(self, "read", NULL);
}

/* seek(offset, whence=0): from the start, a negative place is an error of the disk's. */
static PyObject *seek(PyObject *self, PyObject *args)
{
    Py_ssize_t offset;
    int whence = SEEK_SET;

    if (!PyArg_ParseTuple(args, "n|i:seek", &offset, &whence)) {
        return NULL;
    }
    if (whence == SEEK_SET && offset < 0) {
        errno = EINVAL;
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    return PyObject_CallMethod(bytes_io, "seek", "Oni", self, offset, whence);
}

static PyMethodDef raw_methods[] = {
    {"seek", seek, METH_VARARGS, NULL},
    {"writable", no, METH_NOARGS, NULL},
    {"write", refuse_writing, METH_O, NULL},
    {"writelines", refuse_writing, METH_O, NULL},
    {"truncate", refuse_writing, METH_VARARGS, NULL},
    {"readall", readall, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot raw_slots[] = {{Py_tp_methods, raw_methods}, {0, NULL}};

/* io.BytesIO, which reads, seeks and closes as a file does, without what would change it.
 */
static PyType_Spec raw_spec = {
    .name = "paddock_importer.ArchiveFile",
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = raw_slots,
};

static int take(PyObject *io, const char *name, PyObject **ret)
{
    *ret = PyObject_GetAttrString(io, name);
    return *ret != NULL ? 0 : -1;
}

int view_open_init(void)
{
    PyObject *io = PyImport_ImportModule("io");
    PyObject *bases = NULL;

    if (io != NULL && take(io, "BytesIO", &bytes_io) == 0 &&
        take(io, "BufferedReader", &buffered_reader) == 0 &&
        take(io, "TextIOWrapper", &text_wrapper) == 0 &&
        take(io, "UnsupportedOperation", &unsupported) == 0) {
        bases = PyTuple_Pack(1, bytes_io);
    }
    if (bases != NULL) {
        raw_type = (PyTypeObject *)PyType_FromSpecWithBases(&raw_spec, bases);
    }
    Py_XDECREF(bases);
    Py_XDECREF(io);
    return raw_type != NULL ? 0 : -1;
}

PyObject *view_raw_file(const struct view_place *place, PyObject *name)
{
    PyObject *bytes = mount_read(place->mount, (size_t)place->index);
    PyObject *mode = PyUnicode_InternFromString("rb");
    PyObject *raw =
        bytes != NULL ? PyObject_CallOneArg((PyObject *)raw_type, bytes) : NULL;

    if (raw != NULL && (mode == NULL || PyObject_SetAttrString(raw, "name", name) != 0 ||
                        PyObject_SetAttrString(raw, "mode", mode) != 0 ||
                        PyObject_SetAttrString(raw, "closefd", Py_True) != 0)) {
        Py_CLEAR(raw);
    }
    Py_XDECREF(bytes);
    Py_XDECREF(mode);
    return raw;
}

/* ---- open() ---- */

struct opening {
    PyObject *file;
    const char *mode;
    int buffering;
    const char *encoding, *errors, *newline;
    int closefd;
    PyObject *opener;
    bool text, writing, creating, exclusive;
};

/* Takes the mode apart. False for one that open() refuses: that is left to open(). */
static bool take_mode(struct opening *opening)
{
    int kinds = 0, seen[128] = {0};

    for (const char *c = opening->mode; *c != '\0'; c++) {
        if (strchr("rwaxbt+", *c) == NULL || seen[(int)*c]++ > 0) {
            return false;
        }
        kinds += strchr("rwax", *c) != NULL;
    }
    opening->text = !seen['b'];
    opening->exclusive = seen['x'];
    opening->creating = seen['w'] || seen['a'] || seen['x'];
    opening->writing = opening->creating || seen['+'];
    if (kinds != 1 || (seen['t'] && seen['b'])) {
        return false;
    }
    return opening->text || (opening->encoding == NULL && opening->errors == NULL &&
                             opening->newline == NULL);
}

/* What a disk that is mounted read-only answers; 0 if the file can be opened. */
static int refusal(const struct view_place *place, const struct opening *opening)
{
    if (place->kind == VIEW_MISSING) {
        return opening->creating && place->in_folder ? EROFS : place->error;
    }
    if (opening->exclusive) {
        return EEXIST;
    }
    if (place->kind == VIEW_FOLDER) {
        return EISDIR;
    }
    return opening->writing ? EROFS : 0;
}

/* Wraps and releases `inner`, which may be NULL. */
static PyObject *buffer_of(PyObject *inner, int buffering)
{
    PyObject *buffer = NULL;

    if (inner != NULL) {
        buffer = buffering > 1
                     ? PyObject_CallFunction(buffered_reader, "Oi", inner, buffering)
                     : PyObject_CallOneArg(buffered_reader, inner);
        Py_DECREF(inner);
    }
    return buffer;
}

static PyObject *text_of(PyObject *buffer, const struct opening *opening)
{
    PyObject *text = NULL;

    if (buffer != NULL) {
        text = PyObject_CallFunction(text_wrapper, "OzzzO", buffer, opening->encoding,
                                     opening->errors, opening->newline,
                                     opening->buffering == 1 ? Py_True : Py_False);
        Py_DECREF(buffer);
    }
    if (text != NULL) {
        PyObject *mode = PyUnicode_FromString(opening->mode);

        if (mode == NULL || PyObject_SetAttrString(text, "mode", mode) != 0) {
            Py_CLEAR(text);
        }
        Py_XDECREF(mode);
    }
    return text;
}

static PyObject *open_place(const struct view_place *place, const struct opening *opening)
{
    int error = refusal(place, opening);
    PyObject *name, *raw;

    if (error != 0) {
        return view_error(error, opening->file);
    }
    if (opening->text && opening->buffering == 0) {
        PyErr_SetString(PyExc_ValueError, "can't have unbuffered text I/O");
        return NULL;
    }
    if (!opening->text && opening->buffering == 1 &&
        PyErr_WarnEx(PyExc_RuntimeWarning,
                     "line buffering (buffering=1) isn't supported in binary mode, the "
                     "default buffer size will be used",
                     1) != 0) {
        return NULL;
    }
    name = PyOS_FSPath(opening->file);
    raw = name != NULL ? view_raw_file(place, name) : NULL;
    Py_XDECREF(name);
    if (opening->buffering == 0) {
        return raw;
    }
    raw = buffer_of(raw, opening->buffering);
    return opening->text ? text_of(raw, opening) : raw;
}

/* Parses as open() does; false where open() itself is to answer. */
static bool take_arguments(PyObject *const *args, Py_ssize_t count, PyObject *names,
                           struct opening *opening)
{
    static const char *const keywords[] = {"file",     "mode",   "buffering",
                                           "encoding", "errors", "newline",
                                           "closefd",  "opener", NULL};
    PyObject *positional = PyTuple_New(count);
    PyObject *named = PyDict_New();
    bool taken = positional != NULL && named != NULL;

    for (Py_ssize_t i = 0; taken && i < count; i++) {
        PyTuple_SET_ITEM(positional, i, Py_NewRef(args[i]));
    }
    for (Py_ssize_t i = 0; taken && names != NULL && i < PyTuple_GET_SIZE(names); i++) {
        taken = PyDict_SetItem(named, PyTuple_GET_ITEM(names, i), args[count + i]) == 0;
    }
    taken = taken &&
            PyArg_ParseTupleAndKeywords(
                positional, named, "O|sizzzpO", (char **)keywords, &opening->file,
                &opening->mode, &opening->buffering, &opening->encoding, &opening->errors,
                &opening->newline, &opening->closefd, &opening->opener) != 0;
    PyErr_Clear();
    Py_XDECREF(positional); /* the caller's arguments are alive without them */
    Py_XDECREF(named);
    return taken && opening->opener == Py_None && opening->closefd && take_mode(opening);
}

static PyObject *open_file(const struct view_hook *hook, PyObject *const *args,
                           Py_ssize_t count, PyObject *names)
{
    struct opening opening = {
        .mode = "r", .buffering = -1, .closefd = 1, .opener = Py_None};
    struct view_place place = {.kind = VIEW_NONE};

    if (take_arguments(args, count, names, &opening)) {
        view_resolve(opening.file, &place);
    }
    return place.kind == VIEW_NONE ? view_original(hook, args, count, names)
                                   : open_place(&place, &opening);
}

/* io.open_code(path): open(path, "rb"), which runpy reads programs with. */
static PyObject *open_code(const struct view_hook *hook, PyObject *const *args,
                           Py_ssize_t count, PyObject *names)
{
    struct opening opening = {.mode = "rb",
                              .buffering = -1,
                              .file = view_argument(args, count, names, 0, "path")};
    struct view_place place;

    view_resolve(opening.file, &place);
    return place.kind == VIEW_NONE ? view_original(hook, args, count, names)
                                   : open_place(&place, &opening);
}

struct view_hook view_open_hooks[] = {
    {.module = "io", .name = "open", .first = "file", .handler = open_file},
    {.module = "io", .name = "open_code", .first = "path", .handler = open_code},
};
const size_t view_open_hooks_count = array_size(view_open_hooks);
