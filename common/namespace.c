/* SPDX-License-Identifier: MIT */
/* The table of namespaces (namespaces(7)). Used by the supervisor, which makes them, and
 * by the zygote, which lives in them. */
#include "common/namespace.h"

#include <errno.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

const struct namespace_row namespace_rows[] = {
    {CLONE_NEWUSER, "user", "no id near a job has power outside"},
    {CLONE_NEWPID, "PID",
     "no process but its own kind can be named; all die with the zygote"},
    {CLONE_NEWNET, "network",
     "no interface, no address, no abstract socket of the machine"},
    {CLONE_NEWNS, "mount", "the root is empty, and no mount of the machine is below it"},
    {CLONE_NEWIPC, "IPC", "no shared memory, semaphores or queues of others"},
    {CLONE_NEWUTS, "UTS", "the names of the machine cannot be changed"},
    {CLONE_NEWCGROUP, "cgroup",
     "where it is among the groups of the machine is not seen"},
};
const size_t namespace_row_count = array_size(namespace_rows);

int namespace_flags(void)
{
    int flags = 0;

    for (size_t i = 0; i < namespace_row_count; i++) {
        flags |= namespace_rows[i].flag;
    }
    return flags;
}

void namespace_print(struct buffer *to)
{
    for (size_t i = 0; i < namespace_row_count; i++) {
        buffer_printf(to, "namespace  %-10s %-24s %s\n", namespace_rows[i].name,
                      "where granted", namespace_rows[i].why);
    }
}

static int mount_nothing(void)
{
    /* Any existing folder will do: what lies below it is hidden in this namespace only.
     */
    static const char here[] = "/tmp";

    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", here, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
              "size=4k,nr_inodes=2,mode=555") != 0 ||
        chdir(here) != 0) {
        return -errno;
    }
    return 0;
}

/* pivot_root(".", ".") stacks the old root on the new one, from where it is taken off. */
int namespace_empty_root(void)
{
    int error = mount_nothing();

    if (error < 0) {
        return error;
    }
    if (syscall(SYS_pivot_root, ".", ".") != 0 || umount2(".", MNT_DETACH) != 0 ||
        mount(NULL, "/", NULL,
              MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
              NULL) != 0 ||
        chdir("/") != 0) {
        return -errno;
    }
    return 0;
}
