/* SPDX-License-Identifier: MIT */
/*
 * A job as a client enqueues it, and as the sandbox receives it.
 *
 * One table, job_fields, names every field of an enqueue call with type, range, default
 * and help. The Functions library (its Lua table is generated from this one), the options
 * of `paddock run` and `submit`, and docs/PROTOCOL.md follow it.
 *
 * The inbox is how a job travels from the relay into the sandbox: one sealed memfd that
 * holds a struct job_inbox and the job's bytes behind it. Written by a trusted process,
 * read by the sandbox.
 */
#pragma once

#include "common/buffer.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* ---- the fields ---- */

enum job_field_type {
    JOB_FIELD_TEXT,   /* at most `max` bytes, no NUL */
    JOB_FIELD_BYTES,  /* at most `max` bytes */
    JOB_FIELD_NUMBER, /* decimal, min..max */
    JOB_FIELD_CHOICE, /* one of `choices`, separated by spaces */
    JOB_FIELD_NAME,   /* [A-Za-z0-9_.:-], at most `max` characters */
};

struct job_field {
    const char *name;
    enum job_field_type type;
    int64_t min, max;
    const char *initial; /* the default, as text */
    const char *choices;
    const char *metavar; /* for --help */
    const char *help;
    int offset; /* of the int64_t in struct job_limits that it sets, or -1 */
};

extern const struct job_field job_fields[];
extern const size_t job_field_count;

const struct job_field *job_field_by_name(const char *name);
/* Takes 0 or 1: as an option it needs no value. */
bool job_field_is_switch(const struct job_field *field);
/* Checks a value against its row. Returns 0, or -EINVAL with a sentence that names the
 * field and what it takes in `why` (may be NULL). */
int job_field_check(const struct job_field *field, const char *value, size_t size,
                    struct buffer *why) must_check;

/* Appends "a whole number from 10 to 600000" and the like. */
void job_field_say(const struct job_field *field, struct buffer *to);

/* ---- limits ---- */

enum job_trace { JOB_TRACE_OFF, JOB_TRACE_CALLS, JOB_TRACE_LINES, JOB_TRACE_STEPS };
extern const char *const job_trace_names[]; /* "off" ..., NULL at the end */

enum job_encoding { JOB_ENCODING_BINARY, JOB_ENCODING_JSON };

/* One job's limits, after the operator's maxima. */
struct job_limits {
    int64_t cpu_ms;
    int64_t wall_ms;
    int64_t memory_mb;
    int64_t output_kb;
    int64_t recording_kb;
    int64_t trace;      /* enum job_trace */
    int64_t encoding;   /* enum job_encoding */
    int64_t tabs;       /* 0: as Python 3, 1: tabs of 8 columns, as Python 2 */
    int64_t live_input; /* 1: input goes on where the part STDIN ends */
};

/* The defaults of the field table. */
struct job_limits job_limits_default(void);
/* Lowers what does not go with another: as JSON no lines are traced. */
void job_limits_agree(struct job_limits *limits);
/* Sets the limit that `name` stands for from its text; names that are no limit are
 * ignored. Returns 0 or -EINVAL. */
int job_limits_set(struct job_limits *limits, const char *name,
                   const char *value) must_check;

/* ---- the inbox ---- */

enum job_part {
    JOB_PART_ENTRY,
    JOB_PART_ARGV, /* one argument per line */
    JOB_PART_STDIN,
    JOB_PART_SOURCE, /* "zip" or "py" */
    JOB_PART_HOST,   /* for host modules */
    JOB_PART_CODE,   /* the ZIP, or the source */
    JOB_PART_COUNT,
};

#define JOB_INBOX_MAGIC 0x344b4450u /* "PDK4" */

struct job_inbox {
    uint32_t magic;
    uint32_t attempt;
    struct job_limits limits;
    struct {
        uint64_t offset; /* from the start of the inbox */
        uint64_t size;
    } parts[JOB_PART_COUNT];
};

/* What the sandbox reserves: the largest inbox there can be. */
#define JOB_INBOX_MAX                                                                    \
    (sizeof(struct job_inbox) + LIMIT_ENTRY + LIMIT_ARGV + LIMIT_STDIN + 16 +            \
     LIMIT_HOST + LIMIT_ZIP)

struct job_part_bytes {
    const void *bytes;
    size_t size;
};

/* Creates the empty inbox that a sandbox maps ahead of its job. *ret_fd is the caller's.
 */
int job_inbox_create(int *ret_fd) must_check;
/* Fills and seals it (no process can change it afterwards). Returns 0, -E2BIG or a
 * negative errno. */
int job_inbox_fill(int fd, uint32_t attempt, const struct job_limits *limits,
                   const struct job_part_bytes parts[JOB_PART_COUNT]) must_check;
/* Maps an inbox for reading: JOB_INBOX_MAX bytes of address space, valid once it is
 * filled. Unmapped by munmap(*ret, JOB_INBOX_MAX). */
int job_inbox_map(int fd, const struct job_inbox **ret) must_check;
/* Returns a part's bytes; valid as long as the mapping. */
struct job_part_bytes job_inbox_part(const struct job_inbox *inbox, enum job_part part);
