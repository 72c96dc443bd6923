/* SPDX-License-Identifier: MIT */
/*
 * Names and folders of host modules: what is taken, and what is said of what is not. Run
 * by ctest; makes a folder of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/host_modules.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
    const char *names, *why; /* NULL: they are taken */
} names[] = {
    {"", NULL},
    {" ", NULL},
    {"a", NULL},
    {" sr.robot  _b c2.d_e ", NULL},
    {"sim simulator", NULL},
    {"paddocks", NULL},
    {"jsonx", NULL},
    {"7", "'7' is no name"},
    {"a.7", "'a.7' is no name"},
    {".", "'.' is no name"},
    {"a.", "'a.' is no name"},
    {".a", "'.a' is no name"},
    {"a..b", "'a..b' is no name"},
    {"a,b", "'a,b' is no name"},
    {"a\tb", "is no name"},
    {"a b a", "'a' is there twice"},
    {"paddock", "'paddock' is Paddock's own"},
    {"paddock.x", "'paddock.x' is Paddock's own"},
    {"a json", "'json' is a name of Python's own"},
    {"xml.mine", "'xml.mine' is a name of Python's own"},
    {"_abc", "'_abc' is a name of Python's own"},
    {"zoneinfo", "'zoneinfo' is a name of Python's own"},
};

static void all_names(void **state)
{
    for (size_t i = 0; i < array_size(names); i++) {
        autobuffer struct buffer why = BUFFER_INIT(1024);
        int error = host_modules_check(names[i].names, &why);

        assert_int_equal(error, names[i].why == NULL ? 0 : -EINVAL);
        assert_int_equal(host_modules_check(names[i].names, NULL), error);
        if (names[i].why != NULL) {
            assert_non_null(strstr(why.data, names[i].why));
        } else {
            assert_int_equal(why.size, 0);
        }
    }
}

static void check_path(const char *path, const char *expected)
{
    autobuffer struct buffer why = BUFFER_INIT(8192);
    int error = host_modules_check_path(path, &why);

    assert_int_equal(error, expected == NULL ? 0 : -EINVAL);
    if (expected != NULL) {
        assert_non_null(strstr(why.data, expected));
    }
}

static void folders(void **state)
{
    char folder[] = "/tmp/paddock-hosts-XXXXXX", inner[64], file[64], path[256];
    FILE *made;

    assert_non_null(mkdtemp(folder));
    (void)snprintf(inner, sizeof(inner), "%s/inner", folder);
    (void)snprintf(file, sizeof(file), "%s/inner/sim.py", folder);
    assert_int_equal(chmod(folder, 0755), 0);
    assert_int_equal(mkdir(inner, 0755), 0);
    made = fopen(file, "w");
    assert_non_null(made);
    assert_int_equal(fclose(made), 0);
    assert_int_equal(chmod(file, 0644), 0);

    check_path("", NULL);
    check_path(folder, NULL);
    (void)snprintf(path, sizeof(path), "%s:%s", inner, folder);
    check_path(path, NULL);
    (void)snprintf(path, sizeof(path), "%s:", inner);
    check_path(path, "colon");
    check_path("inner", "'inner' is no absolute path");
    check_path(file, "there is no folder");
    (void)snprintf(path, sizeof(path), "%s/inner/link.py", folder);
    assert_int_equal(symlink("/etc/hostname", path), 0);
    check_path(inner, "/link.py is a symbolic link");
    assert_int_equal(unlink(path), 0);
    (void)snprintf(path, sizeof(path), "%s/link", folder);
    assert_int_equal(symlink("inner", path), 0);
    check_path(path, "/inner");
    assert_int_equal(unlink(path), 0);
    check_path(inner, NULL);
    assert_int_equal(chmod(file, 0664), 0);
    check_path(inner, "others can write to /tmp/paddock-hosts-");
    assert_int_equal(chmod(file, 0644), 0);
    assert_int_equal(chmod(folder, 0757), 0);
    check_path(inner, "others can write to /tmp/paddock-hosts-");

    assert_int_equal(unlink(file), 0);
    assert_int_equal(rmdir(inner), 0);
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_names),
        cmocka_unit_test(folders),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
