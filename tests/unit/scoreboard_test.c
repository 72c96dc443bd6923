/* SPDX-License-Identifier: MIT */
/*
 * The scoreboard: what one process writes another reads whole; what is no scoreboard is
 * refused; one relay at a time asks for the queue's depth. Run by ctest, on files of its
 * own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/scoreboard.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "scoreboard-XXXXXX";
static char path[sizeof(folder) + 8];

struct boards {
    int fd;
    struct scoreboard *ours;
};

static int setup(void **state)
{
    static struct boards boards;

    memset(folder + strlen(folder) - 6, 'X', 6);
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    (void)snprintf(path, sizeof(path), "%s/board", folder);
    *state = &boards;
    return scoreboard_create(path, &(struct share){"robots", 1}, 1, &boards.fd,
                             &boards.ours);
}

static int teardown(void **state)
{
    struct boards *boards = *state;

    scoreboard_unmap(boards->ours);
    close_fd(&boards->fd);
    return unlink(path) != 0 || rmdir(folder) != 0;
}

static void what_is_written_is_read(void **state)
{
    const struct boards *boards = *state;
    struct scoreboard_work work = {.pid = 7, .state = SCOREBOARD_RUNNING, .attempt = 2};
    struct scoreboard_work found;
    autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct scoreboard *theirs = NULL;

    assert_int_equal(scoreboard_map(fd, false, &theirs), 0);
    assert_int_equal(theirs->head.queues, 1);
    assert_string_equal(theirs->queues[0].share.name, "robots");
    (void)snprintf(work.job, sizeof(work.job), "job-1");
    work.counts.verdicts[VERDICT_OK] = 3;
    scoreboard_write(&boards->ours->slots[5], &work);
    scoreboard_read(&theirs->slots[5], &found);
    assert_memory_equal(&found, &work, sizeof(work));
    scoreboard_read(&theirs->slots[4], &found);
    assert_int_equal(found.state, SCOREBOARD_OFF);

    scoreboard_leave(&boards->ours->slots[5]);
    scoreboard_read(&theirs->slots[5], &found);
    assert_int_equal(found.pid, 0);
    assert_int_equal(found.state, SCOREBOARD_OFF);
    assert_string_equal(found.job, "");
    assert_int_equal(found.counts.verdicts[VERDICT_OK], 3);
    scoreboard_unmap(theirs);
}

/* Every write has one letter everywhere. A relay has pauses, too. */
static void write_letters(struct scoreboard *board)
{
    static struct scoreboard_work work;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (unsigned i = 0;; i++) {
        for (int64_t end_us = clock_now_us() + 5; clock_now_us() < end_us;) {
        }
        memset(&work, 'a' + (int)(i % 26), sizeof(work));
        work.job[LIMIT_JOB_ID] = work.tenant[LIMIT_TENANT] = '\0';
        scoreboard_write(&board->slots[0], &work);
    }
}

static bool is_of_one_letter(const struct scoreboard_work *work)
{
    const struct scoreboard_counts *counts = &work->counts;
    uint64_t word;

    memset(&word, work->job[0], sizeof(word));
    for (size_t i = 0; i < SCOREBOARD_BUCKETS; i++) {
        if (counts->runs.buckets[i] != word || counts->waits.buckets[i] != word) {
            return false;
        }
    }
    return counts->verdicts[VERDICT_OK] == word && work->tenant[0] == work->job[0] &&
           work->tenant[LIMIT_TENANT - 1] == work->job[LIMIT_JOB_ID - 1];
}

static void no_copy_is_torn(void **state)
{
    const struct boards *boards = *state;
    struct scoreboard_work work;
    pid_t writer = fork();
    int letters = 0, last = 0;

    if (writer == 0) {
        write_letters(boards->ours);
    }
    assert_true(writer > 0);
    for (int i = 0; i < 1000000 && letters < 1000; i++) {
        scoreboard_read(&boards->ours->slots[0], &work);
        if (work.job[0] != '\0') {
            assert_true(is_of_one_letter(&work));
            letters += work.job[0] != last;
            last = work.job[0];
        }
    }
    (void)kill(writer, SIGKILL);
    assert_int_equal(waitpid(writer, NULL, 0), writer);
    assert_true(letters > 0);

    /* It may have died in the middle: texts end all the same, and the next one writes. */
    scoreboard_read(&boards->ours->slots[0], &work);
    assert_true(strlen(work.job) <= LIMIT_JOB_ID);
    work = (struct scoreboard_work){.pid = 1};
    scoreboard_write(&boards->ours->slots[0], &work);
    scoreboard_read(&boards->ours->slots[0], &work);
    assert_int_equal(work.pid, 1);
    assert_int_equal(boards->ours->slots[0].sequence % 2, 0);
}

static void a_writer_that_died_halfway(void **state)
{
    const struct boards *boards = *state;
    struct scoreboard_slot *slot = &boards->ours->slots[1];
    struct scoreboard_work work;

    slot->sequence = 41;
    memset(&slot->work, 'x', sizeof(slot->work));
    scoreboard_read(slot, &work); /* comes back */
    assert_int_equal(strlen(work.job), LIMIT_JOB_ID);
    assert_int_equal(strlen(work.tenant), LIMIT_TENANT);
    assert_string_equal(scoreboard_state_name((enum scoreboard_state)work.state), "?");
    assert_false(scoreboard_is_busy((enum scoreboard_state)work.state));
}

static void histograms(void **state)
{
    struct scoreboard_histogram histogram = {{0}, 0};
    const int64_t values[] = {-1, 0, 1, 2, 3, 100, 101, 300000, 300001, INT64_MAX / 2};
    uint64_t all = 0;

    for (size_t i = 0; i < array_size(values); i++) {
        scoreboard_note(&histogram, values[i]);
    }
    for (size_t i = 0; i < SCOREBOARD_BUCKETS; i++) {
        all += histogram.buckets[i];
        assert_true(i == 0 || scoreboard_bounds_ms[i] > scoreboard_bounds_ms[i - 1]);
    }
    assert_int_equal(all, array_size(values));
    assert_int_equal(histogram.buckets[0], 3);
    assert_int_equal(histogram.buckets[1], 1);
    assert_int_equal(histogram.buckets[2], 1);
    assert_int_equal(histogram.buckets[SCOREBOARD_BUCKETS - 1], 2);
    assert_int_equal(histogram.buckets[SCOREBOARD_BUCKETS - 2], 1);
}

static void one_asks(void **state)
{
    const struct boards *boards = *state;
    struct scoreboard_redis *redis = &boards->ours->redis;

    assert_true(scoreboard_may_ask(redis, 5000, 1000));
    assert_false(scoreboard_may_ask(redis, 5999, 1000));
    assert_true(scoreboard_may_ask(redis, 6000, 1000));
    assert_false(scoreboard_may_ask(redis, 8000, 3000)); /* another one, who waits */
    assert_true(scoreboard_may_ask(redis, 9000, 3000));  /* the first one is late */
}

static void what_is_none_is_refused(void **state)
{
    const struct boards *boards = *state;
    struct scoreboard *theirs = NULL;
    autoclose int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    assert_int_equal(scoreboard_map(null, false, &theirs), -EPROTO);
    assert_int_equal(scoreboard_map(-1, false, &theirs), -EBADF);
    boards->ours->version++;
    assert_int_equal(scoreboard_map(boards->fd, false, &theirs), -EPROTO);
    boards->ours->version--;
    boards->ours->magic++;
    assert_int_equal(scoreboard_map(boards->fd, false, &theirs), -EPROTO);
    boards->ours->magic--;
    assert_int_equal(ftruncate(boards->fd, sizeof(struct scoreboard) - 1), 0);
    assert_int_equal(scoreboard_map(boards->fd, false, &theirs), -EPROTO);
    assert_int_equal(ftruncate(boards->fd, sizeof(struct scoreboard)), 0);
    assert_null(theirs);
}

/* Who has the former one goes on with it; a link in its place is not followed. */
static void made_anew(void **state)
{
    const struct boards *boards = *state;
    struct scoreboard *fresh = NULL;
    struct stat status;
    autoclose int fd = -1;

    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("nowhere", path), 0);
    assert_int_equal(
        scoreboard_create(path, &(struct share){"others", 2}, 1, &fd, &fresh), 0);
    assert_int_equal(lstat(path, &status), 0);
    assert_int_equal(status.st_mode, S_IFREG | 0600);
    assert_string_equal(fresh->queues[0].share.name, "others");
    assert_string_equal(boards->ours->queues[0].share.name, "robots");
    scoreboard_unmap(fresh);
    assert_int_equal(
        scoreboard_create("no/such/folder", &(struct share){"q", 1}, 1, &fd, &fresh),
        -ENOENT);
}

static void who_stands_still(void **state)
{
    struct scoreboard_work work = {.pid = 7, .state = SCOREBOARD_IDLE, .seen_ms = 1000};

    assert_false(scoreboard_stands(&work, 1000 + SCOREBOARD_STILL_MS - 1));
    assert_true(scoreboard_stands(&work, 1000 + SCOREBOARD_STILL_MS));
    work.state = SCOREBOARD_STARTING; /* it waits for Redis */
    assert_false(scoreboard_stands(&work, 1000 + SCOREBOARD_STILL_MS));
    work = (struct scoreboard_work){.seen_ms = 1000}; /* there is nobody */
    assert_false(scoreboard_stands(&work, 1000 + SCOREBOARD_STILL_MS));
}

static void every_state_has_a_name(void **state)
{
    for (int i = 0; i < SCOREBOARD_STATES; i++) {
        assert_true(strlen(scoreboard_state_name((enum scoreboard_state)i)) > 0);
        assert_true(strlen(scoreboard_state_about((enum scoreboard_state)i)) > 0);
    }
    for (int i = 0; i < SCOREBOARD_PROCESSES; i++) {
        assert_true(strlen(scoreboard_process_name((enum scoreboard_process)i)) > 0);
    }
    assert_true(scoreboard_is_busy(SCOREBOARD_RUNNING));
    assert_false(scoreboard_is_busy(SCOREBOARD_IDLE));
}

#define with_board(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_board(what_is_written_is_read),
        with_board(no_copy_is_torn),
        with_board(a_writer_that_died_halfway),
        cmocka_unit_test(histograms),
        with_board(one_asks),
        with_board(what_is_none_is_refused),
        with_board(made_anew),
        cmocka_unit_test(who_stands_still),
        cmocka_unit_test(every_state_has_a_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
