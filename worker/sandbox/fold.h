/* SPDX-License-Identifier: MIT */
/*
 * Folding hot loops: trace records that come again as they came before are counted, not
 * written, and become one `repeat` (common/wire.h). A record is here a symbol: its kind,
 * its number and its step. Pure: no clock, no record, no lock. Inline, because it is
 * asked for every line that a program runs.
 */
#pragma once

#include "common/wire.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define FOLD_HISTORY 256 /* a power of two, more than WIRE_PERIOD_MAX */
#define FOLD_NOTHING 0
#define FOLD_BEFORE  1 /* record that has to have come again before one is counted */

struct fold {
    uint64_t symbols[FOLD_HISTORY]; /* the last ones, as a ring */
    uint32_t ticks[FOLD_HISTORY];   /* when they came: the lower half of a counter */
    uint32_t seen[FOLD_HISTORY];    /* by hash: 1 + the number of the last such symbol */
    uint32_t count;                 /* symbols since the start */
    uint32_t period;                /* that is being counted; 0: none */
    uint32_t matched;               /* symbols counted and not written */
};

/* 5 bits of a kind, 32 of the number of a function or of a type's name, 27 of a step. */
static inline uint64_t fold_symbol(enum wire_kind kind, uint32_t number, int32_t step)
{
    return (uint64_t)kind << 59 | (uint64_t)number << 27 |
           (((uint32_t)step << 1 ^ (uint32_t)(step >> 31)) & 0x7ffffff);
}

static inline enum wire_kind fold_kind(uint64_t symbol)
{
    return (enum wire_kind)(symbol >> 59);
}

static inline uint32_t fold_number(uint64_t symbol)
{
    return (uint32_t)(symbol >> 27);
}

static inline int32_t fold_step(uint64_t symbol)
{
    uint32_t bits = symbol & 0x7ffffff;

    return (int32_t)(bits >> 1) ^ -(int32_t)(bits & 1);
}

/* Forgets what came before: a reader cannot reach back beyond this either. */
static inline void fold_reset(struct fold *fold)
{
    memset(fold, 0, sizeof(*fold));
}

static inline void fold_remember(struct fold *fold, uint64_t symbol, uint64_t ticks)
{
    uint32_t at = fold->count & (FOLD_HISTORY - 1);

    fold->symbols[at] = symbol;
    fold->ticks[at] = (uint32_t)ticks;
    fold->count++;
}

/* Counts the symbol if it goes on with the repetition. */
static inline bool fold_goes_on(struct fold *fold, uint64_t symbol, uint64_t ticks)
{
    if (fold->period == 0 ||
        fold->symbols[(fold->count - fold->period) & (FOLD_HISTORY - 1)] != symbol) {
        return false;
    }
    fold_remember(fold, symbol, ticks);
    fold->matched++;
    return true;
}

static inline uint32_t *fold_seen(struct fold *fold, uint64_t symbol)
{
    return &fold->seen[(symbol * UINT64_C(0x9e3779b97f4a7c15)) >> 56];
}

/* Did the last ones come a period ago, too? */
static inline bool fold_came_before(const struct fold *fold, uint32_t period)
{
    for (uint32_t i = 1; i <= FOLD_BEFORE; i++) {
        if (fold->symbols[(fold->count - i) & (FOLD_HISTORY - 1)] !=
            fold->symbols[(fold->count - i - period) & (FOLD_HISTORY - 1)]) {
            return false;
        }
    }
    return true;
}

/* Do the last so many come back to where they began? Lines that only go on are no loop:
 * counted, they would be told when something else comes, which may take long. Where lines
 * are of several calls, their steps say nothing: what came before has to be the same. */
static inline bool fold_is_loop(const struct fold *fold, uint32_t period)
{
    int64_t steps = 0;

    for (uint32_t i = 1; i <= period; i++) {
        uint64_t symbol = fold->symbols[(fold->count - i) & (FOLD_HISTORY - 1)];

        if (fold_kind(symbol) != WIRE_LINE) {
            return fold_came_before(fold, period);
        }
        steps += fold_step(symbol);
    }
    return steps == 0;
}

/* With nothing counted: counts the symbol as the first of a repetition if it came within
 * the last `hot` ticks, else remembers it and returns false: it is to be written. */
static inline bool fold_begins(struct fold *fold, uint64_t symbol, uint64_t ticks,
                               uint32_t hot)
{
    uint32_t *seen = fold_seen(fold, symbol);
    uint32_t period = *seen != 0 ? fold->count - (*seen - 1) : 0;
    uint32_t at = (fold->count - period) & (FOLD_HISTORY - 1);
    bool again = period > 0 && period <= WIRE_PERIOD_MAX && fold->symbols[at] == symbol &&
                 (uint32_t)ticks - fold->ticks[at] < hot && fold_is_loop(fold, period);

    *seen = fold->count + 1;
    fold_remember(fold, symbol, ticks);
    fold->period = again ? period : 0;
    fold->matched = again ? 1 : 0;
    return again;
}

/* One of those that were counted and not written, from the first. */
static inline uint64_t fold_pending(const struct fold *fold, uint32_t number)
{
    return fold->symbols[(fold->count - fold->matched + number) & (FOLD_HISTORY - 1)];
}
