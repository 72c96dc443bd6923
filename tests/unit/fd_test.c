/* SPDX-License-Identifier: MIT */
/*
 * File descriptors: short counts, ends of files, maxima, and that each one is born with
 * close-on-exec. Run by ctest, on pipes and sockets of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static bool is_cloexec(int fd)
{
    return (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0;
}

/* A child writes a megabyte in odd pieces: the reader gets all of it or -EPIPE. */
static void reads_in_full(void **state)
{
    static char piece[1013], all[sizeof(piece) * 1000];
    int ends[2];
    pid_t child;

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        for (int i = 0; i < 1000; i++) {
            memset(piece, i, sizeof(piece));
            if (fd_write_full(ends[1], piece, sizeof(piece)) != 0) {
                _exit(1);
            }
        }
        _exit(0);
    }
    close_fd(&ends[1]);
    assert_int_equal(fd_read_full(ends[0], all, sizeof(all) - 1), 0);
    for (size_t i = 0; i < sizeof(all) - 1; i += 997) {
        assert_int_equal((unsigned char)all[i], i / sizeof(piece) % 256);
    }
    assert_int_equal(fd_read_full(ends[0], all, 2), -EPIPE); /* one byte is left */
    assert_int_equal(fd_read_full(ends[0], all, 0), 0);
    close_fd(&ends[0]);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

static void says_why_not(void **state)
{
    char byte = 0;
    int ends[2];

    assert_int_equal(fd_read_full(-1, &byte, 1), -EBADF);
    assert_int_equal(fd_write_full(-1, &byte, 1), -EBADF);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(fd_set_nonblocking(ends[0]), 0);
    assert_int_equal(fd_read_full(ends[0], &byte, 1), -EAGAIN);
    close_fd(&ends[0]);
    (void)sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
    assert_int_equal(fd_write_full(ends[1], &byte, 1), -EPIPE);
    close_fd(&ends[1]);
    assert_int_equal(fd_set_nonblocking(-1), -EBADF);
    assert_int_equal(fd_set_cloexec(-1, 1), -EBADF);
}

/* A memfd of `size` bytes, 'a' each, read from its start. */
static int file_of(size_t size)
{
    int fd = memfd_create("fd_test", MFD_CLOEXEC);

    for (size_t i = 0; i < size; i++) {
        assert_int_equal(write(fd, "a", 1), 1);
    }
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

static void reads_up_to_a_maximum(void **state)
{
    static const struct {
        size_t size, maximum;
        int result;
    } rows[] = {{0, 0, 0},      {0, 10, 0},     {10, 10, 0},         {11, 10, -EFBIG},
                {1, 0, -EFBIG}, {999, 1000, 0}, {1001, 1000, -EFBIG}};

    for (size_t i = 0; i < array_size(rows); i++) {
        autoclose int fd = file_of(rows[i].size);
        autofree char *data = NULL;
        size_t size = 77;

        assert_int_equal(fd_read_all(fd, rows[i].maximum, &data, &size), rows[i].result);
        if (rows[i].result < 0) {
            assert_null(data);
            assert_int_equal(size, 77);
        } else {
            assert_int_equal(size, rows[i].size);
            assert_int_equal(strlen(data), size);
        }
    }
}

static void reads_files(void **state)
{
    autoclose int fd = file_of(7);
    autofree char *data = NULL;
    char path[64];
    size_t size;

    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    assert_int_equal(fd_read_file(path, 100, &data, &size), 0);
    assert_string_equal(data, "aaaaaaa");
    assert_int_equal(fd_read_file("/proc/self/nothing", 100, &data, &size), -ENOENT);
    assert_int_equal(fd_read_file("/proc/self", 100, &data, &size), -EISDIR);
}

static void moves(void **state)
{
    int fd = file_of(1);
    int old = fd;

    assert_int_equal(fd_move(&fd, 200, 1), 0);
    assert_int_equal(fd, -1);
    assert_false(is_open(old));
    assert_true(is_cloexec(200));
    fd = 200; /* to where it is */
    assert_int_equal(fd_move(&fd, 200, 0), 0);
    assert_int_equal(fd, -1);
    assert_true(is_open(200));
    assert_false(is_cloexec(200));
    fd = file_of(1);
    old = fd;
    assert_int_equal(fd_move(&fd, -1, 1), -EBADF); /* closed all the same */
    assert_false(is_open(old));
    (void)close(200);
}

static void closes_from(void **state)
{
    pid_t child = fork();
    int status;

    assert_true(child >= 0);
    if (child == 0) {
        bool right = dup2(0, 100) == 100 && dup2(0, 5000 % 1024) >= 0 &&
                     fd_close_from(100) == 0 && !is_open(100) && !is_open(5000 % 1024) &&
                     is_open(0);

        _exit(right ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void nobody_resizes_a_sealed_memfd(void **state)
{
    autoclose int fd = -1;
    struct {
        char bytes[4096];
    } * mapping;

    assert_int_equal(fd_memfd_sealed("fd_test", 4096, &fd), 0);
    assert_true(is_cloexec(fd));
    assert_int_equal(ftruncate(fd, 0), -1);
    assert_int_equal(errno, EPERM);
    assert_int_equal(ftruncate(fd, 8192), -1);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
    mapping = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(mapping != MAP_FAILED);
    mapping->bytes[4095] = 'x';
    assert_int_equal(munmap(mapping, 4096), 0);
}

static void connects(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    autoclose int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    autoclose int fd = -1;
    char folder[] = "/tmp/fd_test_XXXXXX";
    char path[200];

    assert_non_null(mkdtemp(folder));
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", folder);
    assert_int_equal(fd_connect_unix(address.sun_path, &fd), -ENOENT);
    assert_int_equal(bind(server, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(fd_connect_unix(address.sun_path, &fd), -ECONNREFUSED);
    assert_int_equal(fd, -1);
    assert_int_equal(listen(server, 1), 0);
    assert_int_equal(fd_connect_unix(address.sun_path, &fd), 0);
    assert_true(is_cloexec(fd));
    assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    memset(path, 'p', sizeof(path));
    path[108] = '\0'; /* one more than there is room for */
    assert_int_equal(fd_connect_unix(path, &fd), -ENAMETOOLONG);
    assert_int_equal(unlink(address.sun_path), 0);
    assert_int_equal(rmdir(folder), 0);
}

static void signals_by_pidfd(void **state)
{
    autoclose int pidfd = -1;
    pid_t child = fork();
    int status;

    assert_true(child >= 0);
    if (child == 0) {
        for (;;) {
            (void)pause();
        }
    }
    assert_int_equal(fd_pidfd_open(child, &pidfd), 0);
    assert_true(is_cloexec(pidfd));
    assert_int_equal(fd_pidfd_send_signal(pidfd, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(fd_pidfd_send_signal(pidfd, SIGKILL), -ESRCH);
    assert_int_equal(fd_pidfd_open(-1, &pidfd), -EINVAL);
}

/* In a child, whose own three they are. */
static void in_child(void (*check)(void))
{
    pid_t child = fork();
    int status;

    assert_true(child >= 0);
    if (child == 0) {
        check();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void require(bool holds, int where)
{
    if (!holds) {
        _exit(where);
    }
}

static void check_closed(void)
{
    char byte = 0;
    int fd;

    require(fd_close_from(0) == 0, 10);
    require(fd_open_standard() == 0, 1);
    require(fd_read_full(0, &byte, 1) == -EBADF, 2);
    require(fd_write_full(1, &byte, 1) == -EBADF, 3);
    require(fd_write_full(2, &byte, 1) == 0, 4);
    fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    require(fd == 3, 5);
    require(!is_cloexec(0) && !is_cloexec(1) && !is_cloexec(2), 6);
}

static void check_open(void)
{
    char byte = 'x';
    int ends[2];

    require(fd_close_from(0) == 0, 10);
    require(pipe2(ends, 0) == 0 && ends[1] == 1, 1);
    require(fd_open_standard() == 0, 2);
    require(fd_write_full(1, &byte, 1) == 0 && fd_read_full(0, &byte, 1) == 0, 3);
}

static void opens_the_standard_ones(void **state)
{
    in_child(check_closed);
    in_child(check_open);
}

static void check_flush(void)
{
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

    require(dup2(full, STDOUT_FILENO) == STDOUT_FILENO, 1);
    require(fd_flush_stdout() == 0, 2);
    (void)fputs("text", stdout);
    require(fd_flush_stdout() == -ENOSPC, 3);
    require(fd_flush_stdout() == -ENOSPC, 4); /* it is asked for again */
}

static void check_unread(void)
{
    static char text[100000];
    int ends[2];

    memset(text, 'x', sizeof(text) - 1);
    (void)sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
    require(pipe2(ends, O_CLOEXEC) == 0, 1);
    require(dup2(ends[1], STDOUT_FILENO) == STDOUT_FILENO, 2);
    (void)close(ends[0]);
    (void)fputs(text, stdout);
    require(fd_flush_stdout() == -EPIPE, 3);
}

static void says_that_stdout_is_lost(void **state)
{
    in_child(check_flush);
    in_child(check_unread);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_in_full),
        cmocka_unit_test(says_why_not),
        cmocka_unit_test(reads_up_to_a_maximum),
        cmocka_unit_test(reads_files),
        cmocka_unit_test(moves),
        cmocka_unit_test(closes_from),
        cmocka_unit_test(nobody_resizes_a_sealed_memfd),
        cmocka_unit_test(connects),
        cmocka_unit_test(signals_by_pidfd),
        cmocka_unit_test(opens_the_standard_ones),
        cmocka_unit_test(says_that_stdout_is_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
