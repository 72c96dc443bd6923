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
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static struct {
    const char *bytes;
    size_t size, taken;
    struct ring_writer *live; /* NULL: that is all there is */
    pthread_mutex_t lock;     /* of these, and of the reading of live input */
    atomic_bool told;         /* the last word about input is that it is waited for */
    atomic_bool buried;       /* something was printed since */
} input = {.lock = PTHREAD_MUTEX_INITIALIZER};

void stdio_by_lines(void)
{
    (void)setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
}

void stdio_flush(void)
{
    (void)fflush(stdout);
}

static enum wire_kind kind_of(long fd)
{
    return fd == STDERR_FILENO ? WIRE_ERR : WIRE_OUT;
}

static void print(long fd, const char *bytes, size_t size)
{
    recorder_output(kind_of(fd), bytes, size);
    if (size > 0) {
        atomic_store(&input.buried, true);
    }
}

long stdio_write(const long *arguments)
{
    size_t size = (size_t)arguments[2] <= INT_MAX ? (size_t)arguments[2] : INT_MAX;

    print(arguments[0], (const char *)arguments[1], size);
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
        print(arguments[0], parts[i].iov_base, parts[i].iov_len);
        total += (long)parts[i].iov_len;
    }
    return total;
}

/* ---- input ---- */

static size_t take_given(void *to, size_t size)
{
    size_t left = input.size - input.taken;

    size = size < left ? size : left;
    memcpy(to, input.bytes + input.taken, size);
    input.taken += size;
    return size;
}

/* What is there already; waits for nothing. */
static size_t take(void *to, size_t size)
{
    size_t taken;

    (void)pthread_mutex_lock(&input.lock);
    taken = take_given(to, size);
    if (taken == 0 && input.live != NULL) {
        taken = ring_writer_input(input.live, to, size);
    }
    if (taken > 0) {
        atomic_store(&input.told, false);
    }
    (void)pthread_mutex_unlock(&input.lock);
    return taken;
}

/* Once for each wait, however often it is woken for nothing. A read that follows one that
 * a signal has ended goes on with its wait, unless that has got out of a reader's sight:
 * a timer that interrupts a program without end says nothing. */
static void tell_wait(bool begins)
{
    if (begins && atomic_exchange(&input.buried, false)) {
        atomic_store(&input.told, false);
    }
    if (!atomic_exchange(&input.told, true)) {
        recorder_wait();
    }
}

/* Our handler has all signals blocked, and one that came meanwhile is to end the read, as
 * one that comes while it waits. */
static bool has_signal(uint64_t mask)
{
    uint64_t pending = 0;

    return syscall(SYS_rt_sigpending, &pending, sizeof(pending)) == 0 &&
           (pending & ~mask) != 0;
}

/* Waits with the thread's own signals open; setting the mask is a served call, too, of
 * which the handler's own state is the interrupted one. Returns 0, or -EINTR for a
 * signal: its handler has run, or will as soon as the read returns. One that comes just
 * before the waiting does not end it, as on a terminal. */
static int wait_for_input(const struct ring_input_mark *mark,
                          const ucontext_t *interrupted)
{
    uint64_t mask, blocked = 0;
    int r;

    memcpy(&mask, &interrupted->uc_sigmask, sizeof(mask));
    if (has_signal(mask)) {
        return -EINTR;
    }
    (void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, &blocked, sizeof(mask));
    r = ring_writer_input_wait(input.live, mark);
    (void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, &blocked, NULL, sizeof(mask));
    return r;
}

static long read_some(void *to, size_t size, const ucontext_t *interrupted)
{
    struct ring_input_mark mark = {.over = true};

    for (bool begins = true; size > 0; begins = false) {
        size_t taken;

        if (input.live != NULL) {
            mark = ring_writer_input_mark(input.live);
        }
        taken = take(to, size);
        if (taken > 0 || mark.over) {
            return (long)taken;
        }
        tell_wait(begins);
        if (wait_for_input(&mark, interrupted) < 0) {
            return -EINTR;
        }
    }
    return 0;
}

long stdio_read(const long *arguments, ucontext_t *interrupted)
{
    return read_some((void *)arguments[1], (size_t)arguments[2], interrupted);
}

/* Waits for its first bytes only. */
long stdio_readv(const long *arguments, ucontext_t *interrupted)
{
    const struct iovec *parts = (const struct iovec *)arguments[1];
    long total = 0;

    if (arguments[2] < 0 || arguments[2] > IOV_MAX) {
        return -EINVAL;
    }
    for (long i = 0; i < arguments[2]; i++) {
        long taken = total == 0
                         ? read_some(parts[i].iov_base, parts[i].iov_len, interrupted)
                         : (long)take(parts[i].iov_base, parts[i].iov_len);

        if (taken < 0) {
            return taken;
        }
        total += taken;
    }
    return total;
}

void stdio_set_input(const void *bytes, size_t size, struct ring_writer *live)
{
    input.bytes = bytes;
    input.size = size;
    input.taken = 0;
    input.live = live;
}
