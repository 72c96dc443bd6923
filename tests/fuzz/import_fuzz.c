/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: a ZIP from an attacker goes all the way into Python: it is mounted with
 * the file view, every module in it is imported, every file read, and its entry compiled;
 * import_check.py says what must hold. Run by libFuzzer.
 */
#include <Python.h>

#include "import_check.h"
#include "importer/hint.h"
#include "importer/importer.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct archive_limits limits = {
    .bytes = 1 << 16,
    .entries = 64,
    .name = 100,
    .depth = 8,
    .member = 1 << 16,
    .total = 1 << 18,
    .ratio = 200,
};

static PyObject *check, *forget, *hint_function; /* kept for good */

static void require(bool holds)
{
    if (!holds) {
        if (PyErr_Occurred()) {
            PyErr_Print();
        }
        abort();
    }
}

static PyObject *text_of(PyObject *exception)
{
    PyObject *text = PyObject_Str(exception);

    PyErr_Clear();
    return text;
}

/* hint(exception) */
static PyObject *hint(PyObject *self, PyObject *exception)
{
    autobuffer struct buffer sentence = BUFFER_INIT(4096);

    importer_hint(exception, "/fuzz", false, text_of, &sentence);
    require(!PyErr_Occurred());
    Py_RETURN_NONE;
}

static PyMethodDef hint_method = {"hint", hint, METH_O, NULL};

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    PyConfig config;
    PyObject *globals;

    PyConfig_InitIsolatedConfig(&config);
    config.install_signal_handlers = 0;
    require(!PyStatus_Exception(Py_InitializeFromConfig(&config)));
    PyConfig_Clear(&config);
    globals = PyModule_GetDict(PyImport_AddModule("__main__"));
    require(importer_init() == 0 && importer_install_files() == 0);
    require(PyRun_String(import_check_source, Py_file_input, globals, globals) != NULL);
    check = PyDict_GetItemString(globals, "check");
    forget = PyDict_GetItemString(globals, "forget");
    hint_function = PyCFunction_New(&hint_method, NULL);
    require(check != NULL && forget != NULL && hint_function != NULL);
    Py_INCREF(globals); /* importing the program's main module replaces __main__ */
    return 0;
}

/* Of its files; not of its folders. */
static PyObject *names_of(const struct archive *archive)
{
    PyObject *names = PyList_New(0);

    for (size_t i = 0; i < archive_count(archive); i++) {
        const char *text = archive_name(archive, i);
        PyObject *name = PyUnicode_FromString(text);

        require(name != NULL);
        if (archive_find(archive, text) >= 0) {
            require(PyList_Append(names, name) == 0);
        }
        Py_DECREF(name);
    }
    return names;
}

/* The program's main module is made and compiled, and not run. */
static void compile_entry(const struct archive_entry *entry)
{
    PyObject *code, *module;

    if (*entry->member == '\0') {
        return;
    }
    code = importer_compile("/fuzz", entry->member);
    if (code == NULL) {
        PyObject *type, *value, *trace;

        PyErr_Fetch(&type, &value, &trace);
        PyErr_NormalizeException(&type, &value, &trace);
        Py_XDECREF(hint(NULL, value));
        Py_XDECREF(type);
        Py_XDECREF(value);
        Py_XDECREF(trace);
    }
    module = importer_main_module("/fuzz", entry->member);
    require(module != NULL);
    Py_DECREF(module);
    Py_XDECREF(code);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    autobuffer struct buffer why = BUFFER_INIT(4096);
    struct archive *archive = NULL;
    struct archive_entry entry = {0};
    PyObject *names, *result;
    unsigned flags = IMPORTER_FILES | (size % 2 != 0 ? IMPORTER_TABS : 0);

    if (archive_open(data, size, &limits, &archive, &why) < 0) {
        require(why.size > 0 && archive == NULL);
        return 0;
    }
    (void)archive_find_entry(archive, "", &entry, &why); /* strips a top folder */
    names = names_of(archive);
    require(importer_mount(archive, "/fuzz", NULL, flags) == 0);
    result = PyObject_CallFunctionObjArgs(check, names, hint_function, NULL);
    require(result != NULL);
    Py_DECREF(result);
    Py_DECREF(names);
    compile_entry(&entry);
    require(importer_unmount("/fuzz") == 0);
    result = PyObject_CallNoArgs(forget);
    require(result != NULL);
    Py_DECREF(result);
    return 0;
}
