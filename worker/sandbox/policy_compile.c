/* SPDX-License-Identifier: MIT */
/*
 * policy_compile: a tool of the build. Compiles the table of policy.c with libseccomp
 * into two BPF programs and prints them as C (default) or as libseccomp's pseudo code
 * (--pfc, the golden file of the tests). Its input is our own table; where libseccomp
 * refuses a row, the build fails.
 */
#include "common/cleanup.h"
#include "worker/sandbox/policy.h"

#include <errno.h>
#include <linux/filter.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define FILTER_MAX 1024
#define API_LEVEL  6

static int fail(const char *what, const char *name, int error)
{
    (void)fprintf(stderr, "policy_compile: unable to %s %s: %s\n", what, name,
                  strerror(-error));
    return error;
}

#define CONDITIONS (POLICY_ARGUMENTS + 1)

static unsigned to_conditions(const struct policy_row *row,
                              struct scmp_arg_cmp conditions[CONDITIONS])
{
    static const enum scmp_compare compares[] = {
        [POLICY_EQUAL] = SCMP_CMP_EQ,         [POLICY_NOT_EQUAL] = SCMP_CMP_NE,
        [POLICY_AT_MOST] = SCMP_CMP_LE,       [POLICY_ABOVE] = SCMP_CMP_GT,
        [POLICY_MASKED] = SCMP_CMP_MASKED_EQ,
    };
    unsigned count = 0;

    for (size_t i = 0; i < POLICY_ARGUMENTS; i++) {
        const struct policy_argument *argument = &row->arguments[i];

        if (argument->compare != POLICY_ANY) {
            conditions[count++] = (struct scmp_arg_cmp){.arg = argument->index,
                                                        .op = compares[argument->compare],
                                                        .datum_a = argument->value,
                                                        .datum_b = argument->masked};
        }
    }
    return count;
}

/* Such rows are for readers; libseccomp takes no rule that says what the filter says
 * anyway. */
static bool is_default(const struct policy_row *row)
{
    return row->action == POLICY_ERRNO && row->error == POLICY_DEFAULT_ERRNO;
}

/* `insists`: NULL, or how the sixth argument compares to POLICY_INSISTS. */
static int add_row(scmp_filter_ctx filter, const struct policy_row *row, uint32_t action,
                   const enum scmp_compare *insists)
{
    struct scmp_arg_cmp conditions[CONDITIONS];
    unsigned count = to_conditions(row, conditions);
    int error;

    if (insists != NULL) {
        conditions[count++] =
            (struct scmp_arg_cmp){.arg = 5, .op = *insists, .datum_a = POLICY_INSISTS};
    }
    error = seccomp_rule_add_exact_array(filter, action, row->number, count, conditions);
    return error < 0 ? fail("add the row of", row->name, error) : 0;
}

static int add_forbidden(scmp_filter_ctx filter, const struct policy_row *row)
{
    static const enum scmp_compare does = SCMP_CMP_EQ, does_not = SCMP_CMP_NE;
    int error = add_row(filter, row, SCMP_ACT_TRAP, &does_not);

    return error == 0 ? add_row(filter, row, SCMP_ACT_ALLOW, &does) : error;
}

static int add_to_sandbox(scmp_filter_ctx filter, const struct policy_row *row)
{
    switch (row->action) {
    case POLICY_ERRNO:
        return is_default(row)
                   ? 0
                   : add_row(filter, row, SCMP_ACT_ERRNO((uint32_t)row->error), NULL);
    case POLICY_TRAP: return add_row(filter, row, SCMP_ACT_TRAP, NULL);
    case POLICY_FORBIDDEN: return add_forbidden(filter, row);
    case POLICY_ALLOW: break;
    }
    return add_row(filter, row, SCMP_ACT_ALLOW, NULL);
}

/* `notify`: the filter of the zygote; else that of the sandbox. */
static scmp_filter_ctx build(bool notify)
{
    scmp_filter_ctx filter =
        seccomp_init(notify ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(POLICY_DEFAULT_ERRNO));
    int error = 0;

    if (filter == NULL ||
        seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) < 0 ||
        seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2) < 0) {
        return NULL;
    }
    for (size_t i = 0; i < policy_row_count && error == 0; i++) {
        const struct policy_row *row = &policy_rows[i];

        if (!notify) {
            error = add_to_sandbox(filter, row);
        } else if (row->action == POLICY_FORBIDDEN) {
            error = add_row(filter, row, SCMP_ACT_NOTIFY, NULL);
        }
    }
    return error == 0 ? filter : NULL;
}

/* ---- printing ---- */

static int export(scmp_filter_ctx filter, struct sock_filter code[FILTER_MAX],
                  size_t *ret_length)
{
    autoclose int fd = memfd_create("filter", MFD_CLOEXEC);
    ssize_t size;
    int error;

    if (fd < 0) {
        return fail("export", "a filter", -errno);
    }
    error = seccomp_export_bpf(filter, fd);
    if (error < 0) {
        return fail("export", "a filter", error);
    }
    size = pread(fd, code, FILTER_MAX * sizeof(*code), 0);
    if (size <= 0 || (size_t)size == FILTER_MAX * sizeof(*code)) {
        return fail("export", "a filter", -EFBIG);
    }
    *ret_length = (size_t)size / sizeof(*code);
    return 0;
}

static int print_c(const char *name, scmp_filter_ctx filter)
{
    static struct sock_filter code[FILTER_MAX];
    size_t length = 0;

    if (export(filter, code, &length) < 0) {
        return 1;
    }
    (void)printf("static const struct sock_filter %s_code[] = {\n", name);
    for (size_t i = 0; i < length; i++) {
        (void)printf("    {0x%02x, %u, %u, 0x%08x},\n", code[i].code, code[i].jt,
                     code[i].jf, code[i].k);
    }
    (void)printf("};\nconst struct policy_filter policy_%s_filter = {%s_code, %zu};\n\n",
                 name, name, length);
    return 0;
}

static int print_pfc(const char *name, scmp_filter_ctx filter)
{
    (void)printf("# the %s filter\n", name);
    (void)fflush(stdout);
    return seccomp_export_pfc(filter, STDOUT_FILENO) < 0;
}

int main(int argc, char **argv)
{
    bool pfc = argc == 2 && strcmp(argv[1], "--pfc") == 0;
    scmp_filter_ctx notify, sandbox;
    int result;

    if (argc > 1 && !pfc) {
        (void)fputs("usage: policy_compile [--pfc]\n", stderr);
        return 2;
    }
    /* Asked for, so that the filter does not depend on the kernel of the machine that
     * builds. */
    if (seccomp_api_set(API_LEVEL) < 0) {
        (void)fputs("policy_compile: this libseccomp knows no notifications\n", stderr);
        return 1;
    }
    notify = build(true);
    sandbox = build(false);
    if (notify == NULL || sandbox == NULL) {
        return 1;
    }
    if (pfc) {
        return print_pfc("notify", notify) | print_pfc("sandbox", sandbox);
    }
    (void)puts("/* Made by policy_compile from policy.c; edit that. */\n"
               "#include \"worker/sandbox/policy_filters.h\"\n");
    result = print_c("notify", notify) | print_c("sandbox", sandbox);
    seccomp_release(notify);
    seccomp_release(sandbox);
    return result;
}
