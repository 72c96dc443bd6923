/* SPDX-License-Identifier: MIT */
/*
 * The signal mask of a program. Runs in the sandbox, inside the handler of SIGSYS. A
 * thread that has SIGSYS blocked is killed by its next trapped call, and honest programs
 * block all signals: faulthandler's thread does, and so does
 * signal.pthread_sigmask(SIG_BLOCK, signal.valid_signals()). Nor is it to block the
 * signal by which it is asked where it is. Trusts nobody: pointers that the program made
 * up fault as in any function of its own.
 */
#include "worker/sandbox/trap.h"

#include "common/ring.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>

#define BIT(signo) (UINT64_C(1) << ((signo)-1))

long trap_set_mask(const long *arguments, ucontext_t *interrupted)
{
    uint64_t before, set;

    if (arguments[3] != sizeof(set)) {
        return -EINVAL;
    }
    memcpy(&before, &interrupted->uc_sigmask, sizeof(before));
    if (arguments[1] != 0) {
        memcpy(&set, (const void *)arguments[1], sizeof(set));
        switch ((int)arguments[0]) {
        case SIG_BLOCK: set = before | set; break;
        case SIG_UNBLOCK: set = before & ~set; break;
        case SIG_SETMASK: break;
        default: return -EINVAL;
        }
        set &= ~(BIT(SIGSYS) | BIT(RING_WHERE_SIGNAL));
        memcpy(&interrupted->uc_sigmask, &set, sizeof(set));
    }
    if (arguments[2] != 0) {
        memcpy((void *)arguments[2], &before, sizeof(before));
    }
    return 0;
}
