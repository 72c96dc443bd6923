/* SPDX-License-Identifier: MIT */
/*
 * The table of verdicts, every row of it: names, sources, exit codes and sentences. Run
 * by ctest; trusts nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/verdict.h"

#include <signal.h>
#include <string.h>

/* The contract: what a claim may be, what only evidence or the queue says. */
/* clang-format off */
static const struct {
    const char *name;
    unsigned sources;
    int exit_code;
} rows[VERDICT_COUNT] = {
    [VERDICT_OK] = {"ok", VERDICT_FROM_CLAIM, 0},
    [VERDICT_EXIT] = {"exit", VERDICT_FROM_CLAIM, -1},
    [VERDICT_EXCEPTION] = {"exception", VERDICT_FROM_CLAIM, 1},
    [VERDICT_COMPILE_ERROR] = {"compile_error", VERDICT_FROM_CLAIM, 1},
    [VERDICT_BAD_ZIP] = {"bad_zip", VERDICT_FROM_CLAIM, 80},
    [VERDICT_NO_ENTRY] = {"no_entry", VERDICT_FROM_CLAIM, 81},
    [VERDICT_MATCH_OVER] = {"match_over", VERDICT_FROM_CLAIM, 82},
    [VERDICT_CPU_LIMIT] = {"cpu_limit", VERDICT_FROM_EVIDENCE, 83},
    [VERDICT_WALL_LIMIT] = {"wall_limit", VERDICT_FROM_EVIDENCE, 84},
    [VERDICT_MEMORY_LIMIT] = {"memory_limit", VERDICT_FROM_CLAIM | VERDICT_FROM_EVIDENCE, 85},
    [VERDICT_OUTPUT_LIMIT] = {"output_limit", VERDICT_FROM_EVIDENCE, 86},
    [VERDICT_FORBIDDEN] = {"forbidden", VERDICT_FROM_EVIDENCE, 87},
    [VERDICT_CRASHED] = {"crashed", VERDICT_FROM_EVIDENCE, 88},
    [VERDICT_VANISHED] = {"vanished", VERDICT_FROM_EVIDENCE, 89},
    [VERDICT_CANCELLED] = {"cancelled", VERDICT_FROM_QUEUE, 90},
    [VERDICT_EXPIRED] = {"expired", VERDICT_FROM_QUEUE, 91},
    [VERDICT_FAULT] = {"fault", VERDICT_FROM_QUEUE, 99},
};
/* clang-format on */

static void every_row(void **state)
{
    for (int i = VERDICT_NONE + 1; i < VERDICT_COUNT; i++) {
        const struct verdict_row *row = verdict_row((enum verdict)i);

        assert_non_null(rows[i].name);
        assert_string_equal(row->name, rows[i].name);
        assert_int_equal(row->sources, rows[i].sources);
        assert_int_equal(row->exit_code, rows[i].exit_code);
        assert_int_equal(verdict_by_name(row->name), i);
        assert_int_equal(verdict_is_claim((uint32_t)i),
                         (rows[i].sources & VERDICT_FROM_CLAIM) != 0);
    }
}

static void what_is_no_verdict(void **state)
{
    static const char *const names[] = {"", "OK", "ok ", "none", "running", "cpu"};
    static const uint32_t codes[] = {VERDICT_NONE, VERDICT_COUNT, VERDICT_COUNT + 1,
                                     0x7fffffff,   0x80000000,    UINT32_MAX};

    for (size_t i = 0; i < array_size(names); i++) {
        assert_int_equal(verdict_by_name(names[i]), VERDICT_NONE);
    }
    for (size_t i = 0; i < array_size(codes); i++) {
        assert_false(verdict_is_claim(codes[i]));
    }
}

/* Whatever is known or not, a student's sentence is whole: no placeholder is left, it
 * begins with a capital and ends with a full stop, and names no signal and no path. */
static void every_sentence(void **state)
{
    const struct verdict_facts known = {3, 5000,     10000,          256, 1024,
                                        0, "ptrace", "Report text.", ""};
    const struct verdict_facts facts[] = {known, {.report = "It is so."}};

    for (int i = VERDICT_NONE + 1; i < VERDICT_COUNT; i++) {
        for (size_t j = 0; j < array_size(facts); j++) {
            autobuffer struct buffer text = BUFFER_INIT(4096);

            verdict_sentence((enum verdict)i, &facts[j], &text);
            assert_int_equal(buffer_error(&text), 0);
            assert_null(strpbrk(text.data, "{}\n"));
            assert_null(strstr(text.data, "SIG"));
            assert_in_range(text.data[0], 'A', 'Z');
            assert_int_equal(text.data[text.size - 1], '.');
        }
    }
}

static void sentence(enum verdict verdict, const struct verdict_facts *facts,
                     const char *fragment)
{
    autobuffer struct buffer text = BUFFER_INIT(4096);

    verdict_sentence(verdict, facts, &text);
    if (strstr(text.data, fragment) == NULL) {
        fail_msg("'%s' is not in: %s", fragment, text.data);
    }
}

static void figures(void **state)
{
    const struct verdict_facts facts = {
        3, 5000, 10000, 256, 1024, 0, "ptrace", "{cpu} of {report}", ""};

    sentence(VERDICT_EXIT, &(struct verdict_facts){.exit_code = 3}, "exit(3).");
    sentence(VERDICT_EXIT, &(struct verdict_facts){.exit_code = 44, .report = "300"},
             "exit(300), which is exit code 44.");
    sentence(VERDICT_MATCH_OVER, &(struct verdict_facts){.report = ""},
             "The match is over.");
    sentence(VERDICT_MATCH_OVER, &(struct verdict_facts){.report = "all is fetched"},
             "The match is over: all is fetched.");
    sentence(VERDICT_CPU_LIMIT, &(struct verdict_facts){.where = "{cpu}.py, line 3"},
             "stopped. It was at {cpu}.py, line 3. Look");
    sentence(VERDICT_CPU_LIMIT, &facts, "5.0 s of computing time");
    sentence(VERDICT_WALL_LIMIT, &facts, "after 10.0 s");
    sentence(VERDICT_MEMORY_LIMIT, &facts, "256 MB");
    sentence(VERDICT_OUTPUT_LIMIT, &facts, "1024 KB");
    sentence(VERDICT_FORBIDDEN, &facts, "(ptrace)");
    sentence(VERDICT_FORBIDDEN, &(struct verdict_facts){0}, "(unknown)");
    sentence(VERDICT_FORBIDDEN, &(struct verdict_facts){.call = ""}, "(unknown)");
    /* A report is text, not a template. */
    sentence(VERDICT_EXCEPTION, &facts, "{cpu} of {report}");
    sentence(VERDICT_EXCEPTION, &(struct verdict_facts){.report = "Is it 'a'?"},
             "error: Is it 'a'? The last");
    sentence(VERDICT_CPU_LIMIT, &(struct verdict_facts){.cpu_ms = 999}, "999 ms");
    sentence(VERDICT_CPU_LIMIT, &(struct verdict_facts){.cpu_ms = 1990}, "1.9 s");
}

/* Of a source that cannot be read alone: any program may end its own text so. */
static void a_report_that_advises(void **state)
{
    const struct verdict_facts facts = {.report = "E: it is so. Do that."};

    sentence(VERDICT_COMPILE_ERROR, &facts,
             "Python cannot read your program: E: it is so. Do that.");
    sentence(
        VERDICT_EXCEPTION, &facts,
        "Your program stopped with an error: E: it is so. Do that. The last lines of "
        "its output show where.");
}

static void crashes(void **state)
{
    static const struct {
        int signal;
        const char *said;
    } cases[] = {
        {0, "Python itself crashed"},
        {SIGSEGV, "Python itself crashed"},
        {SIGBUS, "Python itself crashed"},
        {SIGABRT, "Python gave up"},
        {SIGFPE, "Python itself crashed"},
        {SIGILL, "Python itself crashed"},
        {SIGALRM, "an alarm"},
        {SIGPROF, "an alarm"},
        {SIGPIPE, "a signal that it sent to itself"},
        {SIGXFSZ, "a signal that it sent to itself"},
        {40, "a signal that it sent to itself"},
        {SIGTERM, "a signal that it sent to itself"},
    };

    for (size_t i = 0; i < array_size(cases); i++) {
        autobuffer struct buffer sentence = BUFFER_INIT(1024);
        const struct verdict_facts facts = {.signal = cases[i].signal};

        verdict_sentence(VERDICT_CRASHED, &facts, &sentence);
        assert_non_null(strstr(sentence.data, cases[i].said));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row),      cmocka_unit_test(what_is_no_verdict),
        cmocka_unit_test(every_sentence), cmocka_unit_test(a_report_that_advises),
        cmocka_unit_test(crashes),        cmocka_unit_test(figures),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
