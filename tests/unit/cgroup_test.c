/* SPDX-License-Identifier: MIT */
/*
 * Control groups: where they are found, and how a pool's are laid out, against a tree of
 * plain folders in which mkdir and rmdir (wrapped by the linker) do what the kernel does:
 * a new group has its files, and goes away with them. What the kernel's own v1 makes of
 * it is in tests/e2e/memory_test.py. Run by ctest.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/fd.h"
#include "common/message.h"
#include "supervisor/cgroup.h"
#include "supervisor/cgroup_files.h"
#include "supervisor/cgroup_find.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* ---- finding ---- */

#define V2                                                                               \
    "31 23 0:28 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
#define TREE "23 1 8:1 / / rw - ext4 /dev/sda rw\n"

/* clang-format off */
static const struct {
    const char *name, *mountinfo, *own;
    const char *v2_mount, *v2_own, *memory, *pids;
} cases[] = {
    {"none", TREE, "", "", "", "", ""},
    {"v2", TREE V2, "0::/system.slice/paddock.service\n", "/sys/fs/cgroup",
     "/sys/fs/cgroup/system.slice/paddock.service", "", ""},
    {"v2, at its root", TREE V2, "0::/\n", "/sys/fs/cgroup", "/sys/fs/cgroup", "", ""},
    {"v1",
     TREE "35 31 0:32 / /c/memory rw - cgroup cgroup rw,memory\n"
     "39 31 0:36 / /c/pids rw - cgroup cgroup rw,pids\n",
     "8:pids:/a\n4:memory:/a/b\n", "", "", "/c/memory/a/b", "/c/pids/a"},
    {"v1, both in one, beside v2",
     "35 31 0:32 / /c/both rw - cgroup cgroup rw,pids,memory\n" TREE V2,
     "4:pids,memory:/x\n0::/y\n", "/sys/fs/cgroup", "/sys/fs/cgroup/y", "/c/both/x", "/c/both/x"},
    {"v1, of other controllers", "35 31 0:32 / /c/memory2 rw - cgroup cgroup rw,memory2,cpu\n",
     "4:memory2,cpu:/x\n", "", "", "", ""},
    {"v1 in a container", "35 31 0:32 /docker/12 /c/memory ro - cgroup cgroup rw,memory\n",
     "4:memory:/docker/12/sub\n", "", "", "/c/memory/sub", ""},
    {"v1 in a container, at its root", "35 31 0:32 /docker/12 /c/memory ro - cgroup cgroup rw,memory\n",
     "4:memory:/docker/12\n", "", "", "/c/memory", ""},
    {"out of sight", "35 31 0:32 /docker/12 /c/memory ro - cgroup cgroup rw,memory\n",
     "4:memory:/docker/123\n", "", "", "", ""},
    {"not in the list of our own", TREE V2, "1:cpu:/x\n", "/sys/fs/cgroup", "", "", ""},
    {"cut off", "31 23 0:28 / /sys/fs/cgroup rw - cgroup2", "0:", "", "", "", ""},
};
/* clang-format on */

static void what_proc_says(void **state)
{
    static struct cgroup_places places;

    for (size_t i = 0; i < array_size(cases); i++) {
        cgroup_find_in(cases[i].mountinfo, cases[i].own, &places);
        if (strcmp(places.v2.mount, cases[i].v2_mount) != 0 ||
            strcmp(places.v2.own, cases[i].v2_own) != 0 ||
            strcmp(places.v1[CGROUP_MEMORY].own, cases[i].memory) != 0 ||
            strcmp(places.v1[CGROUP_PIDS].own, cases[i].pids) != 0) {
            fail_msg("%s: v2 %s, own %s; memory %s; pids %s", cases[i].name,
                     places.v2.mount, places.v2.own, places.v1[CGROUP_MEMORY].own,
                     places.v1[CGROUP_PIDS].own);
        }
    }
}

/* ---- a tree of plain folders ---- */

static const char *const group_files[] = {
    "cgroup.controllers", "cgroup.procs",  "cgroup.subtree_control",
    "memory.max",         "memory.events", "memory.swap.max",
    "memory.oom.group",   "memory.peak",   "pids.max",
};
static size_t group_file_count; /* how many of them this kernel has */

int __wrap_mkdir(const char *path, mode_t mode);
int __real_mkdir(const char *path, mode_t mode);
int __wrap_rmdir(const char *path);
int __real_rmdir(const char *path);

int __wrap_mkdir(const char *path, mode_t mode)
{
    char name[LIMIT_PATH];
    int result = __real_mkdir(path, mode);

    for (size_t i = 0; i < group_file_count && result == 0; i++) {
        autoclose int fd = -1;

        assert_int_equal(cgroup_path(name, path, group_files[i]), 0);
        fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
    }
    return result;
}

int __wrap_rmdir(const char *path)
{
    char name[LIMIT_PATH];

    for (size_t i = 0; i < array_size(group_files); i++) {
        assert_int_equal(cgroup_path(name, path, group_files[i]), 0);
        (void)unlink(name);
    }
    return __real_rmdir(path);
}

static char root[] = "/tmp/paddock-cgroup-XXXXXX";

static int make_tree(void **state)
{
    (void)snprintf(root, sizeof(root), "/tmp/paddock-cgroup-XXXXXX");
    group_file_count = array_size(group_files);
    if (mkdtemp(root) == NULL || __wrap_rmdir(root) != 0 || mkdir(root, 0700) != 0) {
        return -1;
    }
    return cgroup_write(root, "cgroup.controllers", "cpu memory pids\n");
}

static int remove_tree(void **state)
{
    return rmdir(root);
}

static void assert_text(const char *folder, const char *name, const char *expected)
{
    char path[LIMIT_PATH];
    autofree char *text = NULL;
    size_t size;

    assert_int_equal(cgroup_path(path, folder, name), 0);
    assert_int_equal(fd_read_file(path, 4096, &text, &size), 0);
    assert_string_equal(text, expected);
}

/* Where an fd leads to. */
static void assert_leads_to(int fd, const char *folder, const char *name)
{
    char link[64], path[LIMIT_PATH] = "", expected[LIMIT_PATH];

    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    assert_true(readlink(link, path, sizeof(path) - 1) > 0);
    assert_int_equal(cgroup_path(expected, folder, name), 0);
    assert_string_equal(path, expected);
}

static void layout_of_v2(void **state)
{
    static struct cgroup cgroup;
    autobuffer struct buffer why = BUFFER_INIT(1024), said = BUFFER_INIT(8192);
    char leaf[LIMIT_PATH];
    uint32_t set;

    cgroup = CGROUP_INIT;
    assert_int_equal(cgroup_make_v2(&cgroup, root), 0);
    assert_int_equal(cgroup_layers(&cgroup), LAYER_MEMORY_GROUP | LAYER_PIDS_GROUP);
    cgroup_say(&cgroup, &said);
    assert_non_null(strstr(said.data, "v2: memory and tasks, in /tmp/paddock-cgroup-"));
    assert_text(root, "cgroup.subtree_control", "+memory +pids");
    assert_text(cgroup.paths[CGROUP_MEMORY], "cgroup.subtree_control", "+memory +pids");
    assert_int_equal(cgroup_make_set(&cgroup, 2, &set, &why), 0);
    for (uint32_t i = 0; i <= 2; i++) {
        char name[16];

        (void)snprintf(name, sizeof(name), "%u.%u", set, i);
        assert_int_equal(cgroup_path(leaf, cgroup.paths[CGROUP_MEMORY], name), 0);
        assert_text(leaf, "pids.max", i == 0 ? "1" : "128");
        assert_text(leaf, "memory.swap.max", "0");
        assert_text(leaf, "memory.oom.group", "1");
        assert_text(leaf, "cgroup.subtree_control", "");
    }
    cgroup_remove_set(&cgroup, set, 2);
    assert_int_not_equal(access(leaf, F_OK), 0);
    (void)snprintf(leaf, sizeof(leaf), "%s", cgroup.paths[CGROUP_MEMORY]);
    cgroup_close(&cgroup);
    assert_int_not_equal(access(leaf, F_OK), 0);
}

/* The zygote gets the right files, and /dev/null where the kernel has none. */
static void what_the_zygote_gets(void **state)
{
    static const char *const names[GROUP_FDS] = {
        [GROUP_JOIN] = "cgroup.procs",   [GROUP_LIMIT] = "memory.max",
        [GROUP_KILLS] = "memory.events", [GROUP_HITS] = "memory.events",
        [GROUP_PEAK] = "memory.peak",
    };
    static struct cgroup cgroup;
    autobuffer struct buffer why = BUFFER_INIT(1024);
    struct message message;
    char folder[LIMIT_PATH];
    int ends[2];
    uint32_t set;

    cgroup = CGROUP_INIT;
    assert_int_equal(cgroup_make_v2(&cgroup, root), 0);
    assert_int_equal(cgroup_make_set(&cgroup, 1, &set, &why), 0);
    assert_int_equal(message_pair(ends), 0);
    assert_int_equal(cgroup_send_set(&cgroup, set, 1, ends[0]), 0);
    for (uint32_t i = 0; i <= 1; i++) {
        char name[16];

        (void)snprintf(name, sizeof(name), "%u.%u", set, i);
        assert_int_equal(cgroup_path(folder, cgroup.paths[CGROUP_MEMORY], name), 0);
        assert_int_equal(message_receive(ends[1], 1u << MESSAGE_GROUP, &message), 1);
        assert_int_equal(message.payload.GROUP_.number, i);
        for (int k = 0; k < GROUP_FDS; k++) {
            assert_leads_to(message.fds[k], names[k] != NULL ? folder : "/dev",
                            names[k] != NULL ? names[k] : "null");
        }
        message_done(&message);
    }
    assert_int_equal(message_receive(ends[1], 1u << MESSAGE_GROUP, &message), -EAGAIN);
    close_fd(&ends[0]);
    close_fd(&ends[1]);
    cgroup_close(&cgroup);
}

/* Without the memory controller nothing is made, and the reason is there to be said. */
static void without_memory(void **state)
{
    static struct cgroup cgroup;
    autobuffer struct buffer said = BUFFER_INIT(8192);

    cgroup = CGROUP_INIT;
    assert_int_equal(cgroup_write(root, "cgroup.controllers", "cpu hugetlb    \n"), 0);
    assert_true(cgroup_make_v2(&cgroup, root) < 0);
    assert_int_equal(cgroup_layers(&cgroup), 0);
    cgroup_say(&cgroup, &said);
    assert_non_null(strstr(said.data, "none: /tmp/paddock-cgroup-"));
    assert_non_null(strstr(said.data, "it has no memory controller"));
}

/* A leaf in which tasks cannot be limited although they should be is no leaf. */
static void half_a_leaf(void **state)
{
    static struct cgroup cgroup;
    autobuffer struct buffer why = BUFFER_INIT(8192);
    uint32_t set;

    cgroup = CGROUP_INIT;
    assert_int_equal(cgroup_make_v2(&cgroup, root), 0);
    group_file_count = array_size(group_files) - 1;
    assert_true(cgroup_make_set(&cgroup, 1, &set, &why) < 0);
    assert_non_null(strstr(why.data, "unable to make groups in /tmp/paddock-cgroup-"));
    cgroup_close(&cgroup);
}

/* A group whose lock is held is a living pool's; one whose lock is free is swept away. */
static void others_are_told_apart(void **state)
{
    static struct cgroup first, second;
    char left[LIMIT_PATH];

    first = second = CGROUP_INIT;
    assert_int_equal(cgroup_path(left, root, "paddock-1-0"), 0);
    assert_int_equal(mkdir(left, 0700), 0);
    assert_int_equal(cgroup_make_v2(&first, root), 0);
    assert_int_not_equal(access(left, F_OK), 0);
    assert_int_equal(cgroup_make_v2(&second, root), 0);
    assert_string_not_equal(first.paths[CGROUP_MEMORY], second.paths[CGROUP_MEMORY]);
    assert_int_equal(access(first.paths[CGROUP_MEMORY], F_OK), 0);
    cgroup_close(&second);
    assert_int_equal(access(first.paths[CGROUP_MEMORY], F_OK), 0);
    cgroup_close(&first);
}

static void plain_folders_are_refused(void **state)
{
    static struct cgroup cgroup;
    autobuffer struct buffer why = BUFFER_INIT(8192);

    assert_int_equal(cgroup_open(&cgroup, root, &why), -EINVAL);
    assert_non_null(strstr(why.data, "cgroup = /tmp/paddock-cgroup-"));
}

int main(void)
{
#define WITH_TREE(test) cmocka_unit_test_setup_teardown(test, make_tree, remove_tree)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_proc_says),
        WITH_TREE(layout_of_v2),
        WITH_TREE(what_the_zygote_gets),
        WITH_TREE(without_memory),
        WITH_TREE(half_a_leaf),
        WITH_TREE(others_are_told_apart),
        WITH_TREE(plain_folders_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
