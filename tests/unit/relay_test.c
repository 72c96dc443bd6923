/* SPDX-License-Identifier: MIT */
/*
 * The relay's judge: evidence and claim in, verdict out. Each row is one way in which a
 * program can end, or try to have ended. Besides the rows, the whole product of causes
 * and ends is walked for what must hold of all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "worker/relay/judge.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#define CPU_MS 5000

static const struct job_limits limits = {
    .cpu_ms = CPU_MS, .wall_ms = 10000, .memory_mb = 256};

struct row {
    const char *name;
    enum kill_cause cause;
    int exited, status;
    int64_t cpu_ms;
    enum verdict claim; /* VERDICT_NONE: none */
    int claim_code;
    const char *call; /* of EXITED */
    bool hostile, silent, starved;
    /* expected */
    enum verdict verdict;
    int exit_code, signal;
    const char *named; /* the call */
};

/* clang-format off */
static const struct row rows[] = {
    /* by itself: the claim is its word */
    {"ok", .exited = 1, .claim = VERDICT_OK, .verdict = VERDICT_OK},
    {"exit 3", .exited = 1, .status = 3, .claim = VERDICT_EXIT, .claim_code = 3,
     .verdict = VERDICT_EXIT, .exit_code = 3},
    {"exit 0 claimed as exit", .exited = 1, .claim = VERDICT_EXIT, .verdict = VERDICT_EXIT},
    {"the claimed code counts for exit only", .exited = 1, .claim = VERDICT_OK, .claim_code = 7,
     .verdict = VERDICT_OK},
    {"exception", .exited = 1, .status = 1, .claim = VERDICT_EXCEPTION, .claim_code = 1,
     .verdict = VERDICT_EXCEPTION, .exit_code = 1},
    {"bad zip", .exited = 1, .claim = VERDICT_BAD_ZIP, .verdict = VERDICT_BAD_ZIP, .exit_code = 80},
    {"memory limit by MemoryError", .exited = 1, .claim = VERDICT_MEMORY_LIMIT,
     .verdict = VERDICT_MEMORY_LIMIT, .exit_code = 85},
    {"_exit(0) without a claim", .exited = 1, .verdict = VERDICT_VANISHED, .exit_code = 89},
    {"_exit(1) without a claim", .exited = 1, .status = 1, .verdict = VERDICT_VANISHED,
     .exit_code = 89},
    {"never began", .exited = 1, .status = 81, .silent = true, .verdict = VERDICT_FAULT,
     .exit_code = 99},

    /* it had ended, and something of it had not */
    {"left running after ok", KILL_GRACE, 0, SIGKILL, .claim = VERDICT_OK, .verdict = VERDICT_OK,
     .signal = SIGKILL},
    {"left running after an exception", KILL_GRACE, 0, SIGKILL, .claim = VERDICT_EXCEPTION,
     .claim_code = 1, .verdict = VERDICT_EXCEPTION, .exit_code = 1, .signal = SIGKILL},
    {"a claim that was taken back", KILL_GRACE, 0, SIGKILL, .verdict = VERDICT_VANISHED,
     .exit_code = 89, .signal = SIGKILL},
    {"CPU timer after an exception", KILL_CPU, 0, SIGKILL, CPU_MS, .claim = VERDICT_EXCEPTION,
     .claim_code = 1, .verdict = VERDICT_EXCEPTION, .exit_code = 1, .signal = SIGKILL},
    {"an exception that ends as the CPU timer strikes", KILL_CPU, 1, 1, CPU_MS,
     .claim = VERDICT_EXCEPTION, .claim_code = 1, .verdict = VERDICT_EXCEPTION, .exit_code = 1},
    {"an exit that ends as the wall limit strikes", KILL_WALL, 1, 3, .claim = VERDICT_EXIT,
     .claim_code = 3, .verdict = VERDICT_EXIT, .exit_code = 3},
    {"ok that ends as the CPU timer strikes", KILL_CPU, 1, 0, CPU_MS, .claim = VERDICT_OK,
     .verdict = VERDICT_CPU_LIMIT, .exit_code = 83},
    {"SIGSEGV after exit", .status = SIGSEGV, .claim = VERDICT_EXIT, .claim_code = 3,
     .verdict = VERDICT_EXIT, .exit_code = 3, .signal = SIGSEGV},
    {"_exit(0) after an exception", .exited = 1, .claim = VERDICT_EXCEPTION, .claim_code = 1,
     .verdict = VERDICT_EXCEPTION, .exit_code = 1},
    {"a forbidden call after an exception", KILL_FORBIDDEN, 0, SIGKILL, .call = "execve",
     .claim = VERDICT_EXCEPTION, .verdict = VERDICT_FORBIDDEN, .exit_code = 87, .signal = SIGKILL,
     .named = "execve"},
    {"SIGSYS after an exception", .status = SIGSYS, .claim = VERDICT_EXCEPTION,
     .verdict = VERDICT_FORBIDDEN, .exit_code = 87, .signal = SIGSYS, .named = "unknown"},

    /* killed by Paddock: no claim helps */
    {"CPU timer", KILL_CPU, 0, SIGKILL, CPU_MS + 3, .verdict = VERDICT_CPU_LIMIT, .exit_code = 83,
     .signal = SIGKILL},
    {"CPU timer after ok", KILL_CPU, 0, SIGKILL, CPU_MS + 3, .claim = VERDICT_OK,
     .verdict = VERDICT_CPU_LIMIT, .exit_code = 83, .signal = SIGKILL},
    {"wall limit after ok", KILL_WALL, 0, SIGKILL, .claim = VERDICT_OK,
     .verdict = VERDICT_WALL_LIMIT, .exit_code = 84, .signal = SIGKILL},
    {"output limit after exit", KILL_OUTPUT, 0, SIGKILL, .claim = VERDICT_EXIT,
     .verdict = VERDICT_OUTPUT_LIMIT, .exit_code = 86, .signal = SIGKILL},
    {"cancelled", KILL_CANCEL, 0, SIGKILL, .verdict = VERDICT_CANCELLED, .exit_code = 90,
     .signal = SIGKILL},
    {"stopped by us", KILL_FAULT, 0, SIGKILL, .claim = VERDICT_OK, .verdict = VERDICT_FAULT,
     .exit_code = 99, .signal = SIGKILL},
    {"stopped by us, with all its CPU used", KILL_FAULT, 0, SIGKILL, CPU_MS,
     .verdict = VERDICT_FAULT, .exit_code = 99, .signal = SIGKILL},
    {"forbidden call", KILL_FORBIDDEN, 0, SIGKILL, .call = "execve", .claim = VERDICT_OK,
     .verdict = VERDICT_FORBIDDEN, .exit_code = 87, .signal = SIGKILL, .named = "execve"},
    {"killed at the limit of its group, after ok", KILL_MEMORY, 0, SIGKILL, .claim = VERDICT_OK,
     .verdict = VERDICT_MEMORY_LIMIT, .exit_code = 85, .signal = SIGKILL},
    {"forbidden call without a name", KILL_FORBIDDEN, 0, SIGKILL, .verdict = VERDICT_FORBIDDEN,
     .exit_code = 87, .signal = SIGKILL, .named = "unknown"},
    {"it ended while its kill was under way", KILL_FORBIDDEN, 1, 0, .call = "ptrace",
     .claim = VERDICT_OK, .verdict = VERDICT_FORBIDDEN, .exit_code = 87, .named = "ptrace"},

    /* it had its job, and stood still before it began */
    {"over its wall limit, and never began", KILL_WALL, 0, SIGKILL, .silent = true,
     .verdict = VERDICT_FAULT, .exit_code = 99, .signal = SIGKILL},
    {"given up because it never began", KILL_FAULT, 0, SIGKILL, .silent = true,
     .verdict = VERDICT_FAULT, .exit_code = 99, .signal = SIGKILL},
    {"cancelled before it began", KILL_CANCEL, 0, SIGKILL, .silent = true,
     .verdict = VERDICT_CANCELLED, .exit_code = 90, .signal = SIGKILL},

    /* killed by the kernel */
    {"SIGXCPU at the limit", .status = SIGXCPU, .cpu_ms = CPU_MS, .verdict = VERDICT_CPU_LIMIT,
     .exit_code = 83, .signal = SIGXCPU},
    {"SIGXCPU that it sent itself", .status = SIGXCPU, .cpu_ms = 10, .verdict = VERDICT_CRASHED,
     .exit_code = 88, .signal = SIGXCPU},
    {"RLIMIT_CPU's SIGKILL", .status = SIGKILL, .cpu_ms = CPU_MS + 1000,
     .verdict = VERDICT_CPU_LIMIT, .exit_code = 83, .signal = SIGKILL},
    {"SIGKILL from outside", .status = SIGKILL, .cpu_ms = CPU_MS - 1, .claim = VERDICT_OK,
     .verdict = VERDICT_FAULT, .exit_code = 99, .signal = SIGKILL},
    {"SIGSYS", .status = SIGSYS, .claim = VERDICT_OK, .verdict = VERDICT_FORBIDDEN, .exit_code = 87,
     .signal = SIGSYS, .named = "unknown"},
    {"SIGSEGV after ok", .status = SIGSEGV, .claim = VERDICT_OK, .verdict = VERDICT_CRASHED,
     .exit_code = 88, .signal = SIGSEGV},
    {"SIGABRT of Python without memory", .status = SIGABRT, .starved = true,
     .verdict = VERDICT_MEMORY_LIMIT, .exit_code = 85, .signal = SIGABRT},
    {"SIGSEGV of Python without memory", .status = SIGSEGV, .starved = true,
     .verdict = VERDICT_MEMORY_LIMIT, .exit_code = 85, .signal = SIGSEGV},
    {"SIGBUS of Python without memory", .status = SIGBUS, .starved = true,
     .verdict = VERDICT_CRASHED, .exit_code = 88, .signal = SIGBUS},
    {"Python without memory stands still", KILL_WALL, 0, SIGKILL, .starved = true,
     .verdict = VERDICT_MEMORY_LIMIT, .exit_code = 85, .signal = SIGKILL},
    {"Python without memory, and over its CPU", KILL_CPU, 0, SIGKILL, CPU_MS, .starved = true,
     .verdict = VERDICT_CPU_LIMIT, .exit_code = 83, .signal = SIGKILL},
    {"SIGABRT", .status = SIGABRT, .verdict = VERDICT_CRASHED, .exit_code = 88, .signal = SIGABRT},
    {"SIGBUS", .status = SIGBUS, .verdict = VERDICT_CRASHED, .exit_code = 88, .signal = SIGBUS},
    {"SIGFPE", .status = SIGFPE, .verdict = VERDICT_CRASHED, .exit_code = 88, .signal = SIGFPE},
    {"SIGILL", .status = SIGILL, .verdict = VERDICT_CRASHED, .exit_code = 88, .signal = SIGILL},
    {"SIGSEGV before the first record", .status = SIGSEGV, .silent = true,
     .verdict = VERDICT_CRASHED, .exit_code = 88, .signal = SIGSEGV},

    /* a ring with impossible indexes: whatever else is said */
    {"hostile, killed for it", KILL_FAULT, 0, SIGKILL, .hostile = true,
     .verdict = VERDICT_FORBIDDEN, .exit_code = 87, .signal = SIGKILL, .named = "recording"},
    {"hostile, and done", .exited = 1, .claim = VERDICT_OK, .hostile = true,
     .verdict = VERDICT_FORBIDDEN, .exit_code = 87, .named = "recording"},
};
/* clang-format on */

static void judge_row(const struct row *row, struct message_exited *exited,
                      struct ring_claim *claim, struct judgement *ret)
{
    const struct judge_case facts = {
        .exited = exited,
        .limits = &limits,
        .claim = row->claim != VERDICT_NONE ? claim : NULL,
        .hostile = row->hostile,
        .begun = !row->silent,
        .starved = row->starved,
    };

    *exited = (struct message_exited){.cause = row->cause,
                                      .exited = row->exited,
                                      .status = row->status,
                                      .cpu_us = row->cpu_ms * 1000};
    (void)snprintf(exited->call, sizeof(exited->call), "%s",
                   row->call != NULL ? row->call : "");
    claim->verdict = row->claim;
    claim->exit_code = row->claim_code;
    judge(&facts, ret);
}

static void test_every_row(void **state)
{
    for (size_t i = 0; i < array_size(rows); i++) {
        const struct row *row = &rows[i];
        struct message_exited exited;
        struct ring_claim claim = {0};
        struct judgement got;

        judge_row(row, &exited, &claim, &got);
        if (got.verdict != row->verdict || got.exit_code != row->exit_code ||
            got.signal != row->signal ||
            strcmp(got.call, row->named != NULL ? row->named : "") != 0) {
            fail_msg("%s: %s, exit code %d, signal %d, call \"%s\"", row->name,
                     verdict_row(got.verdict)->name, got.exit_code, got.signal, got.call);
        }
    }
}

static const enum verdict claims[] = {VERDICT_NONE, VERDICT_OK};
static const int deaths[] = {SIGKILL, SIGXCPU, SIGSYS, SIGSEGV, SIGTERM};

/* Whoever did not end by itself is not ok, whatever it claimed, but where it was ended
 * for what it had left running. */
static void test_ok_never_beats_a_death(void **state)
{
    for (int cause = KILL_NONE; cause <= KILL_FAULT; cause++) {
        if (cause == KILL_GRACE) {
            continue;
        }
        for (size_t d = 0; d < array_size(deaths); d++) {
            for (size_t c = 0; c < array_size(claims); c++) {
                const struct row row = {.cause = cause,
                                        .status = deaths[d],
                                        .cpu_ms = 100,
                                        .claim = claims[c]};
                struct message_exited exited;
                struct ring_claim claim = {0};
                struct judgement got;

                judge_row(&row, &exited, &claim, &got);
                assert_int_not_equal(verdict_row(got.verdict)->sources,
                                     VERDICT_FROM_CLAIM);
                assert_int_equal(got.signal, deaths[d]);
            }
        }
    }
}

/* Every verdict that may be claimed is given to whoever ends by itself and claims it. */
static void test_every_claim_is_taken(void **state)
{
    for (int verdict = VERDICT_NONE + 1; verdict < VERDICT_COUNT; verdict++) {
        const struct row row = {
            .exited = 1, .claim = (enum verdict)verdict, .claim_code = 9};
        struct message_exited exited;
        struct ring_claim claim = {0};
        struct judgement got;

        if (!verdict_is_claim((uint32_t)verdict)) {
            continue;
        }
        judge_row(&row, &exited, &claim, &got);
        assert_int_equal(got.verdict, verdict);
        assert_int_equal(got.exit_code, verdict_row(got.verdict)->exit_code < 0
                                            ? 9
                                            : verdict_row(got.verdict)->exit_code);
        assert_int_equal(got.signal, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row),
        cmocka_unit_test(test_ok_never_beats_a_death),
        cmocka_unit_test(test_every_claim_is_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
