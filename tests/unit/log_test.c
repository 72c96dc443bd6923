/* SPDX-License-Identifier: MIT */
/*
 * The log: what a line makes of a text that somebody else chose. Standard error is a pipe
 * here. Run by ctest.
 */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "common/log.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Standard error, and what it was before. */
static int ends[2], kept;

static void open_log(enum log_format format)
{
    kept = dup(STDERR_FILENO);
    assert_true(kept >= 0 && pipe(ends) == 0 && dup2(ends[1], STDERR_FILENO) >= 0);
    log_open("test", (struct log_manner){LOG_INFO, format, ""});
}

static void close_log(void)
{
    assert_true(dup2(kept, STDERR_FILENO) >= 0);
    close_fd(&ends[0]);
    close_fd(&ends[1]);
    close_fd(&kept);
}

/* What is written for a text, from the beginning of its message on. */
static const char *written(enum log_format format, const char *text)
{
    static char line[16 * LIMIT_LOG_LINE];
    ssize_t size;

    open_log(format);
    log_info("%s", text);
    size = read(ends[0], line, sizeof(line) - 1);
    close_log();
    assert_true(size > 1 && line[size - 1] == '\n');
    line[size - 1] = '\0';
    return format == LOG_TEXT ? strchr(line, ']') + 2 : strstr(line, "\"message\":") + 10;
}

/* clang-format off */
static const struct {
    const char *text, *line, *json;
} rows[] = {
    {"plain", "plain", "\"plain\"}"},
    {"two\nlines\tand \\n", "two\\nlines\\tand \\n", "\"two\\nlines\\tand \\\\n\"}"},
    {"\x1b[31mred\x7f\r", "\\x1b[31mred\\x7f\\x0d", "\"\\u001b[31mred\\u007f\\r\"}"},
    {"caf\xc3\xa9 \xf0\x9f\xa4\x96", "caf\xc3\xa9 \xf0\x9f\xa4\x96", "\"caf\xc3\xa9 \xf0\x9f\xa4\x96\"}"},
    {"a\xff\xe2\x82z", "a\\xff\\xe2\\x82z", "\"a\xef\xbf\xbd\xef\xbf\xbdz\"}"},
    {"tenant=a: wall_ms=5: b=6", "tenant=a: wall_ms=5: b=6", "\"tenant=a: wall_ms=5: b=6\",\"tenant\":\"a:\",\"wall_ms\":5}"},
    {"tenant=a:: b c=6", "tenant=a:: b c=6", "\"tenant=a:: b c=6\",\"tenant\":\"a:\"}"},
    {"job=a: b=6", "job=a: b=6", "\"job=a: b=6\",\"job\":\"a\"}"},
    /* what moves others: U+0085, U+202E, U+2066 */
    {"a\xc2\x85\xe2\x80\xae\xe2\x81\xa6", "a\\u0085\\u202e\\u2066", "\"a\\u0085\\u202e\\u2066\"}"},
    /* what nobody sees: U+200B, U+200E, U+200F, U+061C, U+FEFF, U+00AD, U+E0041 */
    {"a\xe2\x80\x8b\xe2\x80\x8e\xe2\x80\x8f\xd8\x9c\xef\xbb\xbf\xc2\xad\xf3\xa0\x81\x81",
     "a\\u200b\\u200e\\u200f\\u061c\\ufeff\\u00ad\\ue0041",
     "\"a\\\\u200b\\\\u200e\\\\u200f\\\\u061c\\\\ufeff\\\\u00ad\\\\ue0041\"}"},
    /* U+3164, U+FE0F, U+E01EF, U+1D173 */
    {"a\xe3\x85\xa4\xef\xb8\x8f\xf3\xa0\x87\xaf\xf0\x9d\x85\xb3", "a\\u3164\\ufe0f\\ue01ef\\u1d173",
     "\"a\\\\u3164\\\\ufe0f\\\\ue01ef\\\\u1d173\"}"},
};
/* clang-format on */

static void what_others_chose_is_seen_as_what_it_is(void **state)
{
    for (size_t i = 0; i < array_size(rows); i++) {
        assert_string_equal(written(LOG_TEXT, rows[i].text), rows[i].line);
        assert_string_equal(written(LOG_JSON, rows[i].text), rows[i].json);
    }
}

/* Also where every byte is one that is escaped. */
static void a_long_line_is_cut_between_characters(void **state)
{
    char text[3 * LIMIT_LOG_LINE + 1];
    const char *line;

    for (size_t i = 0; i + 3 < sizeof(text); i += 3) {
        memcpy(text + i, "\xe2\x82\xac", 3);
    }
    text[sizeof(text) - 1] = '\0';
    line = written(LOG_TEXT, text);
    assert_int_equal(strlen(line), (LIMIT_LOG_LINE - 1) / 3 * 3);
    assert_null(strchr(line, '\\'));
    memset(text, 1, sizeof(text) - 1);
    for (int format = LOG_TEXT; format <= LOG_JSON; format++) {
        assert_in_range(strlen(written(format, text)), PIPE_BUF / 2, PIPE_BUF);
    }
}

/* Who reads nothing is not waited for, and learns how much it has missed. */
static void nobody_waits_for_who_reads_it(void **state)
{
    static char read_at_last[1 << 20];
    char text[LIMIT_LOG_LINE / 2];
    const char *last;
    ssize_t size;

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    open_log(LOG_TEXT);
    for (int i = 0; i < 1000; i++) {
        log_info("%s", text);
    }
    size = read(ends[0], read_at_last, sizeof(read_at_last) - 1);
    log_info("and then");
    assert_true(size > 0 && size < 1000 * (ssize_t)strlen(text));
    read_at_last[size] = '\0';
    assert_null(strstr(read_at_last, "lost"));
    size = read(ends[0], read_at_last, sizeof(read_at_last) - 1);
    assert_true(size > 0);
    read_at_last[size] = '\0';
    last = strstr(read_at_last, " lines of the log are lost: nobody has read it\n");
    assert_non_null(last);
    assert_non_null(strstr(last, "] and then\n"));
    close_log();
}

/* Also where it is escaped, and there is a page of the pipe left. */
static void no_line_is_longer_than_a_pipe_takes(void **state)
{
    static char page[PIPE_BUF], all[1 << 20];
    const enum log_format formats[] = {LOG_TEXT, LOG_JSON};
    char text[LIMIT_LOG_LINE];

    for (size_t i = 0; i < sizeof(text) - 1; i++) {
        text[i] = i % 2 == 0 ? '\xc2' : '\xad';
    }
    text[sizeof(text) - 2] = text[sizeof(text) - 1] = '\0';
    for (size_t format = 0; format < array_size(formats); format++) {
        ssize_t size, filled = 0;
        char *line;

        open_log(formats[format]);
        while (filled < 15 * (ssize_t)sizeof(page)) {
            filled += write(STDERR_FILENO, page, sizeof(page));
        }
        (void)alarm(60); /* it is not waited for */
        log_info("job=a %s", text);
        (void)alarm(0);
        size = read(ends[0], all, sizeof(all) - 1);
        line = all + filled;
        assert_in_range(size - filled, PIPE_BUF / 2, PIPE_BUF);
        all[size] = '\0';
        assert_non_null(strstr(line, "job=a \\"));
        assert_string_equal(all + size - 2, formats[format] == LOG_JSON ? "}\n" : "d\n");
        close_log();
    }
}

/* Who has missed lines is told so first: that may take all the room that there is. */
static void what_is_lost_is_told_where_there_is_room(void **state)
{
    static char page[PIPE_BUF], all[1 << 20];
    char text[1008]; /* nearly PIPE_BUF, escaped */

    memset(text, 1, sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    open_log(LOG_TEXT);
    for (int i = 0; i < 16; i++) {
        assert_int_equal(write(STDERR_FILENO, page, sizeof(page)), sizeof(page));
    }
    log_info("one");
    assert_int_equal(read(ends[0], page, sizeof(page)), sizeof(page));
    (void)alarm(60); /* it is not waited for */
    log_info("%s", text);
    (void)alarm(0);
    assert_true(read(ends[0], all, sizeof(all) - 1) > 0);
    log_info("two");
    all[read(ends[0], all, sizeof(all) - 1)] = '\0';
    assert_non_null(strstr(all, "1 lines of the log are lost"));
    assert_non_null(strstr(all, "] two\n"));
    close_log();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_others_chose_is_seen_as_what_it_is),
        cmocka_unit_test(nobody_waits_for_who_reads_it),
        cmocka_unit_test(no_line_is_longer_than_a_pipe_takes),
        cmocka_unit_test(what_is_lost_is_told_where_there_is_room),
        cmocka_unit_test(a_long_line_is_cut_between_characters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
