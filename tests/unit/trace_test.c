/* SPDX-License-Identifier: MIT */
/*
 * What a recording means: stacks, line numbers, repeats and gaps, each as a row of
 * records and the events that come of them; and recordings that a hostile program may
 * have written, for which there are bounds. Run by ctest; trusts nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/trace.h"

#include <stdio.h>
#include <string.h>

/* ---- recordings, by a small language ----
 *
 * Words: c1 a call of function 1, m1,3 a resume 3 below its line, r u y return, unwind,
 * yield; l-2 a line; t1 a thread; R3,7 a repeat; s1:2@7,1@9 a sync of thread 1 with its
 * calls; d40 dropped; o an output; + the clock goes on by 10. What is told comes out in
 * the same words, with the line for the step: "c1.0" the call is number 0 of its stack,
 * "l12", "R3,7"; "C" and "X" are implied, "!" is a record that was refused. */

static struct wire_writer record;
static struct wire_decoded decoded;
static struct wire_reader reader;

struct story {
    struct trace *trace;
    struct buffer told;
    struct buffer why; /* of the last record */
    uint64_t count;
    uint64_t pace; /* of the next record's time */
    bool counts;   /* and tells nothing */
};

static void feed(struct story *story)
{
    reader.started = true;
    assert_int_equal(wire_decode(&reader, record.bytes, record.size, &decoded, NULL),
                     record.size);
    buffer_reset(&story->why);
    if (trace_record(story->trace, &decoded, &story->why) < 0 && !story->counts) {
        buffer_add_text(&story->told, story->told.size > 0 ? " !" : "!");
    }
}

static char letter_of(const struct trace_event *event)
{
    static const char letters[WIRE_KIND_LIMIT] = {
        [WIRE_CALL] = 'c',   [WIRE_RESUME] = 'm', [WIRE_RETURN] = 'r',
        [WIRE_UNWIND] = 'u', [WIRE_YIELD] = 'y',  [WIRE_LINE] = 'l',
        [WIRE_REPEAT] = 'R', [WIRE_SYNC] = 's',   [WIRE_DROPPED] = 'd',
        [WIRE_OUT] = 'o',    [WIRE_THREAD] = 't'};

    return event->implied ? (event->kind == WIRE_CALL ? 'C' : 'X') : letters[event->kind];
}

static void on_event(void *context, const struct trace_event *event)
{
    struct story *story = context;
    char letter = letter_of(event);

    story->count++;
    if (story->counts) {
        return;
    }
    buffer_printf(&story->told, "%s%c", story->told.size > 0 ? " " : "", letter);
    if (letter == 'c') {
        buffer_printf(&story->told, "%u.%zu", event->function, event->depth);
    } else if (letter == 'm') {
        buffer_printf(&story->told, "%u.%zu@%lld", event->function, event->depth,
                      (long long)event->line);
    } else if (letter == 'l') {
        buffer_printf(&story->told, "%lld", (long long)event->line);
    } else if (strchr("CX", letter) != NULL) {
        buffer_printf(&story->told, "%u@%lld", event->function, (long long)event->line);
    } else if (letter == 'R') {
        buffer_printf(&story->told, "%llu,%llu", (unsigned long long)event->period,
                      (unsigned long long)event->count);
    } else if (letter == 'd') {
        buffer_printf(&story->told, "%llu", (unsigned long long)event->count);
    } else if (letter == 't') {
        buffer_printf(&story->told, "%llu", (unsigned long long)event->thread);
    }
}

static void put_table(struct story *story, const char *path)
{
    wire_begin(&record, WIRE_FILE);
    wire_unsigned(&record, 0);
    wire_text(&record, path);
    feed(story);
    for (uint64_t i = 1; i <= 3; i++) {
        wire_begin(&record, WIRE_FUNCTION);
        wire_unsigned(&record, i);
        wire_unsigned(&record, 0);
        wire_unsigned(&record, 10 * i);
        wire_text(&record, i == 1 ? "one" : i == 2 ? "two" : "three");
        feed(story);
    }
}

static void begin(struct story *story, struct trace_limits limits)
{
    *story = (struct story){.told = BUFFER_INIT(MIB(64)), .why = BUFFER_INIT(1024)};
    reader = (struct wire_reader){0};
    story->trace = trace_new(limits, on_event, story);
    assert_non_null(story->trace);
    put_table(story, "/robot/a.py");
}

static void done(struct story *story)
{
    trace_free(story->trace);
    buffer_done(&story->told);
    buffer_done(&story->why);
}

static void put_timed(struct story *story, enum wire_kind kind)
{
    wire_begin(&record, kind);
    wire_unsigned(&record, story->pace);
    story->pace = 0;
}

static enum wire_kind kind_of(char letter)
{
    static const struct {
        char letter;
        enum wire_kind kind;
    } kinds[] = {{'c', WIRE_CALL},   {'m', WIRE_RESUME},  {'r', WIRE_RETURN},
                 {'u', WIRE_UNWIND}, {'y', WIRE_YIELD},   {'l', WIRE_LINE},
                 {'R', WIRE_REPEAT}, {'d', WIRE_DROPPED}, {'o', WIRE_OUT},
                 {'t', WIRE_THREAD}, {'s', WIRE_SYNC}};

    for (size_t i = 0; i < array_size(kinds); i++) {
        if (kinds[i].letter == letter) {
            return kinds[i].kind;
        }
    }
    fail_msg("no such word: %c", letter);
    return WIRE_END;
}

static long long number_in(const char **at)
{
    char *end;
    long long number = strtoll(*at, &end, 10);

    *at = *end != '\0' && *end != ' ' ? end + 1 : end;
    return number;
}

static void put_calls(const char *at)
{
    struct {
        long long function, line;
    } calls[64];
    size_t count = 0;

    while (*at != '\0' && *at != ' ') {
        calls[count].function = number_in(&at);
        calls[count++].line = number_in(&at);
    }
    wire_unsigned(&record, count);
    for (size_t i = 0; i < count; i++) {
        wire_unsigned(&record, (uint64_t)calls[i].function);
        wire_unsigned(&record, (uint64_t)calls[i].line);
    }
}

static void put_word(struct story *story, const char *word)
{
    enum wire_kind kind = kind_of(*word);
    const char *at = word + 1;

    if (kind == WIRE_THREAD) {
        wire_begin(&record, kind);
        wire_unsigned(&record, (uint64_t)number_in(&at));
    } else if (kind == WIRE_SYNC) {
        wire_begin(&record, kind);
        wire_unsigned(&record, reader.time_us + story->pace);
        wire_unsigned(&record, (uint64_t)number_in(&at));
        put_calls(at);
    } else {
        put_timed(story, kind);
    }
    if (kind == WIRE_LINE) {
        wire_signed(&record, number_in(&at));
    } else if (kind == WIRE_OUT) {
        wire_text(&record, "x");
    } else if (kind == WIRE_CALL || kind == WIRE_RESUME || kind == WIRE_DROPPED) {
        wire_unsigned(&record, (uint64_t)number_in(&at));
    }
    if (kind == WIRE_RESUME) {
        wire_signed(&record, number_in(&at));
    } else if (kind == WIRE_REPEAT) {
        wire_unsigned(&record, (uint64_t)number_in(&at));
        wire_unsigned(&record, (uint64_t)number_in(&at));
    }
    feed(story);
}

static void put(struct story *story, const char *words)
{
    for (const char *at = words; *at != '\0';) {
        if (*at == '+') {
            story->pace += 10;
        } else if (*at != ' ') {
            put_word(story, at);
        }
        at += *at == '+' || *at == ' ' ? 1 : strcspn(at, " ");
    }
}

static void forget(struct story *story)
{
    buffer_reset(&story->told);
}

/* ---- rows ---- */

static const struct row {
    const char *words, *told;
} rows[] = {
    /* stacks and lines */
    {"c1 l0 l3 r", "c1.0 l10 l13 r"},
    {"c1 l1 c2 l1 l1 r l1 r", "c1.0 l11 c2.1 l21 l22 r l12 r"},
    {"c1 c2 c3 u u", "c1.0 c2.1 c3.2 u u X1@10"},
    {"c1 l-15", "c1.0 l-5 X1@-5"},
    {"r y u l1 c1", "c1.0 X1@10"}, /* tracing began later */
    {"c9 l5", "c0.0 l5 X0@5"},     /* no such function */
    /* generators: a resumed call begins where its record says */
    {"c1 c2 l2 y m2,2 l4 r r", "c1.0 c2.1 l22 y m2.1@22 l26 r r"},
    {"c1 m2,-3 u m2,3 c3", "c1.0 m2.1@17 u m2.1@23 c3.2 X3@30 X2@23 X1@10"},
    {"c1 m9,4 l1", "c1.0 m0.1@4 l5 X0@5 X1@10"}, /* no such function */
    {"c1 m2,2 l1 y R3,4", "c1.0 m2.1@22 l23 y m2.1@22 l23 y m2.1@22 X2@22 X1@10"},
    {"m2,2147483627 r m2,2147483628 l1", "m2.0@2147483647 r ! !"},
    /* threads have stacks of their own */
    {"c1 l1 t1 c2 l1 t0 l1 t1 r t0 r", "c1.0 l11 t1 c2.0 l21 t0 l12 t1 r t0 r"},
    /* repeats: a step is a step again, not a line number */
    {"c1 l1 l1 l-1 R2,5", "c1.0 l11 l12 l11 l12 l11 l12 l11 l12 X1@12"},
    {"c1 l1 R1,3", "c1.0 l11 l12 l13 l14 X1@14"},
    {"c1 c2 l1 r R3,7 r", "c1.0 c2.1 l21 r c2.1 l21 r c2.1 l21 r c2.1 r X1@10"},
    {"c1 c2 R1,3", "c1.0 c2.1 c2.2 c2.3 c2.4 X2@20 X2@20 X2@20 X2@20 X1@10"},
    /* ... and is remembered as what it stands for */
    {"c1 l1 l2 R1,1 R2,2", "c1.0 l11 l13 l15 l17 l19 X1@19"},
    {"c1 l1 l2 o R2,2", "c1.0 l11 l13 o l14 l16 X1@16"},
    {"c1 l1 R1,0", "c1.0 l11 X1@11"},
    /* ... of what is remembered; anything else is refused */
    {"c1 l1 R3,4 l1", "c1.0 l11 ! l12 X1@12"},
    {"c1 l1 R0,4 l1", "c1.0 l11 ! l12 X1@12"},
    {"c1 l1 R3,0 l1", "c1.0 l11 ! l12 X1@12"},
    {"c1 l1 t1 t0 R1,1", "c1.0 l11 t1 t0 ! X1@11"},
    {"c1 s0:1@12 R1,1", "c1.0 s ! X1@12"},
    /* gaps: what is named again goes on, anything else ends */
    {"c1 l1 c2 s0:1@15,3@31 d90 l1 r l1", "c1.0 l11 c2.1 X2@20 s C3@31 d87 l32 r l16"
                                          " X1@16"},
    {"s1:1@15 l1", "s C1@15 l16 X1@16"},
    {"c1 s0: r", "c1.0 X1@10 s"},
    {"c1 s0:2@5", "c1.0 X1@10 s C2@5 X2@5"},
    /* of other threads nothing is known where something is missing */
    {"c1 t1 c2 s1:2@22 d2 t0 r", "c1.0 t1 c2.0 s d0 t0 r X2@22"},
    {"c1 t1 c2 s1:2@22 d3 t0 r", "c1.0 t1 c2.0 s X1@10 d1 t0 X2@22"},
    {"c1 l1 R1,5 d7 d8", "c1.0 l11 l12 l13 l14 l15 l16 d0 d1 X1@16"},
};

static void rows_of_records(void **state)
{
    for (size_t i = 0; i < array_size(rows); i++) {
        struct story story;

        begin(&story, TRACE_LIMITS_INIT);
        put(&story, rows[i].words);
        trace_end(story.trace, 0);
        if (strcmp(story.told.data, rows[i].told) != 0) {
            fail_msg("%s\n  tells   %s\n  and not %s", rows[i].words, story.told.data,
                     rows[i].told);
        }
        done(&story);
    }
}

/* However much of a repeat is told, it ends where it ends. */
static const struct limit_row {
    uint64_t repeat;
    const char *words, *told;
} limit_rows[] = {
    {0, "c1 l1 l1 l-1 R2,5", "c1.0 l11 l12 l11 R2,4 l12 X1@12"},
    {1, "c1 l1 l1 l-1 R2,6", "c1.0 l11 l12 l11 R2,6 X1@11"},
    {2, "c1 l1 l1 l-1 R2,6", "c1.0 l11 l12 l11 l12 l11 R2,4 X1@11"},
    {3, "c1 l1 l1 l-1 R2,6", "c1.0 l11 l12 l11 l12 l11 R2,4 X1@11"},
    {6, "c1 l1 l1 l-1 R2,6", "c1.0 l11 l12 l11 l12 l11 l12 l11 l12 l11 X1@11"},
    {0, "c1 l2 R1,1000000000", "c1.0 l12 R1,1000000000 X1@2000000012"},
    {0, "c1 c2 l1 r R3,7 r", "c1.0 c2.1 l21 r R3,6 c2.1 r X1@10"},
    /* begun within a call: the one below it moves on */
    {0, "c1 c2 r l1 c2 R3,9 r", "c1.0 c2.1 r l11 c2.1 R3,9 r X1@14"},
    /* deeper and back: all of it */
    {0, "c1 c2 l1 R2,4 r R1,2", "c1.0 c2.1 l21 c2.2 l21 c2.3 l21 r r r X1@10"},
    /* remembered as if it had been told */
    {0, "c1 l1 l2 R2,6 R4,4", "c1.0 l11 l13 R2,6 R4,4 X1@28"},
    {0, "c1 l1 l2 R2,7 R2,1", "c1.0 l11 l13 R2,6 l23 l25 X1@25"},
};

static void limits_of_repeats(void **state)
{
    for (size_t i = 0; i < array_size(limit_rows); i++) {
        struct story story;

        begin(&story,
              (struct trace_limits){.repeat = limit_rows[i].repeat, .total = 1 << 20});
        put(&story, limit_rows[i].words);
        trace_end(story.trace, 0);
        if (strcmp(story.told.data, limit_rows[i].told) != 0) {
            fail_msg("%s\n  tells   %s\n  and not %s", limit_rows[i].words,
                     story.told.data, limit_rows[i].told);
        }
        done(&story);
    }
}

static void calls_only(void **state)
{
    struct story story;

    begin(&story, (struct trace_limits){100, UINT64_MAX, 1000, true});
    put(&story, "c1 l1 l1 R1,50 c2 l3 r c2 R3,3 r");
    trace_end(story.trace, 0);
    assert_string_equal(story.told.data, "c1.0 c2.1 r c2.1 r c2.1 r X1@62");
    done(&story);
}

/* The innermost 64 calls are named of a deeper stack: those further out stay. */
static void a_sync_of_a_deep_stack(void **state)
{
    struct buffer words = BUFFER_INIT(KIB(4));
    struct story story;

    begin(&story, TRACE_LIMITS_INIT);
    put(&story, "c1 c2 R1,99");
    forget(&story);
    buffer_add_text(&words, "s0:");
    for (int i = 0; i < 64; i++) {
        buffer_printf(&words, "%s2@%d", i > 0 ? "," : "", 20 + i);
    }
    put(&story, words.data);
    assert_string_equal(story.told.data, "s");
    put(&story, "l1 r l1");
    assert_string_equal(story.told.data, "s l84 r l83");
    forget(&story);
    trace_end(story.trace, 0);
    assert_int_equal(story.count, 101 + 1 + 3 + 100);
    buffer_done(&words);
    done(&story);
}

/* ---- times ---- */

static uint64_t times[64];
static size_t time_count;

static void keep_time(void *context, const struct trace_event *event)
{
    if (event->kind != WIRE_SYNC && time_count < array_size(times)) {
        times[time_count++] = event->time_us;
    }
}

static void check_times(struct trace_limits limits, const char *words,
                        const uint64_t *expected, size_t count)
{
    struct story story = {.told = BUFFER_INIT(1024)};

    reader = (struct wire_reader){0};
    time_count = 0;
    story.trace = trace_new(limits, keep_time, NULL);
    put_table(&story, "a");
    put(&story, words);
    trace_end(story.trace, 0);
    assert_int_equal(time_count, count);
    assert_memory_equal(times, expected, count * sizeof(*times));
    done(&story);
}

static void times_of_repeats_are_spread(void **state)
{
    check_times(TRACE_LIMITS_INIT, "+c1 +l1 +++R1,3 +l1",
                (uint64_t[]){10, 20, 30, 40, 50, 60, 60}, 7);
    check_times((struct trace_limits){1, UINT64_MAX, 8, false}, "+c1 +l1 +++R1,3 +l1",
                (uint64_t[]){10, 20, 30, 50, 60, 60}, 6);
    check_times(TRACE_LIMITS_INIT, "+c1 +l1 +++o ++R1,2",
                (uint64_t[]){10, 20, 50, 60, 70, 70}, 6);
}

static void times_do_not_decrease(void **state)
{
    struct story story = {.told = BUFFER_INIT(1024)};

    reader = (struct wire_reader){0};
    time_count = 0;
    story.trace = trace_new(TRACE_LIMITS_INIT, keep_time, NULL);
    put_table(&story, "a");
    put(&story, "++++c1 o");
    reader.time_us = 0;
    put(&story, "s0:1@11 l1 +o +++l1");
    trace_end(story.trace, 0);
    /* outputs have times of their own */
    assert_memory_equal(times, ((uint64_t[]){40, 40, 40, 10, 40, 40}),
                        6 * sizeof(*times));
    done(&story);
}

/* ---- tables ---- */

static void tables_are_bounded(void **state)
{
    struct story story;
    char text[600];

    begin(&story, TRACE_LIMITS_INIT);
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    for (uint64_t i = 1; i <= TRACE_TABLE + 10; i++) {
        wire_begin(&record, WIRE_NAME);
        wire_unsigned(&record, i);
        wire_text(&record, text);
        feed(&story);
    }
    assert_int_equal(strlen(trace_name(story.trace, 1)), TRACE_TEXT_ONE);
    assert_string_equal(trace_name(story.trace, 0), "?");
    assert_string_equal(trace_name(story.trace, TRACE_TABLE), "?");
    assert_string_equal(trace_name(story.trace, TRACE_TABLE + 1), "?");
    assert_string_equal(trace_name(story.trace, UINT64_MAX), "?");
    assert_string_equal(trace_function(story.trace, 2).name, "two");
    assert_int_equal(trace_function(story.trace, 2).line, 20);
    assert_string_equal(trace_function(story.trace, 2).path, "/robot/a.py");
    assert_string_equal(trace_function(story.trace, 4).name, "?");
    assert_int_equal(trace_functions(story.trace), 3);
    done(&story);
}

static void numbers_out_of_turn_are_not_kept(void **state)
{
    static const uint64_t numbers[] = {0, 5, 3, WIRE_NUMBER_MAX};
    struct story story;

    begin(&story, TRACE_LIMITS_INIT);
    for (size_t i = 0; i < array_size(numbers); i++) {
        wire_begin(&record, WIRE_FUNCTION);
        wire_unsigned(&record, numbers[i]);
        wire_unsigned(&record, WIRE_NUMBER_MAX);
        wire_unsigned(&record, INT32_MAX);
        wire_text(&record, "other");
        feed(&story);
    }
    assert_int_equal(trace_functions(story.trace), 3);
    assert_string_equal(trace_function(story.trace, 3).name, "three");
    done(&story);
}

/* ---- hostile recordings ---- */

/* A sync of as many calls as one can name: what was open below these stays open. */
static void put_deep_sync(struct story *story, int thread)
{
    autobuffer struct buffer sync = BUFFER_INIT(1024);

    buffer_printf(&sync, "s%d:", thread);
    for (int i = 0; i < 64; i++) {
        buffer_printf(&sync, "%s1@10", i > 0 ? "," : "");
    }
    put(story, sync.data);
}

static void depth_is_bounded(void **state)
{
    struct story story;

    begin(&story, (struct trace_limits){0, UINT64_MAX, UINT64_MAX, true});
    story.counts = true;
    put(&story, "c1 c1 R1,99998");
    put_deep_sync(&story, 0);
    put(&story, "c1 R1,49999");
    assert_int_equal(story.count, TRACE_DEPTH + 1);
    put(&story, "l1 l1 c3 r r R1,18926"); /* of what is too deep nothing is told ... */
    assert_int_equal(story.count, TRACE_DEPTH + 1);
    put(&story, "r r r"); /* ... until it is over */
    assert_int_equal(story.count, TRACE_DEPTH + 3);
    assert_int_equal(story.why.size, 0);
    trace_end(story.trace, 0);
    assert_int_equal(story.count, 2 * TRACE_DEPTH + 1);
    done(&story);
}

/* What no program's trace holds, and what stands before it. */
static void deeper_than_can_be(void **state)
{
    static const struct {
        const char *words;
        uint64_t offset;
    } ways[] = {{"R1,99998 c1", 52}, {"R1,99999", 46}, {"R1,9007199254740991", 46}};

    for (size_t i = 0; i < array_size(ways); i++) {
        char sentence[128];
        struct story story;

        begin(&story, (struct trace_limits){0, 2 * WIRE_DEPTH_MAX, UINT64_MAX, false});
        story.counts = true;
        put(&story, "c1 c2");
        put(&story, ways[i].words);
        assert_int_equal(story.count, WIRE_DEPTH_MAX);
        (void)snprintf(sentence, sizeof(sentence),
                       "at byte %llu: more than 100000 calls within one another",
                       (unsigned long long)ways[i].offset);
        assert_string_equal(story.why.data, sentence);
        done(&story);
    }
}

/* Those of all threads together; what was open before a sync of its thread, or before a
 * gap, does not count. */
static void more_than_can_be_open(void **state)
{
    static const struct {
        const char *words, *why;
    } ways[] = {
        {"c1", "at byte 76: more than 200000 calls that are open"},
        {"s0:1@1 c1 c1", "more than 200000 calls that are open"},
        {"s0:1@1 d999999 c1 t7 c1 c1 R1,99999",
         "more than 100000 calls within one another"},
        {"s0:1@1 d999999 c1 t7 c1 c1 R1,99997 t8 c1 R1,99997", NULL},
        {"s65535: t0 c1 R1,99990", NULL},
    };

    for (size_t i = 0; i < array_size(ways); i++) {
        struct story story;

        begin(&story, TRACE_LIMITS_INIT);
        story.counts = true;
        put(&story, "t7 c1 R1,99999 t65535 c2 R1,99999 r r t0 c1 c1");
        assert_int_equal(story.why.size, 0);
        put(&story, ways[i].words);
        assert_int_equal(story.why.size > 0, ways[i].why != NULL);
        if (ways[i].why != NULL) {
            assert_non_null(strstr(story.why.data, ways[i].why));
        }
        done(&story);
    }
}

static void open_calls_are_bounded(void **state)
{
    struct story story;

    begin(&story, (struct trace_limits){0, UINT64_MAX, UINT64_MAX, true});
    story.counts = true;
    for (int i = 0; i < 12; i++) {
        char words[64];

        (void)snprintf(words, sizeof(words), "t%d c1 R1,%d", i, WIRE_DEPTH_MAX - 1);
        put(&story, words);
        put_deep_sync(&story, i);
    }
    assert_int_equal(story.count, TRACE_CALLS + 24);
    put(&story, "t11 r t0 r");
    assert_int_equal(story.count, TRACE_CALLS + 27);
    trace_end(story.trace, 0);
    assert_int_equal(story.count, 2 * TRACE_CALLS + 26);
    done(&story);
}

static void many_threads(void **state)
{
    struct story story;

    begin(&story, TRACE_LIMITS_INIT);
    put(&story, "t65535 c1 l1 c2 s65535:1@4 d10 t1 c1 t65536");
    trace_end(story.trace, 0);
    assert_string_equal(story.told.data,
                        "t65535 c1.0 l11 c2.1 X2@20 s d7 t1 c1.0 ! X1@4 X1@10");
    done(&story);
}

/* A line is an int, as CPython has it; whatever would go beyond is not told. */
static void lines_are_bounded(void **state)
{
    static const struct row bounds[] = {
        {"c1 l2147483637 l1", "c1.0 l2147483647 ! X1@2147483647"},
        {"c1 l-2147483658 l-1", "c1.0 l-2147483648 ! X1@-2147483648"},
        {"c1 l4503599627370495", "c1.0 ! X1@10"},
        {"c1 l1 R1,2147483636", "c1.0 l11 R1,2147483636 X1@2147483647"},
        {"c1 l1 R1,2147483637", "c1.0 l11 R1,2147483636 ! X1@2147483647"},
        {"c1 l-1 R1,9007199254740991", "c1.0 l9 R1,2147483657 ! X1@-2147483648"},
        {"c1 l5 l-4 R2,9007199254740991", "c1.0 l15 l11 R2,4294967264 ! X1@2147483643"},
        {"l9 l4503599627370495 R2,3", "R2,2"},
        {"c1 l5 r c1 l2147483634 R4,8", "c1.0 l15 r c1.0 l2147483644 ! X1@2147483644"},
        {"s0:1@2147483647", "s C1@2147483647 X1@2147483647"},
        {"c1 s0:1@2147483648", "c1.0 ! X1@10"},
    };

    for (size_t i = 0; i < array_size(bounds); i++) {
        struct story story;

        begin(&story, (struct trace_limits){.total = 1 << 20});
        put(&story, bounds[i].words);
        trace_end(story.trace, 0);
        assert_string_equal(story.told.data, bounds[i].told);
        done(&story);
    }
}

/* What was open before a sync has the line that it had, as far as that can be. */
static void lines_that_are_lost(void **state)
{
    static const struct trace_limits ways[] = {
        {0, UINT64_MAX, UINT64_MAX, false}, {0, 0, 1 << 20, false}, {0, 0, 0, false}};
    static const struct row after[] = {
        {"l1000 l-5 c2 r", "c2.1 r X1@10"},
        {"l600 l1000 l-5 r", "l2147483610 r"},
        {"l400 R1,1000 l1", "l2147483410 R1,1000 X1@10"},
        {"c2 l900 r l900 R4,40", "c2.1 l920 r R4,40 X1@10"},
    };

    for (size_t i = 0; i < array_size(ways) * array_size(after); i++) {
        const struct row *row = &after[i % array_size(after)];
        struct story story;

        begin(&story, ways[i / array_size(after)]);
        put(&story, "c1 l2147483000");
        for (int k = 0; k < 64; k++) {
            put(&story, "c1");
        }
        put_deep_sync(&story, 0);
        for (int k = 0; k < 64; k++) {
            put(&story, "r");
        }
        forget(&story);
        put(&story, row->words);
        trace_end(story.trace, 0);
        assert_int_equal(story.why.size, 0);
        assert_string_equal(story.told.data, row->told);
        done(&story);
    }
}

/* Of what goes deeper, or comes back, no more is told than that; but all that has been
 * told comes to its end. */
static void limits_of_depth(void **state)
{
    static const struct row deep[] = {
        {"c1 c2 l1 R2,8 l1 c3 r r", "c1.0 c2.1 l21 c2.2 l21 c2.3 l21 R2,4 c3.6 r X2@21"
                                    " X2@21 X2@21 X1@10"},
        {"c1 c2 l1 R2,8 r R1,4 l1",
         "c1.0 c2.1 l21 c2.2 l21 c2.3 l21 R2,4 r R1,2 r r l11 X1@11"},
        {"c1 l1 r c1 r R2,4 l1", "c1.0 l11 r c1.0 r R2,4"},
        {"c1 c2 R1,6 r l1 R2,8 l1",
         "c1.0 c2.1 c2.2 c2.3 R1,4 R2,4 r l22 X2@22 X2@20 X1@10"},
    };

    for (size_t i = 0; i < array_size(deep); i++) {
        struct story story;

        begin(&story, (struct trace_limits){.total = 1 << 20});
        put(&story, deep[i].words);
        trace_end(story.trace, 0);
        if (strcmp(story.told.data, deep[i].told) != 0) {
            fail_msg("%s\n  tells   %s\n  and not %s", deep[i].words, story.told.data,
                     deep[i].told);
        }
        done(&story);
    }
}

/* What may be told of repeats is used up: each is one event, and what is left of the
 * calls that were told is. */
static void endless_repeats(void **state)
{
    struct story story;

    begin(&story, (struct trace_limits){1000, 1000, 10000, false});
    put(&story, "c1 c2 l1 l-1");
    for (int i = 0; i < 1000; i++) {
        put(&story, "R2,9007199254740991 c2 R1,5000 r R1,5000 l1 l-1");
    }
    assert_true(story.count < 40000);
    forget(&story);
    put(&story, "c3 c3 R1,20000 r l1 c2 l1 r R1,1");
    assert_string_equal(story.told.data, "c3.2 c3.3 R1,20000 c2.20003 l21 r");
    done(&story);
}

/* A repeat is one event, whatever it does; what it has done is as if it had been told. */
static void brief_repeats(void **state)
{
    static const struct row brief[] = {
        {"c1 l1 l1 R1,5 l1", "c1.0 l11 l12 R1,5 l18 X1@18"},
        {"c1 c2 l1 r R3,7 l1 r l1", "c1.0 c2.1 l21 r R3,7 l11 X1@11"},
        {"c1 c2 l1 R2,5 l1 c3 r r", "c1.0 c2.1 l21 R2,5 c3.5 r X2@21 X1@10"},
        {"c1 c2 c2 r R1,2 l1", "c1.0 c2.1 c2.2 r R1,2 r r"},
        {"c1 c2 r R2,3 l1 r l1", "c1.0 c2.1 r R2,3 l11 X1@11"},
        {"l1 R1,3", "R1,3"},
    };

    for (size_t i = 0; i < array_size(brief); i++) {
        struct story story;

        begin(&story, TRACE_LIMITS_INIT);
        trace_set_brief(story.trace, true);
        put(&story, brief[i].words);
        trace_end(story.trace, 0);
        if (strcmp(story.told.data, brief[i].told) != 0) {
            fail_msg("%s\n  tells   %s\n  and not %s", brief[i].words, story.told.data,
                     brief[i].told);
        }
        done(&story);
    }
}

/* A stack of which no more is known: of a thread that has gone deeper and come back more
 * often than there is time for. Of any limits the same. */
static void more_than_can_be_followed(void **state)
{
    int before = 0;

    for (uint64_t deep = 0; deep < 2; deep++) {
        struct trace_function call;
        struct story story;
        int64_t line;
        int rounds = 0;

        begin(&story, (struct trace_limits){0, deep * 100, 1 << 20, true});
        story.counts = true;
        put(&story, "c1");
        do {
            put(&story, "c2 R1,90000 r R1,90000");
        } while (rounds++ < 1000 && trace_where(story.trace, &call, &line));
        assert_in_range(rounds, TRACE_WORK / 180000, TRACE_WORK / 170000);
        assert_true(deep == 0 || rounds == before);
        before = rounds;
        assert_int_equal(story.why.size, 0);
        done(&story);
    }
}

/* Calls above all that there is room for are counted, in whole rounds. */
static void counted_only(void **state)
{
    static const struct trace_limits ways[] = {
        {0, UINT64_MAX, UINT64_MAX, true}, {0, 0, 1 << 20, true}, {0, 0, 0, true}};

    for (size_t i = 0; i < array_size(ways); i++) {
        struct trace_function call;
        struct story story;
        int64_t line = 0;

        begin(&story, ways[i]);
        story.counts = true;
        put(&story, "c1 c1 R1,99998");
        put_deep_sync(&story, 0);
        put(&story,
            "c1 R1,49999 c3 R1,20000 c1 c1 r r c1 r R6,900 r R1,19999 r R1,18927");
        put(&story, "l5 r l7"); /* that one has a line again */
        assert_true(trace_where(story.trace, &call, &line));
        assert_int_equal(line, 17);
        assert_int_equal(story.why.size, 0);
        done(&story);
    }
}

/* What is open in the two threads, told or not: taken off one by one. */
static void drain(struct story *story, struct buffer *to)
{
    struct trace_function call;
    int64_t line;

    for (int i = 0; i < 2; i++) {
        put(story, i == 0 ? "t0" : "t1");
        while (trace_where(story->trace, &call, &line)) {
            buffer_printf(to, "%s@%lld ", call.name, (long long)line);
            put(story, "r");
        }
    }
    done(story);
}

/* Whatever is told of it. */
static void check_leaves(const char *words)
{
    static const struct trace_limits ways[] = {
        {0, 0, UINT64_MAX, false}, {0, UINT64_MAX, UINT64_MAX, false}, {0, 0, 0, false}};
    struct buffer open[array_size(ways)];

    for (size_t i = 0; i < array_size(ways); i++) {
        struct story story;

        open[i] = (struct buffer)BUFFER_INIT(MIB(1));
        begin(&story, ways[i]);
        put(&story, words);
        drain(&story, &open[i]);
        buffer_add_char(&open[i], '.');
        if (strcmp(open[i].data, open[0].data) != 0) {
            fail_msg("%s\n  leaves %s\n  or     %s", words, open[0].data, open[i].data);
        }
    }
    for (size_t i = 0; i < array_size(ways); i++) {
        buffer_done(&open[i]);
    }
}

/* Bytes from a fixed generator, most of them records of some sense. */
static void noise(void **state)
{
    static const char *const words[] = {"c1 ",    "c2 ",  "r ",    "y ",    "m3 ",
                                        "l1 ",    "l-1 ", "R1,3 ", "R2,9 ", "R3,1000 ",
                                        "R9,50 ", "t1 ",  "t0 ",   "u ",    "s0:1@3,2@4 ",
                                        "s1: ",   "d50 ", "o ",    "+",     "R255,999 "};
    uint64_t seed = 88172645463325252ull;

    for (int round = 0; round < 200; round++) {
        struct buffer text = BUFFER_INIT(KIB(64));
        struct story few, all;

        for (int i = 0; i < 200; i++) {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            buffer_add_text(&text, words[(seed >> 20) % array_size(words)]);
        }
        begin(&few, (struct trace_limits){0, UINT64_MAX, UINT64_MAX, true});
        put(&few, text.data);
        forget(&few);
        trace_end(few.trace, 0);
        begin(&all, (struct trace_limits){UINT64_MAX, UINT64_MAX, UINT64_MAX, true});
        put(&all, text.data);
        forget(&all);
        trace_end(all.trace, 0);
        if (few.told.size != all.told.size ||
            (few.told.size > 0 && strcmp(few.told.data, all.told.data) != 0)) {
            fail_msg("%s\n  ends with %s\n  or with   %s", text.data, few.told.data,
                     all.told.data);
        }
        done(&few);
        done(&all);
        check_leaves(text.data);
        buffer_done(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_records),
        cmocka_unit_test(limits_of_repeats),
        cmocka_unit_test(calls_only),
        cmocka_unit_test(a_sync_of_a_deep_stack),
        cmocka_unit_test(times_of_repeats_are_spread),
        cmocka_unit_test(times_do_not_decrease),
        cmocka_unit_test(tables_are_bounded),
        cmocka_unit_test(numbers_out_of_turn_are_not_kept),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(deeper_than_can_be),
        cmocka_unit_test(more_than_can_be_open),
        cmocka_unit_test(open_calls_are_bounded),
        cmocka_unit_test(many_threads),
        cmocka_unit_test(lines_are_bounded),
        cmocka_unit_test(lines_that_are_lost),
        cmocka_unit_test(limits_of_depth),
        cmocka_unit_test(endless_repeats),
        cmocka_unit_test(brief_repeats),
        cmocka_unit_test(more_than_can_be_followed),
        cmocka_unit_test(counted_only),
        cmocka_unit_test(noise),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
