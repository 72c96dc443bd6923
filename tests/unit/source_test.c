/* SPDX-License-Identifier: MIT */
/* Lines and indentation of sources, against what CPython's own tokenizer makes of them
 * (Language Reference, 2.1). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "importer/source.h"

#include <string.h>

/* clang-format off */
/* Per line: S begins a statement, - does not. */
static const struct {
    const char *source, *lines;
} shapes[] = {
    {"", ""},
    {"a", "S"},
    {"a\nb\n", "SS"},
    {"a\r\nb\rc\n", "SSS"},
    {"\n  \n# c\n  # c\na\n", "----S"},
    {"a = (1,\n  2)\nb\n", "S-S"},
    {"a = [\n# )\n')'\n]\nb\n", "S---S"},
    {"a = 1 + \\\n  2\nb\n", "S-S"},
    {"a = 'x\\\n  y'\nb\n", "S-S"},
    {"a = '''\n  x'\n'''\nb\n", "S--S"},
    {"a = \"\"\"\\\"\"\"\n\"\"\"\nb\n", "S-S"},
    {"a = r'\\'' # '\nb\n", "SS"},
    {"a = 'open\nb\n", "SS"},
    {"a = '''' '''\nb\n", "SS"},
    {"if a:\n\tb\n\n\tc\n", "SS-S"},
    {")\nb\n", "SS"},
    {"a = '\\", "S"},
    {"'''", "S"},
    {"\fa\n \fb\n", "SS"},
};

static const struct {
    const char *source, *expanded;
} tabs[] = {
    {"if a:\n\tb\n", "if a:\n        b\n"},
    {"if a:\n  \tb\n    \t c\n", "if a:\n        b\n         c\n"},
    {"a = 'x\ty'\n", "a = 'x\ty'\n"},
    {"a = '''\n\tx\n'''\n\tb\n", "a = '''\n\tx\n'''\n        b\n"},
    {"a = (\n\t1)\n", "a = (\n\t1)\n"},
    {"\t# c\n", "\t# c\n"},
    {" \f\ta\n", "        a\n"},
    {"a\tb", "a\tb"},
};

/* The line that CPython 3.11 names in its TabError, and the earlier one; 0: there is none. */
static const struct {
    const char *source;
    int line, earlier;
} mixed[] = {
    {"if 1:\n        a\n\tb\n", 3, 2},
    {"if 1:\n\ta\n        b\n", 3, 2},
    {"def f():\n    if 1:\n        x = '''\n\ttext\n'''\n\tprint(1)\n", 6, 3},
    {"if 1:\n    if 2:\n\ta\n", 3, 2},
    {"if 1:\n  a\nif 2:\n\tb\n", 0, 0},
    {"if 1:\n\ta\n\tif 2:\n\t  b\n\tc\n", 0, 0},
    {"if 1:\n  a\n  b\n\tc\n", 4, 3},
};

/* Errors of indentation in their last line, and the line that it is indented unlike. */
static const struct {
    const char *source;
    int line, earlier;
} uneven[] = {
    {"def f():\n\tx = 1\n    y = 2\n", 3, 2},
    {"def f():\n\tx = 1\n            y = 2\n", 3, 2},
    {"if 1:\n\tif 2:\n\t\ta\n    b\n", 4, 3},
    {"if 1:\n  if 2:\n\ta\n    b\n", 4, 3},
    {"if 1:\n \ta\n    b\n", 3, 2},
    {"if 1:\n\ta\nif 2:\n    b\n  c\n", 5, 0},
    {"if 1:\n    b\n  c\n", 3, 0},
    {"if 1:\n\ta\n\t\tb\n", 3, 0},
    {"a\n  b\n", 2, 0},
};
/* clang-format on */

static void lines_and_statements(void **state)
{
    for (size_t i = 0; i < array_size(shapes); i++) {
        struct source_walk walk = {.rest = shapes[i].source,
                                   .left = strlen(shapes[i].source)};
        struct source_line line;
        char seen[16] = "";
        size_t bytes = 0;
        int count = 0;

        while (source_next(&walk, &line)) {
            assert_int_equal(line.number, ++count);
            assert_true(line.indent <= line.size);
            seen[count - 1] = line.is_statement ? 'S' : '-';
            bytes += line.size;
        }
        assert_string_equal(seen, shapes[i].lines);
        assert_int_equal(bytes, strlen(shapes[i].source));
    }
}

/* The same lines, found without what is before them. */
static void a_line_by_its_number(void **state)
{
    for (size_t i = 0; i < array_size(shapes); i++) {
        const char *source = shapes[i].source;
        struct source_walk walk = {.rest = source, .left = strlen(source)};
        struct source_line line, found;

        while (source_next(&walk, &line)) {
            assert_true(source_find(source, strlen(source), line.number, &found));
            assert_ptr_equal(found.text, line.text);
            assert_int_equal(found.size, line.size);
        }
        assert_false(source_find(source, strlen(source), walk.number + 1, &found));
        assert_false(source_find(source, strlen(source), 0, &found));
    }
}

static void tabs_become_spaces(void **state)
{
    for (size_t i = 0; i < array_size(tabs); i++) {
        autobuffer struct buffer to = BUFFER_INIT(1024);

        source_expand_tabs(tabs[i].source, strlen(tabs[i].source), &to);
        assert_int_equal(buffer_error(&to), 0);
        assert_string_equal(to.data, tabs[i].expanded);
    }
}

static void the_two_lines_of_a_tab_error(void **state)
{
    for (size_t i = 0; i < array_size(mixed); i++) {
        struct source_line earlier = {0}, line = {0};
        bool found =
            source_find_tabs(mixed[i].source, strlen(mixed[i].source),
                             mixed[i].line != 0 ? mixed[i].line : 99, &earlier, &line);

        assert_int_equal(found, mixed[i].line != 0);
        assert_int_equal(found ? line.number : 0, mixed[i].line);
        assert_int_equal(found ? earlier.number : 0, mixed[i].earlier);
    }
}

static void indented_unlike_a_block(void **state)
{
    for (size_t i = 0; i < array_size(uneven); i++) {
        struct source_line earlier = {0}, line;
        bool found = source_find_unlike(uneven[i].source, strlen(uneven[i].source),
                                        uneven[i].line, &earlier, &line);

        assert_int_equal(found ? earlier.number : 0, uneven[i].earlier);
        assert_int_equal(line.number, uneven[i].line);
    }
}

static void more_levels_than_python_takes(void **state)
{
    autobuffer struct buffer source = BUFFER_INIT(65536);
    struct source_line earlier, line;

    for (int i = 0; i < 200; i++) {
        for (int j = 0; j < i; j++) {
            buffer_add_char(&source, ' ');
        }
        buffer_add_text(&source, "if 1:\n");
    }
    assert_false(source_find_tabs(source.data, source.size, 200, &earlier, &line));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_and_statements),
        cmocka_unit_test(a_line_by_its_number),
        cmocka_unit_test(tabs_become_spaces),
        cmocka_unit_test(the_two_lines_of_a_tab_error),
        cmocka_unit_test(indented_unlike_a_block),
        cmocka_unit_test(more_levels_than_python_takes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
