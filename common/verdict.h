/* SPDX-License-Identifier: MIT */
/*
 * How a job can end. One table (verdict.c) holds for each verdict its wire name, who may
 * say so, the exit code of `paddock run`, what happened and what to try; the Functions
 * library and docs/PROTOCOL.md are made from it.
 *
 * A claim is the program's own word (any of the closed set VERDICT_FROM_CLAIM), evidence
 * is what the zygote and the relay saw, queue verdicts are given by the Functions
 * library.
 */
#pragma once

#include "common/buffer.h"

#include <stdbool.h>
#include <stdint.h>

enum verdict {
    VERDICT_NONE, /* not decided yet; never on the wire */
    VERDICT_OK,
    VERDICT_EXIT,
    VERDICT_EXCEPTION,
    VERDICT_COMPILE_ERROR,
    VERDICT_BAD_ZIP,
    VERDICT_NO_ENTRY,
    VERDICT_MATCH_OVER,
    VERDICT_CPU_LIMIT,
    VERDICT_WALL_LIMIT,
    VERDICT_MEMORY_LIMIT,
    VERDICT_OUTPUT_LIMIT,
    VERDICT_FORBIDDEN,
    VERDICT_CRASHED,
    VERDICT_VANISHED,
    VERDICT_CANCELLED,
    VERDICT_EXPIRED,
    VERDICT_FAULT,
    VERDICT_COUNT,
};

enum verdict_source {
    VERDICT_FROM_CLAIM = 1 << 0,
    VERDICT_FROM_EVIDENCE = 1 << 1,
    VERDICT_FROM_QUEUE = 1 << 2,
};

struct verdict_row {
    const char *name; /* on the wire, and the key for pages that translate */
    unsigned sources; /* enum verdict_source */
    int exit_code;    /* of `paddock run`; -1: the program's own */
    const char
        *happened; /* a student's sentence; {placeholders} as in struct verdict_facts */
    const char *try_this; /* what to try; "" where there is nothing to say */
};

/* The figures that the sentences may name. Unknown: 0, or "". */
struct verdict_facts {
    int exit_code;      /* {exit_code} */
    int64_t cpu_ms;     /* {cpu}: "5.0 s" */
    int64_t wall_ms;    /* {wall} */
    int64_t memory_mb;  /* {memory}: the limit, "256 MB" */
    int64_t output_kb;  /* {output}: the limit */
    int signal;         /* that it died of; chooses the sentences of `crashed` */
    const char *call;   /* {call}: name of a forbidden call */
    const char *report; /* {report}: the claim's text, cleaned */
    const char *where;  /* of a limit: "robot.py, line 3", cleaned; said behind it */
};

/* Returns the row of a verdict other than VERDICT_NONE. */
const struct verdict_row *verdict_row(enum verdict verdict);
/* Returns VERDICT_NONE for an unknown name. */
enum verdict verdict_by_name(const char *name);
bool verdict_is_claim(uint32_t code);
/* Appends "what happened. What to try." with the figures filled in. Where the report of a
 * `compile_error` ends with a full stop, it has said what to try; that of an `exit` is
 * the number that the program gave, where it is no exit code; that of a `match_over` is
 * what the simulator says of it. */
void verdict_sentence(enum verdict verdict, const struct verdict_facts *facts,
                      struct buffer *to);
