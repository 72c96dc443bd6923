/* SPDX-License-Identifier: MIT */
/*
 * The two chunks of the ring's memory that hold the end of a long trace (common/ring.h),
 * and with them what a program that was killed had not written yet.
 * Each chunk is decodable by itself: it begins with `sync` and `dropped` records, and
 * each thread has a `sync` in it before anything that it does. When the newer one is full
 * the older one is begun anew, so that at any moment at least the last RING_CHUNK bytes
 * of records are there, also after a SIGKILL. What is moved is written in its new place
 * before it is taken from the old one, and by how much was written a reader knows which
 * counts.
 */
#pragma once

#include "common/ring.h"

/* ---- writer: the sandbox ---- */

/* Empties the older chunk, which becomes the newer one; until chunk_show, a reader finds
 * nothing in it. */
void chunk_begin(struct ring_shared *shared);
/* Appends one record to the newer chunk; false if there is none or it is full. */
bool chunk_append(struct ring_shared *shared, const void *record, size_t size);
/* Shows all at once what was appended since chunk_begin (one byte at least), which is the
 * beginning of the chunk, and from then on each record as it is appended. */
void chunk_show(struct ring_shared *shared);
/* Bytes that the newer chunk has left; 0 if there is none. */
size_t chunk_room(const struct ring_shared *shared);
/* Moves what the chunks hold into the ring, by `put`, which takes whole records and may
 * wait; they are then as if no chunk had ever been begun. */
void chunk_move(struct ring_shared *shared,
                void (*put)(void *context, const void *records, size_t size),
                void *context);

/* The open `repeat` stands behind what was written up to now. Its record is written
 * first, and then it is closed: until then it is told by one of the two, and never by
 * both. */
void chunk_open_repeat(struct ring_shared *shared, uint64_t repeat);
/* It counts more. */
static inline void chunk_count_repeat(struct ring_shared *shared, uint64_t repeat)
{
    atomic_store_explicit(&shared->repeat, repeat, memory_order_relaxed);
}
void chunk_close_repeat(struct ring_shared *shared);

/* Appends one record to what would be said next. Returns where it ends there; 0: there is
 * no room for it. */
size_t chunk_will_append(struct ring_shared *shared, const void *record, size_t size);
/* Forgets all of it: what would be said is laid down anew. */
void chunk_will_clear(struct ring_shared *shared);
/* Strikes out what stands before `end`, one of these. */
void chunk_will_strike(struct ring_shared *shared, size_t end);

/* ---- either end ---- */

/* What follows the ring's own bytes when the program is gone: copies the older chunk, the
 * newer one and the open `repeat` into `to` (CHUNK_TAIL_MAX bytes). Returns the count;
 * sizes that cannot be are taken as 0. */
#define CHUNK_TAIL_MAX (2 * RING_CHUNK + 32)
size_t chunk_tail(const struct ring_shared *shared, void *to);

/* ---- reader: the relay ---- */

/* What comes last: copies what would have been said next into `to` (RING_WILL bytes).
 * Returns the count, as above. */
size_t chunk_will(const struct ring_shared *shared, void *to);
