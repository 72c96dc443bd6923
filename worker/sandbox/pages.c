/* SPDX-License-Identifier: MIT */
/*
 * The zygote's memory, laid out for its children. Runs in the zygote once, before its
 * lock; trusts the machine. What cannot be had is left: it costs time, nothing else.
 */
#include "worker/sandbox/pages.h"

#include "common/cleanup.h"
#include "common/fd.h"
#include "common/limits.h"

#include <Python.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <sys/mman.h>

#define CHUNK_MOST  8192 /* of libc; larger ones are seldom */
#define CHUNK_STEP  16
#define BLOCK_MOST  512 /* of Python: Objects/obmalloc.c, SMALL_REQUEST_THRESHOLD */
#define BLOCK_STEP  16
#define POOL_SIZE   (1 << 14)
#define POOL_HEADER 48
#define NEW_ROW     3
#define TRIES       4096
#define HUGE_PAGE   MIB(2)
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* not in glibc 2.36 */
#endif

/* A chunk came from the top of the heap if that is smaller now; it goes back there. */
static void use_up_chunks(size_t size)
{
    size_t top = mallinfo2().keepcost;

    for (int i = 0; i < TRIES; i++) {
        void *volatile kept = malloc(size);

        if (mallinfo2().keepcost != top) {
            free(kept);
            return;
        }
    }
}

/* A new pool is where its first blocks come in a row: a single one may have been freed.
 * Where a full pool is left that has a block free, each object that a program makes there
 * and drops fills it and opens it again: a tenth of its time. */
static void use_up_blocks(size_t size)
{
    uintptr_t next = 0;
    int row = 0;

    for (int i = 0; i < TRIES && row < NEW_ROW; i++) {
        uintptr_t block = (uintptr_t)PyObject_Malloc(size);

        if (block % POOL_SIZE == POOL_HEADER) {
            row = 1;
        } else {
            row = row > 0 && block == next ? row + 1 : 0;
        }
        next = block + size;
    }
}

static void use_up_scattered(void)
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

/* A line of /proc/self/maps, proc(5): START-END MODE OFFSET DEVICE INODE NAME. */
static void join_pages(const char *line)
{
    uintptr_t start, end;
    char mode[5] = "", name[8] = "";

    if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s %*s %*s %*s%*[ ]%7[^\n]", &start,
               &end, mode, name) < 3 ||
        strcmp(mode, "rw-p") != 0 || (name[0] != '\0' && strcmp(name, "[heap]") != 0)) {
        return;
    }
    start = (start + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
    end &= ~(HUGE_PAGE - 1);
    if (start < end) {
        (void)madvise((void *)start, end - start, MADV_COLLAPSE);
    }
}

/* A fork goes over the pages of all memory that was written to, and so does the end of a
 * sandbox: 512 at once where these lie in a huge page, also when some of them have been
 * copied since. Only of what is in use: it becomes no more by it, but for gaps. */
static void use_huge_pages(void)
{
    autofree char *maps = NULL;
    size_t size;

    if (fd_read_file("/proc/self/maps", MIB(1), &maps, &size) < 0) {
        return;
    }
    for (const char *line = maps; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        join_pages(line);
    }
}

void pages_settle(void)
{
    use_up_scattered();
    use_huge_pages();
}
