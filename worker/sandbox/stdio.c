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
    unsigned waiting;         /* threads */
    atomic_bool told;         /* that the program waits, and not yet that it does not */
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

/* ---- waiting ---- */

/* Each wait is told once, of however many threads, and however often they are woken for
 * nothing. */
static void begin_wait(void)
{
    (void)pthread_mutex_lock(&input.lock);
    input.waiting++;
    if (!input.told) {
        input.told = recorder_wait();
    }
    (void)pthread_mutex_unlock(&input.lock);
}

/* For who has the lock. */
static void tell_end(void)
{
    if (input.told && input.waiting == 0) {
        recorder_wait_end();
        input.told = false;
    }
}

/* A read that a signal has ended is begun again as a rule, and the wait goes on: a timer
 * that interrupts a program without end says nothing. */
static void end_wait(bool interrupted)
{
    (void)pthread_mutex_lock(&input.lock);
    input.waiting--;
    if (!interrupted) {
        tell_end();
    }
    (void)pthread_mutex_unlock(&input.lock);
}

/* What the program does shows whether it waits. */
static void go_on(void)
{
    if (atomic_load(&input.told)) {
        (void)pthread_mutex_lock(&input.lock);
        tell_end();
        (void)pthread_mutex_unlock(&input.lock);
    }
}

/* ---- output ---- */

static void print(long fd, const char *bytes, size_t size)
{
    if (size > 0) {
        go_on();
    }
    recorder_output(kind_of(fd), bytes, size);
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
    (void)pthread_mutex_unlock(&input.lock);
    return taken;
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

/* Takes what is there; returns false where nothing is, but may come after the mark. */
static bool take_marked(void *to, size_t size, struct ring_input_mark *ret_mark,
                        long *ret_taken)
{
    *ret_mark = (struct ring_input_mark){.over = true};
    if (input.live != NULL) {
        *ret_mark = ring_writer_input_mark(input.live);
    }
    *ret_taken = (long)take(to, size);
    return *ret_taken > 0 || ret_mark->over;
}

static long read_some(void *to, size_t size, const ucontext_t *interrupted)
{
    struct ring_input_mark mark;
    long taken = 0;
    int error = 0;

    if (size == 0) {
        return 0;
    }
    if (take_marked(to, size, &mark, &taken)) {
        go_on();
        return taken;
    }
    begin_wait();
    do {
        error = wait_for_input(&mark, interrupted);
    } while (error == 0 && !take_marked(to, size, &mark, &taken));
    end_wait(error < 0);
    return error < 0 ? error : taken;
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
