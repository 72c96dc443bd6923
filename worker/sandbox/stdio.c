/* SPDX-License-Identifier: MIT */
/*
 * Serving a program's reads and writes on 0, 1 and 2. Runs in the sandbox, inside a
 * signal handler that the program's own system call raised: hostile ground. A pointer
 * that the program made up faults as in any function of its own, and the verdict is
 * `crashed`.
 */
#include "worker/sandbox/stdio.h"

#include "common/cleanup.h"
#include "worker/sandbox/recorder.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <ucontext.h>
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

static long serve_write(const long *arguments)
{
    size_t size = (size_t)arguments[2] <= INT_MAX ? (size_t)arguments[2] : INT_MAX;

    recorder_output(kind_of(arguments[0]), (const char *)arguments[1], size);
    return (long)size;
}

static long serve_writev(const long *arguments)
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

static long serve_read(const long *arguments)
{
    size_t size = (size_t)arguments[2];
    size_t left = input.size - input.taken;

    size = size < left ? size : left;
    memcpy((void *)arguments[1], input.bytes + input.taken, size);
    input.taken += size;
    return (long)size;
}

static long serve_readv(const long *arguments)
{
    const struct iovec *parts = (const struct iovec *)arguments[1];
    long total = 0;

    if (arguments[2] < 0 || arguments[2] > IOV_MAX) {
        return -EINVAL;
    }
    for (long i = 0; i < arguments[2]; i++) {
        const long one[] = {0, (long)parts[i].iov_base, (long)parts[i].iov_len};

        total += serve_read(one);
    }
    return total;
}

static const struct {
    int call;
    long (*serve)(const long *arguments);
} served[] = {
    {SYS_write, serve_write},
    {SYS_writev, serve_writev},
    {SYS_read, serve_read},
    {SYS_readv, serve_readv},
};

static void on_trapped_call(int signo, siginfo_t *info, void *context)
{
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    const long arguments[] = {registers[REG_RDI], registers[REG_RSI], registers[REG_RDX]};
    int saved_errno = errno;
    long result = -ENOSYS;

    for (size_t i = 0; i < array_size(served); i++) {
        if (served[i].call == info->si_syscall) {
            result = served[i].serve(arguments);
        }
    }
    registers[REG_RAX] = result;
    errno = saved_errno;
}

int stdio_catch_writes(void)
{
    struct sigaction action = {.sa_sigaction = on_trapped_call,
                               .sa_flags = SA_SIGINFO | SA_NODEFER | SA_RESTART};

    return sigaction(SIGSYS, &action, NULL) == 0 ? 0 : -errno;
}

void stdio_set_input(const void *bytes, size_t size)
{
    input.bytes = bytes;
    input.size = size;
    input.taken = 0;
}
