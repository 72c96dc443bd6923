/* SPDX-License-Identifier: MIT */
/*
 * Choosing calls. Runs in a locked child of syscall_fuzz, and calls nothing itself.
 */
#include "tests/sandbox/random_call.h"

#include "tests/sandbox/policy_model.h"

#include <signal.h>
#include <string.h>
#include <sys/syscall.h>

#define CALLS   480 /* more than there are */
#define X32     0x40000000
#define HIGH    (UINT64_C(1) << 32)
#define NOTHERE UINT64_C(0x10000)

/* xorshift64*, of which the upper half is good. */
static uint64_t next(struct random_call_state *state)
{
    state->random ^= state->random >> 12;
    state->random ^= state->random << 25;
    state->random ^= state->random >> 27;
    return state->random * UINT64_C(0x2545f4914f6cdd1d);
}

static uint64_t below(struct random_call_state *state, uint64_t bound)
{
    return (next(state) >> 32) % bound;
}

/* ---- arguments ---- */

static uint64_t any_value(struct random_call_state *state)
{
    switch (below(state, 12)) {
    case 0: return 0;
    case 1: return ~UINT64_C(0);
    case 2: return below(state, 4);
    case 3: return below(state, 70);
    case 4: return UINT64_C(1) << below(state, 64);
    case 5: return HIGH | below(state, 70);
    case 6: return NOTHERE;
    case 7: return ~UINT64_C(0) << 12; /* of the kernel */
    case 8: return next(state);
    case 9: return state->self;
    default: break;
    }
    return state->scratch + below(state, state->scratch_size / 2) / 8 * 8;
}

/* On, or beside, what a row checks. */
static uint64_t near(struct random_call_state *state, const struct policy_argument *check)
{
    uint64_t edge = check->compare == POLICY_MASKED ? check->masked : check->value;

    edge = edge == POLICY_OWN_PID ? state->self : edge;
    switch (below(state, 6)) {
    case 0: return edge + 1;
    case 1: return edge - 1;
    case 2: return edge ^ UINT64_C(1) << below(state, 64);
    default: return edge;
    }
}

static void near_row(struct random_call_state *state, const struct policy_row *row,
                     uint64_t args[6])
{
    for (size_t i = 0; i < POLICY_ARGUMENTS; i++) {
        const struct policy_argument *check = &row->arguments[i];

        if (check->compare != POLICY_ANY) {
            args[check->index] = near(state, check);
        }
    }
}

/* ---- which call ---- */

static int any_number(struct random_call_state *state)
{
    switch (below(state, 64)) {
    case 0: return (int)(uint32_t)next(state);
    case 1: return X32 | (int)below(state, CALLS);
    default: return (int)below(state, CALLS);
    }
}

static bool is_seldom(const struct random_call_state *state, int number,
                      const uint64_t args[6])
{
    static const int ends[] = {SYS_pause, SYS_rt_sigsuspend, SYS_rt_sigtimedwait,
                               SYS_exit,  SYS_exit_group,    SYS_rt_sigreturn,
                               SYS_kill,  SYS_tgkill,        SYS_munmap};
    const struct policy_row *row = row_for(number, args, state->self);

    for (size_t i = 0; i < array_size(ends); i++) {
        if (ends[i] == number && row != NULL && row->action == POLICY_ALLOW) {
            return true;
        }
    }
    return (row != NULL && row->action == POLICY_FORBIDDEN) || (number & X32) != 0;
}

/* A thread without a stack of its own would make calls in our name. */
static bool is_never(const struct random_call_state *state, int number,
                     const uint64_t args[6])
{
    const struct policy_row *row = row_for(number, args, state->self);

    return number == SYS_clone && row != NULL && row->action == POLICY_ALLOW;
}

static void choose(struct random_call_state *state, int *ret_number, uint64_t args[6])
{
    const struct policy_row *row = &policy_rows[below(state, policy_row_count)];

    for (size_t i = 0; i < 6; i++) {
        args[i] = any_value(state);
    }
    *ret_number = any_number(state);
    if (below(state, 4) != 0) {
        *ret_number = row->number;
        near_row(state, row, args);
    }
}

void random_call(struct random_call_state *state, int *ret_number, uint64_t args[6])
{
    do {
        choose(state, ret_number, args);
    } while (is_never(state, *ret_number, args) ||
             (is_seldom(state, *ret_number, args) && below(state, 16) != 0));
}
