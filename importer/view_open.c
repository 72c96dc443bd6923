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
static PyObject *bytes_io, *text_wrapper, *unsupported;
static PyObject *buffered_reader, *buffered_writer, *buffered_random;

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

static PyObject *seek_to(PyObject *self, Py_ssize_t offset, int whence)
{
    return PyObject_CallMethod(bytes_io, "seek", "Oni", self, offset, whence);
}

/* The place that an offset is counted from; -1 with an exception. */
static Py_ssize_t seek_base(PyObject *self, int whence)
{
    PyObject *base = seek_to(self, 0, whence);
    Py_ssize_t result = base != NULL ? PyLong_AsSsize_t(base) : -1;

    Py_XDECREF(base);
    return result;
}

/* seek(offset, whence=0): a place before the start is an error, as lseek(2) has it, and
 * nothing moves. */
static PyObject *seek(PyObject *self, PyObject *args)
{
    Py_ssize_t offset, here, base, target;
    int whence = SEEK_SET;

    if (!PyArg_ParseTuple(args, "n|i:seek", &offset, &whence)) {
        return NULL;
    }
    here = seek_base(self, SEEK_CUR);
    base = here >= 0 && whence != SEEK_SET ? seek_base(self, whence) : 0;
    if (here < 0 || base < 0) {
        return NULL;
    }
    if (__builtin_add_overflow(base, offset, &target) || target < 0) {
        Py_XDECREF(seek_to(self, here, SEEK_SET));
        errno = EINVAL;
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    return seek_to(self, target, SEEK_SET);
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
        take(io, "BufferedWriter", &buffered_writer) == 0 &&
        take(io, "BufferedRandom", &buffered_random) == 0 &&
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

int view_name_file(PyObject *raw, const struct view_place *place, const char *mode)
{
    PyObject *text = PyUnicode_InternFromString(mode);
    int error = text == NULL || PyObject_SetAttrString(raw, "name", place->name) != 0 ||
                        PyObject_SetAttrString(raw, "mode", text) != 0 ||
                        PyObject_SetAttrString(raw, "closefd", Py_True) != 0
                    ? -1
                    : 0;

    Py_XDECREF(text);
    return error;
}

PyObject *view_raw_file(const struct view_place *place)
{
    PyObject *bytes = mount_read(place->mount, (size_t)place->index);
    PyObject *raw =
        bytes != NULL ? PyObject_CallOneArg((PyObject *)raw_type, bytes) : NULL;

    if (raw != NULL && view_name_file(raw, place, "rb") != 0) {
        Py_CLEAR(raw);
    }
    Py_XDECREF(bytes);
    return raw;
}

/* ---- open() ---- */

struct opening {
    const char *mode; /* borrowed from the call's arguments, as the others are */
    int buffering;
    const char *encoding, *errors, *newline;
    bool text, writing, creating, exclusive;
    bool updating; /* reading as well as writing */
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
    opening->updating = seen['+'];
    opening->writing = opening->creating || opening->updating;
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
        return opening->creating && place->in_folder && place->error == ENOENT
                   ? EROFS
                   : place->error;
    }
    if (opening->exclusive) {
        return EEXIST;
    }
    if (place->kind == VIEW_FOLDER) {
        return EISDIR;
    }
    return opening->writing && place->kind != VIEW_NULL ? EROFS : 0;
}

static PyObject *raw_of(const struct view_place *place, const struct opening *opening)
{
    char mode[] = {"wb\0"};

    if (place->kind != VIEW_NULL) {
        return view_raw_file(place);
    }
    mode[0] = strchr(opening->mode, 'a') != NULL       ? 'a'
              : opening->updating || !opening->writing ? 'r'
                                                       : 'w';
    mode[2] = opening->updating ? '+' : '\0';
    return view_null_file(place, mode);
}

/* Wraps and releases `inner`, which may be NULL. */
static PyObject *buffer_of(PyObject *inner, const struct opening *opening)
{
    PyObject *type = opening->updating  ? buffered_random
                     : opening->writing ? buffered_writer
                                        : buffered_reader;
    PyObject *buffer = NULL;

    if (inner != NULL) {
        buffer = opening->buffering > 1
                     ? PyObject_CallFunction(type, "Oi", inner, opening->buffering)
                     : PyObject_CallOneArg(type, inner);
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
    PyObject *raw;
    int error;

    if (!opening->text && opening->buffering == 1 &&
        PyErr_WarnEx(PyExc_RuntimeWarning,
                     "line buffering (buffering=1) isn't supported in binary mode, the "
                     "default buffer size will be used",
                     1) != 0) {
        return NULL;
    }
    error = refusal(place, opening);
    if (error != 0) {
        return view_error(error, place);
    }
    if (opening->text && opening->buffering == 0) {
        PyErr_SetString(PyExc_ValueError, "can't have unbuffered text I/O");
        return NULL;
    }
    raw = raw_of(place, opening);
    if (opening->buffering == 0) {
        return raw;
    }
    raw = buffer_of(raw, opening);
    return opening->text ? text_of(raw, opening) : raw;
}

/* A str of open()'s, or None where `ret` has a default that says so. 0, or -1 with an
 * exception. */
static int take_text(PyObject *value, const char *name, const char **ret)
{
    Py_ssize_t size;

    if (value == NULL || (value == Py_None && *ret == NULL)) {
        return 0;
    }
    if (!PyUnicode_Check(value)) {
        PyErr_Format(PyExc_TypeError, "open() argument '%s' must be str%s, not %.50s",
                     name, *ret == NULL ? " or None" : "",
                     value == Py_None ? "None" : Py_TYPE(value)->tp_name);
        return -1;
    }
    *ret = PyUnicode_AsUTF8AndSize(value, &size);
    if (*ret != NULL && strlen(*ret) != (size_t)size) {
        PyErr_SetString(PyExc_ValueError, "embedded null character");
        *ret = NULL;
    }
    return *ret != NULL ? 0 : -1;
}

static int take_options(const struct view_call *call, struct opening *opening)
{
    const char **const texts[] = {[1] = &opening->mode,
                                  [3] = &opening->encoding,
                                  [4] = &opening->errors,
                                  [5] = &opening->newline};

    for (size_t i = 0; i < array_size(texts); i++) {
        if (texts[i] != NULL &&
            take_text(call->values[i], call->hook->parameters[i], texts[i]) != 0) {
            return -1;
        }
    }
    if (call->values[2] != NULL) {
        opening->buffering = _PyLong_AsInt(call->values[2]);
    }
    return PyErr_Occurred() ? -1 : 0;
}

/* An opener of the program's takes the path as it was passed; a mode that is none, open()
 * itself refuses. */
static bool is_left(struct view_call *call, struct opening *opening)
{
    PyObject *opener = call->values[7];

    if (opener != NULL && opener != Py_None) {
        call->places[0].is_moved = false;
        return true;
    }
    return !take_mode(opening);
}

static PyObject *open_file(struct view_call *call)
{
    struct opening opening = {.mode = "r", .buffering = -1};
    int closes = call->values[6] != NULL ? PyObject_IsTrue(call->values[6]) : 1;

    if (closes < 0 || take_options(call, &opening) != 0) {
        return NULL;
    }
    if (is_left(call, &opening)) {
        return view_original(call);
    }
    if (!closes) {
        PyErr_SetString(PyExc_ValueError, "Cannot use closefd=False with file name");
        return NULL;
    }
    return open_place(&call->places[0], &opening);
}

/* io.open_code(path): open(path, "rb"), which runpy reads programs with. */
static PyObject *open_code(struct view_call *call)
{
    const struct opening opening = {.mode = "rb", .buffering = -1};

    return open_place(&call->places[0], &opening);
}

struct view_hook view_open_hooks[] = {
    {.module = "io",
     .name = "open",
     .parameters = {"file", "mode", "buffering", "encoding", "errors", "newline",
                    "closefd", "opener"},
     .required = 1,
     .positional = 8,
     .paths = 1,
     .takes = VIEW_TAKES_NUMBER,
     .handler = open_file},
    {.module = "io",
     .name = "open_code",
     .parameters = {"path"},
     .required = 1,
     .positional = 1,
     .paths = 1,
     .takes = VIEW_TAKES_STR,
     .handler = open_code},
};
const size_t view_open_hooks_count = array_size(view_open_hooks);
