/* SPDX-License-Identifier: MIT */
/*
 * Hints. Runs in the sandbox after a program has failed, on its exception and its
 * archive, both of which may be hostile; every length is capped. What is appended is read
 * by students.
 */
#include "importer/hint.h"

#include "importer/source.h"
#include "importer/types.h"

#include <stdio.h>
#include <string.h>

#define NAME_MAX_BYTES 128 /* longer names are not worth a hint */

struct failure {
    PyObject *exception; /* borrowed */
    struct mount *mount; /* borrowed: of the program */
    const char *folder;  /* its import root, in the archive */
    struct buffer *to;
};

/* A text attribute, copied; false if there is none or it is too long. */
static bool text_of(PyObject *object, const char *name, char to[NAME_MAX_BYTES])
{
    PyObject *value = object != NULL ? PyObject_GetAttrString(object, name) : NULL;
    const char *text = value != NULL ? importer_text(value) : NULL;
    bool fits = text != NULL && strlen(text) < NAME_MAX_BYTES;

    (void)snprintf(to, NAME_MAX_BYTES, "%s", fits ? text : "");
    PyErr_Clear();
    Py_XDECREF(value);
    return fits && *to != '\0';
}

/* ---- tabs and spaces ---- */

static const char *indentation(const struct source_line *line)
{
    bool tabs = memchr(line->text, '\t', line->indent) != NULL;
    bool spaces = memchr(line->text, ' ', line->indent) != NULL;

    return tabs && spaces ? "tabs and spaces"
           : tabs         ? "tabs"
           : spaces       ? "spaces"
                          : "nothing";
}

static void hint_tabs(const struct failure *failure)
{
    char path[NAME_MAX_BYTES];
    const char *member;
    autobuffer struct buffer why = BUFFER_INIT(256);
    autofree char *source = NULL;
    struct mount *mount =
        text_of(failure->exception, "filename", path) ? mount_of(path, &member) : NULL;
    PyObject *number = PyObject_GetAttrString(failure->exception, "lineno");
    long line = number != NULL ? PyLong_AsLong(number) : 0;
    ssize_t index = mount != NULL ? archive_find(mount->archive, member) : -1;
    struct source_line earlier, later;
    size_t size;

    PyErr_Clear();
    Py_XDECREF(number);
    if (index >= 0 &&
        archive_read(mount->archive, (size_t)index, &source, &size, &why) == 0 &&
        source_find_tabs(source, size, (int)line, &earlier, &later)) {
        buffer_printf(failure->to,
                      "Line %d is indented with %s, and line %d with %s: use only one of "
                      "them in a file",
                      later.number, indentation(&later), earlier.number,
                      indentation(&earlier));
    }
}

/* ---- Python 2 ---- */

static const struct {
    const char *part; /* of what the compiler says, or of the line */
    const char *hint;
} python2[] = {
    {"Missing parentheses in call to 'print'",
     "This is Python 2; in Python 3 it is print(...), with brackets"},
    {"Missing parentheses in call to 'exec'",
     "This is Python 2; in Python 3 it is exec(...), with brackets"},
    {"multiple exception types must be parenthesized",
     "This is Python 2; in Python 3 it is \"except Error as e:\""},
    {"leading zeros in decimal integer literals",
     "A number does not begin with 0; an octal one begins with 0o"},
};

static void hint_syntax(const struct failure *failure)
{
    PyObject *message = PyObject_GetAttrString(failure->exception, "msg");
    const char *text = message != NULL ? importer_text(message) : NULL;

    for (size_t i = 0; text != NULL && i < array_size(python2); i++) {
        if (strstr(text, python2[i].part) != NULL) {
            buffer_add_text(failure->to, python2[i].hint);
            break;
        }
    }
    PyErr_Clear();
    Py_XDECREF(message);
}

/* ---- modules that are not there ---- */

/* What is not offered, and what comes near or why there is none. */
static const struct {
    const char *module, *hint;
} not_offered[] = {
    {"numpy", "There is no numpy here; math, array and statistics come near"},
    {"scipy", "There is no scipy here; math, cmath and statistics come near"},
    {"pandas", "There is no pandas here; csv and statistics come near"},
    {"sympy", "There is no sympy here; fractions and decimal come near"},
    {"matplotlib", "There is no matplotlib here: a program can print, and draw nothing"},
    {"PIL", "There is no PIL here: a program can print, and draw nothing"},
    {"cv2", "There is no cv2 here: there is no camera that it could look through"},
    {"pygame", "There is no pygame here: a program has no screen and no keys"},
    {"requests", "There is no requests here, as there is no network"},
    {"aiohttp", "There is no aiohttp here, as there is no network"},
    {"serial", "There is no serial here, as there is no serial port"},
    {"RPi", "There is no RPi here: the program does not run on a Raspberry Pi"},
    {"smbus", "There is no smbus here: the program does not run on a Raspberry Pi"},
    {"Tkinter", "This is Python 2, and there is no screen here"},
    {"Queue", "This is Python 2; in Python 3 the module is called queue"},
    {"ConfigParser", "This is Python 2; in Python 3 the module is called configparser"},
    {"StringIO", "This is Python 2; in Python 3 it is io.StringIO"},
    {"cPickle", "This is Python 2; in Python 3 the module is called pickle"},
    {"urllib2", "This is Python 2, and there is no network here"},
    {"thread", "This is Python 2; in Python 3 the module is called threading"},
};

static bool hint_not_offered(const struct failure *failure, const char *name)
{
    for (size_t i = 0; i < array_size(not_offered); i++) {
        if (strcmp(name, not_offered[i].module) == 0) {
            buffer_add_text(failure->to, not_offered[i].hint);
            return true;
        }
    }
    return false;
}

/* Levenshtein distance, given up above `most`. */
static size_t distance(const char *one, size_t one_size, const char *two, size_t two_size,
                       size_t most)
{
    size_t row[NAME_MAX_BYTES + 1];

    if (one_size > two_size + most || two_size > one_size + most ||
        two_size > NAME_MAX_BYTES) {
        return most + 1;
    }
    for (size_t j = 0; j <= two_size; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= one_size; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= two_size; j++) {
            size_t replaced = diagonal + (one[i - 1] != two[j - 1]);
            size_t shorter = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;

            diagonal = row[j];
            row[j] = replaced < shorter ? replaced : shorter;
        }
    }
    return row[two_size];
}

struct nearest {
    char name[NAME_MAX_BYTES];
    size_t distance;
};

static void consider(const char *wanted, const char *name, size_t size,
                     struct nearest *nearest)
{
    size_t far = distance(wanted, strlen(wanted), name, size, nearest->distance - 1);

    if (far < nearest->distance && size < NAME_MAX_BYTES) {
        (void)snprintf(nearest->name, sizeof(nearest->name), "%.*s", (int)size, name);
        nearest->distance = far;
    }
}

static void consider_standard(const char *wanted, struct nearest *nearest)
{
    PyObject *names = PySys_GetObject("stdlib_module_names");
    PyObject *iterator = names != NULL ? PyObject_GetIter(names) : NULL;
    PyObject *name;

    while (iterator != NULL && (name = PyIter_Next(iterator)) != NULL) {
        const char *text = importer_text(name);

        if (text != NULL && *text != '_') {
            consider(wanted, text, strlen(text), nearest);
        }
        Py_DECREF(name);
    }
    PyErr_Clear();
    Py_XDECREF(iterator);
}

/* How a module is written that a walk has come to: "Robot.py", or a folder. 0 for what is
 * none. */
static size_t module_size(const struct archive_walk *walk)
{
    if (walk->is_folder) {
        return walk->size;
    }
    return walk->size > 3 && memcmp(walk->name + walk->size - 3, ".py", 3) == 0
               ? walk->size - 3
               : 0;
}

/* Robot.py for robot. */
static bool hint_case(const struct failure *failure, const char *name)
{
    struct archive_walk walk = {0};

    while (archive_walk(failure->mount->archive, failure->folder, &walk)) {
        size_t size = module_size(&walk);

        if (size == strlen(name) && strncasecmp(walk.name, name, size) == 0) {
            buffer_printf(failure->to,
                          "There is a %.*s: capital letters count, write import %.*s",
                          (int)walk.size, walk.name, (int)size, walk.name);
            return true;
        }
    }
    return false;
}

/* lib/helper.py for helper. */
static bool hint_folder(const struct failure *failure, const char *name)
{
    for (size_t i = 0; i < archive_count(failure->mount->archive); i++) {
        const char *member = archive_name(failure->mount->archive, i);
        const char *slash = strrchr(member, '/');

        if (slash != NULL && strncmp(slash + 1, name, strlen(name)) == 0 &&
            strcmp(slash + 1 + strlen(name), ".py") == 0 &&
            strlen(member) < NAME_MAX_BYTES) {
            char module[NAME_MAX_BYTES];

            (void)snprintf(module, sizeof(module), "%.*s", (int)strlen(member) - 3,
                           member);
            for (char *c = module; *c != '\0'; c++) {
                *c = *c == '/' ? '.' : *c;
            }
            buffer_printf(failure->to, "There is a %s: write import %s", member, module);
            return true;
        }
    }
    return false;
}

static bool hint_nearest(const struct failure *failure, const char *name)
{
    struct nearest nearest = {.distance = strlen(name) / 4 + 2};
    struct archive_walk walk = {0};

    while (archive_walk(failure->mount->archive, failure->folder, &walk)) {
        consider(name, walk.name, module_size(&walk), &nearest);
    }
    consider_standard(name, &nearest);
    if (nearest.name[0] == '\0' || nearest.distance == 0 || strlen(name) < 3) {
        return false; /* a name that is right was refused, and that said why */
    }
    buffer_printf(failure->to, "Perhaps you meant %s", nearest.name);
    return true;
}

static void hint_missing(const struct failure *failure)
{
    static bool (*const hints[])(const struct failure *, const char *) = {
        hint_case, hint_not_offered, hint_folder, hint_nearest};
    char name[NAME_MAX_BYTES];

    if (!text_of(failure->exception, "name", name)) {
        return;
    }
    if (strchr(name, '.') != NULL) {
        *strchr(name, '.') = '\0';
    }
    for (size_t i = 0; i < array_size(hints) && !hints[i](failure, name); i++) {
    }
}

/* ---- a module of the program's that hides one of Python's ---- */

/* Is the module `name` one of the program's, and one of Python's too? */
static bool hides(const struct failure *failure, const char *name,
                  char path[NAME_MAX_BYTES])
{
    PyObject *names = PySys_GetObject("stdlib_module_names");
    PyObject *key = PyUnicode_FromString(name);
    PyObject *module = PyDict_GetItemString(PyImport_GetModuleDict(), name);
    const char *member;
    bool is_standard =
        key != NULL && names != NULL && PySequence_Contains(names, key) == 1;
    bool is_ours = is_standard && text_of(module, "__file__", path) &&
                   mount_of(path, &member) == failure->mount;

    if (is_ours) {
        memmove(path, member, strlen(member) + 1);
    }
    PyErr_Clear();
    Py_XDECREF(key);
    return is_ours;
}

static void hint_hidden(const struct failure *failure)
{
    PyObject *object = PyObject_GetAttrString(failure->exception, "obj");
    char name[NAME_MAX_BYTES], path[NAME_MAX_BYTES];
    bool is_module = object != NULL && PyModule_Check(object);

    PyErr_Clear();
    if ((is_module ? text_of(object, "__name__", name)
                   : text_of(failure->exception, "name", name)) &&
        hides(failure, name, path)) {
        buffer_printf(failure->to,
                      "Your %s hides Python's own module %s: give it another name", path,
                      name);
    }
    Py_XDECREF(object);
}

/* ---- all of them ---- */

void importer_hint(PyObject *exception, const char *folder, struct buffer *to)
{
    const struct {
        PyObject *type;
        void (*hint)(const struct failure *);
    } rows[] = {
        {PyExc_TabError, hint_tabs},
        {PyExc_SyntaxError, hint_syntax},
        {PyExc_ModuleNotFoundError, hint_missing},
        {PyExc_ImportError, hint_hidden},
        {PyExc_AttributeError, hint_hidden},
    };
    struct failure failure = {.exception = exception, .to = to};

    failure.mount = mount_of(folder, &failure.folder);
    for (size_t i = 0; failure.mount != NULL && i < array_size(rows); i++) {
        if (PyErr_GivenExceptionMatches(exception, rows[i].type)) {
            rows[i].hint(&failure);
            return;
        }
    }
}
