/* SPDX-License-Identifier: MIT */
/*
 * Serving a program's reads and writes on 0, 1 and 2. Runs in the sandbox, inside a
 * signal handler that the program's own system call raised: hostile ground. A pointer
 * that the program made up faults as in any function of its own, and the verdict is
 * `crashed`.
 */
#include "worker/sandbox/stdio.h"

#include "worker/sandbox/recorder.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static struct {
    const char *bytes;
    size_t size;
    _Atomic size_t taken;
} input;

static enum wire_kind kind_of(long fd)
{
    return fd == STDERR_FILENO ? WIRE_ERR : WIRE_OUT;
}

long stdio_write(const long *arguments)
{
    size_t size = (size_t)arguments[2] <= INT_MAX ? (size_t)arguments[2] : INT_MAX;

    recorder_output(kind_of(arguments[0]), (const char *)arguments[1], size);
    return (long)size;
}

long stdio_writev(const long *arguments)
{
    const struct iovec *parts = (const struct iovec *)arguments[1];
    long total = 0;

    if (arguments[2] < 0 || arguments[2] > IOV_MAX) {
        return -EINVAL;
    }
    for (long i = 0; i < arguments[2]; i++) {
        recorder_output(kind_of(arguments[0]), parts[i].iov_base, parts[i].iov_len);
        total += (long)parts[i].iov_len;
    }
    return total;
}

long stdio_read(const long *arguments)
{
    size_t size = (size_t)arguments[2];
    size_t left = input.size - input.taken;

    size = size < left ? size : left;
    memcpy((void *)arguments[1], input.bytes + input.taken, size);
    input.taken += size;
    return (long)size;
}

long stdio_readv(const long *arguments)
{
    const struct iovec *parts = (const struct iovec *)arguments[1];
    long total = 0;

    if (arguments[2] < 0 || arguments[2] > IOV_MAX) {
        return -EINVAL;
    }
    for (long i = 0; i < arguments[2]; i++) {
        const long one[] = {0, (long)parts[i].iov_base, (long)parts[i].iov_len};

        total += stdio_read(one);
    }
    return total;
}

void stdio_set_input(const void *bytes, size_t size)
{
    input.bytes = bytes;
    input.size = size;
    input.taken = 0;
}
