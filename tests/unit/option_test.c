/* SPDX-License-Identifier: MIT */
/*
 * Options: a table of the test's own is parsed, refused line by line, printed as a sample
 * and read back. Run by ctest; trusts nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/option.h"

#include <errno.h>
#include <string.h>

struct values {
    int64_t number, flag, choice, worded;
    char text[9];
    char guard[8];
    int64_t other, whole;
};

static const struct option_row options[] = {
    {"first", "number", OPTION_NUMBER, offsetof(struct values, number), -5, 100, "10",
     NULL, OPTION_AT_ONCE, OPTION_EACH, "ms",
     "A number that is described in so many words that its help needs "
     "more than one line, which is what is wanted here"},
    {"first", "flag", OPTION_FLAG, offsetof(struct values, flag), 0, 0, "yes", NULL,
     OPTION_AT_START, OPTION_EACH, "", "A flag"},
    {"first", "choice", OPTION_CHOICE, offsetof(struct values, choice), 0, 0, "green",
     "red green blue", OPTION_AT_START, OPTION_EACH, "", "A colour"},
    {"first", "worded", OPTION_NUMBER, offsetof(struct values, worded), 0, 9, "none",
     "all none", OPTION_AT_START, OPTION_EACH, "", "A number, or a word"},
    {"second", "text", OPTION_TEXT, offsetof(struct values, text), 0, 8, "a b", NULL,
     OPTION_AT_START, OPTION_EACH, "", "A text"},
    {"second", "other", OPTION_NUMBER, offsetof(struct values, other), 0, INT64_MAX, "0",
     NULL, OPTION_AT_START, OPTION_EACH, "", "Another number"},
    {"second", "whole", OPTION_NUMBER, offsetof(struct values, whole), 0, 9, "0", NULL,
     OPTION_AT_START, OPTION_WHOLE, "", "One number for all"},
};
static const struct option_table table = {options, array_size(options)};

static struct values fresh(void)
{
    struct values values;

    memset(&values, 0, sizeof(values));
    option_defaults(&table, &values);
    memset(values.guard, '#', sizeof(values.guard));
    return values;
}

static void defaults(void **state)
{
    struct values values = fresh();

    assert_int_equal(values.number, 10);
    assert_int_equal(values.flag, 1);
    assert_int_equal(values.choice, 1);
    assert_int_equal(values.worded, -2);
    assert_string_equal(values.text, "a b");
}

/* clang-format off */
static const struct {
    const char *name, *value;
    int result;
    const char *why; /* NULL: it is taken */
} settings[] = {
    {"number", "-5", 0, NULL},
    {"number", "100", 0, NULL},
    {"number", "101", -EINVAL, "number = 101: takes a whole number from -5 to 100"},
    {"number", "-6", -EINVAL, "a whole number from -5 to 100"},
    {"number", "", -EINVAL, "a whole number"},
    {"number", "5x", -EINVAL, "a whole number"},
    {"number", "5 ", -EINVAL, "a whole number"},
    {"number", "0x10", -EINVAL, "a whole number"},
    {"number", "0", 0, NULL},
    {"number", "-0", -EINVAL, "number = -0: takes a whole number from -5 to 100"},
    {"number", "-00", -EINVAL, "a whole number"},
    {"number", "99999999999999999999", -EINVAL, "a whole number"},
    {"other", "9223372036854775807", 0, NULL},
    {"other", "9223372036854775808", -EINVAL, "a whole number"},
    {"flag", "no", 0, NULL},
    {"flag", "true", -EINVAL, "yes or no"},
    {"flag", "Yes", -EINVAL, "yes or no"},
    {"flag", "", -EINVAL, "yes or no"},
    {"choice", "red", 0, NULL},
    {"choice", "blue", 0, NULL},
    {"choice", "gree", -EINVAL, "one of: red green blue"},
    {"choice", "red green", -EINVAL, "one of: red green blue"},
    {"worded", "0", 0, NULL},
    {"worded", "9", 0, NULL},
    {"worded", "all", 0, NULL},
    {"worded", "-1", -EINVAL, "worded = -1: takes a whole number from 0 to 9, or one of: all none"},
    {"worded", "al", -EINVAL, "a whole number"},
    {"worded", "", -EINVAL, "a whole number"},
    {"choice", "", -EINVAL, "one of: red green blue"},
    {"text", "", 0, NULL},
    {"text", "12345678", 0, NULL},
    {"text", "123456789", -EINVAL, "a text of at most 8 bytes"},
    {"numbr", "1", -ENOENT, "there is no option 'numbr'; did you mean 'number'?"},
    {"colour_of_it", "1", -ENOENT, "there is no option 'colour_of_it'"},
    {"", "1", -ENOENT, "there is no option ''"},
};
/* clang-format on */

static void one_by_one(void **state)
{
    for (size_t i = 0; i < array_size(settings); i++) {
        struct values before = fresh(), after = before;
        autobuffer struct buffer why = BUFFER_INIT(1024);
        int result =
            option_set(&table, &after, settings[i].name, settings[i].value, &why);

        assert_int_equal(result, settings[i].result);
        if (settings[i].why == NULL) {
            assert_int_equal(why.size, 0);
        } else {
            assert_memory_equal(&before, &after, sizeof(before));
            assert_non_null(strstr(why.data, settings[i].why));
        }
        assert_memory_equal(after.guard, before.guard, sizeof(before.guard));
    }
}

static void nearest(void **state)
{
    char monster[300];

    memset(monster, 'n', sizeof(monster) - 1);
    monster[sizeof(monster) - 1] = '\0';
    assert_string_equal(option_nearest(&table, "tex"), "text");
    assert_string_equal(option_nearest(&table, "fl4g"), "flag");
    assert_string_equal(option_nearest(&table, "othre"), "other");
    assert_null(option_nearest(&table, "something"));
    assert_null(option_nearest(&table, ""));
    assert_null(option_nearest(&table, monster));
}

static void a_file(void **state)
{
    struct values values = fresh();
    autobuffer struct buffer why = BUFFER_INIT(1024);
    static const char text[] = "# a comment\n"
                               "; another\r\n"
                               "\n"
                               "  [first]\r\n"
                               "number=7\n"
                               "\tflag \t = \t no\r\n"
                               "[second]\n"
                               "text = a=b # c\n"
                               "[first]\n"
                               "choice = blue"; /* no newline at the end */

    values.text[0] = '\0';
    assert_int_equal(
        option_parse(&table, &values, "file", text, strlen(text), NULL, &why), 0);
    assert_int_equal(why.size, 0);
    assert_int_equal(values.number, 7);
    assert_int_equal(values.flag, 0);
    assert_int_equal(values.choice, 2);
    assert_string_equal(values.text, "a=b # c");
}

/* clang-format off */
static const struct {
    const char *text;
    const char *why;
} files[] = {
    {"number = 1\n", "f.conf:1: 'number' belongs into section [first]"},
    {"\n\n[second]\nnumber = 1\n", "f.conf:4: 'number' belongs into section [first]"},
    {"[third]\n", "f.conf:1: there is no section [third]"},
    {"[]\n", "f.conf:1: there is no section []"},
    {"[\n", "f.conf:1: a section is written [NAME]"},
    {"[first\n", "f.conf:1: a section is written [NAME]"},
    {"[first] # x\n", "f.conf:1: a section is written [NAME]"},
    {"[ first ]\n", "f.conf:1: there is no section [ first ]"},
    {"[first]\nnumber\n", "f.conf:2: expected NAME = VALUE, got 'number'"},
    {"[first]\n= 5\n", "f.conf:2: there is no option ''"},
    {"[first]\nnumber = 1\nnumber = 2\n", "f.conf:3: 'number' is set twice"},
    {"[first]\nnumber = many\n", "f.conf:2: number = many: takes a whole number from -5 to 100"},
    {"[first]\nnumber =\n", "f.conf:2: number = : takes a whole number"},
    {"[first]\nflag = 1\n", "f.conf:2: flag = 1: takes yes or no"},
    {"[first]\nchoice = pink\n", "f.conf:2: choice = pink: takes one of: red green blue"},
    {"[second]\ntext = 123456789\n", "f.conf:2: text = 123456789: takes a text of at most 8"},
    {"[first]\nnumbre = 1\n", "f.conf:2: there is no option 'numbre'; did you mean 'number'?"},
    {"[first]\nNumber = 1\n", "there is no option 'Number'; did you mean 'number'?"},
    {"[first]\r\nnumber = 1\r\n\r\nwhat\r\n", "f.conf:4: expected NAME = VALUE, got 'what'"},
};
/* clang-format on */

static void bad_files(void **state)
{
    for (size_t i = 0; i < array_size(files); i++) {
        struct values values = fresh();
        autobuffer struct buffer why = BUFFER_INIT(1024);

        assert_int_equal(option_parse(&table, &values, "f.conf", files[i].text,
                                      strlen(files[i].text), NULL, &why),
                         -EINVAL);
        if (strstr(why.data, files[i].why) == NULL) {
            fail_msg("'%s' is not in: %s", files[i].why, why.data);
        }
    }
}

static void bytes_of_editors(void **state)
{
    static const char marked[] = "\xEF\xBB\xBF[first]\nnumber = 7\n";
    static const char late[] = "[first]\n\xEF\xBB\xBFnumber = 7\n";
    static const char cut[] = "[first]\nnumber = 7\0\nflag = what\n";
    struct values values = fresh();
    autobuffer struct buffer why = BUFFER_INIT(1024);

    assert_int_equal(
        option_parse(&table, &values, "f", marked, sizeof(marked) - 1, NULL, &why), 0);
    assert_int_equal(values.number, 7);
    assert_int_equal(option_parse(&table, &values, "f", marked, 3, NULL, &why), 0);
    assert_int_equal(option_parse(&table, &values, "f", marked, 2, NULL, &why), -EINVAL);
    buffer_reset(&why);
    assert_int_equal(
        option_parse(&table, &values, "f", late, sizeof(late) - 1, NULL, &why), -EINVAL);
    assert_memory_equal(why.data, "f:2: there is no option", 23);
    buffer_reset(&why);
    assert_int_equal(option_parse(&table, &values, "f", cut, sizeof(cut) - 1, NULL, &why),
                     -EINVAL);
    assert_string_equal(why.data, "f:2: a NUL byte has no place in this file");
}

/* The first error ends it: what stands before it is set, what stands behind is not. */
static void stops_at_the_first_error(void **state)
{
    struct values values = fresh();
    autobuffer struct buffer why = BUFFER_INIT(1024);

    static const char text[] = "[first]\nnumber = 7\nwhat\nflag = no\n";

    assert_int_equal(option_parse(&table, &values, "f", text, strlen(text), NULL, &why),
                     -EINVAL);
    assert_int_equal(values.number, 7);
    assert_int_equal(values.flag, 1);
    assert_null(strchr(why.data, '\n'));
}

static const char parted[] = "[part b]\nnumber = 1\ntext = bb\n[first]\nnumber = 2\n"
                             "[part a-1]\nflag = no\n\n[second]\nother = 3\n[ part c]\n";

/* A part's options go over the rest, wherever it stands, for itself alone. */
static void parts(void **state)
{
    static const struct {
        const char *wanted;
        int64_t number, flag;
        const char *text;
    } rows[] = {{NULL, 2, 1, "a b"}, {"b", 1, 1, "bb"}, {"a-1", 2, 0, "a b"}};
    autobuffer struct buffer why = BUFFER_INIT(1024);

    for (size_t i = 0; i < array_size(rows); i++) {
        struct option_parts found = {
            .kind = "part", .taken = "a-12 bb", .wanted = rows[i].wanted};
        struct values values = fresh();

        assert_int_equal(
            option_parse(&table, &values, "f", parted, strlen(parted) - 10, &found, &why),
            0);
        assert_int_equal(values.number, rows[i].number);
        assert_int_equal(values.flag, rows[i].flag);
        assert_int_equal(values.other, 3);
        assert_string_equal(values.text, rows[i].text);
        assert_int_equal(found.count, 2);
        assert_string_equal(found.names[0], "b");
        assert_string_equal(found.names[1], "a-1");
    }
}

static void parts_that_are_none(void **state)
{
    static const struct {
        const char *text, *why;
    } rows[] = {
        {parted, "f:11: there is no section [ part c]"},
        {"[part a]\n[part a]\n", "f:2: section [part a] is there twice"},
        {"[part a.b]\n", "f:1: [part a.b]: a part has a name of at most 32 letters"},
        {"[part ]\n", "f:1: [part ]: a part has a name"},
        {"[part a]\n[part lock]\n", "f:2: [part lock]: no part can have this name"},
        {"[part pool]\n", "f:1: [part pool]: no part can have this name"},
        {"[part 012345678901234567890123456789012]\n", "a part has a name"},
        {"[part a]\nnumber = 1\nnumber = 1\n", "f:3: 'number' is set twice"},
        {"[first]\nnumber = 1\n[part a]\nnumber = 1\n[first]\nnumber = 1\n",
         "f:6: 'number' is set twice"},
        {"[part a]\nwhole = 1\n", "f:2: 'whole' is the whole file's: it belongs into"},
        {"[part a]\nnumbr = 1\n", "f:2: there is no option 'numbr'; did you mean"},
        {"[part b]\n[part a]\nnumber = x\n", "f:3: number = x: takes"},
    };

    for (size_t i = 0; i < array_size(rows); i++) {
        autobuffer struct buffer why = BUFFER_INIT(1024);
        struct option_parts found = {.kind = "part", .taken = "lock pool", .wanted = "a"};
        struct values values = fresh();

        assert_int_equal(option_parse(&table, &values, "f", rows[i].text,
                                      strlen(rows[i].text), &found, &why),
                         -EINVAL);
        assert_non_null(strstr(why.data, rows[i].why));
    }
}

static void so_many_parts(void **state)
{
    struct option_parts found = {.kind = "part"};
    autobuffer struct buffer text = BUFFER_INIT(4096), why = BUFFER_INIT(1024);
    struct values values = fresh();

    for (int i = 0; i < LIMIT_POOLS; i++) {
        buffer_printf(&text, "[part p%d]\n", i);
    }
    assert_int_equal(
        option_parse(&table, &values, "f", text.data, text.size, &found, &why), 0);
    assert_int_equal(found.count, LIMIT_POOLS);
    buffer_add_text(&text, "[part more]\n");
    assert_int_equal(
        option_parse(&table, &values, "f", text.data, text.size, &found, &why), -EINVAL);
    assert_non_null(strstr(why.data, "f:17: more than 16 sections [part NAME]"));
    buffer_reset(&why);
    assert_int_equal(option_parse(&table, &values, "f", text.data, text.size, NULL, &why),
                     -EINVAL);
    assert_non_null(strstr(why.data, "f:1: there is no section [part p0]"));
}

/* In a buffer as its callers have one. */
static void what_is_long_is_told_short(void **state)
{
    static const struct {
        const char *before, *after, *begins, *ends;
    } lines[] = {
        {"number = ", "", "f:2: number = 111",
         "11...: takes a whole number from -5 to 100"},
        {"", " = 1", "f:2: there is no option '111", "11...'"},
        {"", "", "f:2: expected NAME = VALUE, got '111", "11...'"},
        {"[", "]", "f:2: there is no section [111", "11...]"},
        {"[part ", "]", "f:2: [part 111", "11...]: a part has a name of at most"},
    };

    for (size_t i = 0; i < array_size(lines); i++) {
        struct option_parts parts = {.kind = "part"};
        struct values values = fresh();
        autobuffer struct buffer text = BUFFER_INIT(8192), why = BUFFER_INIT(4096);

        buffer_printf(&text, "[first]\n%s", lines[i].before);
        for (int k = 0; k < 5000; k++) {
            buffer_add_char(&text, '1');
        }
        buffer_add_text(&text, lines[i].after);
        assert_int_equal(
            option_parse(&table, &values, "f", text.data, text.size, &parts, &why),
            -EINVAL);
        assert_memory_equal(why.data, lines[i].begins, strlen(lines[i].begins));
        assert_non_null(strstr(why.data, lines[i].ends));
        assert_true(why.size < 1200);
    }
}

static void the_sample_reads_back_to_the_defaults(void **state)
{
    struct values expected = fresh(), values = expected;
    autobuffer struct buffer sample = BUFFER_INIT(16384), why = BUFFER_INIT(1024);

    values.number = values.flag = values.choice = 0;
    values.text[0] = '\0';
    option_sample(&table, &sample);
    assert_int_equal(buffer_error(&sample), 0);
    assert_int_equal(
        option_parse(&table, &values, "sample", sample.data, sample.size, NULL, &why), 0);
    assert_memory_equal(&values, &expected, sizeof(values));
    for (size_t i = 0; i < table.count; i++) {
        assert_non_null(strstr(sample.data, options[i].name));
    }
}

/* Every option with its range and its unit; no line wider than a terminal. */
static void help(void **state)
{
    autobuffer struct buffer text = BUFFER_INIT(16384);

    option_help(&table, &text);
    assert_int_equal(buffer_error(&text), 0);
    assert_non_null(strstr(text.data, "  --number=VALUE\n"));
    assert_non_null(strstr(text.data, "(ms)"));
    assert_non_null(strstr(text.data, "reloads"));
    assert_non_null(strstr(text.data, "one of: red green blue; default: green\n"));
    for (char *line = text.data; *line != '\0'; line += strcspn(line, "\n") + 1) {
        assert_true(strcspn(line, "\n") <= 90);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(one_by_one),
        cmocka_unit_test(nearest),
        cmocka_unit_test(a_file),
        cmocka_unit_test(bad_files),
        cmocka_unit_test(bytes_of_editors),
        cmocka_unit_test(stops_at_the_first_error),
        cmocka_unit_test(parts),
        cmocka_unit_test(parts_that_are_none),
        cmocka_unit_test(so_many_parts),
        cmocka_unit_test(what_is_long_is_told_short),
        cmocka_unit_test(the_sample_reads_back_to_the_defaults),
        cmocka_unit_test(help),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
