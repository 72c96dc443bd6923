/* SPDX-License-Identifier: MIT */
/*
 * The table of verdicts and its sentences. Used by the relay, the sandbox, the command,
 * and the program that makes the Functions library's table. The report in a sentence is a
 * program's own text: cleaned by whoever passes it.
 */
#include "common/verdict.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#define ALARM         "Your program was ended by an alarm that it had set itself."
#define NEEDS_HANDLER "An alarm needs a handler, which signal.signal() sets."
#define EXIT_BEYOND                                                                      \
    "Your program ended itself with exit({report}), which is exit code {exit_code}."

#define MATCH_OVER_BY "The match is over: {report}."

enum {
    C = VERDICT_FROM_CLAIM,
    E = VERDICT_FROM_EVIDENCE,
    Q = VERDICT_FROM_QUEUE,
};

static const struct verdict_row rows[VERDICT_COUNT] = {
    [VERDICT_OK] = {"ok", C, 0, "Your program ran to its end.", ""},
    [VERDICT_EXIT] = {"exit", C, -1, "Your program ended itself with exit({exit_code}).",
                      ""},
    [VERDICT_EXCEPTION] = {"exception", C, 1,
                           "Your program stopped with an error: {report}.",
                           "The last lines of its output show where."},
    [VERDICT_COMPILE_ERROR] = {"compile_error", C, 1,
                               "Python cannot read your program: {report}.",
                               "Look at that line and the one above it."},
    [VERDICT_BAD_ZIP] = {"bad_zip", C, 80, "The ZIP cannot be used: {report}", ""},
    [VERDICT_NO_ENTRY] = {"no_entry", C, 81, "{report}", ""},
    [VERDICT_MATCH_OVER] = {"match_over", C, 82, "The match is over.", ""},
    [VERDICT_CPU_LIMIT] =
        {"cpu_limit", E, 83,
         "Your program used more than {cpu} of computing time and was stopped.",
         "Look for a loop that never ends."},
    [VERDICT_WALL_LIMIT] =
        {"wall_limit", E, 84,
         "Your program was not finished after {wall} and was stopped.",
         "Look for long sleeps, or for something that it waits for in vain."},
    [VERDICT_MEMORY_LIMIT] =
        {"memory_limit", C | E, 85,
         "Your program needed more than the {memory} of memory that it may use.",
         "Look for a list or a text that grows without end, or a function that calls "
         "itself."},
    [VERDICT_OUTPUT_LIMIT] =
        {"output_limit", E, 86,
         "Your program printed more than {output} and was stopped.",
         "Print less, or less often; all it printed before is kept."},
    [VERDICT_FORBIDDEN] =
        {"forbidden", E, 87,
         "Your program made a call that Paddock does not allow ({call}) and was "
         "stopped.",
         "Programs here cannot reach the machine that they run on."},
    [VERDICT_CRASHED] = {"crashed", E, 88,
                         "Python itself crashed while it ran your program.",
                         "Very deep recursion is the usual cause."},
    [VERDICT_VANISHED] = {"vanished", E, 89,
                          "Your program ended itself without coming to its end.",
                          "os._exit() does that: use exit() instead."},
    [VERDICT_CANCELLED] = {"cancelled", Q, 90, "The run was cancelled.", ""},
    [VERDICT_EXPIRED] = {"expired", Q, 91, "Your program waited too long for its turn.",
                         "Please try again when there is less to do."},
    [VERDICT_FAULT] =
        {"fault", Q, 99,
         "Something went wrong on our side, several times, while your program ran.",
         "This is not your program's fault: please tell whoever runs this service."},
};

const struct verdict_row *verdict_row(enum verdict verdict)
{
    return &rows[verdict];
}

enum verdict verdict_by_name(const char *name)
{
    for (int i = VERDICT_NONE + 1; i < VERDICT_COUNT; i++) {
        if (strcmp(rows[i].name, name) == 0) {
            return (enum verdict)i;
        }
    }
    return VERDICT_NONE;
}

bool verdict_is_claim(uint32_t code)
{
    return code > VERDICT_NONE && code < VERDICT_COUNT &&
           (rows[code].sources & VERDICT_FROM_CLAIM) != 0;
}

/* ---- sentences ---- */

static void add_duration(const struct verdict_facts *facts, int64_t ms, struct buffer *to)
{
    if (ms < 1000) {
        buffer_printf(to, "%lld ms", (long long)ms);
    } else {
        buffer_printf(to, "%lld.%lld s", (long long)(ms / 1000),
                      (long long)(ms % 1000 / 100));
    }
}

static void add_exit_code(const struct verdict_facts *facts, struct buffer *to)
{
    buffer_printf(to, "%d", facts->exit_code);
}

static void add_cpu(const struct verdict_facts *facts, struct buffer *to)
{
    add_duration(facts, facts->cpu_ms, to);
}

static void add_wall(const struct verdict_facts *facts, struct buffer *to)
{
    add_duration(facts, facts->wall_ms, to);
}

static void add_memory(const struct verdict_facts *facts, struct buffer *to)
{
    buffer_printf(to, "%lld MB", (long long)facts->memory_mb);
}

static void add_output(const struct verdict_facts *facts, struct buffer *to)
{
    buffer_printf(to, "%lld KB", (long long)facts->output_kb);
}

static void add_call(const struct verdict_facts *facts, struct buffer *to)
{
    buffer_add_text(to, facts->call != NULL && *facts->call != '\0' ? facts->call
                                                                    : "unknown");
}

static void add_report(const struct verdict_facts *facts, struct buffer *to)
{
    buffer_add_text(to, facts->report != NULL ? facts->report : "");
}

static const struct {
    const char *name;
    void (*add)(const struct verdict_facts *facts, struct buffer *to);
} placeholders[] = {
    {"{exit_code}", add_exit_code}, {"{cpu}", add_cpu},       {"{wall}", add_wall},
    {"{memory}", add_memory},       {"{output}", add_output}, {"{call}", add_call},
    {"{report}", add_report},
};

/* Has a sentence come to its end? */
static bool is_ended(const char *text, size_t size)
{
    return size > 0 && (text[size - 1] == '?' || text[size - 1] == '.');
}

/* Appends what the placeholder at `at` stands for; returns its length, 0 if there is
 * none. What is a whole sentence, or a question, needs no full stop. */
static size_t add_placeholder(const char *at, const struct verdict_facts *facts,
                              struct buffer *to)
{
    for (size_t i = 0; i < array_size(placeholders); i++) {
        size_t length = strlen(placeholders[i].name);

        if (strncmp(at, placeholders[i].name, length) == 0) {
            placeholders[i].add(facts, to);
            return length + (at[length] == '.' && is_ended(to->data, to->size));
        }
    }
    return 0;
}

static void fill(const char *text, const struct verdict_facts *facts, struct buffer *to)
{
    while (*text != '\0') {
        size_t length = *text == '{' ? add_placeholder(text, facts, to) : 0;

        if (length == 0) {
            buffer_add_char(to, *text);
            length = 1;
        }
        text += length;
    }
}

/* Signals that say that Python crashed, or gave up, or that a timer of the program's own
 * ran out. All others a program can have sent to itself alone. */
static const struct crash {
    int signal; /* 0: unknown */
    const char *happened, *try_this;
} crashes[] = {
    {0, NULL, NULL},
    {SIGSEGV, NULL, NULL},
    {SIGBUS, NULL, NULL},
    {SIGFPE, NULL, NULL},
    {SIGILL, NULL, NULL},
    {SIGABRT, "Python gave up while it ran your program.",
     "os.abort() does that, and so does very deep recursion."},
    {SIGALRM, ALARM, NEEDS_HANDLER},
    {SIGVTALRM, ALARM, NEEDS_HANDLER},
    {SIGPROF, ALARM, NEEDS_HANDLER},
};

static const struct crash *crash_by_signal(int number)
{
    static const struct crash sent = {
        .happened = "Your program was ended by a signal that it sent to itself.",
        .try_this = "os.kill() and signal.raise_signal() do that: use exit() instead.",
    };

    for (size_t i = 0; i < array_size(crashes); i++) {
        if (crashes[i].signal == number) {
            return &crashes[i];
        }
    }
    return &sent;
}

/* A report of a source that cannot be read may say itself what to try. */
static bool advises(enum verdict verdict, const struct verdict_facts *facts)
{
    size_t size = facts->report != NULL ? strlen(facts->report) : 0;

    return verdict == VERDICT_COMPILE_ERROR && size > 0 && facts->report[size - 1] == '.';
}

/* A report of an exit() has the number, where that is no exit code; that of a match, what
 * its simulator has to say. */
static const char *happened_of(enum verdict verdict, const struct verdict_facts *facts)
{
    bool reported = facts->report != NULL && *facts->report != '\0';

    return reported && verdict == VERDICT_EXIT         ? EXIT_BEYOND
           : reported && verdict == VERDICT_MATCH_OVER ? MATCH_OVER_BY
                                                       : verdict_row(verdict)->happened;
}

void verdict_sentence(enum verdict verdict, const struct verdict_facts *facts,
                      struct buffer *to)
{
    const struct verdict_row *row = verdict_row(verdict);
    const struct crash *crash =
        verdict == VERDICT_CRASHED ? crash_by_signal(facts->signal) : NULL;
    bool special = crash != NULL && crash->happened != NULL;
    const char *try_this = special ? crash->try_this : row->try_this;

    fill(special ? crash->happened : happened_of(verdict, facts), facts, to);
    if (facts->where != NULL && *facts->where != '\0') {
        buffer_printf(to, " It was at %s.", facts->where);
    }
    if (*try_this != '\0' && !advises(verdict, facts)) {
        buffer_add_char(to, ' ');
        fill(try_this, facts, to);
    }
}
