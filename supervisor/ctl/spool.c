/* SPDX-License-Identifier: MIT */
/* Writing into a file when all is there. Runs in the `paddock` command, with the rights
 * of whoever typed it; the bytes are anybody's. */
#include "supervisor/ctl/spool.h"

#include "common/cleanup.h"
#include "common/fd.h"
#include "common/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* In the file's own folder: there is room for it there, or nowhere. */
static int open_beside(const char *path)
{
    const char *slash = strrchr(path, '/');
    autofree char *folder =
        slash == NULL ? strdup(".") : strndup(path, (size_t)(slash + 1 - path));

    return folder != NULL ? open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600) : -1;
}

/* A folder that holds devices, or that is not ours to write to, has no place for it, nor
 * have some file systems: then it is in memory. */
FILE *spool_new(const char *path)
{
    int fd = open_beside(path);
    FILE *spool;

    if (fd < 0 && errno != ENOENT) {
        fd = memfd_create("output", MFD_CLOEXEC);
    }
    spool = fd >= 0 ? fdopen(fd, "w+") : NULL;
    if (spool == NULL) {
        close_fd(&fd);
    }
    return spool;
}

static int copy(int from, int to)
{
    char bytes[KIB(64)];
    ssize_t size;
    int error = 0;

    while (error == 0 && (size = read(from, bytes, sizeof(bytes))) != 0) {
        error = size > 0 ? fd_write_full(to, bytes, (size_t)size)
                         : (errno == EINTR ? 0 : -errno);
    }
    return error;
}

int spool_write(FILE *spool, const char *path)
{
    autoclose int to = -1;

    if (ferror(spool) != 0) {
        return -EIO; /* which error it was is forgotten by now */
    }
    if (fflush(spool) != 0 || lseek(fileno(spool), 0, SEEK_SET) < 0) {
        return -errno;
    }
    to = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    return to < 0 ? -errno : copy(fileno(spool), to);
}
