/* SPDX-License-Identifier: MIT */
/* The importer in a C program that embeds Python: runs robot.py of a ZIP from memory. The
 * build makes it; usage: embed FILE.zip */
#include <Python.h>

#include "common/buffer.h"
#include "common/fd.h"
#include "importer/importer.h"

#include <stdio.h>

static PyObject *run(struct archive *archive)
{
    PyObject *code = NULL, *module = NULL, *result = NULL;

    if (importer_mount(archive, "/robot", NULL, IMPORTER_FILES) == 0) {
        PyRun_SimpleString("import sys; sys.path.insert(0, '/robot')");
        code = importer_compile("/robot", "robot.py");
    }
    module = code != NULL ? importer_main_module("/robot", "robot.py") : NULL;
    if (module != NULL) {
        result =
            PyEval_EvalCode(code, PyModule_GetDict(module), PyModule_GetDict(module));
    }
    Py_XDECREF(module);
    Py_XDECREF(code);
    return result;
}

int main(int argc, char **argv)
{
    autobuffer struct buffer why = BUFFER_INIT(1024);
    autofree char *zip = NULL;
    struct archive *archive;
    size_t size;

    if (argc != 2 || fd_read_file(argv[1], 10 << 20, &zip, &size) < 0) {
        (void)fprintf(stderr, "usage: embed FILE.zip\n");
        return 2;
    }
    if (archive_open(zip, size, &archive_limits_default, &archive, &why) < 0) {
        (void)fprintf(stderr, "%s\n", why.data != NULL ? why.data : "no memory");
        return 1;
    }
    Py_Initialize();
    if (importer_init() != 0 || run(archive) == NULL) {
        PyErr_Print();
        return 1;
    }
    return Py_FinalizeEx() == 0 ? 0 : 1;
}
