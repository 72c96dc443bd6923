/* SPDX-License-Identifier: MIT */
/*
 * Writing the recording. Runs in the sandbox, where a hostile program can write nonsense
 * in its place: whoever reads the ring believes none of it. Must never allocate, and
 * never call Python.
 */
#include "worker/sandbox/recorder_parts.h"

#include "common/chunk.h"
#include "worker/sandbox/encoding.h"
#include "worker/sandbox/fold.h"
#include "worker/sandbox/ticks.h"
#include "worker/sandbox/values.h"

#include <stdatomic.h>
#include <string.h>

#define HOT_US    200 /* what comes again within this can be counted in a repeat */
#define REPEAT_US 500 /* that a repeat may stay open */
#define SHORT_US  50  /* since a time was written: a line needs none of its own */

static struct recorder {
    struct ring_writer *ring;
    const struct encoding *encoding;
    struct guard guard;
    struct wire_writer record; /* the one being put together, under the guard */
    int64_t ring_us;           /* of the last record in the ring */
    int64_t chunk_us;          /* of the last record in the chunk */
    bool names_threads;        /* something may be traced */
    uint32_t exception;        /* number of the one that was told last */
    uint32_t thread;           /* of the last trace record, */
    uint32_t ring_thread;      /* and that of the last record in the ring */
    uint64_t produced;         /* trace records, dropped ones included */
    uint64_t room;             /* bytes of trace still allowed in the ring */
    uint64_t tables_left;      /* bytes of tables still allowed */
    bool in_chunks;            /* room is used up */
    uint32_t chunks;           /* begun so far */
    enum job_trace level;      /* so much is traced */
    enum job_trace ring_level; /* as who reads the ring alone knows it */
    size_t (*stack)(const void *of, struct recorder_call *calls, size_t room);
    struct fold fold;
    struct wire_values values;
    /* time by the counter */
    struct ticks ticks;
    uint64_t written_ticks;      /* when a time was last written */
    uint64_t last_ticks;         /* of the last event */
    uint32_t hot, repeat, brief; /* the times above, in ticks */
} recorder;

void recorder_init(void)
{
    ticks_begin(&recorder.ticks);
}

void recorder_attach(struct ring_writer *ring)
{
    recorder.ring = ring;
}

void recorder_set_stack(size_t (*stack)(const void *of, struct recorder_call *calls,
                                        size_t room),
                        void (*end)(void *of))
{
    recorder.stack = stack;
    recorder_threads_init(end);
}

/* Each of the two streams has its own last time: deltas must be right in the order of
 * reading. */
static void write_time(struct wire_writer *record, int64_t now, int64_t *last_us)
{
    now = now > *last_us ? now : *last_us;
    wire_unsigned(record, (uint64_t)(now - *last_us));
    *last_us = now;
}

static inline struct encoding_bytes encode(const struct wire_writer *record,
                                           enum encoding_place place)
{
    struct encoding_bytes as_it_is = {record->bytes, record->size};

    return recorder.encoding->encode != NULL ? recorder.encoding->encode(record, place)
                                             : as_it_is;
}

size_t recorder_put(const struct wire_writer *record)
{
    struct encoding_bytes out = {0};

    if (!record->overflow) {
        out = encode(record, ENCODING_RING);
    }
    if (out.size > 0) {
        ring_writer_put(recorder.ring, out.bytes, out.size);
    }
    return out.size;
}

static void write_header(const struct job_limits *limits)
{
    wire_begin(&recorder.record, WIRE_HEADER);
    wire_text(&recorder.record, WIRE_MAGIC);
    wire_unsigned(&recorder.record, WIRE_VERSION);
    wire_text(&recorder.record, job_trace_names[limits->trace]);
    wire_text(&recorder.record, "paddock " PADDOCK_VERSION);
    (void)recorder_put(&recorder.record);
}

void recorder_start(const struct job_limits *limits)
{
    recorder.encoding = &encodings[limits->encoding];
    ticks_settle(&recorder.ticks);
    recorder.hot = (uint32_t)(HOT_US * recorder.ticks.per_us);
    recorder.repeat = (uint32_t)(REPEAT_US * recorder.ticks.per_us);
    recorder.brief = (uint32_t)(SHORT_US * recorder.ticks.per_us);
    recorder.room = (uint64_t)limits->recording_kb << 10;
    recorder.tables_left = LIMIT_TABLES;
    recorder.level = recorder.ring_level = (enum job_trace)limits->trace;
    recorder.names_threads = recorder.level != JOB_TRACE_OFF;
    (void)recorder_thread(); /* the first has number 0 */
    write_header(limits);
    recorder_output_start(recorder.ring, recorder.encoding->part_max,
                          (uint64_t)limits->output_kb << 10);
    recorder_will_start(recorder.ring->shared, recorder.encoding);
}

/* ---- the chunks ---- */

static void put_in_chunk(const struct wire_writer *record)
{
    struct encoding_bytes out = encode(record, ENCODING_CHUNKS);

    /* There is room: begin_chunk saw to it. */
    (void)chunk_append(recorder.ring->shared, out.bytes, out.size);
}

/* From here a decoder needs nothing of what came before of that thread. */
static void put_sync(struct recorder_writer *writer)
{
    static struct wire_writer bytes;
    static struct recorder_call calls[RECORDER_SYNC_DEPTH];
    struct wire_writer *record = &bytes;
    size_t depth = writer->stack != NULL
                       ? recorder.stack(writer->stack, calls, RECORDER_SYNC_DEPTH)
                       : 0;

    recorder.thread = writer->number - 1;
    recorder.exception = 0;
    wire_values_forget(&recorder.values);
    fold_reset(&recorder.fold);
    wire_begin(record, WIRE_SYNC);
    wire_unsigned(record, (uint64_t)recorder.chunk_us);
    wire_unsigned(record, recorder.thread);
    wire_unsigned(record, depth);
    for (size_t i = 0; i < depth; i++) {
        wire_unsigned(record, calls[i].function);
        wire_unsigned(record, calls[i].line);
    }
    put_in_chunk(record);
    writer->named_in = recorder.chunks;
}

static void write_level(struct wire_writer *record)
{
    wire_begin(record, WIRE_LEVEL);
    wire_text(record, job_trace_names[recorder.level]);
}

#define NAMES_MAX (RING_CHUNK / 2) /* bytes of a chunk before what happens in it */

/* Threads that only wait, or whose turn does not come for as long as a chunk holds, would
 * not be in it otherwise. Those that there is no room for are named where they speak. */
static void name_others(void)
{
    for (struct recorder_writer *other = recorder_threads_first(); other != NULL;
         other = other->next) {
        struct recorder_call innermost;

        if (chunk_room(recorder.ring->shared) <
            RING_CHUNK - NAMES_MAX + recorder.encoding->sync_max) {
            return;
        }
        if (other->named_in != recorder.chunks &&
            recorder.stack(other->stack, &innermost, 1) > 0) {
            put_sync(other);
        }
    }
}

/* Shown once all of it is there: a death in between leaves no half of it behind. */
static void begin_chunk(struct recorder_writer *writer)
{
    static struct wire_writer record;

    recorder.chunk_us = ticks_true_us(&recorder.ticks);
    recorder.chunks++;
    chunk_begin(recorder.ring->shared);
    put_sync(writer);
    wire_begin(&record, WIRE_DROPPED);
    wire_unsigned(&record, 0);
    wire_unsigned(&record, recorder.produced);
    put_in_chunk(&record);
    if (recorder.level != recorder.ring_level) { /* what said so may be missing */
        write_level(&record);
        put_in_chunk(&record);
    }
    name_others();
    chunk_show(recorder.ring->shared);
}

/* Decides where this thread's next trace record goes, before its time is written. In each
 * chunk a thread's first one stands behind the names of its calls. */
static void make_room(size_t size)
{
    struct recorder_writer *writer;

    recorder.in_chunks |= recorder.room < size;
    if (!recorder.in_chunks) {
        return;
    }
    writer = recorder_threads_mine();
    size += writer->named_in == recorder.chunks ? 0 : recorder.encoding->sync_max;
    if (chunk_room(recorder.ring->shared) < size) {
        begin_chunk(writer);
    } else if (writer->named_in != recorder.chunks) {
        put_sync(writer);
    }
}

/* ---- the trace ---- */

static void publish_trace(const struct wire_writer *record)
{
    if (recorder.in_chunks) {
        put_in_chunk(record);
    } else {
        struct encoding_bytes out = encode(record, ENCODING_RING);

        recorder.room -= out.size;
        ring_writer_put_lazily(recorder.ring, out.bytes, out.size);
    }
}

static int64_t *trace_us(void)
{
    return recorder.in_chunks ? &recorder.chunk_us : &recorder.ring_us;
}

static void write_trace_time(struct wire_writer *record, uint64_t ticks)
{
    write_time(record, ticks_us(&recorder.ticks, ticks), trace_us());
    recorder.written_ticks = ticks;
}

static bool is_brief(uint64_t symbol, uint64_t ticks)
{
    int32_t step = fold_step(symbol);

    return fold_kind(symbol) == WIRE_LINE && step >= WIRE_STEP_MIN &&
           step <= WIRE_STEP_MAX && ticks - recorder.written_ticks < recorder.brief;
}

static inline bool has_step(enum wire_kind kind)
{
    return kind == WIRE_LINE || kind == WIRE_RESUME || kind == WIRE_EXCEPTION;
}

static void encode_symbol(struct wire_writer *record, uint64_t symbol, uint64_t ticks)
{
    enum wire_kind kind = fold_kind(symbol);

    if (is_brief(symbol, ticks)) {
        record->bytes[0] = (unsigned char)(WIRE_SHORT_LINE + fold_step(symbol));
        record->size = 1;
        return;
    }
    wire_begin(record, kind);
    write_trace_time(record, ticks);
    if (kind == WIRE_CALL || kind == WIRE_RESUME) {
        wire_unsigned(record, fold_number(symbol));
    }
    if (has_step(kind)) {
        wire_signed(record, fold_step(symbol));
    }
    if (kind == WIRE_EXCEPTION) {
        wire_unsigned(record, fold_number(symbol));
    }
}

static void write_symbol(uint64_t symbol, uint64_t ticks)
{
    encode_symbol(&recorder.record, symbol, ticks);
    publish_trace(&recorder.record);
}

#define REPEAT_MIN 4 /* fewer records are shorter by themselves */

/* All at once, that a death leaves none out. */
static void write_pending(const struct fold *fold)
{
    static struct wire_writer all;

    all.size = 0;
    for (uint32_t i = 0; i < fold->matched; i++) {
        struct wire_writer *record = &recorder.record;

        encode_symbol(record, fold_pending(fold, i), recorder.last_ticks);
        memcpy(all.bytes + all.size, record->bytes, record->size);
        all.size += record->size;
    }
    publish_trace(&all);
}

/* Writes what was counted: there is the room that the first of these had been given. It
 * may be of another thread, whose calls are not to be named from here. */
static void flush_repeat(void)
{
    struct fold *fold = &recorder.fold;
    uint32_t matched = fold->matched;

    if (matched == 0) {
        return;
    }
    recorder.produced += matched;
    if (matched < REPEAT_MIN) {
        write_pending(fold);
    } else {
        wire_begin(&recorder.record, WIRE_REPEAT);
        write_trace_time(&recorder.record, recorder.last_ticks);
        wire_unsigned(&recorder.record, fold->period);
        wire_unsigned(&recorder.record, matched);
        publish_trace(&recorder.record);
    }
    chunk_close_repeat(recorder.ring->shared);
    fold->matched = fold->period = 0;
}

static uint64_t counted(void)
{
    return RING_REPEAT(recorder.fold.period, recorder.fold.matched);
}

/* Of the trace; what is remembered for a repeat is forgotten. */
static void change_thread(uint32_t thread)
{
    recorder.thread = thread;
    fold_reset(&recorder.fold);
}

static void write_thread(uint32_t thread)
{
    wire_begin(&recorder.record, WIRE_THREAD);
    wire_unsigned(&recorder.record, thread);
}

static void name_thread(uint32_t thread)
{
    if (thread != recorder.thread) {
        change_thread(thread);
        write_thread(thread);
        publish_trace(&recorder.record);
        recorder.ring_thread = recorder.in_chunks ? recorder.ring_thread : thread;
    }
}

/* A thread beyond those that a reader takes is told as the last of them. */
size_t recorder_name_thread(void)
{
    uint32_t thread = recorder_thread();

    thread = thread < WIRE_THREADS_MAX ? thread : WIRE_THREADS_MAX - 1;
    if (!recorder.names_threads || thread == recorder.ring_thread) {
        return 0;
    }
    flush_repeat();
    recorder.ring_thread = thread;
    if (!recorder.in_chunks) {
        change_thread(thread);
    }
    write_thread(thread);
    return recorder_put(&recorder.record);
}

static void begin_event(uint64_t ticks, uint32_t thread)
{
    flush_repeat();
    ticks_set_right(&recorder.ticks, ticks);
    recorder.last_ticks = ticks;
    make_room(recorder.encoding->event_max);
    name_thread(thread);
}

static void add_symbol(uint64_t symbol, uint64_t ticks)
{
    if (recorder.encoding->folds &&
        fold_begins(&recorder.fold, symbol, ticks, recorder.hot)) {
        chunk_open_repeat(recorder.ring->shared, counted());
        return;
    }
    recorder.produced++;
    write_symbol(symbol, ticks);
}

static bool goes_on(uint64_t symbol, uint64_t ticks, uint32_t thread)
{
    if (thread != recorder.thread || ticks - recorder.written_ticks > recorder.repeat ||
        !fold_goes_on(&recorder.fold, symbol, ticks)) {
        return false;
    }
    recorder.last_ticks = ticks;
    chunk_count_repeat(recorder.ring->shared, counted());
    return true;
}

bool recorder_enter(void)
{
    return guard_enter(&recorder.guard, recorder_thread() + 1);
}

/* Tells first what was printed meanwhile by handlers of signals. */
static inline void leave(void)
{
    do {
        if (guard_keeps(&recorder.guard)) {
            recorder_put_kept(&recorder.guard);
        }
        guard_leave(&recorder.guard);
    } while (guard_keeps(&recorder.guard) && recorder_enter());
}

void recorder_leave(void)
{
    leave();
}

void recorder_keep(enum wire_kind kind, const char *bytes, size_t size)
{
    guard_keep(&recorder.guard, kind, bytes, size);
}

void recorder_event(enum wire_kind kind, uint32_t function, int32_t step, uint32_t thread)
{
    uint64_t symbol = fold_symbol(kind, function, step);
    uint64_t ticks = ticks_now(&recorder.ticks);

    (void)guard_enter(&recorder.guard, thread + 1); /* no signal handler traces */
    if (!goes_on(symbol, ticks, thread)) {
        begin_event(ticks, thread);
        add_symbol(symbol, ticks);
    }
    leave();
}

static uint64_t exception_symbol(uint32_t exception, uint32_t type)
{
    return fold_symbol(WIRE_EXCEPTION, type, (int32_t)(exception - recorder.exception));
}

void recorder_exception(uint32_t exception, uint32_t type, uint32_t thread)
{
    uint64_t ticks = ticks_now(&recorder.ticks);

    (void)recorder_enter();
    if (!goes_on(exception_symbol(exception, type), ticks, thread)) {
        begin_event(ticks, thread); /* behind a `sync` it is another step */
        add_symbol(exception_symbol(exception, type), ticks);
    }
    recorder.exception = exception;
    leave();
}

/* One that is told as it is: it interrupts a repetition. Under the guard. */
static struct wire_writer *begin_detail(enum wire_kind kind, size_t size, uint32_t thread)
{
    flush_repeat();
    make_room(recorder.encoding->event_max + size);
    name_thread(thread);
    wire_begin(&recorder.record, kind);
    return &recorder.record;
}

void recorder_variable(uint32_t name, uint32_t type, const char *text, size_t size,
                       uint32_t thread)
{
    struct wire_writer *record;
    size_t head, tail;

    (void)recorder_enter();
    record = begin_detail(WIRE_VARIABLE, size, thread);
    values_share(&recorder.values, name, text, size, &head, &tail);
    wire_values_keep(&recorder.values, name, text, size);
    wire_unsigned(record, name);
    wire_unsigned(record, type);
    wire_unsigned(record, head);
    wire_unsigned(record, tail);
    wire_bytes(record, text + head, size - head - tail);
    publish_trace(record);
    leave();
}

/* ---- other records ---- */

bool recorder_has_table_room(size_t size)
{
    return recorder.tables_left >= size;
}

struct wire_writer *recorder_table(enum wire_kind kind)
{
    (void)recorder_enter();
    flush_repeat();
    wire_begin(&recorder.record, kind);
    return &recorder.record;
}

struct wire_writer *recorder_begin(enum wire_kind kind)
{
    flush_repeat();
    wire_begin(&recorder.record, kind);
    write_time(&recorder.record, ticks_true_us(&recorder.ticks), &recorder.ring_us);
    return &recorder.record;
}

struct wire_writer *recorder_timed(enum wire_kind kind)
{
    (void)recorder_enter();
    (void)recorder_name_thread();
    return recorder_begin(kind);
}

void recorder_publish(void)
{
    (void)recorder_put(&recorder.record);
    leave();
}

void recorder_publish_table(void)
{
    size_t size = recorder_put(&recorder.record);

    recorder.tables_left -= size < recorder.tables_left ? size : recorder.tables_left;
    leave();
}

/* ---- levels ---- */

bool recorder_is_full(void)
{
    return recorder.in_chunks;
}

/* A part of the trace: a program may change it without end, and it is to stand between
 * the records that it is about. */
void recorder_level(enum job_trace level)
{
    (void)recorder_enter();
    flush_repeat();
    make_room(recorder.encoding->event_max);
    recorder.level = level;
    write_level(&recorder.record);
    publish_trace(&recorder.record);
    if (!recorder.in_chunks) {
        recorder.ring_level = level;
    }
    leave();
}

/* ---- the end ---- */

/* The ring takes at most LIMIT_RECORD at once, and a chunk is no longer than that. */
static void put_in_ring(void *ring, const void *records, size_t size)
{
    ring_writer_put(ring, records, size);
}

void recorder_settle(void)
{
    (void)recorder_enter();
    flush_repeat();
    if (recorder.in_chunks) {
        chunk_move(recorder.ring->shared, put_in_ring, recorder.ring);
        /* That is where a reader's clock stands now. */
        recorder.ring_us = recorder.chunk_us;
        recorder.ring_level = recorder.level;
        recorder.ring_thread = recorder.thread;
        encoding_join();
        recorder.in_chunks = false;
    }
    leave();
}

void recorder_end(void)
{
    struct wire_writer *record = recorder_timed(WIRE_END);

    wire_unsigned(record, recorder.produced);
    (void)recorder_put(record); /* the guard stays shut */
}
