/* SPDX-License-Identifier: MIT */
/*
 * The compiled filters against the table, and the table against what was meant. The
 * filters are run in a small BPF machine over every call with every argument that stands
 * near an edge of a check, so that nothing that libseccomp does with overlapping rules
 * goes unseen. No kernel is asked here; try_syscall does that.
 */
#include "tests/sandbox/policy_model.h"
#include "worker/sandbox/policy_filters.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those four first. */
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SELF       4242u
#define HIGH       (UINT64_C(1) << 32)
#define THREAD     0x3d0f00
#define EDGES_MAX  1024
#define CALLS      1024
#define X32        0x40000000
#define REFUSED(e) (SECCOMP_RET_ERRNO | (e))
#define ANONYMOUS  (MAP_PRIVATE | MAP_ANONYMOUS)
#define READ_WRITE (PROT_READ | PROT_WRITE)

/* ---- a machine for the part of BPF that libseccomp writes ---- */

static uint32_t load(const struct seccomp_data *data, uint32_t offset)
{
    uint32_t word;

    assert_true(offset % sizeof(word) == 0 && offset + sizeof(word) <= sizeof(*data));
    memcpy(&word, (const char *)data + offset, sizeof(word));
    return word;
}

static bool jumps(const struct sock_filter *instruction, uint32_t accumulator)
{
    switch (BPF_OP(instruction->code)) {
    case BPF_JEQ: return accumulator == instruction->k;
    case BPF_JGT: return accumulator > instruction->k;
    case BPF_JGE: return accumulator >= instruction->k;
    case BPF_JSET: return (accumulator & instruction->k) != 0;
    default: fail_msg("an unknown jump: 0x%x", instruction->code);
    }
    return false;
}

static uint32_t run(const struct sock_filter *code, size_t length,
                    const struct seccomp_data *data)
{
    uint32_t accumulator = 0;

    for (size_t at = 0; at < length; at++) {
        const struct sock_filter *now = &code[at];

        if (now->code == (BPF_RET | BPF_K)) {
            return now->k;
        } else if (now->code == (BPF_LD | BPF_W | BPF_ABS)) {
            accumulator = load(data, now->k);
        } else if (now->code == (BPF_ALU | BPF_AND | BPF_K)) {
            accumulator &= now->k;
        } else if (now->code == (BPF_JMP | BPF_JA)) {
            at += now->k;
        } else if (BPF_CLASS(now->code) == BPF_JMP) {
            at += jumps(now, accumulator) ? now->jt : now->jf;
        } else {
            fail_msg("an unknown instruction: 0x%x", now->code);
        }
    }
    fail_msg("the filter runs off its end");
    return 0;
}

static uint32_t ask_notify(const struct seccomp_data *data)
{
    return run(policy_notify_filter.code, policy_notify_filter.length, data);
}

/* As it stands in the sandbox of process SELF. */
static uint32_t ask_sandbox(const struct seccomp_data *data)
{
    static struct sock_filter code[POLICY_FILTER_MAX];

    if (code[0].code == 0) {
        memcpy(code, policy_sandbox_filter.code,
               policy_sandbox_filter.length * sizeof(*code));
        for (size_t i = 0; i < policy_sandbox_filter.length; i++) {
            code[i].k = code[i].k == POLICY_OWN_PID ? SELF : code[i].k;
        }
    }
    return run(code, policy_sandbox_filter.length, data);
}

static struct seccomp_data call(int number, const uint64_t args[6])
{
    struct seccomp_data data = {.nr = number, .arch = AUDIT_ARCH_X86_64};

    memcpy(data.args, args, sizeof(data.args));
    return data;
}

/* ---- the filters against the table ---- */

static uint32_t sandbox_answer(const struct policy_row *row, bool insists)
{
    if (row == NULL) {
        return REFUSED(POLICY_DEFAULT_ERRNO);
    }
    switch (row->action) {
    case POLICY_ERRNO: return REFUSED((uint32_t)row->error);
    case POLICY_TRAP: return SECCOMP_RET_TRAP;
    case POLICY_FORBIDDEN: return insists ? SECCOMP_RET_ALLOW : SECCOMP_RET_TRAP;
    case POLICY_ALLOW: break;
    }
    return SECCOMP_RET_ALLOW;
}

static uint32_t notify_answer(const struct policy_row *row)
{
    return row != NULL && row->action == POLICY_FORBIDDEN ? SECCOMP_RET_USER_NOTIF
                                                          : SECCOMP_RET_ALLOW;
}

static bool insists(const uint64_t args[6])
{
    return args[5] == POLICY_INSISTS;
}

static void compare(int number, const uint64_t args[6])
{
    const struct policy_row *row = row_for(number, args, SELF);
    struct seccomp_data data = call(number, args);
    uint32_t meant = sandbox_answer(row, insists(args));

    if (ask_sandbox(&data) != meant || ask_notify(&data) != notify_answer(row)) {
        fail_msg("%s (%d) with 0x%llx 0x%llx 0x%llx 0x%llx: sandbox 0x%x, meant 0x%x; "
                 "notify 0x%x, meant 0x%x",
                 row != NULL ? row->name : "call", number, (unsigned long long)args[0],
                 (unsigned long long)args[1], (unsigned long long)args[2],
                 (unsigned long long)args[3], ask_sandbox(&data), meant,
                 ask_notify(&data), notify_answer(row));
    }
    for (size_t i = 0; i < policy_row_count; i++) {
        if (row_fits(&policy_rows[i], number, args, SELF)) {
            assert_int_equal(sandbox_answer(&policy_rows[i], insists(args)), meant);
            assert_int_equal(notify_answer(&policy_rows[i]), notify_answer(row));
        }
    }
}

/* Whether the handler of SIGSYS makes the call or the program does. */
static void compare_both(int number, const uint64_t args[6])
{
    static const uint64_t sixth[] = {POLICY_INSISTS, POLICY_INSISTS ^ 1,
                                     HIGH | POLICY_INSISTS};
    uint64_t others[6];

    compare(number, args);
    memcpy(others, args, sizeof(others));
    for (size_t i = 0; i < array_size(sixth); i++) {
        others[5] = sixth[i];
        compare(number, others);
    }
}

struct edges {
    uint64_t values[EDGES_MAX];
    size_t count;
};

static void add_edge(struct edges *edges, uint64_t value)
{
    assert_true(edges->count < EDGES_MAX);
    edges->values[edges->count++] = value;
}

/* The values on both sides of every check that the call has on this argument. */
static void find_edges(int number, unsigned argument, struct edges *edges)
{
    static const uint64_t always[] = {
        0, 1, 2, 3, SELF, HIGH, HIGH | SELF, ~UINT64_C(0), SIGSYS};

    edges->count = 0;
    for (size_t i = 0; i < array_size(always); i++) {
        add_edge(edges, always[i]);
    }
    for (size_t i = 0; i < policy_row_count * POLICY_ARGUMENTS; i++) {
        const struct policy_row *row = &policy_rows[i / POLICY_ARGUMENTS];
        const struct policy_argument *check = &row->arguments[i % POLICY_ARGUMENTS];

        if (row->number != number || check->index != argument ||
            check->compare == POLICY_ANY) {
            continue;
        }
        bool masked = check->compare == POLICY_MASKED;
        uint64_t edge = masked ? check->masked : check->value;

        add_edge(edges, edge);
        add_edge(edges, edge - 1);
        add_edge(edges, edge + 1);
        for (unsigned bit = 0; bit < 64; bit++) {
            add_edge(edges, edge ^ (UINT64_C(1) << bit));
        }
    }
}

static bool is_checked(int number, unsigned argument)
{
    for (size_t i = 0; i < policy_row_count * POLICY_ARGUMENTS; i++) {
        const struct policy_row *row = &policy_rows[i / POLICY_ARGUMENTS];
        const struct policy_argument *check = &row->arguments[i % POLICY_ARGUMENTS];

        if (row->number == number && check->compare != POLICY_ANY &&
            check->index == argument) {
            return true;
        }
    }
    return false;
}

/* All edges of the checked arguments with one another. */
static void compare_edges(int number, const unsigned *checked, unsigned count,
                          uint64_t args[6])
{
    struct edges edges;

    if (count == 0) {
        compare_both(number, args);
        return;
    }
    find_edges(number, checked[0], &edges);
    for (size_t i = 0; i < edges.count; i++) {
        args[checked[0]] = edges.values[i];
        compare_edges(number, checked + 1, count - 1, args);
    }
}

static void test_filters_say_what_the_table_says(void **state)
{
    for (int number = 0; number < CALLS; number++) {
        unsigned checked[6], count = 0;
        uint64_t args[6] = {0, 0, 0, ~UINT64_C(0), 7, 7};

        for (unsigned argument = 0; argument < 6; argument++) {
            if (is_checked(number, argument)) {
                checked[count++] = argument;
            }
        }
        if (count == 0) { /* whatever the arguments are */
            checked[count++] = 0;
            checked[count++] = 5;
        }
        assert_true(count <= 3); /* more would take long */
        compare_edges(number, checked, count, args);
    }
}

/* ---- the table against what was meant ---- */

struct meaning {
    int number;
    uint64_t args[6];
    uint32_t sandbox;
    uint32_t notify; /* 0: allow */
};

#define ALLOWED   SECCOMP_RET_ALLOW
#define TRAPPED   SECCOMP_RET_TRAP
#define FORBIDDEN SECCOMP_RET_TRAP, SECCOMP_RET_USER_NOTIF

static const struct meaning meanings[] = {
    {SYS_write, {0, 0, 8}, ALLOWED, 0},
    {SYS_write, {0, 0, 9}, REFUSED(EBADF), 0},
    {SYS_write, {1, 0, 8}, TRAPPED, 0},
    {SYS_write, {2, 0, 1 << 20}, TRAPPED, 0},
    {SYS_write, {3, 0, 8}, REFUSED(EBADF), 0},
    {SYS_write, {~UINT64_C(0), 0, 8}, REFUSED(EBADF), 0},
    {SYS_read, {0}, TRAPPED, 0},
    {SYS_read, {1}, REFUSED(EBADF), 0},
    {SYS_read, {HIGH}, REFUSED(EBADF), 0},
    {SYS_close, {1}, REFUSED(0), 0},
    {SYS_close, {5}, REFUSED(EBADF), 0},
    {SYS_close, {HIGH}, REFUSED(EBADF), 0},
    {SYS_mmap, {0, 4096, READ_WRITE, ANONYMOUS}, ALLOWED, 0},
    {SYS_mmap, {0, 4096, READ_WRITE, ANONYMOUS | MAP_STACK}, ALLOWED, 0},
    {SYS_mmap, {0, 4096, PROT_NONE, ANONYMOUS | MAP_NORESERVE}, ALLOWED, 0},
    {SYS_mmap, {0, 4096, PROT_READ, ANONYMOUS}, REFUSED(EPERM), 0},
    {SYS_mmap, {0, 4096, READ_WRITE, MAP_SHARED | MAP_ANONYMOUS}, REFUSED(EPERM), 0},
    {SYS_mmap, {0, 4096, READ_WRITE, MAP_PRIVATE}, REFUSED(EPERM), 0},
    {SYS_mmap, {0, 4096, READ_WRITE, ANONYMOUS | MAP_HUGETLB}, REFUSED(EPERM), 0},
    {SYS_mmap, {0, 4096, READ_WRITE, ANONYMOUS | MAP_LOCKED}, REFUSED(EPERM), 0},
    {SYS_mmap, {0, 4096, READ_WRITE, ANONYMOUS | MAP_POPULATE}, REFUSED(EPERM), 0},
    {SYS_mmap, {0, 4096, READ_WRITE, ANONYMOUS | MAP_GROWSDOWN}, REFUSED(EPERM), 0},
    {SYS_mmap, {0, 4096, READ_WRITE | HIGH, ANONYMOUS}, REFUSED(EPERM), 0},
    {SYS_mmap, {0, 4096, READ_WRITE | PROT_EXEC, ANONYMOUS}, FORBIDDEN},
    {SYS_mmap, {0, 4096, PROT_EXEC | HIGH, MAP_SHARED}, FORBIDDEN},
    {SYS_mprotect, {0, 4096, READ_WRITE}, ALLOWED, 0},
    {SYS_mprotect, {0, 4096, READ_WRITE | HIGH}, REFUSED(EPERM), 0},
    {SYS_mprotect, {0, 4096, PROT_READ | PROT_EXEC}, FORBIDDEN},
    {SYS_mprotect, {0, 4096, PROT_NONE}, REFUSED(EPERM), 0},
    {SYS_mprotect, {0, 4096, PROT_READ}, REFUSED(EPERM), 0},
    {SYS_madvise, {0, 4096, MADV_DONTNEED}, ALLOWED, 0},
    {SYS_madvise, {0, 4096, MADV_WILLNEED}, REFUSED(EPERM), 0},
    {SYS_clone, {THREAD}, ALLOWED, 0},
    {SYS_clone, {THREAD | HIGH}, REFUSED(EPERM), 0},
    {SYS_clone, {THREAD | CLONE_NEWUSER}, REFUSED(EPERM), 0},
    {SYS_clone, {SIGCHLD}, REFUSED(EPERM), 0},
    {SYS_fork, {0}, REFUSED(EPERM), 0},
    {SYS_vfork, {0}, REFUSED(EPERM), 0},
    {SYS_clone3, {0}, REFUSED(ENOSYS), 0},
    {SYS_execve, {0}, FORBIDDEN},
    {SYS_futex, {0, 0}, ALLOWED, 0},
    {SYS_futex, {0, 128 | 256 | 9}, ALLOWED, 0},
    {SYS_futex, {0, 6}, REFUSED(EPERM), 0},
    {SYS_futex, {0, 128 | 11}, REFUSED(EPERM), 0},
    {SYS_futex, {0, 512}, REFUSED(EPERM), 0},
    {SYS_kill, {SELF, SIGTERM}, ALLOWED, 0},
    {SYS_kill, {SELF, SIGKILL}, REFUSED(EPERM), 0},
    {SYS_kill, {SELF, SIGKILL | HIGH}, REFUSED(EPERM), 0},
    {SYS_tgkill, {SELF, SELF, SIGKILL}, REFUSED(EPERM), 0},
    {SYS_tgkill, {SELF, SELF, SIGKILL | HIGH}, REFUSED(EPERM), 0},
    {SYS_kill, {0, SIGTERM}, REFUSED(EPERM), 0},
    {SYS_kill, {~UINT64_C(0), SIGKILL}, REFUSED(EPERM), 0},
    {SYS_kill, {SELF + 1, SIGKILL}, REFUSED(EPERM), 0},
    {SYS_kill, {POLICY_OWN_PID, SIGKILL}, REFUSED(EPERM), 0},
    {SYS_tgkill, {SELF, 1, SIGABRT}, ALLOWED, 0},
    {SYS_tgkill, {1, SELF, SIGABRT}, REFUSED(EPERM), 0},
    {SYS_tkill, {SELF, SIGABRT}, REFUSED(EPERM), 0},
    {SYS_rt_sigaction, {SIGTERM}, ALLOWED, 0},
    {SYS_rt_sigaction, {SIGSYS}, REFUSED(EINVAL), 0},
    {SYS_rt_sigaction, {SIGSTKFLT}, REFUSED(EINVAL), 0},
    {SYS_rt_sigaction, {SIGSTKFLT - 1}, ALLOWED, 0},
    {SYS_rt_sigaction, {SIGSTKFLT + 1}, ALLOWED, 0},
    {SYS_rt_sigaction, {SIGSYS - 1}, ALLOWED, 0},
    {SYS_rt_sigaction, {SIGSYS + 1}, ALLOWED, 0},
    {SYS_rt_sigaction, {64}, ALLOWED, 0},
    {SYS_prctl, {22}, REFUSED(EPERM), 0},
    {SYS_seccomp, {1}, FORBIDDEN},
    {SYS_prlimit64, {0, 0}, TRAPPED, 0},
    {SYS_prlimit64, {0, HIGH}, REFUSED(EPERM), 0},
    {SYS_prlimit64, {0, 1}, ALLOWED, 0},
    {SYS_prlimit64, {0, 7}, ALLOWED, 0},
    {SYS_prlimit64, {0, 15}, ALLOWED, 0},
    {SYS_prlimit64, {0, 16}, REFUSED(EPERM), 0},
    {SYS_rt_sigprocmask, {0}, TRAPPED, 0},
    {SYS_prlimit64, {1, 7}, REFUSED(EPERM), 0},
    {SYS_clock_gettime, {7}, ALLOWED, 0},
    {SYS_clock_gettime, {8}, REFUSED(EPERM), 0},
    {SYS_clock_gettime, {~UINT64_C(5)}, REFUSED(EPERM), 0},
    {SYS_poll, {0, 0, 10}, ALLOWED, 0},
    {SYS_poll, {0, 1, 10}, REFUSED(EPERM), 0},
    {SYS_getrandom, {0, 8, 1}, ALLOWED, 0},
    {SYS_getrandom, {0, 8, 4}, REFUSED(EPERM), 0},
    {SYS_openat, {0, 0, O_RDONLY | O_CLOEXEC}, REFUSED(ENOENT), 0},
    {SYS_openat, {0, 0, O_WRONLY | O_CREAT | O_TRUNC}, REFUSED(EROFS), 0},
    {SYS_openat, {0, 0, O_RDWR}, REFUSED(EROFS), 0},
    {SYS_openat, {0, 0, O_RDONLY | O_CREAT}, REFUSED(EROFS), 0},
    {SYS_open, {0, O_ACCMODE}, REFUSED(EROFS), 0},
    {SYS_mkdir, {0}, REFUSED(EROFS), 0},
    {SYS_newfstatat, {0, 0, 0, AT_EMPTY_PATH}, TRAPPED, 0},
    {SYS_newfstatat, {0, 0, 0, 0}, TRAPPED, 0},
    {SYS_sysinfo, {0}, TRAPPED, 0},
    {SYS_socket, {1, 1}, REFUSED(EACCES), 0},
    {SYS_ioctl, {0, 0x5412}, REFUSED(ENOTTY), 0},
    {SYS_ioctl, {0, 0x5412 | HIGH}, REFUSED(ENOTTY), 0},
    {SYS_fcntl, {1, F_GETFD}, ALLOWED, 0},
    {SYS_fcntl, {1, F_DUPFD}, REFUSED(EPERM), 0},
    {SYS_fcntl, {1, F_SETFL, O_NONBLOCK}, REFUSED(EPERM), 0},
    {SYS_ptrace, {0}, FORBIDDEN},
    {SYS_io_uring_setup, {0}, FORBIDDEN},
    {SYS_exit_group, {0}, ALLOWED, 0},
    {999, {0}, REFUSED(EPERM), 0},
    {-1, {0}, REFUSED(EPERM), 0},
};

static void test_the_table_says_what_was_meant(void **state)
{
    for (size_t i = 0; i < array_size(meanings); i++) {
        const struct meaning *meaning = &meanings[i];
        struct seccomp_data data = call(meaning->number, meaning->args);
        uint32_t notify = meaning->notify != 0 ? meaning->notify : SECCOMP_RET_ALLOW;

        if (ask_sandbox(&data) != meaning->sandbox || ask_notify(&data) != notify) {
            fail_msg("meaning %zu, call %d: sandbox 0x%x, notify 0x%x", i,
                     meaning->number, ask_sandbox(&data), ask_notify(&data));
        }
    }
}

static void test_every_signal_but_sigkill_may_be_raised(void **state)
{
    for (uint64_t signo = 0; signo <= 64; signo++) {
        const uint64_t args[6] = {SELF, signo}, thread_args[6] = {SELF, SELF, signo};
        struct seccomp_data data = call(SYS_kill, args);
        struct seccomp_data thread_data = call(SYS_tgkill, thread_args);
        uint32_t meant = signo == SIGKILL ? REFUSED(EPERM) : SECCOMP_RET_ALLOW;

        assert_int_equal(ask_sandbox(&data), meant);
        assert_int_equal(ask_sandbox(&thread_data), meant);
    }
}

static void test_foreign_abis_are_killed(void **state)
{
    const uint64_t args[6] = {0};
    struct seccomp_data data;

    for (int number = 0; number < CALLS; number++) {
        data = call(number, args);
        data.arch = AUDIT_ARCH_I386;
        assert_int_equal(ask_sandbox(&data), SECCOMP_RET_KILL_PROCESS);
        assert_int_equal(ask_notify(&data), SECCOMP_RET_KILL_PROCESS);
        data = call(number | X32, args);
        assert_int_equal(ask_sandbox(&data), SECCOMP_RET_KILL_PROCESS);
        assert_int_equal(ask_notify(&data), SECCOMP_RET_KILL_PROCESS);
    }
}

/* The child replaces the word wherever it stands: it must stand in comparisons only. */
static size_t count_own_pids(const struct policy_filter *filter)
{
    size_t count = 0;

    for (size_t i = 0; i < filter->length; i++) {
        if (filter->code[i].k == POLICY_OWN_PID) {
            assert_int_equal(filter->code[i].code, BPF_JMP | BPF_JEQ | BPF_K);
            count++;
        }
    }
    return count;
}

static void test_own_pids_stand_in_comparisons(void **state)
{
    assert_true(count_own_pids(&policy_sandbox_filter) > 0);
    assert_int_equal(count_own_pids(&policy_notify_filter), 0);
    assert_in_range(policy_sandbox_filter.length, 1, POLICY_FILTER_MAX);
}

static void test_every_row_has_a_name_and_a_reason(void **state)
{
    for (size_t i = 0; i < policy_row_count; i++) {
        const struct policy_row *row = &policy_rows[i];

        assert_true(row->why[0] != '\0' && row->group[0] != '\0');
        assert_true(row->action == POLICY_ERRNO || row->error == 0);
        assert_string_equal(policy_call_name(row->number), row->name);
    }
    assert_null(policy_call_name(999));
    assert_null(policy_call_name(-1));
}

static void test_print_lists_every_row(void **state)
{
    autobuffer struct buffer text = BUFFER_INIT(1024 * 1024);
    size_t lines = 0;

    policy_print(&text);
    assert_int_equal(buffer_error(&text), 0);
    for (size_t i = 0; i < policy_row_count; i++) {
        assert_non_null(strstr(text.data, policy_rows[i].name));
        assert_non_null(strstr(text.data, policy_rows[i].why));
    }
    for (const char *at = text.data; (at = strchr(at, '\n')) != NULL; at++) {
        lines++;
    }
    assert_int_equal(lines, policy_row_count + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_filters_say_what_the_table_says),
        cmocka_unit_test(test_the_table_says_what_was_meant),
        cmocka_unit_test(test_every_signal_but_sigkill_may_be_raised),
        cmocka_unit_test(test_foreign_abis_are_killed),
        cmocka_unit_test(test_own_pids_stand_in_comparisons),
        cmocka_unit_test(test_every_row_has_a_name_and_a_reason),
        cmocka_unit_test(test_print_lists_every_row),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
