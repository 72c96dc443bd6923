/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: the relay's reading of a ring into which a hostile program writes. The
 * input is what that program writes, where, and what the relay does in between; where its
 * first byte is odd, another thread goes on writing meanwhile, as a sandbox can. Whatever
 * it is, each answer is one that the relay's next steps can rely on. Run by libFuzzer.
 */
#include "common/chunk.h"
#include "common/ring.h"
#include "worker/relay/judge.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

struct fuzz {
    const uint8_t *at, *end;
    struct ring_reader reader;
    struct ring_shared *writer; /* the same memory, as the program sees it */
    bool races;                 /* the program writes while we read */
    _Atomic bool over;
    bool recorded, hostile;
};

static uint64_t number(struct fuzz *fuzz, size_t bytes)
{
    uint64_t value = 0;

    for (size_t i = 0; i < bytes && fuzz->at < fuzz->end; i++) {
        value |= (uint64_t)*fuzz->at++ << (8 * i);
    }
    return value;
}

/* ---- what the program does ---- */

/* Where the relay looks: the rest is bytes, of which it decides nothing. */
static const size_t places[] = {
    offsetof(struct ring_shared, tail),
    offsetof(struct ring_shared, start),
    offsetof(struct ring_shared, reader_sleeps),
    offsetof(struct ring_shared, head),
    offsetof(struct ring_shared, writer_waits),
    offsetof(struct ring_shared, over_output),
    offsetof(struct ring_shared, born_kb),
    offsetof(struct ring_shared, born_ns),
    offsetof(struct ring_shared, repeat),
    offsetof(struct ring_shared, starved),
    offsetof(struct ring_shared, claim.made),
    offsetof(struct ring_shared, claim.exit_code),
    offsetof(struct ring_shared, full_claim.made),
    offsetof(struct ring_shared, full_claim.exit_code),
    offsetof(struct ring_shared, where.made),
    offsetof(struct ring_shared, where.file),
    offsetof(struct ring_shared, where.file) + 112,
    offsetof(struct ring_shared, chunks[0].turn),
    offsetof(struct ring_shared, chunks[0].size),
    offsetof(struct ring_shared, chunks[1].turn),
    offsetof(struct ring_shared, chunks[1].size),
    offsetof(struct ring_shared, input_head),
    offsetof(struct ring_shared, input_over),
    offsetof(struct ring_shared, input_tail),
};

static void store(struct ring_shared *shared, size_t offset, uint64_t value, size_t size)
{
    memcpy((unsigned char *)shared + offset, &value, size);
}

static void write_place(struct fuzz *fuzz)
{
    size_t place = places[number(fuzz, 1) % array_size(places)];
    size_t bytes = number(fuzz, 1) % 2 == 0 ? 4 : 8;

    store(fuzz->writer, place, number(fuzz, bytes), bytes);
}

static void write_anywhere(struct fuzz *fuzz)
{
    size_t offset = number(fuzz, 3) % (sizeof(struct ring_shared) - 8);

    store(fuzz->writer, offset, number(fuzz, 8), 8);
}

static void move_head(struct fuzz *fuzz)
{
    atomic_fetch_add(&fuzz->writer->head, number(fuzz, 3));
}

static void move_input_tail(struct fuzz *fuzz)
{
    atomic_fetch_add(&fuzz->writer->input_tail, number(fuzz, 2));
}

static void fill_chunk(struct fuzz *fuzz)
{
    static unsigned char record[LIMIT_RECORD];
    size_t size = 1 + number(fuzz, 2) % sizeof(record);

    if (number(fuzz, 1) % 2 == 0) {
        chunk_begin(fuzz->writer);
    }
    if (!fuzz->races) { /* who writes into its own chunks has only itself to trust */
        (void)chunk_append(fuzz->writer, record, size);
        chunk_show(fuzz->writer);
    }
}

/* ---- what the relay does ---- */

static void take(struct fuzz *fuzz)
{
    unsigned char *slice = malloc(RING_DATA);
    uint64_t before = fuzz->reader.tail;
    ssize_t size = fuzz->hostile ? 0 : ring_reader_take(&fuzz->reader, slice);

    require(size == -EBADMSG || (size >= 0 && size <= (ssize_t)RING_DATA));
    require(fuzz->reader.tail == before + (size > 0 ? (uint64_t)size : 0));
    for (ssize_t i = 0; i < size && !fuzz->races; i++) {
        require(slice[i] == fuzz->writer->data[(before + (uint64_t)i) & (RING_DATA - 1)]);
    }
    fuzz->hostile |= size < 0;
    fuzz->recorded |= size > 0;
    free(slice);
}

static void wait(struct fuzz *fuzz)
{
    ssize_t waiting;

    ring_reader_sleep(&fuzz->reader, number(fuzz, 1) % 2 == 0);
    waiting = ring_reader_waiting(&fuzz->reader);
    require(waiting == -EBADMSG || (waiting >= 0 && waiting <= (ssize_t)RING_DATA));
}

static void feed(struct fuzz *fuzz)
{
    size_t size = number(fuzz, 3) % (LIMIT_INPUT + 2);
    unsigned char *bytes = calloc(1, size + 1);
    uint64_t before = fuzz->reader.fed;
    ssize_t room = ring_reader_input_room(&fuzz->reader);
    ssize_t fed = ring_reader_feed(&fuzz->reader, bytes, size);

    require(room == -EBADMSG || (room >= 0 && room <= (ssize_t)RING_INPUT));
    require(fed == -EBADMSG || (fed >= 0 && fed <= (ssize_t)size));
    require(fuzz->races || fed == (room < 0               ? room
                                   : room < (ssize_t)size ? room
                                                          : (ssize_t)size));
    require(fuzz->reader.fed == before + (fed > 0 ? (uint64_t)fed : 0));
    free(bytes);
}

static void end_input(struct fuzz *fuzz)
{
    ring_reader_end_input(&fuzz->reader);
}

static void look(struct fuzz *fuzz)
{
    struct ring_where where;
    struct ring_birth birth = ring_reader_birth(&fuzz->reader);

    require(birth.cpu_ns != 0 || birth.resident_kb == 0);
    (void)ring_reader_over_output(&fuzz->reader);
    if (ring_reader_where(&fuzz->reader, &where)) {
        require(where.line > 0 && where.file[0] != '\0' &&
                strnlen(where.file, sizeof(where.file)) < sizeof(where.file));
    }
}

static void copy_tail(struct fuzz *fuzz)
{
    unsigned char *tail = malloc(CHUNK_TAIL_MAX);

    require(chunk_tail(fuzz->reader.shared, tail) <= CHUNK_TAIL_MAX);
    free(tail);
    tail = malloc(RING_WILL);
    require(chunk_will(fuzz->reader.shared, tail) <= RING_WILL);
    free(tail);
}

/* As settle.c asks, with an end that the input names, too. */
static void settle(struct fuzz *fuzz)
{
    static const struct job_limits limits = {.cpu_ms = 1000, .wall_ms = 1000};
    struct message_exited exited = {.exited = (int)number(fuzz, 1) % 2,
                                    .status = (int)number(fuzz, 1),
                                    .cpu_us = (int64_t)number(fuzz, 3)};
    struct ring_claim claim;
    bool claimed = ring_reader_claim(&fuzz->reader, &claim);
    struct judge_case facts = {.exited = &exited,
                               .limits = &limits,
                               .claim = claimed ? &claim : NULL,
                               .hostile = fuzz->hostile,
                               .begun = fuzz->recorded,
                               .starved = ring_reader_starved(&fuzz->reader)};
    struct judgement judged = {0};

    require(!claimed || (verdict_is_claim(claim.verdict) && claim.exit_code >= 0 &&
                         claim.exit_code <= 255 && claim.report_size <= LIMIT_REPORT));
    judge(&facts, &judged);
    require(judged.verdict > VERDICT_NONE && judged.verdict < VERDICT_COUNT &&
            judged.exit_code >= 0 && judged.exit_code <= 255 && judged.call != NULL &&
            judged.detail != NULL);
    /* By itself nobody gains the verdicts that are the queue's. */
    require(judged.verdict != VERDICT_CANCELLED && judged.verdict != VERDICT_EXPIRED);
}

static void (*const steps[])(struct fuzz *fuzz) = {
    write_place, write_anywhere, move_head, move_input_tail, fill_chunk, take, wait,
    feed,        end_input,      look,      copy_tail,       settle,
};

/* ---- a program that does not wait for its turn ---- */

static void *scribble(void *context)
{
    struct fuzz *fuzz = context;

    for (uint64_t i = 1; !fuzz->over; i++) {
        uint64_t value = i * 0x9e3779b97f4a7c15u;

        /* Now and then one that can be: next to what the relay knows. */
        value = i % 3 == 0 ? fuzz->writer->tail + value % (2 * RING_DATA) : value;
        store(fuzz->writer, places[i % array_size(places)], i % 7 == 0 ? 1 : value, 8);
    }
    return NULL;
}

/* The page behind the ring is nobody's: whoever reads on is found. */
static void *guard(const struct ring_shared *shared)
{
    long page = sysconf(_SC_PAGESIZE);
    size_t size = (sizeof(*shared) + (size_t)page - 1) & ~((size_t)page - 1);
    void *wall = mmap((char *)shared + size, (size_t)page, PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

    return wall != MAP_FAILED ? wall : NULL;
}

static void run(struct fuzz *fuzz)
{
    pthread_t thread;

    if (fuzz->races) {
        require(pthread_create(&thread, NULL, scribble, fuzz) == 0);
    }
    while (fuzz->at < fuzz->end) {
        steps[number(fuzz, 1) % array_size(steps)](fuzz);
    }
    if (fuzz->races) {
        fuzz->over = true;
        require(pthread_join(thread, NULL) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz fuzz = {.at = data, .end = data + size, .reader = RING_READER_INIT};
    void *wall;
    int fd;

    require(ring_reader_init(&fuzz.reader, &fd) == 0);
    fuzz.writer =
        mmap(NULL, sizeof(*fuzz.writer), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    require(fuzz.writer != MAP_FAILED && ftruncate(fd, 0) != 0);
    wall = guard(fuzz.reader.shared);
    fuzz.races = (number(&fuzz, 1) & 1) != 0;
    run(&fuzz);
    take(&fuzz);
    copy_tail(&fuzz);
    settle(&fuzz);
    if (wall != NULL) {
        (void)munmap(wall, (size_t)sysconf(_SC_PAGESIZE));
    }
    (void)munmap(fuzz.writer, sizeof(*fuzz.writer));
    ring_reader_done(&fuzz.reader);
    (void)close(fd);
    return 0;
}
