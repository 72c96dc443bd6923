/* SPDX-License-Identifier: MIT */
/*
 * Waiting for the recorder's lock, and what is printed while its holder is interrupted.
 * Runs in the sandbox, also in the handler of SIGSYS on any thread. Must never allocate.
 */
#include "worker/sandbox/guard.h"

#include "common/limits.h"

#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct piece {
    uint32_t kind, size;
};

/* Who has waited cannot know whether others still do. */
void guard_wait(struct guard *guard, uint32_t thread)
{
    uint32_t holder = atomic_load(&guard->holder);

    for (;;) {
        if (holder == 0) {
            if (atomic_compare_exchange_strong(&guard->holder, &holder,
                                               thread | GUARD_WAITED)) {
                return;
            }
        } else if ((holder & GUARD_WAITED) != 0 ||
                   atomic_compare_exchange_strong(&guard->holder, &holder,
                                                  holder | GUARD_WAITED)) {
            (void)syscall(SYS_futex, &guard->holder, FUTEX_WAIT_PRIVATE,
                          holder | GUARD_WAITED, NULL, NULL, 0);
            holder = atomic_load(&guard->holder);
        }
    }
}

void guard_wake(struct guard *guard)
{
    (void)syscall(SYS_futex, &guard->holder, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

void guard_keep(struct guard *guard, enum wire_kind kind, const char *bytes, size_t size)
{
    size_t at = guard->size;
    struct piece piece = {.kind = kind};

    if (size == 0 || sizeof(guard->kept) - at <= sizeof(piece)) {
        return;
    }
    size = size < sizeof(guard->kept) - at - sizeof(piece)
               ? size
               : sizeof(guard->kept) - at - sizeof(piece);
    piece.size = (uint32_t)size;
    memcpy(guard->kept + at, &piece, sizeof(piece));
    memcpy(guard->kept + at + sizeof(piece), bytes, size);
    guard->size = at + sizeof(piece) + size;
}

size_t guard_take(struct guard *guard, enum wire_kind *ret_kind, char *to, size_t room)
{
    struct piece piece;
    size_t size;

    while (guard->taken == guard->size) {
        size_t all = guard->taken;

        /* More may come at any moment. */
        if (atomic_compare_exchange_strong(&guard->size, &all, 0)) {
            guard->taken = 0;
            return 0;
        }
    }
    memcpy(&piece, guard->kept + guard->taken, sizeof(piece));
    size = piece.size < room ? piece.size : room;
    memcpy(to, guard->kept + guard->taken + sizeof(piece), size);
    *ret_kind = (enum wire_kind)piece.kind;
    if (size == piece.size) {
        guard->taken += sizeof(piece) + size;
    } else { /* the rest stands where it stood, behind a piece of its own */
        guard->taken += size;
        piece.size -= (uint32_t)size;
        memcpy(guard->kept + guard->taken, &piece, sizeof(piece));
    }
    return size;
}
