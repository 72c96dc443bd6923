/* SPDX-License-Identifier: MIT */
/*
 * Writing the recording. Runs in the sandbox, where a hostile program can write nonsense
 * in its place: whoever reads the ring believes none of it. Must never allocate, and
 * never call Python.
 */
#include "worker/sandbox/recorder.h"

#include "common/chunk.h"
#include "common/clock.h"

#include <pthread.h>
#include <stdatomic.h>

#define SYNC_DEPTH 64 /* innermost calls that a `sync` names */
#define TRACE_RECORD_MAX                                                                 \
    64 /* bytes of a trace record with the `thread` record before it */

static struct recorder {
    struct ring_writer *ring;
    pthread_mutex_t lock;
    struct wire_writer record; /* the one being put together, under the lock */
    bool is_trace;             /* it is a trace record */
    int64_t start_us;          /* the clock when the job began */
    int64_t ring_us;           /* since then: of the last record in the ring */
    int64_t chunk_us;          /* of the last record in the chunk */
    uint32_t thread;           /* of the last trace record */
    uint32_t threads;          /* numbers given so far */
    uint64_t produced;         /* trace records, dropped ones included */
    uint64_t room;             /* bytes of trace still allowed in the ring */
    uint64_t output_left;      /* bytes of program output still allowed */
    uint64_t tables_left;      /* bytes of tables still allowed */
    bool in_chunks;            /* room is used up */
    bool started;
    size_t (*stack)(uint32_t *functions, size_t room);
} recorder = {.lock = PTHREAD_MUTEX_INITIALIZER};

static _Thread_local uint32_t thread_number; /* 0: none yet; else the number, plus one */

void recorder_attach(struct ring_writer *ring)
{
    recorder.ring = ring;
}

void recorder_set_stack(size_t (*stack)(uint32_t *functions, size_t room))
{
    recorder.stack = stack;
}

static int64_t now_us(void)
{
    return clock_now_us() - recorder.start_us;
}

/* Each of the two streams has its own last time: deltas must be right in the order of
 * reading. */
static void write_time(struct wire_writer *record, int64_t *last_us)
{
    int64_t now = now_us();

    wire_unsigned(record, (uint64_t)(now - *last_us));
    *last_us = now;
}

static void put(const struct wire_writer *record)
{
    if (!record->overflow) {
        ring_writer_put(recorder.ring, record->bytes, record->size);
    }
}

static void write_header(const struct job_limits *limits)
{
    wire_begin(&recorder.record, WIRE_HEADER);
    wire_text(&recorder.record, WIRE_MAGIC);
    wire_unsigned(&recorder.record, WIRE_VERSION);
    wire_text(&recorder.record, job_trace_names[limits->trace]);
    wire_text(&recorder.record, "paddock " PADDOCK_VERSION);
    put(&recorder.record);
}

void recorder_start(const struct job_limits *limits)
{
    recorder.start_us = clock_now_us();
    recorder.room = (uint64_t)limits->recording_kb << 10;
    recorder.output_left = (uint64_t)limits->output_kb << 10;
    recorder.tables_left = LIMIT_TABLES;
    thread_number = 1;
    recorder.threads = 1;
    write_header(limits);
    recorder.started = true;
}

/* ---- output ---- */

static void put_chunk(enum wire_kind kind, const char *bytes, size_t size)
{
    wire_begin(&recorder.record, kind);
    write_time(&recorder.record, &recorder.ring_us);
    wire_bytes(&recorder.record, bytes, size);
    put(&recorder.record);
}

void recorder_output(enum wire_kind kind, const char *bytes, size_t size)
{
    bool over;

    (void)pthread_mutex_lock(&recorder.lock);
    over = size > recorder.output_left;
    size = over ? recorder.output_left : size;
    recorder.output_left -= size;
    while (recorder.started && size > 0) {
        size_t part = size < LIMIT_CHUNK ? size : LIMIT_CHUNK;

        put_chunk(kind, bytes, part);
        bytes += part;
        size -= part;
    }
    if (over && recorder.started) {
        ring_writer_over_output(recorder.ring); /* does not return; the lock stays shut */
    }
    (void)pthread_mutex_unlock(&recorder.lock);
}

/* ---- the chunks ---- */

static void put_in_chunk(const struct wire_writer *record)
{
    /* There is room: begin_chunk saw to it. */
    (void)chunk_append(recorder.ring->shared, record->bytes, record->size);
}

static uint32_t this_thread(void)
{
    if (thread_number == 0) {
        thread_number = ++recorder.threads;
    }
    return thread_number - 1;
}

/* `sync` and `dropped`: from here a decoder needs nothing of what came before. The stack
 * is the one of the thread that writes, and so is its number. */
static void begin_chunk(void)
{
    static struct wire_writer record;
    static uint32_t functions[SYNC_DEPTH];
    size_t depth = recorder.stack != NULL ? recorder.stack(functions, SYNC_DEPTH) : 0;

    recorder.chunk_us = now_us();
    recorder.thread = this_thread();
    chunk_begin(recorder.ring->shared);
    wire_begin(&record, WIRE_SYNC);
    wire_unsigned(&record, (uint64_t)recorder.chunk_us);
    wire_unsigned(&record, recorder.thread);
    wire_unsigned(&record, depth);
    for (size_t i = 0; i < depth; i++) {
        wire_unsigned(&record, functions[i]);
    }
    put_in_chunk(&record);
    wire_begin(&record, WIRE_DROPPED);
    wire_unsigned(&record, 0);
    wire_unsigned(&record, recorder.produced);
    put_in_chunk(&record);
}

/* Decides where the next trace record goes, before its time is written. */
static void make_room(void)
{
    recorder.in_chunks |= recorder.room < TRACE_RECORD_MAX;
    if (recorder.in_chunks && chunk_room(recorder.ring->shared) < TRACE_RECORD_MAX) {
        begin_chunk();
    }
}

/* ---- records ---- */

static void publish_trace(const struct wire_writer *record)
{
    if (recorder.in_chunks) {
        put_in_chunk(record);
    } else {
        recorder.room -= record->size;
        put(record);
    }
}

static void name_thread(void)
{
    uint32_t thread = this_thread();

    if (thread != recorder.thread) {
        recorder.thread = thread;
        wire_begin(&recorder.record, WIRE_THREAD);
        wire_unsigned(&recorder.record, thread);
        publish_trace(&recorder.record);
    }
}

struct wire_writer *recorder_trace(enum wire_kind kind)
{
    (void)pthread_mutex_lock(&recorder.lock);
    make_room();
    name_thread();
    recorder.produced++;
    recorder.is_trace = true;
    wire_begin(&recorder.record, kind);
    write_time(&recorder.record,
               recorder.in_chunks ? &recorder.chunk_us : &recorder.ring_us);
    return &recorder.record;
}

struct wire_writer *recorder_timed(enum wire_kind kind)
{
    struct wire_writer *record = recorder_table(kind);

    write_time(record, &recorder.ring_us);
    return record;
}

bool recorder_has_table_room(size_t size)
{
    return recorder.tables_left >= size;
}

struct wire_writer *recorder_table(enum wire_kind kind)
{
    (void)pthread_mutex_lock(&recorder.lock);
    recorder.is_trace = false;
    wire_begin(&recorder.record, kind);
    return &recorder.record;
}

void recorder_publish(void)
{
    if (recorder.is_trace) {
        publish_trace(&recorder.record);
    } else {
        recorder.tables_left -= recorder.record.size < recorder.tables_left
                                    ? recorder.record.size
                                    : recorder.tables_left;
        put(&recorder.record);
    }
    (void)pthread_mutex_unlock(&recorder.lock);
}

/* ---- the end ---- */

/* Records are cut at their boundaries by the chunks themselves; the ring takes at most
 * LIMIT_RECORD at once, and a chunk is no longer than that. */
static void publish_chunks(void)
{
    static unsigned char copy[2 * RING_CHUNK];
    size_t size = chunk_copy(recorder.ring->shared, copy);
    size_t older = size > sizeof(recorder.ring->shared->chunks[0].data)
                       ? sizeof(recorder.ring->shared->chunks[0].data)
                       : size;

    chunk_clear(recorder.ring->shared);
    if (size > 0) {
        ring_writer_put(recorder.ring, copy, older);
    }
    if (size > older) {
        ring_writer_put(recorder.ring, copy + older, size - older);
    }
}

void recorder_settle(void)
{
    (void)pthread_mutex_lock(&recorder.lock);
    if (recorder.in_chunks) {
        publish_chunks();
        recorder.ring_us =
            recorder.chunk_us; /* that is where a reader's clock stands now */
        recorder.in_chunks = false;
    }
    (void)pthread_mutex_unlock(&recorder.lock);
}

void recorder_end(void)
{
    struct wire_writer *record = recorder_timed(WIRE_END);

    wire_unsigned(record, recorder.produced);
    recorder_publish();
}
