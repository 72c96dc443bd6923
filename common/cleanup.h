/* SPDX-License-Identifier: MIT */
/*
 * Ownership of locals, said where they are declared: `autofree` frees, `autoclose` closes
 * when the variable goes out of scope. To hand the thing over, steal it.
 */
#pragma once

#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_free(void *pointer_to_pointer)
{
    free(*(void **)pointer_to_pointer);
}

static inline void cleanup_close(const int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd); /* nothing can be done about a failed close of our own fd */
    }
}

#define autofree  __attribute__((cleanup(cleanup_free)))
#define autoclose __attribute__((cleanup(cleanup_close)))

#define must_check        __attribute__((warn_unused_result))
#define printf_like(f, a) __attribute__((format(printf, f, a)))

/* Returns *fd and leaves -1 behind: the caller owns it now. */
static inline int steal_fd(int *fd)
{
    int stolen = *fd;

    *fd = -1;
    return stolen;
}

/* Closes *fd if it is open and leaves -1 behind. */
static inline void close_fd(int *fd)
{
    cleanup_close(fd);
    *fd = -1;
}

/* Returns the pointer and leaves NULL behind. */
#define steal_ptr(p)                                                                     \
    (__extension__({                                                                     \
        __typeof__(p) stolen_ = (p);                                                     \
        (p) = NULL;                                                                      \
        stolen_;                                                                         \
    }))

#define array_size(a) (sizeof(a) / sizeof((a)[0]))
