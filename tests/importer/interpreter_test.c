/* SPDX-License-Identifier: MIT */
/* The importer and the interpreters of a process: one after the other, and no second one
 * beside the first. */
#include <Python.h>

#include "common/fd.h"
#include "importer/importer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static char *zip; /* good.zip of the corpus; for as long as the test runs */
static size_t zip_size;

static int load(void **state)
{
    autobuffer struct buffer path = BUFFER_INIT(4096);

    buffer_printf(&path, "%s/good.zip", getenv("PADDOCK_ARCHIVES"));
    return fd_read_file(path.data, 1 << 20, &zip, &zip_size);
}

static int unload(void **state)
{
    free(zip);
    return 0;
}

static int mount(const char *root)
{
    autobuffer struct buffer why = BUFFER_INIT(1024);
    struct archive *archive = NULL;

    assert_int_equal(archive_open(zip, zip_size, &archive_limits_default, &archive, &why),
                     0);
    return importer_mount(archive, root, NULL, IMPORTER_FILES);
}

static void expect(PyObject *type)
{
    if (PyErr_ExceptionMatches(type) == 0) {
        PyErr_Print();
        fail();
    }
    PyErr_Clear();
}

static void one_after_the_other(void **state)
{
    for (int i = 0; i < 3; i++) {
        Py_Initialize();
        assert_int_equal(importer_init(), 0);
        assert_int_equal(importer_init(), 0);
        assert_int_equal(mount("/robot"), 0);
        assert_int_equal(PyRun_SimpleString("import sys\n"
                                            "sys.path.insert(0, '/robot')\n"
                                            "import lib.part\n"
                                            "assert open('/robot/robot.py').read()\n"
                                            "assert len(sys.path_hooks) == 3\n"),
                         0);
        assert_int_equal(Py_FinalizeEx(), 0);
    }
}

static void no_other_interpreter(void **state)
{
    PyThreadState *main_state, *other;

    Py_Initialize();
    assert_int_equal(importer_init(), 0);
    main_state = PyThreadState_Get();
    other = Py_NewInterpreter();
    assert_non_null(other);
    assert_int_equal(importer_init(), -1);
    expect(PyExc_RuntimeError);
    assert_int_equal(mount("/robot"), -1);
    expect(PyExc_RuntimeError);
    assert_int_equal(importer_unmount("/robot"), -1);
    expect(PyExc_RuntimeError);
    Py_EndInterpreter(other);
    PyThreadState_Swap(main_state);
    assert_int_equal(Py_FinalizeEx(), 0);
}

static void roots_apart(void **state)
{
    static const char *const within[] = {"/a/b/c", "/a", "/a/b/"};

    Py_Initialize();
    assert_int_equal(importer_init(), 0);
    assert_int_equal(mount("/a/b"), 0);
    assert_int_equal(mount("/a/bc"), 0);
    assert_int_equal(mount("/a/b"), 0);
    for (size_t i = 0; i < array_size(within); i++) {
        assert_int_equal(mount(within[i]), -1);
        expect(PyExc_ValueError);
    }
    assert_int_equal(importer_unmount("/a/b"), 0);
    assert_int_equal(mount("/a/b/c"), 0);
    assert_int_equal(Py_FinalizeEx(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_after_the_other),
        cmocka_unit_test(no_other_interpreter),
        cmocka_unit_test(roots_apart),
    };

    return cmocka_run_group_tests(tests, load, unload);
}
