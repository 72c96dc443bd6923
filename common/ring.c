/* SPDX-License-Identifier: MIT */
/*
 * The ring. Its reader runs in the relay and trusts nothing that the writer can have
 * written; its writer runs in the sandbox, locked, with futex(2), clock_gettime(2),
 * getrusage(2) and an 8-byte write(2) on the doorbell as its only system calls.
 */
#include "common/ring.h"

#include "common/clock.h"
#include "common/fd.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

_Static_assert((RING_DATA & (RING_DATA - 1)) == 0, "offsets are masked");
_Static_assert(offsetof(struct ring_shared, claim) % 4096 == 0,
               "the claim begins a page");
_Static_assert(offsetof(struct ring_shared, data) % 4096 == 0, "the data begins a page");
_Static_assert(LIMIT_RECORD < RING_DATA, "a record fits");
_Static_assert((RING_INPUT & (RING_INPUT - 1)) == 0, "offsets are masked");
_Static_assert(offsetof(struct ring_shared, input_head) % 4096 == 0 &&
                   offsetof(struct ring_shared, input) % 4096 == 0,
               "live input touches no page that is used without it");
/* tests/e2e/attacks writes there. */
_Static_assert(offsetof(struct ring_shared, head) == 64 &&
                   offsetof(struct ring_shared, over_output) == 76 &&
                   offsetof(struct ring_shared, claim) == 4096 &&
                   offsetof(struct ring_shared, chunks) == 20480 &&
                   offsetof(struct ring_shared, data) == 86016 &&
                   offsetof(struct ring_shared, input_head) == 348160 &&
                   offsetof(struct ring_shared, input_tail) == 348224 &&
                   offsetof(struct ring_shared, input) == 352256 &&
                   offsetof(struct ring_shared, will) == 417792,
               "members stay where they are; new ones come last");

/* Shared between processes, so not FUTEX_PRIVATE_FLAG. Every answer is fine: callers look
 * again. */
static void futex_wait(_Atomic uint32_t *word, uint32_t value,
                       const struct timespec *timeout)
{
    (void)syscall(SYS_futex, word, FUTEX_WAIT, value, timeout, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word, int waiters)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE, waiters, NULL, NULL, 0);
}

static int map(int fd, struct ring_shared **ret)
{
    void *mapping = mmap(NULL, sizeof(**ret), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (mapping == MAP_FAILED) {
        return -errno;
    }
    *ret = mapping;
    return 0;
}

/* ---- reader ---- */

int ring_reader_init(struct ring_reader *ring, int *ret_fd)
{
    autoclose int fd = -1;
    int error = fd_memfd_sealed("paddock-ring", sizeof(struct ring_shared), &fd);

    if (error < 0) {
        return error;
    }
    *ring = RING_READER_INIT;
    error = map(fd, &ring->shared);
    if (error == 0) {
        *ret_fd = steal_fd(&fd);
    }
    return error;
}

void ring_reader_done(struct ring_reader *ring)
{
    if (ring->shared != NULL) {
        (void)munmap(ring->shared, sizeof(*ring->shared));
    }
    *ring = RING_READER_INIT;
}

struct ring_birth ring_reader_birth(const struct ring_reader *ring)
{
    int64_t cpu_ns = atomic_load(&ring->shared->born_ns);

    return (struct ring_birth){
        .cpu_ns = cpu_ns,
        .resident_kb = cpu_ns != 0 ? atomic_load(&ring->shared->born_kb) : 0,
    };
}

void ring_reader_start(struct ring_reader *ring)
{
    atomic_store_explicit(&ring->shared->start, 1, memory_order_release);
    futex_wake(&ring->shared->start, 1);
}

/* The shared head is read once, and only a head that our own tail allows is believed. */
ssize_t ring_reader_waiting(const struct ring_reader *ring)
{
    uint64_t head = atomic_load_explicit(&ring->shared->head, memory_order_acquire);
    uint64_t waiting = head - ring->tail;

    return waiting <= RING_DATA ? (ssize_t)waiting : -EBADMSG;
}

static void copy_out(const struct ring_reader *ring, unsigned char *to, size_t size)
{
    size_t at = ring->tail & (RING_DATA - 1);
    size_t first = size < RING_DATA - at ? size : RING_DATA - at;

    memcpy(to, ring->shared->data + at, first);
    memcpy(to + first, ring->shared->data, size - first);
}

ssize_t ring_reader_take(struct ring_reader *ring, void *to)
{
    ssize_t size = ring_reader_waiting(ring);

    if (size <= 0) {
        return size;
    }
    copy_out(ring, to, (size_t)size);
    ring->tail += (uint64_t)size;
    /* The copy is done before the writer may overwrite what was copied. */
    atomic_store_explicit(&ring->shared->tail, ring->tail, memory_order_release);
    (void)atomic_fetch_add(&ring->shared->room_sequence, 1);
    if (atomic_exchange(&ring->shared->writer_waits, 0) != 0) {
        futex_wake(&ring->shared->room_sequence, 1);
    }
    return size;
}

void ring_reader_sleep(struct ring_reader *ring, bool sleeps)
{
    /* Sequentially consistent, as is the writer's look at it: one of the two sees the
     * other. */
    atomic_store(&ring->shared->reader_sleeps, sleeps ? 1 : 0);
}

bool ring_reader_over_output(const struct ring_reader *ring)
{
    return atomic_load_explicit(&ring->shared->over_output, memory_order_acquire) == 1;
}

bool ring_reader_starved(const struct ring_reader *ring)
{
    return atomic_load_explicit(&ring->shared->starved, memory_order_acquire) == 1;
}

bool ring_reader_where(const struct ring_reader *ring, struct ring_where *ret)
{
    const struct ring_where *where = &ring->shared->where;

    if (atomic_load_explicit(&where->made, memory_order_acquire) != 1) {
        return false;
    }
    memcpy(ret, where, sizeof(*ret));
    ret->file[sizeof(ret->file) - 1] = '\0';
    return ret->line > 0 && ret->file[0] != '\0';
}

ssize_t ring_reader_input_room(const struct ring_reader *ring)
{
    uint64_t tail = atomic_load_explicit(&ring->shared->input_tail, memory_order_acquire);
    uint64_t unread = ring->fed - tail;

    return unread <= RING_INPUT ? (ssize_t)(RING_INPUT - unread) : -EBADMSG;
}

/* Threads of the program may wait, each for its own. */
static void say_input(struct ring_reader *ring)
{
    (void)atomic_fetch_add(&ring->shared->input_sequence, 1);
    futex_wake(&ring->shared->input_sequence, INT_MAX);
}

ssize_t ring_reader_feed(struct ring_reader *ring, const void *bytes, size_t size)
{
    ssize_t room = ring_reader_input_room(ring);
    size_t at = ring->fed & (RING_INPUT - 1);
    size_t first;

    if (room < 0) {
        return room;
    }
    size = size < (size_t)room ? size : (size_t)room;
    first = size < RING_INPUT - at ? size : RING_INPUT - at;
    memcpy(ring->shared->input + at, bytes, first);
    memcpy(ring->shared->input, (const unsigned char *)bytes + first, size - first);
    ring->fed += size;
    atomic_store_explicit(&ring->shared->input_head, ring->fed, memory_order_release);
    if (size > 0) {
        say_input(ring);
    }
    return (ssize_t)size;
}

void ring_reader_end_input(struct ring_reader *ring)
{
    atomic_store_explicit(&ring->shared->input_over, 1, memory_order_release);
    say_input(ring);
}

static bool copy_claim(const struct ring_claim *claim, struct ring_claim *ret)
{
    if (atomic_load_explicit(&claim->made, memory_order_acquire) != 1) {
        return false;
    }
    /* Copied first, judged after: the memory may change under us while its writer lives.
     */
    memcpy(ret, claim, sizeof(*ret));
    return verdict_is_claim(ret->verdict) && ret->exit_code >= 0 &&
           ret->exit_code <= 255 && ret->report_size <= LIMIT_REPORT;
}

bool ring_reader_claim(const struct ring_reader *ring, struct ring_claim *ret)
{
    return copy_claim(&ring->shared->full_claim, ret) ||
           copy_claim(&ring->shared->claim, ret);
}

/* ---- writer ---- */

int ring_writer_init(struct ring_writer *ring, int fd, int doorbell)
{
    *ring = (struct ring_writer){.doorbell = doorbell};
    return map(fd, &ring->shared);
}

void ring_writer_wait_start(struct ring_writer *ring)
{
    struct rusage usage = {0};

    (void)getrusage(RUSAGE_SELF, &usage);
    atomic_store(&ring->shared->born_kb, usage.ru_maxrss);
    atomic_store(&ring->shared->born_ns, clock_ns(CLOCK_PROCESS_CPUTIME_ID));
    while (atomic_load_explicit(&ring->shared->start, memory_order_acquire) == 0) {
        futex_wait(&ring->shared->start, 0, NULL);
    }
}

/* The doorbell is an eventfd: a write that fails (the program closed it) costs only
 * promptness. */
static void ring_doorbell(struct ring_writer *ring)
{
    static const uint64_t one = 1;

    if (write(ring->doorbell, &one, sizeof(one)) < 0) {
        return;
    }
}

static void wake_sleeper(struct ring_writer *ring)
{
    if (atomic_load(&ring->shared->reader_sleeps) != 0 &&
        atomic_exchange(&ring->shared->reader_sleeps, 0) != 0) {
        ring_doorbell(ring);
    }
}

static bool has_room(const struct ring_writer *ring, size_t size)
{
    uint64_t tail = atomic_load_explicit(&ring->shared->tail, memory_order_acquire);

    return RING_DATA - (ring->head - tail) >= size;
}

/* Full: says so and waits until the reader has moved on. The timeout is a belt to the
 * braces of the sequence word. */
static void wait_for_room(struct ring_writer *ring, size_t size)
{
    const struct timespec a_while = {.tv_nsec = 50000000};

    while (!has_room(ring, size)) {
        uint32_t sequence = atomic_load(&ring->shared->room_sequence);

        atomic_store(&ring->shared->writer_waits, 1);
        wake_sleeper(ring);
        if (!has_room(ring, size)) {
            futex_wait(&ring->shared->room_sequence, sequence, &a_while);
        }
    }
}

static void copy_in(struct ring_writer *ring, const void *record, size_t size)
{
    size_t at = ring->head & (RING_DATA - 1);
    size_t first = size < RING_DATA - at ? size : RING_DATA - at;

    wait_for_room(ring, size);
    memcpy(ring->shared->data + at, record, first);
    memcpy(ring->shared->data, (const unsigned char *)record + first, size - first);
    ring->head += size;
}

void ring_writer_put(struct ring_writer *ring, const void *record, size_t size)
{
    copy_in(ring, record, size);
    /* Sequentially consistent: published before we look whether the reader sleeps. */
    atomic_store(&ring->shared->head, ring->head);
    wake_sleeper(ring);
}

void ring_writer_put_lazily(struct ring_writer *ring, const void *record, size_t size)
{
    copy_in(ring, record, size);
    atomic_store_explicit(&ring->shared->head, ring->head, memory_order_release);
    if (atomic_load_explicit(&ring->shared->reader_sleeps, memory_order_relaxed) != 0) {
        wake_sleeper(ring);
    }
}

_Noreturn void ring_writer_over_output(struct ring_writer *ring)
{
    static _Atomic uint32_t never;

    atomic_store(&ring->shared->over_output, 1);
    ring_doorbell(ring);
    for (;;) {
        futex_wait(&never, 0, NULL);
    }
}

void ring_writer_where(struct ring_writer *ring, const char *file, int line)
{
    struct ring_where *where = &ring->shared->where;
    size_t size = strnlen(file, sizeof(where->file) - 1);

    memcpy(where->file, file, size);
    where->file[size] = '\0';
    where->line = line > 0 ? (uint32_t)line : 0;
    atomic_store_explicit(&where->made, 1, memory_order_release);
}

void ring_writer_claim(struct ring_writer *ring, enum verdict verdict, int exit_code,
                       const char *report, size_t report_size)
{
    struct ring_claim *claim = atomic_load(&ring->shared->claim.made) == 0
                                   ? &ring->shared->claim
                                   : &ring->shared->full_claim;

    if (atomic_load(&claim->made) != 0) {
        return;
    }
    report_size = report_size <= LIMIT_REPORT ? report_size : LIMIT_REPORT;
    claim->verdict = (uint32_t)verdict;
    claim->exit_code = exit_code;
    claim->report_size = (uint32_t)report_size;
    memcpy(claim->report, report, report_size);
    atomic_store_explicit(&claim->made, 1, memory_order_release);
}

struct ring_input_mark ring_writer_input_mark(const struct ring_writer *ring)
{
    struct ring_input_mark mark = {
        .sequence = atomic_load(&ring->shared->input_sequence),
        .over =
            atomic_load_explicit(&ring->shared->input_over, memory_order_acquire) != 0,
    };

    return mark;
}

size_t ring_writer_input(struct ring_writer *ring, void *to, size_t size)
{
    struct ring_shared *shared = ring->shared;
    uint64_t tail = atomic_load_explicit(&shared->input_tail, memory_order_relaxed);
    uint64_t unread =
        atomic_load_explicit(&shared->input_head, memory_order_acquire) - tail;
    size_t at = tail & (RING_INPUT - 1), first;

    size = size < unread ? size : unread;
    size = size < RING_INPUT ? size : RING_INPUT;
    first = size < RING_INPUT - at ? size : RING_INPUT - at;
    memcpy(to, shared->input + at, first);
    memcpy((unsigned char *)to + first, shared->input, size - first);
    atomic_store_explicit(&shared->input_tail, tail + size, memory_order_release);
    return size;
}

int ring_writer_input_wait(struct ring_writer *ring, const struct ring_input_mark *mark)
{
    return syscall(SYS_futex, &ring->shared->input_sequence, FUTEX_WAIT, mark->sequence,
                   NULL, NULL, 0) != 0 &&
                   errno == EINTR
               ? -EINTR
               : 0;
}
