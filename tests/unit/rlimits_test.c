/* SPDX-License-Identifier: MIT */
/*
 * The sandbox's resource limits: that what the table prints is what is set, in each way
 * to run, and that a limit that is not kept is found out. What is set stays: each
 * question is put in a process of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "worker/sandbox/rlimits.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define MEMORY_MB 100
#define SANDBOXES 5

/* From nothing, so that what is set is what the row says and no more. */
static struct sandbox_settings settings_of(enum isolation isolation)
{
    return (struct sandbox_settings){
        .isolation = isolation, .sandboxes = SANDBOXES, .memory_mb = MEMORY_MB};
}

/* ---- a kernel that keeps RLIMIT_DATA and does not mind it ---- */

static bool ignores_limits;
static char unlimited[1];

void *__real_mmap(void *address, size_t size, int protection, int flags, int fd,
                  off_t offset);
void *__wrap_mmap(void *address, size_t size, int protection, int flags, int fd,
                  off_t offset);
void *__wrap_mmap(void *address, size_t size, int protection, int flags, int fd,
                  off_t offset)
{
    return ignores_limits ? unlimited
                          : __real_mmap(address, size, protection, flags, fd, offset);
}

/* ---- asking ---- */

/* Passes where the answer is 0. */
static void ask(int (*question)(enum isolation), enum isolation isolation)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        _exit(question(isolation));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static const struct {
    const char *name;
    int resource;
} resources[] = {
    {"CPU", RLIMIT_CPU},
    {"DATA", RLIMIT_DATA},
    {"AS", RLIMIT_AS},
    {"FSIZE", RLIMIT_FSIZE},
    {"NOFILE", RLIMIT_NOFILE},
    {"NPROC", RLIMIT_NPROC},
    {"CORE", RLIMIT_CORE},
    {"STACK", RLIMIT_STACK},
    {"MEMLOCK", RLIMIT_MEMLOCK},
    {"MSGQUEUE", RLIMIT_MSGQUEUE},
    {"SIGPENDING", RLIMIT_SIGPENDING},
    {"NICE", RLIMIT_NICE},
    {"RTPRIO", RLIMIT_RTPRIO},
    {"LOCKS", RLIMIT_LOCKS},
};

static rlim_t hard_limit(int resource)
{
    struct rlimit limit = {0};

    (void)getrlimit(resource, &limit);
    return limit.rlim_max;
}

/* What a person makes of the text. */
static rlim_t read_value(const char *text)
{
    unsigned long long number, more;

    if (sscanf(text, "base + %llu memory_mb + %llu", &number, &more) == 2) {
        return MIB(number * MEMORY_MB + more);
    }
    if (sscanf(text, "base + memory_mb + %llu", &more) == 1) {
        return MIB(MEMORY_MB + more);
    }
    if (sscanf(text, "%llu x (sandboxes + %llu)", &number, &more) == 2) {
        return number * (SANDBOXES + more);
    }
    return sscanf(text, "%llu", &number) == 1 ? number : RLIM_INFINITY;
}

/* Does a row of this name say so? What was lower before stays. */
static bool table_says(const char *text, const char *name, rlim_t before, rlim_t set)
{
    char row[16], value[32] = ""; /* %24c ends no text */

    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        rlim_t said;

        line += *line == '\n';
        if (sscanf(line, "rlimit %15s %24c", row, value) != 2 || strcmp(row, name) != 0) {
            continue;
        }
        said = read_value(value);
        if (set == (said < before ? said : before)) {
            return true;
        }
    }
    return false;
}

static int table_is_true(enum isolation isolation)
{
    const struct sandbox_settings settings = settings_of(isolation);
    autobuffer struct buffer text = BUFFER_INIT(KIB(64));
    rlim_t before[array_size(resources)];
    int wrong = 0;

    rlimits_print(&text);
    for (size_t i = 0; i < array_size(resources); i++) {
        before[i] = hard_limit(resources[i].resource);
    }
    if (rlimits_set(&settings) != 0) {
        return -1;
    }
    for (size_t i = 0; i < array_size(resources); i++) {
        rlim_t set = hard_limit(resources[i].resource);

        if (!table_says(text.data, resources[i].name, before[i], set)) {
            (void)fprintf(stderr, "%s is %llu, which no row says\n", resources[i].name,
                          (unsigned long long)set);
            wrong++;
        }
    }
    return wrong;
}

static void test_table_says_what_is_set(void **state)
{
    for (enum isolation way = ISOLATION_RANGE; way <= ISOLATION_NONE; way++) {
        ask(table_is_true, way);
    }
}

/* ---- holding ---- */

/* Root may raise what it likes. */
static bool is_set(const struct sandbox_settings *settings)
{
    return rlimits_set(settings) == 0 && (geteuid() != 0 || setuid(54321) == 0);
}

static int holds_once_set(enum isolation isolation)
{
    const struct sandbox_settings settings = settings_of(isolation);

    return rlimits_hold(&settings) || !is_set(&settings) || !rlimits_hold(&settings);
}

static int memory_is_put_to_the_test(enum isolation isolation)
{
    const struct sandbox_settings settings = settings_of(isolation);

    if (!is_set(&settings)) {
        return -1;
    }
    ignores_limits = true;
    return rlimits_hold(&settings);
}

static void test_what_is_set_holds(void **state)
{
    for (enum isolation way = ISOLATION_RANGE; way <= ISOLATION_NONE; way++) {
        ask(holds_once_set, way);
    }
}

static void test_memory_beyond_is_asked_for(void **state)
{
    ask(memory_is_put_to_the_test, ISOLATION_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_says_what_is_set),
        cmocka_unit_test(test_what_is_set_holds),
        cmocka_unit_test(test_memory_beyond_is_asked_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
