/* SPDX-License-Identifier: MIT */
/*
 * Looking at values. Runs in the sandbox, for every variable of a call at every line of
 * it, on objects that a hostile program made: only what the types of Python's own say of
 * themselves is read, and every walk is bounded.
 */
#include "worker/sandbox/frames.h" /* first: what it defines decides what Python.h has */

#include "worker/sandbox/variables.h"

#include "common/cleanup.h"
#include "common/utf8.h"

#include <string.h>

#define DEPTH      2   /* levels below a value */
#define ENDS       8   /* elements of a sequence's beginning, and of its end */
#define MEMBERS    16  /* of a dict, a set or an instance */
#define CHARACTERS 40  /* of a text within */
#define SEEN       160 /* bytes of these, at most */

/* ---- elements ---- */

typedef void see(void *context, PyObject *name, PyObject *value);

/* No class of a program's can be immutable, whatever it calls itself. */
static bool is_named(const PyTypeObject *type, const char *name)
{
    return (type->tp_flags & Py_TPFLAGS_IMMUTABLETYPE) != 0 &&
           strcmp(type->tp_name, name) == 0;
}

/* What Python's own code keeps in it is there in classes derived from it, too. Returns
 * the deque that it is or is derived from, or NULL. */
static const PyTypeObject *deque_of(PyObject *value)
{
    const PyTypeObject *type = Py_TYPE(value);

    while (type != NULL && !is_named(type, "collections.deque")) {
        type = type->tp_base;
    }
    return type;
}

/* Of an exception, what it was made of. */
static PyObject *arguments_of(PyObject *value)
{
    PyObject *arguments =
        PyExceptionInstance_Check(value) ? ((PyBaseExceptionObject *)value)->args : NULL;

    return arguments != NULL && PyTuple_Check(arguments) ? arguments : NULL;
}

static bool is_sequence(PyObject *value)
{
    return PyList_Check(value) || PyTuple_Check(value) || arguments_of(value) != NULL ||
           deque_of(value) != NULL;
}

static bool is_braced(PyObject *value)
{
    return PyDict_Check(value) || PyAnySet_Check(value);
}

static Py_ssize_t size_of(PyObject *value)
{
    PyObject *arguments = arguments_of(value);

    return arguments != NULL       ? PyTuple_GET_SIZE(arguments)
           : is_sequence(value)    ? Py_SIZE(value)
           : PyDict_Check(value)   ? PyDict_GET_SIZE(value)
           : PyAnySet_Check(value) ? PySet_GET_SIZE(value)
                                   : 0;
}

static void show_element(PyObject *value, Py_ssize_t i, see *saw, void *context)
{
    PyObject *arguments = arguments_of(value);
    PyObject *tuple = arguments != NULL ? arguments : value;
    PyObject *element = PyTuple_Check(tuple) ? Py_NewRef(PyTuple_GET_ITEM(tuple, i))
                        : PyList_Check(value)
                            ? Py_NewRef(PyList_GET_ITEM(value, i))
                            : deque_of(value)->tp_as_sequence->sq_item(value, i);

    if (element != NULL) {
        saw(context, NULL, element);
        Py_DECREF(element); /* the value has it */
    }
    PyErr_Clear();
}

static void walk_sequence(PyObject *value, see *saw, void *context)
{
    Py_ssize_t size = size_of(value);

    for (Py_ssize_t i = 0; i < size; i++) {
        if (i == ENDS && size > 2 * ENDS) {
            i = size - ENDS;
        }
        show_element(value, i, saw, context);
    }
}

static void walk_attributes(PyObject *value, see *saw, void *context)
{
    struct frames_slots slots = {NULL, 0};
    PyObject *name, *element;
    Py_ssize_t at = 0;
    int shown = 0;

    for (; shown < MEMBERS && frames_attribute(value, &at, &name, &element); shown++) {
        saw(context, name, element);
    }
    for (; shown < MEMBERS && frames_slot(value, &slots, &name, &element); shown++) {
        saw(context, name, element);
    }
}

bool variables_is_data(PyObject *value)
{
    return !PyModule_Check(value) && !PyType_Check(value) && !PyFunction_Check(value) &&
           !PyCFunction_Check(value);
}

static bool has_elements(PyObject *value)
{
    struct frames_slots slots = {NULL, 0};
    Py_ssize_t at = 0;
    PyObject *name, *element;

    return is_sequence(value) || is_braced(value) ||
           (variables_is_data(value) && (frames_attribute(value, &at, &name, &element) ||
                                         frames_slot(value, &slots, &name, &element)));
}

/* Shows the elements that count. */
static void walk(PyObject *value, see *saw, void *context)
{
    PyObject *key, *element;
    Py_ssize_t at = 0;
    Py_hash_t hash;

    if (is_sequence(value)) {
        walk_sequence(value, saw, context);
    } else if (PyDict_Check(value)) {
        for (int i = 0; i < MEMBERS && PyDict_Next(value, &at, &key, &element); i++) {
            saw(context, key, element);
        }
    } else if (PyAnySet_Check(value)) {
        for (int i = 0; i < MEMBERS && _PySet_NextEntry(value, &at, &key, &hash); i++) {
            saw(context, NULL, key);
        }
    } else if (variables_is_data(value)) {
        walk_attributes(value, saw, context);
    }
}

/* ---- fingerprints ---- */

static uint64_t mix(uint64_t one, uint64_t other)
{
    uint64_t both = (one ^ other) * 0x9e3779b97f4a7c15u;

    return both ^ both >> 29;
}

static uint64_t mix_bytes(uint64_t sum, const void *bytes, size_t size)
{
    const unsigned char *at = bytes;

    for (; size >= 8; size -= 8, at += 8) {
        uint64_t word;

        memcpy(&word, at, 8);
        sum = mix(sum, word);
    }
    for (; size > 0; size--, at++) {
        sum = mix(sum, *at);
    }
    return sum;
}

/* Of Python's own in C, never changed, and made of nothing that is a program's: what they
 * say of themselves they say alone. */
static bool is_plain(PyObject *value)
{
    static const char *const names[] = {"complex", "range", "datetime.date",
                                        "datetime.timedelta"};

    for (size_t i = 0; i < array_size(names); i++) {
        if (is_named(Py_TYPE(value), names[i])) {
            return true;
        }
    }
    return false;
}

static void mix_text(PyObject *text, size_t most, uint64_t *sum)
{
    size_t size = (size_t)PyUnicode_GET_LENGTH(text) * PyUnicode_KIND(text);

    *sum = mix_bytes(mix(mix(*sum, size), PyUnicode_KIND(text)), PyUnicode_DATA(text),
                     size < most ? size : most);
}

static void mix_repr(PyObject *value, uint64_t *sum)
{
    PyObject *text = PyObject_Repr(value);

    if (text != NULL) {
        mix_text(text, SIZE_MAX, sum);
    }
    PyErr_Clear();
    Py_XDECREF(text);
}

static const char *bytes_of(PyObject *value)
{
    return PyBytes_Check(value) ? PyBytes_AS_STRING(value) : PyByteArray_AS_STRING(value);
}

/* What has a value of its own: its address tells nothing, for the next one may have it.
 */
static bool mix_scalar(PyObject *value, uint64_t *sum)
{
    if (PyLong_Check(value)) {
        size_t digits = (size_t)Py_ABS(Py_SIZE(value));

        *sum = mix_bytes(mix(*sum, (uint64_t)Py_SIZE(value) + _PyLong_NumBits(value)),
                         ((PyLongObject *)value)->ob_digit,
                         (digits < 8 ? digits : 8) * sizeof(digit));
    } else if (PyFloat_Check(value)) {
        *sum = mix_bytes(*sum, &((PyFloatObject *)value)->ob_fval, sizeof(double));
    } else if (PyUnicode_Check(value) && PyUnicode_IS_READY(value)) {
        mix_text(value, SEEN, sum);
    } else if (PyBytes_Check(value) || PyByteArray_Check(value)) {
        size_t size = (size_t)Py_SIZE(value);

        *sum = mix_bytes(mix(*sum, size), bytes_of(value), size < SEEN ? size : SEEN);
    } else if (is_plain(value)) {
        mix_repr(value, sum);
    } else {
        return false;
    }
    return true;
}

struct summing {
    uint64_t sum;
    int depth;
};

static void sum_up(struct summing *summing, PyObject *value);

static void sum_element(void *context, PyObject *name, PyObject *value)
{
    struct summing *summing = context;

    if (name != NULL) {
        sum_up(summing, name); /* one that is gone may have had its address */
    }
    sum_up(summing, value);
}

static void sum_up(struct summing *summing, PyObject *value)
{
    summing->sum = mix(summing->sum, (uintptr_t)Py_TYPE(value));
    if (mix_scalar(value, &summing->sum)) {
        return;
    }
    summing->sum = mix(mix(summing->sum, (uintptr_t)value), (uint64_t)size_of(value));
    if (summing->depth < DEPTH) {
        summing->depth++;
        walk(value, sum_element, summing);
        summing->depth--;
    } else {
        summing->sum = mix(summing->sum, has_elements(value)); /* that is shown */
    }
}

uint64_t variables_fingerprint(PyObject *value)
{
    struct summing summing = {.sum = 1};

    sum_up(&summing, value);
    return summing.sum | 1;
}

/* ---- texts ---- */

struct writing {
    struct buffer *to;
    int depth;
    int written;     /* elements of this container */
    Py_ssize_t more; /* that are not shown in the middle of a sequence */
    bool names;      /* "name=value" rather than "name: value" */
};

static bool is_full(const struct writing *writing)
{
    return writing->to->size >= VARIABLES_TEXT;
}

static void write_value(struct writing *writing, PyObject *value);

static void write_long(PyObject *value, struct buffer *to)
{
    int overflow;
    long long number = PyLong_AsLongLongAndOverflow(value, &overflow);

    if (overflow == 0) {
        buffer_printf(to, "%lld", number);
    } else {
        buffer_printf(to, "%san integer of %zu bits", overflow < 0 ? "-" : "",
                      _PyLong_NumBits(value));
    }
    PyErr_Clear();
}

static void write_float(PyObject *value, struct buffer *to)
{
    char *text =
        PyOS_double_to_string(PyFloat_AS_DOUBLE(value), 'r', 0, Py_DTSF_ADD_DOT_0, NULL);

    buffer_add_text(to, text != NULL ? text : "?");
    PyErr_Clear();
    PyMem_Free(text);
}

static void write_character(struct buffer *to, Py_UCS4 c)
{
    if (c == '\'' || c == '\\') {
        buffer_printf(to, "\\%c", (int)c);
    } else if (c >= 0x20 && c < 0x7f) {
        buffer_add_char(to, (char)c);
    } else if (c == '\n') {
        buffer_add_text(to, "\\n");
    } else if (c < 0xa0 || (c >= 0xd800 && c < 0xe000) || (c >= 0x2000 && c < 0x2070)) {
        buffer_printf(to, c < 0x100 ? "\\x%02x" : "\\u%04x", (unsigned)c);
    } else {
        char bytes[4];

        buffer_add(to, bytes, utf8_encode((uint32_t)c, bytes));
    }
}

static void write_string(PyObject *value, struct buffer *to)
{
    Py_ssize_t size = PyUnicode_GET_LENGTH(value);

    buffer_add_char(to, '\'');
    for (Py_ssize_t i = 0; i < size && i < CHARACTERS; i++) {
        write_character(to, PyUnicode_READ_CHAR(value, i));
    }
    buffer_add_text(to, size > CHARACTERS ? "'..." : "'");
}

static void write_bytes(PyObject *value, struct buffer *to)
{
    const char *bytes = bytes_of(value);
    Py_ssize_t size = Py_SIZE(value);

    buffer_add_text(to, "b'");
    for (Py_ssize_t i = 0; i < size && i < CHARACTERS; i++) {
        unsigned char byte = (unsigned char)bytes[i];

        if (byte < 0x7f) {
            write_character(to, byte);
        } else {
            buffer_printf(to, "\\x%02x", byte);
        }
    }
    buffer_add_text(to, size > CHARACTERS ? "'..." : "'");
}

static void write_name(PyObject *value, struct buffer *to)
{
    buffer_add_text(to, value == Py_None ? "None" : value == Py_True ? "True" : "False");
}

static const struct {
    PyTypeObject *type;
    void (*write)(PyObject *value, struct buffer *to);
} scalars[] = {
    {&_PyNone_Type, write_name},      {&PyBool_Type, write_name},
    {&PyLong_Type, write_long},       {&PyFloat_Type, write_float},
    {&PyUnicode_Type, write_string},  {&PyBytes_Type, write_bytes},
    {&PyByteArray_Type, write_bytes},
};

static void write_plain(PyObject *value, struct buffer *to)
{
    PyObject *text = PyObject_Repr(value);
    const char *bytes = text != NULL ? PyUnicode_AsUTF8(text) : NULL;

    if (bytes == NULL) {
        buffer_add_char(to, '?');
    } else { /* as ASCII: it has no longer characters */
        buffer_add(to, bytes, strnlen(bytes, VARIABLES_TEXT + 1));
    }
    PyErr_Clear();
    Py_XDECREF(text);
}

/* At most 60 bytes, of whole characters. */
static void write_cut(struct buffer *to, const char *text)
{
    size_t size = strlen(text);

    buffer_add(to, text, size > 60 ? utf8_whole(text, 60) : size);
}

static const char *short_name(const PyTypeObject *type)
{
    const char *dot = strrchr(type->tp_name, '.');

    return dot != NULL ? dot + 1 : type->tp_name;
}

/* Of a class derived from one of these, behind its name. */
static bool write_scalar(PyObject *value, struct buffer *to)
{
    for (size_t i = 0; i < array_size(scalars); i++) {
        if (scalars[i].type == Py_TYPE(value)) {
            scalars[i].write(value, to);
            return true;
        }
        if (PyType_IsSubtype(Py_TYPE(value), scalars[i].type)) {
            write_cut(to, short_name(Py_TYPE(value)));
            buffer_add_char(to, '(');
            scalars[i].write(value, to);
            buffer_add_char(to, ')');
            return true;
        }
    }
    if (is_plain(value)) {
        write_plain(value, to);
        return true;
    }
    return false;
}

static void write_element(void *context, PyObject *name, PyObject *value)
{
    struct writing *writing = context;
    int written = writing->written++;

    if (is_full(writing)) {
        return;
    }
    buffer_add_text(writing->to, written > 0 ? ", " : "");
    if (written == ENDS && writing->more > 0) {
        buffer_printf(writing->to, "... %zd more, ", writing->more);
    }
    if (name != NULL && writing->names && PyUnicode_CheckExact(name)) {
        const char *text = PyUnicode_AsUTF8(name);

        PyErr_Clear();
        write_cut(writing->to, text != NULL ? text : "?");
        buffer_add_char(writing->to, '=');
    } else if (name != NULL) {
        write_value(writing, name);
        buffer_add_text(writing->to, ": ");
    }
    write_value(writing, value);
}

static void write_opaque(PyObject *value, struct buffer *to)
{
    bool is_class = PyType_Check(value);

    buffer_add_text(to, is_class ? "<class " : "<");
    write_cut(to, short_name(is_class ? (PyTypeObject *)value : Py_TYPE(value)));
    buffer_add_char(to, '>');
}

static bool is_exact(PyObject *value)
{
    return PyList_CheckExact(value) || PyTuple_CheckExact(value) ||
           PyDict_CheckExact(value) || PySet_CheckExact(value);
}

/* As Python writes it: in the brackets of what it is or is derived from, behind the name
 * of its class where that is none of these. */
static void write_container(struct writing *writing, PyObject *value)
{
    static const char *const manners[2][3][2] = {
        {{"[", "]"}, {"(", ")"}, {"{", "}"}},
        {{"([", "])"}, {"(", ")"}, {"({", "})"}},
    };
    bool exact = is_exact(value), braced = is_braced(value);
    bool square = PyList_Check(value) || deque_of(value) != NULL;
    const char *const *manner = manners[!exact][braced ? 2 : square ? 0 : 1];
    Py_ssize_t size = size_of(value);
    struct writing inner = {.to = writing->to,
                            .depth = writing->depth + 1,
                            .more = braced ? 0 : size - 2 * ENDS,
                            .names = !braced && !is_sequence(value)};

    write_cut(writing->to, exact ? "" : short_name(Py_TYPE(value)));
    buffer_add_text(writing->to, manner[0]);
    walk(value, write_element, &inner);
    if (braced && size > MEMBERS) {
        buffer_printf(writing->to, ", ... %zd more", size - MEMBERS);
    }
    if (PyTuple_CheckExact(value) && size == 1) {
        buffer_add_char(writing->to, ',');
    }
    buffer_add_text(writing->to, manner[1]);
}

static void write_value(struct writing *writing, PyObject *value)
{
    if (write_scalar(value, writing->to)) {
        return;
    }
    if (has_elements(value) && writing->depth < DEPTH) {
        write_container(writing, value);
    } else if (has_elements(value)) {
        buffer_add_text(writing->to, "...");
    } else {
        write_opaque(value, writing->to);
    }
}

void variables_text(PyObject *value, struct buffer *to)
{
    struct writing writing = {.to = to};
    size_t cut = VARIABLES_TEXT - 3;

    write_value(&writing, value);
    if (to->size > VARIABLES_TEXT) {
        while ((to->data[cut] & 0xc0) == 0x80) { /* within a character */
            cut--;
        }
        to->size = cut;
        buffer_add_text(to, "...");
    }
}
