/* SPDX-License-Identifier: MIT */
/*
 * The end of a long trace. The writing half runs in a sandbox, the copying half in a
 * relay, which trusts neither turn nor size: whatever they say, it copies at most what
 * there is room for.
 */
#include "common/chunk.h"

#include "common/wire.h"

#include <string.h>

static int newer(const struct ring_shared *shared)
{
    return atomic_load_explicit(&shared->chunks[1].turn, memory_order_acquire) >
           atomic_load_explicit(&shared->chunks[0].turn, memory_order_acquire);
}

void chunk_begin(struct ring_shared *shared)
{
    int last = newer(shared);
    struct ring_chunk *next = &shared->chunks[!last];

    /* Emptied before it is the newer one: a death in between leaves the other chunk
     * alone. */
    next->used = 0;
    atomic_store_explicit(&next->size, 0, memory_order_release);
    atomic_store_explicit(&next->turn, shared->chunks[last].turn + 1,
                          memory_order_release);
}

size_t chunk_room(const struct ring_shared *shared)
{
    const struct ring_chunk *chunk = &shared->chunks[newer(shared)];

    return chunk->turn == 0 || chunk->used > sizeof(chunk->data)
               ? 0
               : sizeof(chunk->data) - chunk->used;
}

bool chunk_append(struct ring_shared *shared, const void *record, size_t size)
{
    struct ring_chunk *chunk = &shared->chunks[newer(shared)];

    if (size > chunk_room(shared)) {
        return false;
    }
    memcpy(chunk->data + chunk->used, record, size);
    chunk->used += size;
    if (atomic_load_explicit(&chunk->size, memory_order_relaxed) != 0) {
        chunk_show(shared);
    }
    return true;
}

void chunk_show(struct ring_shared *shared)
{
    struct ring_chunk *chunk = &shared->chunks[newer(shared)];

    atomic_store_explicit(&chunk->size, chunk->used, memory_order_release);
}

/* How much was written, in the ring and in the chunks: another number than before after
 * each record. */
static uint64_t chunk_place(const struct ring_shared *shared)
{
    uint64_t place = atomic_load_explicit(&shared->head, memory_order_acquire);

    for (size_t i = 0; i < 2; i++) {
        const struct ring_chunk *chunk = &shared->chunks[i];

        place += atomic_load_explicit(&chunk->size, memory_order_acquire);
        place += atomic_load_explicit(&chunk->turn, memory_order_acquire) << 40;
    }
    return place;
}

void chunk_open_repeat(struct ring_shared *shared, uint64_t repeat)
{
    atomic_store_explicit(&shared->repeat_at, chunk_place(shared), memory_order_relaxed);
    atomic_store_explicit(&shared->repeat, repeat, memory_order_release);
}

void chunk_close_repeat(struct ring_shared *shared)
{
    atomic_store_explicit(&shared->repeat, 0, memory_order_release);
}

static uint64_t open_repeat(const struct ring_shared *shared)
{
    uint64_t repeat = atomic_load_explicit(&shared->repeat, memory_order_acquire);
    uint64_t at = atomic_load_explicit(&shared->repeat_at, memory_order_acquire);

    return at == chunk_place(shared) ? repeat : 0;
}

size_t chunk_will_append(struct ring_shared *shared, const void *record, size_t size)
{
    struct ring_will *will = &shared->will;
    uint64_t used = atomic_load_explicit(&will->size, memory_order_relaxed);

    if (used > sizeof(will->data) || size > sizeof(will->data) - used) {
        return 0;
    }
    memcpy(will->data + used, record, size);
    atomic_store_explicit(&will->size, used + size, memory_order_release);
    return used + size;
}

/* A reader between the two finds nothing: a start behind the end cannot be. */
void chunk_will_clear(struct ring_shared *shared)
{
    atomic_store_explicit(&shared->will.size, 0, memory_order_release);
    atomic_store_explicit(&shared->will.start, 0, memory_order_release);
}

void chunk_will_strike(struct ring_shared *shared, size_t end)
{
    atomic_store_explicit(&shared->will.start, end, memory_order_release);
}

static size_t size_of(const struct ring_chunk *chunk)
{
    uint64_t size = atomic_load_explicit(&chunk->size, memory_order_acquire);

    return size <= sizeof(chunk->data) ? size : 0;
}

/* The first is the older one. */
static size_t copy_one(const struct ring_shared *shared, int number, unsigned char *to)
{
    const struct ring_chunk *chunk = &shared->chunks[newer(shared) ^ (number == 0)];
    uint64_t moved = atomic_load_explicit(&shared->moved[number], memory_order_acquire);
    uint64_t head = atomic_load_explicit(&shared->head, memory_order_acquire);
    size_t size = moved == 0 || head < moved ? size_of(chunk) : 0;

    memcpy(to, chunk->data, size);
    return size;
}

static size_t write_repeat(uint64_t repeat, unsigned char *to)
{
    static struct wire_writer record; /* far too large for a stack */
    uint64_t period = repeat >> 32;

    if (repeat == 0 || period == 0 || period > WIRE_PERIOD_MAX) {
        return 0;
    }
    wire_begin(&record, WIRE_REPEAT);
    wire_unsigned(&record, 0);
    wire_unsigned(&record, period);
    wire_unsigned(&record, (uint32_t)repeat);
    memcpy(to, record.bytes, record.size);
    return record.size;
}

size_t chunk_tail(const struct ring_shared *shared, void *to)
{
    unsigned char *bytes = to;
    size_t size = copy_one(shared, 0, bytes);

    size += copy_one(shared, 1, bytes + size);
    return size + write_repeat(open_repeat(shared), bytes + size);
}

static void set_moved(struct ring_shared *shared, uint64_t older, uint64_t newest)
{
    atomic_store_explicit(&shared->moved[0], older, memory_order_release);
    atomic_store_explicit(&shared->moved[1], newest, memory_order_release);
}

static void clear(struct ring_shared *shared)
{
    for (size_t i = 0; i < 2; i++) {
        atomic_store_explicit(&shared->chunks[i].size, 0, memory_order_release);
        atomic_store_explicit(&shared->chunks[i].turn, 0, memory_order_release);
    }
}

void chunk_move(struct ring_shared *shared,
                void (*put)(void *context, const void *records, size_t size),
                void *context)
{
    const struct ring_chunk *older = &shared->chunks[!newer(shared)];
    const struct ring_chunk *last = &shared->chunks[newer(shared)];
    uint64_t behind =
        atomic_load_explicit(&shared->head, memory_order_relaxed) + size_of(older);

    set_moved(shared, behind, behind + size_of(last));
    if (size_of(older) > 0) {
        put(context, older->data, size_of(older));
    }
    if (size_of(last) > 0) {
        put(context, last->data, size_of(last));
    }
    clear(shared);
    set_moved(shared, 0, 0);
}

size_t chunk_will(const struct ring_shared *shared, void *to)
{
    const struct ring_will *will = &shared->will;
    uint64_t size = atomic_load_explicit(&will->size, memory_order_acquire);
    uint64_t start = atomic_load_explicit(&will->start, memory_order_acquire);

    if (size > sizeof(will->data) || start > size) {
        return 0;
    }
    memcpy(to, will->data + start, size - start);
    return size - start;
}
