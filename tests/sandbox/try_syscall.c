/* SPDX-License-Identifier: MIT */
/*
 * Every row of the policy, tried on the real kernel. Each probe is a child of its own
 * that puts the sandbox filter on and makes one call: refused calls must give the row's
 * errno where the same call without the filter gives another answer, allowed ones the
 * kernel's own answer, TRAP rows must reach the handler, and FORBIDDEN ones the listener
 * of a process that plays the zygote. All of it runs as whoever starts it and, where that
 * is root, once more as nobody.
 */
#include "tests/sandbox/locked.h"
#include "tests/sandbox/policy_model.h"
#include "tests/sandbox/probes.h"

#include <errno.h>
#include <grp.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY      65534
#define WATCHDOG_MS 20000

/* What a child leaves behind, in memory that it shares with us. */
static struct report {
    long result;
    int error;
    int trapped; /* number of the last trapped call, or -1 */
    bool returned;
} * report;

static int failures;
static int probes;

#define fail(...)                                                                        \
    do {                                                                                 \
        failures++;                                                                      \
        (void)printf(__VA_ARGS__);                                                       \
    } while (0)

static const char *name_of(int number)
{
    const char *name = policy_call_name(number);

    return name != NULL ? name : "(not in the table)";
}

/* ---- a child, and its one call ---- */

static long on_trap(int call)
{
    report->trapped = call;
    return TRAP_RESULT;
}

static long make_call(int number, const uint64_t given[6])
{
    uint64_t args[6];

    for (size_t i = 0; i < 6; i++) {
        args[i] = given[i] == POLICY_OWN_PID ? (uint64_t)getpid() : given[i];
    }
    return syscall(number, args[0], args[1], args[2], args[3], args[4], args[5]);
}

static _Noreturn void probe_child(int number, const uint64_t args[6], bool filtered)
{
    locked_become(filtered, on_trap);
    report->result = make_call(number, args);
    report->error = report->result == -1 ? errno : 0;
    report->returned = true;
    (void)syscall(SYS_exit_group, 0);
    _exit(EXIT_NO_SETUP);
}

/* Returns the child's wait status. */
static int await(pid_t pid)
{
    int status = -1;

    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_NO_SETUP) {
        fail("a probe could not be set up\n");
    }
    return status;
}

static int probe(int number, const uint64_t args[6], bool filtered)
{
    pid_t pid;

    probes++;
    *report = (struct report){.trapped = -1};
    (void)fflush(stdout);
    pid = fork();
    if (pid == 0) {
        probe_child(number, args, filtered);
    }
    return await(pid);
}

/* ---- rows that refuse ---- */

/* Arguments that fit the row, 0 where it does not care. */
static void arguments_for(const struct policy_row *row, uint64_t args[6])
{
    memset(args, 0, 6 * sizeof(*args));
    for (size_t i = 0; i < POLICY_ARGUMENTS; i++) {
        const struct policy_argument *argument = &row->arguments[i];
        const uint64_t fitting[] = {
            [POLICY_ANY] = args[argument->index],     [POLICY_EQUAL] = argument->value,
            [POLICY_NOT_EQUAL] = argument->value + 1, [POLICY_AT_MOST] = argument->value,
            [POLICY_ABOVE] = argument->value + 1,     [POLICY_MASKED] = argument->masked,
        };

        args[argument->index] = fitting[argument->compare];
    }
}

static bool listed(const int *numbers, size_t count, int number)
{
    for (size_t i = 0; i < count; i++) {
        if (numbers[i] == number) {
            return true;
        }
    }
    return false;
}

/* The filter must be what refuses: without it, the kernel says something else. */
static void expect_otherwise_without(const struct policy_row *row, const uint64_t args[6])
{
    if (listed(same_without, same_without_count, row->number) ||
        (row->error == EPERM && geteuid() != 0)) {
        return; /* nobody is refused much by the kernel as well */
    }
    (void)probe(row->number, args, false);
    if (report->returned && report->result == -1 && report->error == row->error) {
        fail("%s: %s without the filter as well\n", row->name,
             strerrorname_np(row->error));
    }
}

static void try_refusal(const struct policy_row *row)
{
    uint64_t args[6];
    int status;

    arguments_for(row, args);
    status = probe(row->number, args, true);
    if (!WIFEXITED(status) || !report->returned ||
        report->result != (row->error == 0 ? 0 : -1) || report->error != row->error) {
        fail("%s: result %ld errno %d, not errno %d (status 0x%x)\n", row->name,
             report->result, report->error, row->error, (unsigned)status);
    }
    expect_otherwise_without(row, args);
}

static void try_trap(const struct policy_row *row)
{
    uint64_t args[6];

    arguments_for(row, args);
    (void)probe(row->number, args, true);
    if (report->trapped != row->number || report->result != TRAP_RESULT) {
        fail("%s: the handler was not asked (trapped %d, result %ld)\n", row->name,
             report->trapped, report->result);
    }
}

static void try_rows(void)
{
    for (size_t i = 0; i < policy_row_count; i++) {
        if (policy_rows[i].action == POLICY_ERRNO) {
            try_refusal(&policy_rows[i]);
        } else if (policy_rows[i].action == POLICY_TRAP) {
            try_trap(&policy_rows[i]);
        }
    }
}

/* ---- rows that allow, and attacks between the rows ---- */

static void try_probes(void)
{
    for (size_t i = 0; i < probe_count; i++) {
        const struct probe *row = &probe_rows[i];
        int status = probe(row->number, row->args, true);

        if (row->ends ? !WIFEXITED(status) || WEXITSTATUS(status) != (int)row->args[0]
                      : !report->returned || report->error != row->error) {
            fail("%s (probe %zu): result %ld errno %d, not errno %d (status 0x%x)\n",
                 name_of(row->number), i, report->result, report->error, row->error,
                 (unsigned)status);
        }
    }
}

/* Every row that allows has a probe, or a reason for none. */
static void check_coverage(void)
{
    for (size_t i = 0; i < policy_row_count; i++) {
        bool tried =
            policy_rows[i].action != POLICY_ALLOW ||
            listed(tried_by_workload, tried_by_workload_count, policy_rows[i].number);

        for (size_t k = 0; k < probe_count && !tried; k++) {
            tried = row_fits(&policy_rows[i], probe_rows[k].number, probe_rows[k].args,
                             POLICY_OWN_PID);
        }
        if (!tried) {
            fail("%s (row %zu, %s) has no probe\n", policy_rows[i].name, i,
                 policy_rows[i].why);
        }
    }
}

/* ---- foreign ABIs ---- */

static _Noreturn void foreign_child(bool i386)
{
    long result = 20; /* i386: getpid */

    locked_become(true, on_trap);
    if (i386) {
        __asm__ volatile("int $0x80" : "+a"(result) : : "memory");
    } else {
        result = syscall(0x40000000 | SYS_getpid);
    }
    _exit((int)(result & 1));
}

static void try_foreign(bool i386)
{
    pid_t pid;
    int status;

    probes++;
    *report = (struct report){.trapped = -1};
    (void)fflush(stdout);
    pid = fork();
    if (pid == 0) {
        foreign_child(i386);
    }
    status = await(pid);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS || report->trapped != -1) {
        fail("a call of %s was not killed (status 0x%x)\n", i386 ? "i386" : "x32",
             (unsigned)status);
    }
}

/* ---- forbidden calls ---- */

/* Returns whether the listener heard of exactly this call of this child. */
static bool heard(int listener, const struct policy_row *row, const uint64_t args[6])
{
    struct pollfd ready = {.fd = listener, .events = POLLIN};
    struct seccomp_notif notification = {0};

    return poll(&ready, 1, WATCHDOG_MS) == 1 && (ready.revents & POLLIN) != 0 &&
           ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &notification) == 0 &&
           notification.data.nr == row->number &&
           memcmp(notification.data.args, args, 5 * sizeof(*args)) == 0 &&
           notification.data.args[5] == POLICY_INSISTS;
}

static void try_forbidden(int listener, const struct policy_row *row)
{
    uint64_t args[6];
    pid_t pid;
    int status;

    probes++;
    arguments_for(row, args);
    *report = (struct report){.trapped = -1};
    (void)fflush(stdout);
    pid = fork();
    if (pid == 0) {
        probe_child(row->number, args, true);
    }
    if (!heard(listener, row, args)) {
        fail("%s was not reported\n", row->name);
    }
    (void)kill(pid, SIGKILL);
    status = await(pid);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL || report->returned) {
        fail("%s returned to the program (status 0x%x)\n", row->name, (unsigned)status);
    }
}

/* Plays the zygote: it holds the listener, and its children inherit the filter. */
static void try_all_forbidden(void)
{
    int listener = -1;
    int error;

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        fail("unable to set no_new_privs\n");
        return;
    }
    error = policy_install_notify(&listener);
    if (error != 0 || listener < 0) {
        fail("no listener: %s\n", strerror(-error));
        return;
    }
    for (size_t i = 0; i < policy_row_count; i++) {
        if (policy_rows[i].action == POLICY_FORBIDDEN) {
            try_forbidden(listener, &policy_rows[i]);
        }
    }
    (void)close(listener);
}

/* ---- an honest program ---- */

static void try_workload(void)
{
    pid_t pid;
    int status;

    probes++;
    *report = (struct report){.trapped = -1};
    (void)fflush(stdout);
    pid = fork();
    if (pid == 0) {
        locked_become(true, on_trap);
        _exit(honest_workload());
    }
    status = await(pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || report->trapped != SYS_write) {
        fail("the honest program ended with status 0x%x at step %d\n", (unsigned)status,
             WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    }
}

/* ---- all of it, as one user ---- */

static int run_all(uid_t uid)
{
    if (uid != geteuid() && (setgroups(0, NULL) != 0 || setresgid(uid, uid, uid) != 0 ||
                             setresuid(uid, uid, uid) != 0)) {
        fail("unable to become nobody\n");
    }
    try_workload();
    try_probes();
    check_coverage();
    try_rows();
    try_foreign(false);
    try_foreign(true);
    try_all_forbidden(); /* the last: this process keeps the filter */
    (void)printf("as uid %u: %d probes, %d failed\n", (unsigned)uid, probes, failures);
    return failures == 0 ? 0 : 1;
}

/* In a process of its own, which the filter may stay on. */
static int run_as(uid_t uid)
{
    pid_t pid;
    int status;

    (void)fflush(stdout);
    pid = fork();
    if (pid == 0) {
        int failed = run_all(uid);

        (void)fflush(stdout);
        _exit(failed);
    }
    status = await(pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int main(void)
{
    int failed;

    report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (report == MAP_FAILED) {
        return 1;
    }
    failed = run_as(geteuid());
    if (geteuid() == 0) {
        failed |= run_as(NOBODY);
    }
    return failed;
}
