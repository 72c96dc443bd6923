/* SPDX-License-Identifier: MIT */
/*
 * The zygote's memory, laid out for its children. Runs in the zygote once, before its
 * lock; trusts the machine. What cannot be had is left: it costs time, nothing else.
 */
#include "worker/sandbox/pages.h"

#include <Python.h>
#include <malloc.h>
#include <stdint.h>

#define CHUNK_MOST  8192 /* of libc; larger ones are seldom */
#define CHUNK_STEP  16
#define BLOCK_MOST  512 /* of Python: Objects/obmalloc.c, SMALL_REQUEST_THRESHOLD */
#define BLOCK_STEP  16
#define POOL_SIZE   (1 << 14)
#define POOL_HEADER 48
#define TRIES       4096

/* A chunk came from the top of the heap if that is smaller now. */
static void use_up_chunks(size_t size)
{
    size_t top = mallinfo2().keepcost;

    for (int i = 0; i < TRIES && mallinfo2().keepcost == top; i++) {
        void *volatile kept = malloc(size);

        (void)kept;
    }
}

/* A block came from a new pool if it is the first in it. */
static void use_up_blocks(size_t size)
{
    uintptr_t block;

    for (int i = 0; i < TRIES; i++) {
        block = (uintptr_t)PyObject_Malloc(size);
        if (block % POOL_SIZE == POOL_HEADER) {
            return;
        }
    }
}

void pages_settle(void)
{
    for (size_t size = BLOCK_STEP; size <= BLOCK_MOST; size += BLOCK_STEP) {
        use_up_blocks(size);
    }
    /* Another malloc, such as AddressSanitizer's, says nothing of a heap. */
    for (size_t size = mallinfo2().arena > 0 ? CHUNK_MOST : 0; size > 0;
         size -= CHUNK_STEP) {
        use_up_chunks(size);
    }
}
