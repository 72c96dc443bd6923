/* SPDX-License-Identifier: MIT */
/*
 * A recording in the forms that `paddock trace` prints. A form is a row: what it wants to
 * be told, and functions that write it. All refuse the same records, and what they write
 * of a repeat is in proportion to the recording (supervisor/ctl/room.h). Everything in a
 * recording may be a hostile program's: each form escapes what it writes, so that no text
 * of a program becomes a line, an object or a stack of ours.
 */
#pragma once

#include "supervisor/ctl/room.h"

#include <stdio.h>

struct export_format {
    const char *name;
    struct trace_limits limits;
    /* For repeats: ROOM_READ or ROOM_FILE; 0: it writes no more for what they say. */
    size_t room;
    /* Returns the form's own state (its free_state's), NULL when memory is short. Writes
     * nothing: there may be no recording. `out` is the caller's. */
    void *(*new_state)(FILE *out);
    void (*free_state)(void *state);
    /* One of the two: records as they are, or what they mean. */
    void (*record)(void *state, const struct wire_decoded *record);
    void (*event)(void *state, const struct trace *trace,
                  const struct trace_event *event);
    /* Writes what comes last. `trace` is at its end. */
    void (*end)(void *state, const struct trace *trace);
    /* Appends what was left out for want of room, if anything was; may be NULL. */
    void (*left_out)(const void *state, struct buffer *to);
};

/* A time in nanoseconds as the microseconds that a form has: "12" or "12.003". */
#define EXPORT_US_MAX 32
const char *export_us(uint64_t ns, char to[EXPORT_US_MAX]);

extern const struct export_format export_text, export_json, export_chrome,
    export_speedscope, export_flame;

/* Returns NULL where there is no such form. */
const struct export_format *export_format_by_name(const char *name);
/* Appends the names of all forms, each after a space. */
void export_format_names(struct buffer *to);

/* ---- one recording on its way out ---- */

struct export;

/* Returns NULL when memory is short. Errors of writing stay in `out` (ferror). */
struct export *export_new(const struct export_format *format, FILE *out) must_check;
void export_free(struct export *export);

/* Takes the next bytes of the recording. Returns 0, -EBADMSG with a sentence in `why`
 * when they cannot be read on (from then on all bytes are ignored), or -EIO when `out`
 * does not take any more. */
int export_bytes(struct export *export, const char *bytes, size_t size,
                 struct buffer *why) must_check;
/* Has any record come? */
bool export_began(const struct export *export);
/* The recording is over: writes the end. What is open then was so until `end_us`, unless
 * the program had told of its own end before (0: nothing is known beyond the last
 * record). Returns 0, or -EBADMSG with a sentence in `why` when a record was cut off, or
 * was none. */
int export_end(struct export *export, uint64_t end_us, struct buffer *why) must_check;
void export_left_out(const struct export *export, struct buffer *to);
