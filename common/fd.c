/* SPDX-License-Identifier: MIT */
/* File descriptors. Used by every process, on fds of its own. */
#include "common/fd.h"

#include "common/buffer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int fd_read_full(int fd, void *buffer, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t count = read(fd, (char *)buffer + done, size - done);

        if (count == 0) {
            return -EPIPE;
        }
        if (count < 0 && errno != EINTR) {
            return -errno;
        }
        done += count > 0 ? (size_t)count : 0;
    }
    return 0;
}

int fd_write_full(int fd, const void *bytes, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t count = write(fd, (const char *)bytes + done, size - done);

        if (count < 0 && errno != EINTR) {
            return -errno;
        }
        done += count > 0 ? (size_t)count : 0;
    }
    return 0;
}

int fd_read_all(int fd, size_t maximum, char **ret_data, size_t *ret_size)
{
    autobuffer struct buffer all = BUFFER_INIT(maximum);
    char part[65536];
    size_t size;
    char *data;

    for (;;) {
        ssize_t count = read(fd, part, sizeof(part));

        if (count == 0) {
            break;
        }
        if (count < 0 && errno != EINTR) {
            return -errno;
        }
        buffer_add(&all, part, count > 0 ? (size_t)count : 0);
        if (buffer_error(&all) != 0) {
            return buffer_error(&all) == -ENOBUFS ? -EFBIG : -ENOMEM;
        }
    }
    size = all.size;
    data = buffer_detach(&all);
    if (data == NULL) {
        return -ENOMEM;
    }
    *ret_data = data;
    *ret_size = size;
    return 0;
}

int fd_read_file(const char *path, size_t maximum, char **ret_data, size_t *ret_size)
{
    autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

    return fd < 0 ? -errno : fd_read_all(fd, maximum, ret_data, ret_size);
}

int fd_open_standard(void)
{
    static const int modes[] = {O_WRONLY, O_RDONLY, O_RDWR};

    for (int fd = 0; fd < (int)array_size(modes); fd++) {
        /* All below it are open, so it is the lowest number that is free. */
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", modes[fd]) != fd) {
            return -errno;
        }
    }
    return 0;
}

int fd_flush_stdout(void)
{
    struct pollfd reader = {.fd = STDOUT_FILENO, .events = POLLOUT};

    if (fflush(stdout) != 0) {
        return -errno;
    }
    if (!ferror(stdout)) {
        return 0;
    }
    /* A write that failed earlier took its reason along, but it can be asked for again.
     */
    if (poll(&reader, 1, 0) == 1 && (reader.revents & POLLERR) != 0) {
        return -EPIPE;
    }
    return write(STDOUT_FILENO, "", 0) < 0 ? -errno : -EIO;
}

int fd_set_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

int fd_set_cloexec(int fd, int on)
{
    return fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0) < 0 ? -errno : 0;
}

int fd_move(int *fd, int target, int cloexec)
{
    int error = 0;

    if (*fd == target) {
        (void)steal_fd(fd);
        return fd_set_cloexec(target, cloexec);
    }
    if (dup3(*fd, target, cloexec ? O_CLOEXEC : 0) < 0) {
        error = -errno;
    }
    close_fd(fd);
    return error;
}

int fd_close_from(unsigned first)
{
    return close_range(first, ~0u, 0) == 0 ? 0 : -errno;
}

int fd_memfd_sealed(const char *name, size_t size, int *ret_fd)
{
    autoclose int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0 || ftruncate(fd, (off_t)size) != 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
        return -errno;
    }
    *ret_fd = steal_fd(&fd);
    return 0;
}

int fd_connect_unix(const char *path, int *ret_fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    autoclose int fd = -1;

    if (strlen(path) >= sizeof(address.sun_path)) {
        return -ENAMETOOLONG;
    }
    memcpy(address.sun_path, path, strlen(path));
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        return -errno;
    }
    *ret_fd = steal_fd(&fd);
    return 0;
}

int fd_pidfd_open(pid_t pid, int *ret_fd)
{
    int fd = pidfd_open(pid, 0);

    if (fd < 0) {
        return -errno;
    }
    *ret_fd = fd;
    return 0;
}

int fd_pidfd_send_signal(int pidfd, int signo)
{
    return pidfd_send_signal(pidfd, signo, NULL, 0) == 0 ? 0 : -errno;
}
