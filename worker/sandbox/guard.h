/* SPDX-License-Identifier: MIT */
/*
 * The recorder's lock, which knows who holds it: a signal's handler in C (faulthandler
 * has one) may print in the middle of a record, on the thread that writes it. Such output
 * is kept, and told behind that record.
 *
 * Next to nothing for a process that never had a second thread, of Python's or of C's
 * (__libc_single_threaded, glibc 2.32).
 */
#pragma once

#include "common/limits.h"
#include "common/wire.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/single_threaded.h>

#define GUARD_WAITED UINT32_C(0x80000000) /* somebody waits for it */

struct guard {
    _Atomic uint32_t holder; /* 0: nobody; else the thread, perhaps waited for */
    /* What is kept: pieces, each a kind and a size and its bytes. Written by the handlers
     * of the thread that holds the lock, so by one at a time. */
    _Atomic size_t size;
    size_t taken; /* of these bytes */
    char kept[KIB(64)];
};

void guard_wait(struct guard *guard, uint32_t thread);
void guard_wake(struct guard *guard);

/* `thread`: a number of the caller's own, from 1 on. False: it is here already, and was
 * interrupted. */
static inline bool guard_enter(struct guard *guard, uint32_t thread)
{
    uint32_t nobody = 0;

    if ((atomic_load_explicit(&guard->holder, memory_order_relaxed) & ~GUARD_WAITED) ==
        thread) {
        return false;
    }
    if (__libc_single_threaded != 0) {
        atomic_store_explicit(&guard->holder, thread, memory_order_relaxed);
        atomic_signal_fence(memory_order_seq_cst);
    } else if (!atomic_compare_exchange_strong(&guard->holder, &nobody, thread)) {
        guard_wait(guard, thread);
    }
    return true;
}

static inline void guard_leave(struct guard *guard)
{
    if (__libc_single_threaded != 0) {
        atomic_signal_fence(memory_order_seq_cst);
        atomic_store_explicit(&guard->holder, 0, memory_order_relaxed);
    } else if ((atomic_exchange(&guard->holder, 0) & GUARD_WAITED) != 0) {
        guard_wake(guard);
    }
}

static inline bool guard_keeps(const struct guard *guard)
{
    return atomic_load_explicit(&guard->size, memory_order_relaxed) != 0;
}

/* Of a thread that is here already: keeps what is printed, as far as there is room for.
 */
void guard_keep(struct guard *guard, enum wire_kind kind, const char *bytes, size_t size);
/* The next of what is kept, in order, for who is here: returns how many bytes, at most
 * `room`, with their kind; 0: there is nothing more, and all of it is forgotten. */
size_t guard_take(struct guard *guard, enum wire_kind *ret_kind, char *to, size_t room);
