/* SPDX-License-Identifier: MIT */
/*
 * Watching Python's allocators. Runs in the zygote and in its sandboxes, under a
 * program's every allocation of more than 512 bytes (smaller ones come out of arenas).
 * Must never allocate.
 */
#include "worker/sandbox/memory.h"

#include "common/limits.h"
#include "worker/sandbox/rlimits.h"

#include <Python.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/resource.h>

#define OWN MIB(1) /* what Python asks for its own needs: an arena, or less */

/* What Python is lent when it finds nothing more, so that it can handle the MemoryError:
 * where there is not enough for an int, it unwinds to one handler for ever
 * (exception_unwind in Python/ceval.c). */
#define RELIEF      MIB(2)
#define RELIEF_KEPT MIB(4) /* of the reserve, for telling the MemoryError */
#define PATIENCE    1000   /* refusals while it unwinds, then there is more relief */
#define END         10000  /* and then it is seen that Python does not come out of it */

static struct {
    PyMemAllocatorEx raw;
    PyObjectArenaAllocator arenas;
    _Atomic uint32_t *starved; /* in the ring; NULL: there is none yet */
    bool refused;              /* ever */
    bool now;                  /* and nothing much has been granted or given back since */
    size_t size;               /* that was refused last */
    size_t given_back;         /* since then */
    ssize_t taken;             /* more than was given back, since then */
    size_t much;               /* to give back */
    size_t relief;             /* that Python has, in bytes */
    unsigned stuck;            /* refusals while it unwinds, one after the other */
} memory;

static void say(bool now)
{
    memory.now = now;
    if (memory.starved != NULL) {
        atomic_store_explicit(memory.starved, now ? 1 : 0, memory_order_release);
    }
    if (!now && memory.relief > 0) {
        rlimits_close_reserve(memory.relief);
        memory.relief = 0;
    }
}

static size_t all_there_is(void)
{
    struct rlimit limit = {0};

    (void)getrlimit(RLIMIT_DATA, &limit);
    return limit.rlim_cur;
}

static void note_given_back(size_t size)
{
    memory.taken -= (ssize_t)size;
    memory.given_back += size;
    if (memory.given_back > memory.much) {
        say(false);
    }
}

static void note_refused(size_t size)
{
    size_t part = all_there_is() / 32;

    memory.refused = true;
    memory.size = size;
    memory.given_back = 0;
    memory.taken = 0;
    memory.much = part > 2 * RELIEF ? part : 2 * RELIEF;
    /* That a larger block was refused says nothing of how much is left: whoever asked
     * for it may go on without. */
    say(size <= OWN);
}

/* What was lent proves nothing. */
static void note_granted(size_t size)
{
    memory.taken += (ssize_t)size;
    if (size >= memory.size && memory.taken > (ssize_t)memory.relief) {
        say(false);
    }
}

static void *noted(void *block, size_t size)
{
    if (block == NULL && size > 0) {
        note_refused(size);
    } else if (memory.now) {
        note_granted(size);
    }
    return block;
}

/* No program's code runs with an exception that is yet to be handled. */
static bool unwinds(void)
{
    const PyThreadState *thread = _PyThreadState_UncheckedGet();

    return thread != NULL && thread->curexc_type != NULL;
}

static void relieve(size_t size)
{
    if (size > OWN) {
        return;
    }
    memory.stuck = unwinds() ? memory.stuck + 1 : 0;
    if (memory.relief == 0 || (memory.stuck + 1) % PATIENCE == 0) {
        memory.relief += rlimits_open_reserve(RELIEF, RELIEF_KEPT);
    }
    if (memory.stuck > END) {
        abort();
    }
}

static void *noted_raw(void *block, size_t size)
{
    if (noted(block, size) == NULL) {
        relieve(size);
    } else {
        memory.stuck = 0;
    }
    return block;
}

static void *watch_malloc(void *context, size_t size)
{
    return noted_raw(memory.raw.malloc(memory.raw.ctx, size), size);
}

static void *watch_calloc(void *context, size_t count, size_t size)
{
    return noted_raw(memory.raw.calloc(memory.raw.ctx, count, size), count * size);
}

static void *watch_realloc(void *context, void *block, size_t size)
{
    return noted_raw(memory.raw.realloc(memory.raw.ctx, block, size), size);
}

static void watch_free(void *context, void *block)
{
    if (memory.now && block != NULL) {
        note_given_back(malloc_usable_size(block));
    }
    memory.raw.free(memory.raw.ctx, block);
}

/* Of less than an arena: room for frames. For an arena small blocks can be had in its
 * place. */
static void *watch_arena(void *context, size_t size)
{
    void *block = noted(memory.arenas.alloc(memory.arenas.ctx, size), size);

    if (block == NULL && size < OWN) {
        relieve(size);
    }
    return block;
}

static void free_arena(void *context, void *block, size_t size)
{
    if (memory.now) {
        note_given_back(size);
    }
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

bool memory_is_used(const struct ring_writer *ring, int64_t memory_mb)
{
    struct rusage usage = {0};

    (void)getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss - atomic_load(&ring->shared->born_kb) >=
           memory_mb * 1024 / 4 * 3;
}
