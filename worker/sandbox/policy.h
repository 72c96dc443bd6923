/* SPDX-License-Identifier: MIT */
/*
 * Which system calls a sandbox may make: one table, a reason per row (policy.c). It is
 * compiled at build time with libseccomp (policy_compile.c) into two BPF programs, so
 * that nothing is compiled per job and the zygote carries no compiler:
 *
 *   notify   put on by the zygote once, inherited by every sandbox: a FORBIDDEN call
 *            stops and is reported to the zygote (seccomp_unotify(2)), which names it and
 *            kills. The zygote makes none of them itself.
 *   sandbox  put on by each sandbox, default-deny.
 *
 * A signal ends the wait of a call that is reported and not yet read, as if it had never
 * been made. So the sandbox's filter gives a FORBIDDEN call to the handler of SIGSYS,
 * which makes it again and again until the zygote has heard (policy_insist): with a sixth
 * argument that lets it through to the notify filter, whose verdict ranks below an errno
 * but above allow (seccomp(2)). A program that sets this argument itself gains what a
 * refusal is.
 */
#pragma once

/* Bytes of one getrandom(2): half a millisecond of the kernel, which no timer ends. */
#define GETRANDOM_MAX (256 << 10)

#include "common/buffer.h"

#include <stdint.h>
#include <sys/types.h>

enum policy_action {
    POLICY_ALLOW,
    POLICY_ERRNO, /* an honest program may try it: an errno that Python turns into a clear
                     exception */
    POLICY_FORBIDDEN, /* only an attacker tries it: killed, and named */
    POLICY_TRAP,      /* served by the handler of SIGSYS (trap.c) */
};

enum policy_compare {
    POLICY_ANY, /* end of the list */
    POLICY_EQUAL,
    POLICY_NOT_EQUAL,
    POLICY_AT_MOST, /* unsigned, as is POLICY_ABOVE */
    POLICY_ABOVE,
    POLICY_MASKED, /* (argument & value) == masked */
};

struct policy_argument {
    enum policy_compare compare;
    unsigned index;
    uint64_t value;
    uint64_t masked;
};

#define POLICY_ARGUMENTS 3

/* All of a row's arguments must fit. A call that fits no row gets POLICY_DEFAULT_ERRNO;
 * where a call fits two, they say the same. */
struct policy_row {
    const char *group;
    const char *name; /* of the call */
    int number;
    enum policy_action action;
    int error; /* of POLICY_ERRNO; 0: the call is not done and says that it was */
    struct policy_argument arguments[POLICY_ARGUMENTS];
    const char *why;
};

extern const struct policy_row policy_rows[];
extern const size_t policy_row_count;

/* Stands in the table for the sandbox's own pid, and is replaced in the compiled filter
 * at its birth. */
#define POLICY_OWN_PID 0x7ad0c0deu

/* The sixth argument of a FORBIDDEN call that the handler of SIGSYS makes. */
#define POLICY_INSISTS 0x7ad0a9a1u

/* What a call gets that no row names. */
#define POLICY_DEFAULT_ERRNO 1 /* EPERM */

/* Puts the notify filter on the calling process. *ret_listener is the caller's; -1 where
 * the kernel or a container grants no listener: forbidden calls then kill without being
 * named. Returns 0 or a negative errno. Needs no_new_privs. */
int policy_install_notify(int *ret_listener);

/* Puts the sandbox filter on the calling process, whose pid (in its own namespace) is
 * `self`. Allocates nothing. Returns 0 or a negative errno. */
int policy_install_sandbox(pid_t self);

/* Makes a FORBIDDEN call of these five arguments for as long as signals interrupt it: in
 * the handler of SIGSYS. It is the end; where nobody listens any more, returns what the
 * kernel says (a negative errno). */
long policy_insist(int number, const long arguments[5]);

/* The name of a call of the table, or NULL. */
const char *policy_call_name(int number);

/* One line per row, for `paddock check --policy`. */
void policy_print(struct buffer *to);
