/* SPDX-License-Identifier: MIT */
/*
 * paddock-library: runs build_library.py in the libpython that the zygote runs programs
 * in, so that the code in the archive fits it. Run by the build, by the installation and
 * by operators, who are trusted.
 */
#include <Python.h>

#include "common/cleanup.h"
#include "common/fd.h"
#include "common/role.h"
#include "importer/build_library_py.h"
#include "importer/event_loop_py.h"
#include "importer/library.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>

/* Beside paddock-zygote: in the folder of this program (a build tree), or in libexec. */
static int default_path(char to[PATH_MAX])
{
    static const char *const folders[] = {"", "../libexec/paddock/"};
    char here[PATH_MAX - 128], zygote[PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", here, sizeof(here) - 1);

    if (size < 0) {
        return -errno;
    }
    here[size] = '\0';
    strrchr(here, '/')[1] = '\0';
    for (size_t i = 0; i < array_size(folders); i++) {
        (void)snprintf(zygote, sizeof(zygote), "%s%spaddock-zygote", here, folders[i]);
        (void)snprintf(to, PATH_MAX, "%s%s%s", here, folders[i], LIBRARY_FILE);
        if (access(zygote, F_OK) == 0) {
            return 0;
        }
    }
    (void)snprintf(to, PATH_MAX, "%s%s", here, LIBRARY_FILE);
    return 0;
}

static PyStatus configure(PyConfig *config, int argc, char **argv)
{
    static const wchar_t *const paths[] = {
        L"" LIBRARY_STANDARD, L"" LIBRARY_STANDARD L"/lib-dynload", L"" LIBRARY_PACKAGES};
    PyStatus status = PyStatus_Ok();

    config->site_import = 0;
    config->write_bytecode = 0;
    config->use_frozen_modules = 0; /* frozen ones do not say where they come from */
    config->parse_argv = 0;
    config->install_signal_handlers = 1;
    config->pathconfig_warnings = 0;
    config->module_search_paths_set = 1;
    for (size_t i = 0; i < array_size(paths) && !PyStatus_Exception(status); i++) {
        status = PyWideStringList_Append(&config->module_search_paths, paths[i]);
    }
    if (!PyStatus_Exception(status)) {
        status = PyConfig_SetBytesArgv(config, argc, argv);
    }
    return status;
}

static int run(void)
{
    char path[PATH_MAX];
    PyObject *globals = PyModule_GetDict(PyImport_AddModule("__main__"));
    PyObject *name, *code, *event_loop, *result = NULL;

    if (default_path(path) != 0) {
        return 1;
    }
    name = PyUnicode_DecodeFSDefault(path);
    code = Py_CompileString(build_library_source, "build_library.py", Py_file_input);
    event_loop = PyBytes_FromString(event_loop_source);
    if (name != NULL && code != NULL && event_loop != NULL &&
        PyDict_SetItemString(globals, "DEFAULT", name) == 0 &&
        PyDict_SetItemString(globals, "EVENT_LOOP", event_loop) == 0) {
        result = PyEval_EvalCode(code, globals, globals);
    }
    if (result == NULL) {
        PyErr_Print(); /* exits with the status of SystemExit */
    }
    return Py_FinalizeEx() == 0 && result != NULL ? 0 : 1;
}

int main(int argc, char **argv)
{
    PyConfig config;
    PyStatus status;

    if (fd_open_standard() < 0) {
        return ROLE_EXIT_SYSTEM;
    }
    PyConfig_InitIsolatedConfig(&config);
    status = configure(&config, argc, argv);
    if (!PyStatus_Exception(status)) {
        status = Py_InitializeFromConfig(&config);
    }
    PyConfig_Clear(&config);
    if (PyStatus_Exception(status)) {
        Py_ExitStatusException(status);
    }
    return run();
}
