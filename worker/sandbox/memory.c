/* SPDX-License-Identifier: MIT */
/*
 * Watching Python's allocators. Runs in the zygote and in its sandboxes, under a
 * program's every allocation of more than 512 bytes (smaller ones come out of arenas).
 * Must never allocate.
 */
#include "worker/sandbox/memory.h"

#include <Python.h>

static struct {
    PyMemAllocatorEx raw;
    PyObjectArenaAllocator arenas;
    _Atomic uint32_t *starved; /* in the ring; NULL: there is none yet */
    bool refused;              /* ever */
    bool now;                  /* and nothing as large has been granted since */
    size_t size;               /* that was refused last */
} memory;

static void *noted(void *block, size_t size)
{
    if (block == NULL && size > 0) {
        memory.refused = memory.now = true;
        memory.size = size;
    } else if (memory.now && size >= memory.size) {
        memory.now = false;
    } else {
        return block;
    }
    if (memory.starved != NULL) {
        atomic_store_explicit(memory.starved, memory.now ? 1 : 0, memory_order_release);
    }
    return block;
}

static void *watch_malloc(void *context, size_t size)
{
    return noted(memory.raw.malloc(memory.raw.ctx, size), size);
}

static void *watch_calloc(void *context, size_t count, size_t size)
{
    return noted(memory.raw.calloc(memory.raw.ctx, count, size), count * size);
}

static void *watch_realloc(void *context, void *block, size_t size)
{
    return noted(memory.raw.realloc(memory.raw.ctx, block, size), size);
}

static void watch_free(void *context, void *block)
{
    memory.raw.free(memory.raw.ctx, block);
}

static void *watch_arena(void *context, size_t size)
{
    return noted(memory.arenas.alloc(memory.arenas.ctx, size), size);
}

static void free_arena(void *context, void *block, size_t size)
{
    memory.arenas.free(memory.arenas.ctx, block, size);
}

void memory_watch(void)
{
    PyMemAllocatorEx raw = {NULL, watch_malloc, watch_calloc, watch_realloc, watch_free};
    PyObjectArenaAllocator arenas = {NULL, watch_arena, free_arena};

    PyMem_GetAllocator(PYMEM_DOMAIN_RAW, &memory.raw);
    PyMem_SetAllocator(PYMEM_DOMAIN_RAW, &raw);
    PyObject_GetArenaAllocator(&memory.arenas);
    PyObject_SetArenaAllocator(&arenas);
}

void memory_attach(struct ring_writer *ring)
{
    memory.starved = &ring->shared->starved;
}

bool memory_was_refused(void)
{
    return memory.refused;
}
