/* SPDX-License-Identifier: MIT */
/*
 * The options of a pool: every row of the table within its structure, the sample file
 * back to the defaults, and what rows take. Run by ctest.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/job.h"
#include "supervisor/config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct config config, other;

/* Bytes that an option's value takes in the structure. */
static size_t room_of(const struct option_row *row)
{
    return row->type >= OPTION_TEXT ? (size_t)row->max + 1 : sizeof(int64_t);
}

static bool overlap(const struct option_row *a, const struct option_row *b)
{
    return a->offset < b->offset + room_of(b) && b->offset < a->offset + room_of(a);
}

static void every_row(void **state)
{
    for (size_t i = 0; i < config_table.count; i++) {
        const struct option_row *row = &config_table.rows[i];

        assert_true(row->offset + room_of(row) <= sizeof(struct config));
        assert_true(*row->help != '\0' && *row->section != '\0');
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(row->name, config_table.rows[j].name);
            assert_false(overlap(row, &config_table.rows[j]));
        }
    }
}

/* What the longest values are made of: "///" is the root, which is a folder that is
 * there.
 */
static const struct {
    enum option_type type;
    char fill;
    const char *end;
} longest[] = {
    {OPTION_TEXT, 'x', ""},   {OPTION_MODULES, 'x', ""},        {OPTION_PATH, '/', ""},
    {OPTION_FOLDER, '/', ""}, {OPTION_FILE, '/', "etc/passwd"},
};

static void fill_longest(const struct option_row *row, struct buffer *text)
{
    for (size_t i = 0; i < array_size(longest); i++) {
        while (longest[i].type == row->type &&
               text->size + strlen(longest[i].end) < (size_t)row->max) {
            buffer_add_char(text, longest[i].fill);
        }
        buffer_add_text(text, longest[i].type == row->type ? longest[i].end : "");
    }
}

/* The longest value of every text fits where it is kept. */
static void longest_texts(void **state)
{
    for (size_t i = 0; i < config_table.count; i++) {
        const struct option_row *row = &config_table.rows[i];
        autobuffer struct buffer why = BUFFER_INIT(32768), text = BUFFER_INIT(16384);

        fill_longest(row, &text);
        if (text.size == 0) {
            continue;
        }
        memset(&config, '#', sizeof(config));
        assert_int_equal(option_set(&config_table, &config, row->name, text.data, &why),
                         0);
        assert_int_equal(((char *)&config)[row->offset + text.size], '\0');
        assert_true(row->offset + text.size + 1 == sizeof(config) ||
                    ((char *)&config)[row->offset + text.size + 1] == '#');
        buffer_add_char(&text, 'x');
        assert_int_equal(option_set(&config_table, &config, row->name, text.data, &why),
                         -EINVAL);
    }
}

static void the_sample_reads_back_to_the_defaults(void **state)
{
    autobuffer struct buffer sample = BUFFER_INIT(65536), why = BUFFER_INIT(1024);

    memset(&config, 0, sizeof(config));
    memset(&other, 0, sizeof(other));
    option_defaults(&config_table, &config);
    option_sample(&config_table, &sample);
    assert_int_equal(option_parse(&config_table, &other, "sample", sample.data,
                                  sample.size, NULL, &why),
                     0);
    assert_memory_equal(&config, &other, sizeof(config));
}

/* What a job gets by default is within what the operator allows by default, and no
 * operator's maximum is beyond what a job may ask for. */
static void maxima_and_the_fields_of_a_job(void **state)
{
    static const struct {
        const char *option, *field;
    } rows[] = {
        {"max_cpu_ms", "cpu_ms"},
        {"max_wall_ms", "wall_ms"},
        {"max_memory_mb", "memory_mb"},
        {"max_output_kb", "output_kb"},
        {"max_recording_kb", "recording_kb"},
    };

    option_defaults(&config_table, &config);
    for (size_t i = 0; i < array_size(rows); i++) {
        const struct job_field *field = job_field_by_name(rows[i].field);
        const struct option_row *row = config_table.rows;

        while (strcmp(row->name, rows[i].option) != 0) {
            row++;
            assert_true(row < config_table.rows + config_table.count);
        }
        assert_int_equal(row->min, field->min);
        assert_int_equal(row->max, field->max);
        assert_true(strtoll(row->initial, NULL, 10) >= strtoll(field->initial, NULL, 10));
    }
}

/* clang-format off */
static const struct {
    const char *name, *value;
    const char *why; /* NULL: it is taken */
} settings[] = {
    {"workers", "2", NULL},
    {"queue", "A-z.0_9", NULL},
    {"queue", "A-z.0_9:100 b  c:1", NULL},
    {"queue", "a b c d e f g h", NULL},
    {"queue", "a b c d e f g h i", "takes at most 8 different names"},
    {"queue", "a b:2 a:3", "queue = a b:2 a:3: takes at most 8 different names of at most 64 letters, digits and _.-"},
    {"queue", "{brace}", "queue = {brace}: takes at most 8 different names"},
    {"queue", "a:0", "a weight from 1 to 100 behind a colon"},
    {"queue", "a:101", "a weight from 1 to 100 behind a colon"},
    {"queue", "a:", "a weight from 1 to 100 behind a colon"},
    {"queue", "a:1:2", "a weight from 1 to 100 behind a colon"},
    {"queue", ":3", "takes at most 8 different names"},
    {"queue", "", "takes at most 8 different names"},
    {"queue", "a:10000000000000", "a weight from 1 to 100"},
    {"runtime_dir", "relative/path", "runtime_dir = relative/path: takes an absolute path"},
    {"data_dir", "data", "data_dir = data: takes the absolute path of a folder"},
    {"data_dir", "/tmp", NULL},
    {"data_dir", "/dev/null/x", "data_dir = /dev/null/x: takes the absolute path of a folder that is there"},
    {"data_dir", "/etc/passwd", "takes the absolute path of a folder"},
    {"data_dir", "", NULL},
    {"library", "/etc/passwd", NULL},
    {"library", "/dev/null/x", "library = /dev/null/x: takes the absolute path of a file that can be read"},
    {"library", "/tmp", "takes the absolute path of a file"},
    {"library", "", NULL},
    {"cgroup", "none", NULL},
    {"cgroup", "/sys/fs/cgroup/x", NULL},
    {"cgroup", "some", "cgroup = some: takes an absolute path, or one of: auto none"},
    {"cgroup", "", "cgroup = : takes an absolute path"},
    {"redis", "", NULL},
    {"redis", "localhost", NULL},
    {"redis", "unix:/run/redis.sock", NULL},
    {"redis", "redis://me:secret@host:1/2", NULL},
    {"redis_web", "redis://me:secret@host:1/2", NULL},
    {"redis_operator", "http://x", "redis_operator: takes unix:/PATH"},
    {"redis", "http://x", "redis: takes unix:/PATH, HOST:PORT or redis://[USER:"},
    {"redis", "redis://me:secret@host:port", "redis: takes unix:/PATH"},
};
/* clang-format on */

static void every_setting(void **state)
{
    for (size_t i = 0; i < array_size(settings); i++) {
        autobuffer struct buffer why = BUFFER_INIT(1024);

        option_defaults(&config_table, &config);
        assert_int_equal(
            option_set(&config_table, &config, settings[i].name, settings[i].value, &why),
            settings[i].why == NULL ? 0 : -EINVAL);
        if (settings[i].why != NULL) {
            assert_non_null(strstr(why.data, settings[i].why));
            assert_null(strstr(why.data, "secret"));
        }
        config_complete(&config);
        assert_int_equal(config.runtime_dir[0], '/');
    }
}

static void where_the_runtime_folder_is(void **state)
{
    option_defaults(&config_table, &config);
    assert_int_equal(setenv("XDG_RUNTIME_DIR", "/run/user/7", 1), 0);
    config_complete(&config);
    assert_string_equal(config.runtime_dir, "/run/user/7/paddock");
    option_defaults(&config_table, &config);
    assert_int_equal(setenv("XDG_RUNTIME_DIR", "not/absolute", 1), 0);
    config_complete(&config);
    assert_null(strstr(config.runtime_dir, "not/absolute"));
    assert_int_equal(unsetenv("XDG_RUNTIME_DIR"), 0);
}

static void files(void **state)
{
    char path[] = "/tmp/config_test_XXXXXX";
    autoclose int copy = -1;
    int fd = mkstemp(path);
    autobuffer struct buffer why = BUFFER_INIT(8192);
    struct option_parts parts;
    static const char text[] = "[pool]\nworkers = 7\n[redis]\nmaxmemory_mb = many\n";

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(close(fd), 0);
    option_defaults(&config_table, &config);
    assert_int_equal(config_read(&config, path, -1, NULL, &parts, &why), -EINVAL);
    assert_non_null(strstr(why.data, path));
    assert_non_null(strstr(why.data, ":4: maxmemory_mb = many: takes a whole number"));
    assert_int_equal(config.workers, 7);
    assert_int_equal(config_copy(path, &copy, &why), 0);
    assert_int_equal(unlink(path), 0);
    for (int i = 0; i < 2; i++) {
        buffer_reset(&why);
        assert_int_equal(config_read(&config, path, copy, NULL, &parts, &why), -EINVAL);
        assert_non_null(strstr(why.data, path));
        assert_non_null(strstr(why.data, ":4: maxmemory_mb = many"));
    }
    buffer_reset(&why);
    assert_int_equal(config_read(&config, path, -1, NULL, &parts, &why), -EINVAL);
    assert_non_null(strstr(why.data, "No such file"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row),
        cmocka_unit_test(longest_texts),
        cmocka_unit_test(the_sample_reads_back_to_the_defaults),
        cmocka_unit_test(maxima_and_the_fields_of_a_job),
        cmocka_unit_test(every_setting),
        cmocka_unit_test(where_the_runtime_folder_is),
        cmocka_unit_test(files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
