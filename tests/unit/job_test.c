/* SPDX-License-Identifier: MIT */
/*
 * The table of a job's fields, every row of it against every kind of bad value; limits;
 * and the inbox, filled and sealed under a mapping that was made before. Run by ctest;
 * trusts nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/fd.h"
#include "common/job.h"
#include "common/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

static bool takes(const struct job_field *field, const char *value, size_t size)
{
    autobuffer struct buffer why = BUFFER_INIT(1024);
    int result = job_field_check(field, value, size, &why);

    if (result == 0) {
        assert_int_equal(why.size, 0);
    } else {
        assert_int_equal(result, -EINVAL);
        assert_memory_equal(why.data, field->name, strlen(field->name));
        assert_non_null(strstr(why.data, " takes "));
        assert_int_equal(job_field_check(field, value, size, NULL), -EINVAL);
    }
    return result == 0;
}

static bool takes_number(const struct job_field *field, int64_t number)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "%lld", (long long)number);
    return takes(field, text, strlen(text));
}

static void check_number_field(const struct job_field *field)
{
    static const char *const bad[] = {
        "",    " 10", "10 ",  "+10",  "-1",
        "1e3", "x1",  "0x10", "10.0", "9999999999999999999"};

    assert_true(takes_number(field, field->min));
    assert_true(takes_number(field, field->max));
    assert_false(takes_number(field, field->max + 1));
    assert_false(takes_number(field, field->min - 1));
    assert_false(takes_number(field, INT64_MAX));
    for (size_t i = 0; i < array_size(bad); i++) {
        assert_false(takes(field, bad[i], strlen(bad[i])));
    }
    assert_false(takes(field, "100\0", 4));
}

/* `fill` in every place that the row allows, and in one more. */
static void check_length(const struct job_field *field, char fill)
{
    autofree char *bytes = malloc((size_t)field->max + 1);

    memset(bytes, fill, (size_t)field->max + 1);
    assert_true(takes(field, bytes, (size_t)field->max));
    assert_false(takes(field, bytes, (size_t)field->max + 1));
}

static void check_text_field(const struct job_field *field)
{
    assert_true(takes(field, "", 0));
    assert_false(takes(field, "a\0b", 3));
    check_length(field, 'a');
}

static void check_bytes_field(const struct job_field *field)
{
    assert_true(takes(field, "", 0));
    assert_true(takes(field, "a\0\xff", 3));
    check_length(field, '\0');
}

static int choices_of(const struct job_field *field)
{
    int count = 1;

    for (const char *at = strchr(field->choices, ' '); at != NULL;
         at = strchr(at + 1, ' ')) {
        count++;
    }
    return count;
}

static void check_choice_field(const struct job_field *field)
{
    autofree char *words = strdup(field->choices);
    char *rest = words;

    for (char *word = strsep(&rest, " "); word != NULL; word = strsep(&rest, " ")) {
        assert_true(takes(field, word, strlen(word)));
        assert_false(takes(field, word, strlen(word) - 1));
        assert_false(takes(field, word, strlen(word) + 1)); /* its NUL, too */
    }
    assert_false(takes(field, "", 0));
    assert_false(takes(field, " ", 1));
    assert_false(takes(field, field->choices, strlen(field->choices)));
}

static void check_name_field(const struct job_field *field)
{
    static const char bad[] = " /\\\"'{}*?\n\t\x7f\x80\xff";

    check_length(field, 'x');
    assert_true(takes(field, "A-z.0_9:", 8));
    assert_false(takes(field, "", 0));
    for (size_t i = 0; i < sizeof(bad); i++) { /* its NUL, too */
        assert_false(takes(field, &bad[i], 1));
    }
}

static void (*const checks[])(const struct job_field *field) = {
    [JOB_FIELD_TEXT] = check_text_field,     [JOB_FIELD_BYTES] = check_bytes_field,
    [JOB_FIELD_NUMBER] = check_number_field, [JOB_FIELD_CHOICE] = check_choice_field,
    [JOB_FIELD_NAME] = check_name_field,
};

static void every_field(void **state)
{
    for (size_t i = 0; i < job_field_count; i++) {
        const struct job_field *field = &job_fields[i];

        assert_ptr_equal(job_field_by_name(field->name), field); /* no name twice */
        assert_true(takes(field, field->initial, strlen(field->initial)));
        assert_true(*field->help != '\0' && *field->metavar != '\0');
        assert_true(field->type == JOB_FIELD_NUMBER || field->type == JOB_FIELD_CHOICE ||
                    field->offset < 0);
        checks[field->type](field);
    }
    assert_null(job_field_by_name("cpu"));
    assert_null(job_field_by_name(""));
}

/* A field that is a limit sets its own member and no other. */
static void every_limit(void **state)
{
    size_t limits = 0;

    for (size_t i = 0; i < job_field_count; i++) {
        const struct job_field *field = &job_fields[i];
        struct job_limits before = job_limits_default(), after = before;
        bool choice = field->type == JOB_FIELD_CHOICE;
        char text[32];

        (void)snprintf(text, sizeof(text), "%lld", (long long)field->max);
        if (field->offset < 0) {
            assert_int_equal(job_limits_set(&after, field->name, "nonsense"), 0);
            assert_memory_equal(&before, &after, sizeof(before));
            continue;
        }
        limits++;
        assert_int_equal(job_limits_set(&after, field->name, "nonsense"), -EINVAL);
        assert_memory_equal(&before, &after, sizeof(before));
        assert_int_equal(job_limits_set(&after, field->name,
                                        choice ? strrchr(field->choices, ' ') + 1 : text),
                         0);
        assert_int_equal(*(int64_t *)((char *)&after + field->offset),
                         choice ? choices_of(field) - 1 : field->max);
        memcpy((char *)&after + field->offset, (char *)&before + field->offset,
               sizeof(int64_t));
        assert_memory_equal(&before, &after, sizeof(before));
    }
    assert_int_equal(limits, sizeof(struct job_limits) / sizeof(int64_t));
}

static void switches(void **state)
{
    assert_true(job_field_is_switch(job_field_by_name("live_input")));
    for (size_t i = 0; i < job_field_count; i++) {
        if (job_field_is_switch(&job_fields[i])) {
            assert_string_equal(job_fields[i].initial, "0");
            assert_string_equal(job_fields[i].metavar, "[=0|1]");
        }
    }
    assert_false(job_field_is_switch(job_field_by_name("cpu_ms")));
    assert_false(job_field_is_switch(job_field_by_name("tabs")));
}

static void defaults_for_a_class(void **state)
{
    struct job_limits limits = job_limits_default();

    assert_int_equal(limits.cpu_ms, 5000);
    assert_int_equal(limits.wall_ms, 10000);
    assert_int_equal(limits.memory_mb, 256);
    assert_int_equal(limits.output_kb, 1024);
    assert_int_equal(limits.recording_kb, 2048);
    assert_int_equal(limits.trace, JOB_TRACE_OFF);
    assert_int_equal(limits.live_input, 0);
}

static void inbox_is_read_through_an_older_mapping(void **state)
{
    const struct job_part_bytes parts[JOB_PART_COUNT] = {
        [JOB_PART_ENTRY] = {"robot.py", 8}, [JOB_PART_ARGV] = {"a\nb", 3},
        [JOB_PART_STDIN] = {NULL, 0},       [JOB_PART_SOURCE] = {"zip", 3},
        [JOB_PART_HOST] = {"{}", 2},        [JOB_PART_CODE] = {"PK\0\1\2", 5},
    };
    struct job_limits limits = job_limits_default();
    const struct job_inbox *inbox;
    autoclose int fd = -1;

    assert_int_equal(job_inbox_create(&fd), 0);
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    assert_int_equal(job_inbox_map(fd, &inbox), 0);
    limits.cpu_ms = 1234;
    assert_int_equal(job_inbox_fill(fd, 7, &limits, parts), 0);
    assert_int_equal(inbox->magic, JOB_INBOX_MAGIC);
    assert_int_equal(inbox->attempt, 7);
    assert_memory_equal(&inbox->limits, &limits, sizeof(limits));
    for (int i = 0; i < JOB_PART_COUNT; i++) {
        struct job_part_bytes part = job_inbox_part(inbox, (enum job_part)i);

        assert_int_equal(part.size, parts[i].size);
        if (part.size > 0) {
            assert_memory_equal(part.bytes, parts[i].bytes, part.size);
        }
    }
    /* Sealed: nobody changes it afterwards. */
    assert_int_equal(write(fd, "x", 1), -1);
    assert_int_equal(ftruncate(fd, 0), -1);
    assert_true(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) ==
                MAP_FAILED);
    assert_true(job_inbox_fill(fd, 8, &limits, parts) < 0);
    assert_int_equal(munmap((void *)(uintptr_t)inbox, JOB_INBOX_MAX), 0);
}

static void inbox_takes_the_largest_job_and_no_larger(void **state)
{
    autofree char *code = calloc(1, LIMIT_ZIP);
    struct job_part_bytes parts[JOB_PART_COUNT] = {
        [JOB_PART_ENTRY] = {code, LIMIT_ENTRY}, [JOB_PART_ARGV] = {code, LIMIT_ARGV},
        [JOB_PART_STDIN] = {code, LIMIT_STDIN}, [JOB_PART_SOURCE] = {"zip", 3},
        [JOB_PART_HOST] = {code, LIMIT_HOST},   [JOB_PART_CODE] = {code, LIMIT_ZIP},
    };
    const struct job_limits limits = job_limits_default();
    const struct job_inbox *inbox;
    autoclose int fd = -1, other = -1;

    assert_int_equal(job_inbox_create(&fd), 0);
    assert_int_equal(job_inbox_map(fd, &inbox), 0);
    code[LIMIT_ZIP - 1] = 'z';
    assert_int_equal(job_inbox_fill(fd, 1, &limits, parts), 0);
    assert_int_equal(
        ((const char *)job_inbox_part(inbox, JOB_PART_CODE).bytes)[LIMIT_ZIP - 1], 'z');
    assert_int_equal(munmap((void *)(uintptr_t)inbox, JOB_INBOX_MAX), 0);

    assert_int_equal(job_inbox_create(&other), 0);
    parts[JOB_PART_CODE].size = LIMIT_ZIP + 14; /* its size is looked at, not its bytes */
    assert_int_equal(job_inbox_fill(other, 1, &limits, parts), -E2BIG);
    parts[JOB_PART_CODE].size = SIZE_MAX;
    assert_int_equal(job_inbox_fill(other, 1, &limits, parts), -E2BIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field),
        cmocka_unit_test(every_limit),
        cmocka_unit_test(switches),
        cmocka_unit_test(defaults_for_a_class),
        cmocka_unit_test(inbox_is_read_through_an_older_mapping),
        cmocka_unit_test(inbox_takes_the_largest_job_and_no_larger),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
