/* SPDX-License-Identifier: MIT */
/*
 * Hints for modules that are not there, or that are not the ones that were meant. Runs in
 * the sandbox after a program has failed, on names and an archive that may be hostile;
 * every length is capped. What is appended is read by students.
 */
#include "importer/hint_parts.h"

#include <stdio.h>
#include <string.h>

/* What is imported by that name: a new reference, or NULL without an exception. It is the
 * program's to take away again, whoever is asked meanwhile. */
static PyObject *loaded_module(const char *name)
{
    PyObject *module = PyDict_GetItemString(PyImport_GetModuleDict(), name);

    PyErr_Clear();
    return Py_XNewRef(module);
}

static PyObject *standard_names(void)
{
    return Py_XNewRef(PySys_GetObject("stdlib_module_names"));
}

/* ---- a module of the program's that hides one of Python's ---- */

/* Is the module `name` one of the program's, and one of Python's too? Leaves its file. */
static bool hides(const struct failure *failure, const char *name,
                  char path[HINT_NAME_MAX])
{
    PyObject *names = standard_names();
    PyObject *key = PyUnicode_FromString(name);
    PyObject *module = loaded_module(name);
    const char *member;
    bool is_standard =
        key != NULL && names != NULL && PySequence_Contains(names, key) == 1;
    bool is_ours = is_standard && hint_text_of(module, "__file__", path) &&
                   mount_of(path, &member) == failure->mount;

    if (is_ours) {
        memmove(path, member, strlen(member) + 1);
    }
    PyErr_Clear();
    Py_XDECREF(module);
    Py_XDECREF(key);
    Py_XDECREF(names);
    return is_ours;
}

static bool hint_hides(const struct failure *failure, const char *name)
{
    char path[HINT_NAME_MAX];

    if (!hides(failure, name, path)) {
        return false;
    }
    buffer_printf(failure->to,
                  "Your %s hides Python's own module %s: give it another name", path,
                  name);
    return true;
}

void hint_hidden(const struct failure *failure)
{
    PyObject *object = hint_member(failure->exception, "obj");
    const char *module =
        object != NULL && PyModule_Check(object) ? PyModule_GetName(object) : NULL;
    char name[HINT_NAME_MAX];

    PyErr_Clear();
    if (module != NULL) {
        (void)hint_hides(failure, module);
    } else if (hint_member_text(failure->exception, "name", name)) {
        (void)hint_hides(failure, name);
    }
    Py_XDECREF(object);
}

/* ---- modules that are not offered ---- */

/* What is not offered, and what comes near or why there is none. `near` is another module
 * that the operator may offer: then it is named. */
static const struct {
    const char *module, *near, *hint;
} not_offered[] = {
    {"numpy", NULL, "There is no numpy here; math, array and statistics come near"},
    {"scipy", "numpy", "There is no scipy here; math, cmath and statistics come near"},
    {"pandas", "numpy", "There is no pandas here; csv and statistics come near"},
    {"sklearn", "numpy", "There is no sklearn here; statistics comes near"},
    {"torch", "numpy", "There is no torch here: programs compute with Python alone"},
    {"tensorflow", "numpy",
     "There is no tensorflow here: programs compute with Python alone"},
    {"sympy", NULL, "There is no sympy here; fractions and decimal come near"},
    {"matplotlib", NULL,
     "There is no matplotlib here: a program can print, and draw nothing"},
    {"seaborn", "matplotlib",
     "There is no seaborn here: a program can print, and draw nothing"},
    {"PIL", NULL, "There is no PIL here: a program can print, and draw nothing"},
    {"cv2", "PIL", "There is no cv2 here: there is no camera that it could look through"},
    {"pygame", NULL, "There is no pygame here: a program has no screen and no keys"},
    {"requests", NULL, "There is no requests here, as there is no network"},
    {"urllib3", NULL, "There is no urllib3 here, as there is no network"},
    {"aiohttp", NULL, "There is no aiohttp here, as there is no network"},
    {"httpx", NULL, "There is no httpx here, as there is no network"},
    {"websockets", NULL, "There is no websockets here, as there is no network"},
    {"paho", NULL, "There is no paho here, as there is no network"},
    {"zmq", NULL, "There is no zmq here, as there is no network"},
    {"flask", NULL, "There is no flask here, as there is no network"},
    {"django", NULL, "There is no django here, as there is no network"},
    {"bs4", NULL, "There is no bs4 here; html.parser comes near"},
    {"lxml", NULL, "There is no lxml here; xml.etree.ElementTree comes near"},
    {"yaml", NULL, "There is no yaml here; json and configparser come near"},
    {"toml", NULL, "There is no toml here; tomllib reads the same files"},
    {"attr", NULL, "There is no attr here; dataclasses come near"},
    {"attrs", NULL, "There is no attrs here; dataclasses come near"},
    {"simpy", NULL, "There is no simpy here; sched and heapq come near"},
    {"dateutil", NULL, "There is no dateutil here; datetime and zoneinfo come near"},
    {"pytz", NULL, "There is no pytz here; zoneinfo comes near"},
    {"pytest", NULL, "There is no pytest here; unittest comes near"},
    {"typer", NULL, "There is no typer here; argparse comes near"},
    {"click", NULL, "There is no click here; argparse comes near"},
    {"psutil", NULL, "There is no psutil here: a program sees nothing of the machine"},
    {"serial", NULL, "There is no serial here, as there is no serial port"},
    {"usb", NULL, "There is no usb here, as nothing is plugged in"},
    {"RPi", NULL, "There is no RPi here: the program does not run on a Raspberry Pi"},
    {"gpiozero", NULL,
     "There is no gpiozero here: the program does not run on a Raspberry Pi"},
    {"smbus", NULL, "There is no smbus here: the program does not run on a Raspberry Pi"},
    {"picamera", NULL,
     "There is no picamera here: the program does not run on a Raspberry Pi"},
    {"microbit", NULL, "There is no microbit here: the program does not run on one"},
    {"machine", NULL, "There is no machine here: this is Python and not MicroPython"},
    {"keyboard", NULL, "There is no keyboard here: a program has no screen and no keys"},
    {"pyautogui", NULL,
     "There is no pyautogui here: a program has no screen and no keys"},
    {"playsound", NULL, "There is no playsound here, as there is no sound"},
    {"sr", NULL, "There is no sr here: no robot, real or simulated, is connected"},
    {"Tkinter", NULL, "This is Python 2, and there is no screen here"},
    {"Queue", NULL, "This is Python 2; in Python 3 the module is called queue"},
    {"ConfigParser", NULL,
     "This is Python 2; in Python 3 the module is called configparser"},
    {"StringIO", NULL, "This is Python 2; in Python 3 it is io.StringIO"},
    {"cPickle", NULL, "This is Python 2; in Python 3 the module is called pickle"},
    {"urllib2", NULL, "This is Python 2, and there is no network here"},
    {"thread", NULL, "This is Python 2; in Python 3 the module is called threading"},
};

/* What an operator adds is loaded before any program is there. */
static bool is_loaded(const char *module)
{
    return PyDict_GetItemString(PyImport_GetModuleDict(), module) != NULL;
}

static bool hint_not_offered(const struct failure *failure, const char *name)
{
    for (size_t i = 0; i < array_size(not_offered); i++) {
        const char *near = not_offered[i].near;

        if (strcmp(name, not_offered[i].module) != 0) {
            continue;
        }
        if (near != NULL && is_loaded(near)) {
            buffer_printf(failure->to, "There is no %s here; %s comes near", name, near);
        } else {
            buffer_add_text(failure->to, not_offered[i].hint);
        }
        return true;
    }
    return false;
}

/* ---- names that come near ---- */

static size_t least(size_t one, size_t two, size_t three)
{
    size_t least = one < two ? one : two;

    return least < three ? least : three;
}

/* In how many places two names differ: a letter too many, too few, another one, or two
 * that changed places (the optimal string alignment distance). Both are shorter than
 * HINT_NAME_MAX. */
static size_t distance(const char *one, size_t one_size, const char *two, size_t two_size)
{
    size_t rows[3][HINT_NAME_MAX]; /* of the letter before the last one, of that, of it */

    for (size_t j = 0; j <= two_size; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= one_size; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];

        row[0] = i;
        for (size_t j = 1; j <= two_size; j++) {
            row[j] = least(above[j] + 1, row[j - 1] + 1,
                           above[j - 1] + (one[i - 1] != two[j - 1]));
            if (i > 1 && j > 1 && one[i - 1] == two[j - 2] && one[i - 2] == two[j - 1] &&
                before[j - 2] + 1 < row[j]) {
                row[j] = before[j - 2] + 1;
            }
        }
    }
    return rows[one_size % 3][two_size];
}

/* More is no slip but another name: short ones are near to each other by chance. */
static size_t farthest(size_t size)
{
    return size < 3 ? 0 : size < 6 ? 1 : 2;
}

struct nearest {
    char name[HINT_NAME_MAX];
    size_t distance; /* of that; one more than is allowed while there is none */
};

/* A slip seldom changes the first letter. */
static void consider(const char *wanted, const char *name, size_t size,
                     struct nearest *nearest)
{
    size_t length = strlen(wanted), far;

    if (size == 0 || size >= HINT_NAME_MAX || *name != *wanted ||
        size > length + nearest->distance || length > size + nearest->distance) {
        return;
    }
    far = distance(wanted, length, name, size);
    if (far < nearest->distance) {
        (void)snprintf(nearest->name, sizeof(nearest->name), "%.*s", (int)size, name);
        nearest->distance = far;
    }
}

static void consider_standard(const char *wanted, struct nearest *nearest)
{
    PyObject *names = standard_names();
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
    Py_XDECREF(names);
}

/* ---- modules of the program's ---- */

/* What is not there: `name` in the folder `folder` of the archive, which programs import
 * by `prefix` ("", "lib.") and a name. */
struct missing {
    const char *name, *folder, *prefix;
};

/* How long the name of the module is that a walk has come to: "Robot.py", or a folder; 0
 * for what is none. */
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
static bool hint_case(const struct failure *failure, const struct missing *missing)
{
    struct archive_walk walk = {0};

    while (archive_walk(failure->mount->archive, missing->folder, &walk)) {
        size_t size = module_size(&walk);

        if (size == strlen(missing->name) &&
            strncasecmp(walk.name, missing->name, size) == 0 &&
            memcmp(walk.name, missing->name, size) != 0) {
            buffer_printf(
                failure->to,
                "There is the %s %s%s%.*s: capital letters count, write import %s%.*s",
                walk.is_folder ? "folder" : "file", missing->folder,
                *missing->folder != '\0' ? "/" : "", (int)walk.size, walk.name,
                missing->prefix, (int)size, walk.name);
            return true;
        }
    }
    return false;
}

/* lib/helper.py for helper. */
static bool hint_folder(const struct failure *failure, const struct missing *missing)
{
    size_t size = strlen(missing->name);

    for (size_t i = 0; i < archive_count(failure->mount->archive); i++) {
        const char *member = archive_name(failure->mount->archive, i);
        const char *slash = strrchr(member, '/');
        char module[HINT_NAME_MAX];

        if (slash == NULL || strncmp(slash + 1, missing->name, size) != 0 ||
            strcmp(slash + 1 + size, ".py") != 0 || strlen(member) >= HINT_NAME_MAX) {
            continue;
        }
        (void)snprintf(module, sizeof(module), "%.*s", (int)strlen(member) - 3, member);
        for (char *c = module; *c != '\0'; c++) {
            *c = *c == '/' ? '.' : *c;
        }
        buffer_printf(failure->to, "There is the file %s: write import %s", member,
                      module);
        return true;
    }
    return false;
}

static bool hint_nearest(const struct failure *failure, const struct missing *missing)
{
    struct nearest nearest = {.distance = farthest(strlen(missing->name)) + 1};
    struct archive_walk walk = {0};

    while (archive_walk(failure->mount->archive, missing->folder, &walk)) {
        consider(missing->name, walk.name, module_size(&walk), &nearest);
    }
    if (*missing->prefix == '\0') {
        consider_standard(missing->name, &nearest);
    }
    if (nearest.name[0] == '\0' || nearest.distance == 0) {
        return false; /* a name that is right was refused, and that said why */
    }
    buffer_printf(failure->to, "Perhaps you meant %s%s", missing->prefix, nearest.name);
    return true;
}

/* ---- all of them ---- */

/* import name */
static void hint_top(const struct failure *failure, const char *name)
{
    const struct missing missing = {
        .name = name, .folder = failure->folder, .prefix = ""};

    (void)(hint_case(failure, &missing) || hint_not_offered(failure, name) ||
           hint_folder(failure, &missing) || hint_nearest(failure, &missing));
}

/* import package.name: the package is there, and it is the program's or another's. */
static void hint_inner(const struct failure *failure, const char *package,
                       const char *name)
{
    char folder[2 * HINT_NAME_MAX], prefix[HINT_NAME_MAX + 1], file[HINT_NAME_MAX];
    const struct missing missing = {.name = name, .folder = folder, .prefix = prefix};
    PyObject *module = loaded_module(package);
    const char *member;

    (void)snprintf(folder, sizeof(folder), "%s%s%s", failure->folder,
                   *failure->folder != '\0' ? "/" : "", package);
    for (char *c = folder + strlen(folder) - strlen(package); *c != '\0'; c++) {
        *c = *c == '.' ? '/' : *c;
    }
    (void)snprintf(prefix, sizeof(prefix), "%s.", package);
    if (archive_is_directory(failure->mount->archive, folder)) {
        (void)(hint_case(failure, &missing) || hint_nearest(failure, &missing));
    } else if (hint_text_of(module, "__file__", file) &&
               mount_of(file, &member) == failure->mount) {
        buffer_printf(failure->to, "%s is the file %s, and no folder that holds %s",
                      package, member, name);
    }
    Py_XDECREF(module);
}

void hint_missing(const struct failure *failure)
{
    char name[HINT_NAME_MAX], top[HINT_NAME_MAX];
    char *dot;

    if (!hint_member_text(failure->exception, "name", name)) {
        return;
    }
    (void)snprintf(top, sizeof(top), "%.*s", (int)strcspn(name, "."), name);
    dot = strrchr(name, '.');
    if (dot == NULL) {
        hint_top(failure, name);
    } else if (!hint_hides(failure, top)) {
        *dot = '\0';
        hint_inner(failure, name, dot + 1);
    }
}
