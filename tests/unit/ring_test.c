/* SPDX-License-Identifier: MIT */
/*
 * The ring, with a writer in a process of its own: every byte arrives, in order; a writer
 * killed in mid-stream loses nothing that it had published; a full ring blocks and goes
 * on; and indexes or claims that a hostile writer made up are refused. Run by ctest.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/fd.h"
#include "common/ring.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct fixture {
    struct ring_reader reader;
    int memory, doorbell;
    unsigned char *slice; /* RING_DATA bytes */
};

static int setup(void **state)
{
    static struct fixture fixture;

    fixture = (struct fixture){.slice = malloc(RING_DATA)};
    *state = &fixture;
    fixture.doorbell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return ring_reader_init(&fixture.reader, &fixture.memory);
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    ring_reader_done(&fixture->reader);
    ring_reader_done(&fixture->reader); /* twice is harmless */
    close_fd(&fixture->memory);
    close_fd(&fixture->doorbell);
    free(fixture->slice);
    return 0;
}

/* Runs `write` as a sandbox would: in a child that maps the ring and waits for its start.
 */
static pid_t start_writer(struct fixture *fixture,
                          void (*write_all)(struct ring_writer *ring))
{
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        struct ring_writer writer;

        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (ring_writer_init(&writer, fixture->memory, fixture->doorbell) != 0) {
            _exit(1);
        }
        ring_writer_wait_start(&writer);
        write_all(&writer);
        _exit(0);
    }
    return child;
}

static int reap(pid_t child)
{
    int status;

    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

/* Waits until something can be read, as the relay does: sleeps, looks again, blocks. */
static void wait_for_bytes(struct fixture *fixture)
{
    struct pollfd bell = {.fd = fixture->doorbell, .events = POLLIN};
    uint64_t count;

    ring_reader_sleep(&fixture->reader, true);
    if (ring_reader_waiting(&fixture->reader) == 0) {
        assert_int_equal(poll(&bell, 1, 60000), 1); /* the bell is never lost */
    }
    (void)!read(fixture->doorbell, &count, sizeof(count));
}

/* A record of the tests: its size in two bytes, then the low byte of its number. */
#define RECORDS 60000

static size_t record_size(unsigned number)
{
    /* Mostly small, now and then the largest there is. */
    return number % 997 == 0 ? LIMIT_RECORD : 3 + number * 7 % 90;
}

static void put_record(struct ring_writer *ring, unsigned number)
{
    static unsigned char record[LIMIT_RECORD];
    size_t size = record_size(number);

    memset(record, (int)number, size);
    record[0] = (unsigned char)size;
    record[1] = (unsigned char)(size >> 8);
    ring_writer_put(ring, record, size);
}

static void write_records(struct ring_writer *ring)
{
    for (unsigned i = 0; i < RECORDS; i++) {
        put_record(ring, i);
    }
}

static void write_for_ever(struct ring_writer *ring)
{
    for (unsigned i = 0;; i++) {
        put_record(ring, i);
    }
}

/* Checks a slice: whole records, following on from `number`. Returns the next number. */
static unsigned check_slice(const unsigned char *slice, size_t size, unsigned number)
{
    for (size_t at = 0; at < size; number++) {
        size_t expected = record_size(number);

        assert_true(size - at >= expected);
        assert_int_equal(slice[at] | slice[at + 1] << 8, expected);
        assert_int_equal(slice[at + 2], number & 0xff);
        assert_int_equal(slice[at + expected - 1], number & 0xff);
        at += expected;
    }
    return number;
}

static void every_record_arrives(void **state)
{
    struct fixture *fixture = *state;
    pid_t writer = start_writer(fixture, write_records);
    unsigned number = 0;

    assert_int_equal(ring_reader_waiting(&fixture->reader), 0); /* it waits for start */
    ring_reader_start(&fixture->reader);
    while (number < RECORDS) {
        ssize_t size = ring_reader_take(&fixture->reader, fixture->slice);

        assert_true(size >= 0);
        if (size == 0) {
            wait_for_bytes(fixture);
        }
        number = check_slice(fixture->slice, (size_t)size, number);
    }
    assert_int_equal(reap(writer), 0);
    assert_int_equal(ring_reader_take(&fixture->reader, fixture->slice), 0);
}

/* Killed anywhere: what was published is there, in whole records, and nothing else. */
static void a_killed_writer_loses_nothing(void **state)
{
    for (unsigned round = 0; round < 30; round++) {
        struct fixture *fixture = *state;
        pid_t writer = start_writer(fixture, write_for_ever);
        unsigned number = 0;
        uint64_t published, read = 0;
        ssize_t size;

        ring_reader_start(&fixture->reader);
        while (number < 50 * round) {
            size = ring_reader_take(&fixture->reader, fixture->slice);
            assert_true(size >= 0);
            number = check_slice(fixture->slice, (size_t)size, number);
            read += (uint64_t)size;
        }
        assert_int_equal(kill(writer, SIGKILL), 0);
        assert_true(WIFSIGNALED(reap(writer)));
        published = fixture->reader.shared->head;
        while ((size = ring_reader_take(&fixture->reader, fixture->slice)) > 0) {
            number = check_slice(fixture->slice, (size_t)size, number);
            read += (uint64_t)size;
        }
        assert_int_equal(size, 0);
        assert_int_equal(read, published);
        assert_int_equal(teardown(state), 0);
        assert_int_equal(setup(state), 0);
    }
}

static void wait_until_full(struct ring_reader *reader)
{
    const struct timespec moment = {.tv_nsec = 1000000};

    for (int i = 0; atomic_load(&reader->shared->writer_waits) == 0; i++) {
        assert_true(i < 60000); /* it did not wait: it has overwritten something */
        (void)nanosleep(&moment, NULL);
    }
}

static void a_full_ring_blocks_and_goes_on(void **state)
{
    struct fixture *fixture = *state;
    pid_t writer = start_writer(fixture, write_records);
    unsigned number = 0;

    ring_reader_start(&fixture->reader);
    wait_until_full(&fixture->reader);
    assert_true(ring_reader_waiting(&fixture->reader) >
                (ssize_t)(RING_DATA - LIMIT_RECORD));
    assert_true(ring_reader_waiting(&fixture->reader) <= (ssize_t)RING_DATA);
    assert_int_equal(waitpid(writer, NULL, WNOHANG), 0); /* still there, blocked */
    while (number < RECORDS) {
        ssize_t size = ring_reader_take(&fixture->reader, fixture->slice);

        assert_true(size >= 0);
        number = check_slice(fixture->slice, (size_t)size, number);
        if (size == 0) {
            wait_for_bytes(fixture);
        }
    }
    assert_int_equal(reap(writer), 0);
}

static size_t spare; /* bytes that are left in the ring */

static void write_one_more_than_fits(struct ring_writer *ring)
{
    static const unsigned char record[64];

    /* This process's own copy begins at 0. */
    ring->head = atomic_load(&ring->shared->head);
    ring_writer_put(ring, record, spare + 1);
}

/* Up to the last byte and no further. */
static void full_is_full(void **state)
{
    static const unsigned char filling[LIMIT_RECORD];

    for (spare = 0; spare < 40; spare++) {
        struct fixture *fixture = *state;
        struct ring_writer writer;
        size_t size;
        pid_t child;

        assert_int_equal(ring_writer_init(&writer, fixture->memory, fixture->doorbell),
                         0);
        for (size_t left = RING_DATA - spare; left > 0; left -= size) {
            size = left < sizeof(filling) ? left : sizeof(filling);
            ring_writer_put(&writer, filling, size); /* does not block */
        }
        (void)munmap(writer.shared, sizeof(*writer.shared));
        child = start_writer(fixture, write_one_more_than_fits);
        ring_reader_start(&fixture->reader);
        wait_until_full(&fixture->reader);
        assert_int_equal(ring_reader_take(&fixture->reader, fixture->slice),
                         RING_DATA - spare);
        assert_int_equal(reap(child), 0);
        assert_int_equal(ring_reader_take(&fixture->reader, fixture->slice), spare + 1);
        assert_int_equal(teardown(state), 0);
        assert_int_equal(setup(state), 0);
    }
}

/* A full ring also wakes a reader that sleeps. */
static void a_full_ring_rings(void **state)
{
    struct fixture *fixture = *state;
    struct ring_writer writer;
    struct pollfd bell = {.fd = fixture->doorbell, .events = POLLIN};
    unsigned char record[64] = {0};

    assert_int_equal(ring_writer_init(&writer, fixture->memory, fixture->doorbell), 0);
    ring_writer_put(&writer, record, sizeof(record));
    assert_int_equal(poll(&bell, 1, 0), 0); /* nobody sleeps: no bell */
    ring_reader_sleep(&fixture->reader, true);
    ring_writer_put(&writer, record, sizeof(record));
    assert_int_equal(poll(&bell, 1, 0), 1);
    assert_int_equal(atomic_load(&fixture->reader.shared->reader_sleeps), 0); /* once */
    assert_int_equal(ring_reader_take(&fixture->reader, fixture->slice), 128);
    (void)munmap(writer.shared, sizeof(*writer.shared));
}

static void impossible_heads_are_refused(void **state)
{
    static const struct {
        uint64_t tail, head;
        bool possible;
    } rows[] = {
        {0, 0, true},
        {0, RING_DATA, true},
        {0, RING_DATA + 1, false},
        {0, UINT64_MAX, false},
        {1000, 999, false},
        {1000, 0, false},
        {1000, 1000 + RING_DATA, true},
        {1000, 1001 + RING_DATA, false},
        {1000, 1ull << 63, false},
        {UINT64_MAX, 0, true}, /* wrapped by one */
        {UINT64_MAX, RING_DATA, false},
    };
    struct fixture *fixture = *state;
    struct ring_reader *reader = &fixture->reader;

    for (size_t i = 0; i < array_size(rows); i++) {
        ssize_t expected =
            rows[i].possible ? (ssize_t)(rows[i].head - rows[i].tail) : -EBADMSG;

        reader->tail = rows[i].tail;
        reader->shared->head = rows[i].head;
        assert_int_equal(ring_reader_waiting(reader), expected);
        assert_int_equal(ring_reader_take(reader, fixture->slice), expected);
        if (!rows[i].possible) {
            assert_int_equal(reader->tail, rows[i].tail);
        }
    }
}

/* The reader goes by its own tail, whatever the shared one says. */
static void a_forged_tail_moves_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct ring_writer writer;

    assert_int_equal(ring_writer_init(&writer, fixture->memory, fixture->doorbell), 0);
    ring_writer_put(&writer, "abc", 3);
    fixture->reader.shared->tail = 999999;
    assert_int_equal(ring_reader_take(&fixture->reader, fixture->slice), 3);
    assert_memory_equal(fixture->slice, "abc", 3);
    assert_int_equal(fixture->reader.shared->tail, 3);
    (void)munmap(writer.shared, sizeof(*writer.shared));
}

/* The memory cannot be shrunk under the reader. */
static void nobody_truncates_it(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(ftruncate(fixture->memory, 0), -1);
    assert_int_equal(errno, EPERM);
}

static void claims(void **state)
{
    struct fixture *fixture = *state;
    struct ring_writer writer;
    struct ring_claim claim;

    assert_int_equal(ring_writer_init(&writer, fixture->memory, fixture->doorbell), 0);
    assert_false(ring_reader_claim(&fixture->reader, &claim));
    ring_writer_claim(&writer, VERDICT_EXCEPTION, 1, "NameError: x", 12);
    assert_true(ring_reader_claim(&fixture->reader, &claim));
    assert_int_equal(claim.report_size, 12);
    ring_writer_claim(&writer, VERDICT_EXCEPTION, 1, "NameError: x (robot.py)", 23);
    ring_writer_claim(&writer, VERDICT_OK, 0, "", 0); /* the two before stand */
    assert_true(ring_reader_claim(&fixture->reader, &claim));
    assert_int_equal(claim.verdict, VERDICT_EXCEPTION);
    assert_int_equal(claim.exit_code, 1);
    assert_int_equal(claim.report_size, 23);
    assert_memory_equal(claim.report, "NameError: x (robot.py)", 23);
    fixture->reader.shared->full_claim.verdict =
        VERDICT_COUNT; /* nonsense: the other one */
    assert_true(ring_reader_claim(&fixture->reader, &claim));
    assert_int_equal(claim.report_size, 12);
    (void)munmap(writer.shared, sizeof(*writer.shared));
}

static void a_long_report_is_cut(void **state)
{
    static char report[LIMIT_REPORT + 100];
    struct fixture *fixture = *state;
    struct ring_writer writer;
    struct ring_claim claim;

    assert_int_equal(ring_writer_init(&writer, fixture->memory, fixture->doorbell), 0);
    ring_writer_claim(&writer, VERDICT_OK, 0, report, sizeof(report));
    assert_true(ring_reader_claim(&fixture->reader, &claim));
    assert_int_equal(claim.report_size, LIMIT_REPORT);
    (void)munmap(writer.shared, sizeof(*writer.shared));
}

/* Every verdict, and what is none; exit codes and sizes out of range. */
static void where_it_was(void **state)
{
    struct fixture *fixture = *state;
    struct ring_writer writer = {.shared = fixture->reader.shared};
    struct ring_where where;
    char file[300];

    memset(file, 'x', sizeof(file));
    file[sizeof(file) - 1] = '\0';
    assert_false(ring_reader_where(&fixture->reader, &where));
    ring_writer_where(&writer, "robot.py", 7);
    assert_true(ring_reader_where(&fixture->reader, &where));
    assert_string_equal(where.file, "robot.py");
    assert_int_equal(where.line, 7);
    ring_writer_where(&writer, file, 7);
    assert_true(ring_reader_where(&fixture->reader, &where));
    assert_int_equal(strlen(where.file), sizeof(where.file) - 1);
    /* Nonsense: no end, no line, no file. */
    memset(fixture->reader.shared->where.file, 'x', sizeof(where.file));
    assert_true(ring_reader_where(&fixture->reader, &where));
    assert_int_equal(strlen(where.file), sizeof(where.file) - 1);
    ring_writer_where(&writer, "robot.py", -1);
    assert_false(ring_reader_where(&fixture->reader, &where));
    ring_writer_where(&writer, "", 1);
    assert_false(ring_reader_where(&fixture->reader, &where));
}

static void hostile_claims(void **state)
{
    static const struct {
        uint32_t made;
        int32_t exit_code;
        uint32_t report_size;
        bool sound;
    } rows[] = {
        {1, 0, 0, true},
        {1, 255, LIMIT_REPORT, true},
        {0, 0, 0, false},
        {2, 0, 0, false},
        {UINT32_MAX, 0, 0, false},
        {1, -1, 0, false},
        {1, 256, 0, false},
        {1, INT32_MIN, 0, false},
        {1, 0, LIMIT_REPORT + 1, false},
        {1, 0, UINT32_MAX, false},
    };
    struct fixture *fixture = *state;
    struct ring_claim *claim = &fixture->reader.shared->claim;
    struct ring_claim copy;

    for (uint32_t verdict = 0; verdict < VERDICT_COUNT + 2; verdict++) {
        for (size_t i = 0; i < array_size(rows); i++) {
            claim->made = rows[i].made;
            claim->verdict = verdict;
            claim->exit_code = rows[i].exit_code;
            claim->report_size = rows[i].report_size;
            assert_int_equal(ring_reader_claim(&fixture->reader, &copy),
                             rows[i].sound && verdict_is_claim(verdict));
        }
    }
}

static void over_output(struct ring_writer *ring)
{
    ring_writer_put(ring, "last", 4);
    ring_writer_over_output(ring);
}

/* It says so, rings, and waits to be killed. */
static void too_much_output(void **state)
{
    struct fixture *fixture = *state;
    struct pollfd bell = {.fd = fixture->doorbell, .events = POLLIN};
    pid_t writer = start_writer(fixture, over_output);

    assert_false(ring_reader_over_output(&fixture->reader));
    ring_reader_start(&fixture->reader);
    assert_int_equal(poll(&bell, 1, 60000), 1);
    assert_true(ring_reader_over_output(&fixture->reader));
    assert_int_equal(ring_reader_take(&fixture->reader, fixture->slice), 4);
    assert_int_equal(waitpid(writer, NULL, WNOHANG), 0);
    assert_int_equal(kill(writer, SIGKILL), 0);
    (void)reap(writer);
}

/* ---- live input ---- */

static unsigned char input_byte(uint64_t at)
{
    return (unsigned char)(at * 7 + (at >> 16));
}

#define INPUT_SIZE (MIB(1) + 3)

/* Reads all there is, in odd pieces, and answers each with a record of its size. */
static void read_input(struct ring_writer *ring)
{
    static unsigned char piece[5000];
    uint64_t at = 0;

    for (;;) {
        struct ring_input_mark mark = ring_writer_input_mark(ring);
        size_t size = ring_writer_input(ring, piece, 1 + at % sizeof(piece));

        if (size == 0 && mark.over) {
            _exit(at == INPUT_SIZE ? 0 : 2);
        }
        if (size == 0) {
            (void)!ring_writer_input_wait(ring, &mark);
        }
        for (size_t i = 0; i < size; i++) {
            if (piece[i] != input_byte(at++)) {
                _exit(3);
            }
        }
    }
}

/* Gives a piece whole, however long that takes. */
static void feed_all(struct fixture *fixture, const unsigned char *bytes, size_t size)
{
    const struct timespec moment = {.tv_nsec = 100000};

    while (size > 0) {
        ssize_t taken = ring_reader_feed(&fixture->reader, bytes, size);

        assert_true(taken >= 0 && (size_t)taken <= RING_INPUT);
        bytes += taken;
        size -= (size_t)taken;
        if (taken == 0) {
            (void)nanosleep(&moment, NULL);
        }
    }
}

static void input_arrives_whole(void **state)
{
    struct fixture *fixture = *state;
    static unsigned char bytes[INPUT_SIZE];
    pid_t child = start_writer(fixture, read_input);

    for (size_t i = 0; i < INPUT_SIZE; i++) {
        bytes[i] = input_byte(i);
    }
    ring_reader_start(&fixture->reader);
    for (size_t at = 0, size = 1; at < INPUT_SIZE; at += size, size = size * 3 + 1) {
        size = size < INPUT_SIZE - at ? size : INPUT_SIZE - at;
        feed_all(fixture, bytes + at, size);
    }
    ring_reader_end_input(&fixture->reader);
    assert_int_equal(reap(child), 0);
}

static void input_of_no_reader_stays_bounded(void **state)
{
    struct fixture *fixture = *state;
    static const unsigned char bytes[RING_INPUT];
    struct ring_writer writer;
    unsigned char one;

    assert_int_equal(ring_writer_init(&writer, fixture->memory, fixture->doorbell), 0);
    assert_int_equal(ring_reader_input_room(&fixture->reader), RING_INPUT);
    assert_int_equal(ring_reader_feed(&fixture->reader, bytes, 0), 0);
    assert_int_equal(ring_reader_feed(&fixture->reader, bytes, 10), 10);
    assert_int_equal(ring_reader_feed(&fixture->reader, bytes, RING_INPUT),
                     RING_INPUT - 10);
    assert_int_equal(ring_reader_feed(&fixture->reader, bytes, 1), 0);
    assert_int_equal(ring_writer_input(&writer, &one, 1), 1);
    assert_int_equal(ring_reader_input_room(&fixture->reader), 1);
    assert_int_equal(ring_reader_feed(&fixture->reader, bytes, 2), 1);
    assert_int_equal(munmap(writer.shared, sizeof(*writer.shared)), 0);
}

/* What the sandbox writes there decides nothing but whether it gets more. */
static void hostile_input_indexes(void **state)
{
    struct fixture *fixture = *state;
    struct ring_shared *shared = fixture->reader.shared;
    static const uint64_t tails[] = {101, RING_INPUT, UINT64_C(1) << 32,
                                     UINT64_C(1) << 63, UINT64_MAX - RING_INPUT};
    unsigned char bytes[100] = "x";

    assert_int_equal(ring_reader_feed(&fixture->reader, bytes, 100), 100);
    for (size_t i = 0; i < array_size(tails); i++) {
        atomic_store(&shared->input_tail, tails[i]);
        assert_int_equal(ring_reader_input_room(&fixture->reader), -EBADMSG);
        assert_int_equal(ring_reader_feed(&fixture->reader, bytes, 100), -EBADMSG);
    }
    /* A tail that goes back, and a head of its own making: we write where we are. */
    atomic_store(&shared->input_tail, 50);
    atomic_store(&shared->input_head, UINT64_MAX);
    atomic_store(&shared->input_over, 7);
    assert_int_equal(ring_reader_feed(&fixture->reader, bytes, 1), 1);
    assert_int_equal(atomic_load(&shared->input_head), 101);
    assert_int_equal(shared->input[100], 'x');
    assert_int_equal(shared->input[101], 0);
}

/* Nor does what stands there take its own reader out of the ring. */
static void forged_input_reads_inside(void **state)
{
    struct fixture *fixture = *state;
    static unsigned char to[RING_INPUT * 2];
    struct ring_writer writer;

    assert_int_equal(ring_writer_init(&writer, fixture->memory, fixture->doorbell), 0);
    atomic_store(&writer.shared->input_head, UINT64_MAX);
    atomic_store(&writer.shared->input_tail, 12345);
    assert_int_equal(ring_writer_input(&writer, to, sizeof(to)), RING_INPUT);
    assert_int_equal(munmap(writer.shared, sizeof(*writer.shared)), 0);
}

static void on_alarm(int signo)
{
}

static void a_signal_ends_the_wait(void **state)
{
    struct fixture *fixture = *state;
    const struct itimerval soon = {.it_value.tv_usec = 20000,
                                   .it_interval.tv_usec = 20000};
    struct sigaction action = {.sa_handler = on_alarm};
    struct ring_writer writer;
    struct ring_input_mark mark;

    assert_int_equal(ring_writer_init(&writer, fixture->memory, fixture->doorbell), 0);
    mark = ring_writer_input_mark(&writer);
    assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
    assert_int_equal(ring_writer_input_wait(&writer, &mark), -EINTR);
    assert_int_equal(setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL), 0);
    ring_reader_end_input(&fixture->reader);
    assert_int_equal(ring_writer_input_wait(&writer, &mark), 0); /* there is news */
    assert_true(ring_writer_input_mark(&writer).over);
    assert_int_equal(munmap(writer.shared, sizeof(*writer.shared)), 0);
}

#define with_ring(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_ring(every_record_arrives),
        with_ring(a_killed_writer_loses_nothing),
        with_ring(a_full_ring_blocks_and_goes_on),
        with_ring(full_is_full),
        with_ring(a_full_ring_rings),
        with_ring(impossible_heads_are_refused),
        with_ring(a_forged_tail_moves_nothing),
        with_ring(nobody_truncates_it),
        with_ring(claims),
        with_ring(where_it_was),
        with_ring(a_long_report_is_cut),
        with_ring(hostile_claims),
        with_ring(too_much_output),
        with_ring(input_arrives_whole),
        with_ring(input_of_no_reader_stays_bounded),
        with_ring(hostile_input_indexes),
        with_ring(forged_input_reads_inside),
        with_ring(a_signal_ends_the_wait),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
