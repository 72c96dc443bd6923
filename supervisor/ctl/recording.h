/* SPDX-License-Identifier: MIT */
/* Where the bytes of a recording come from: a file, or the Stream of a job. */
#pragma once

#include "supervisor/ctl/args.h"
#include "supervisor/ctl/endpoint.h"

/* What is said of one that the queue has cut to its result, behind whose it is. */
#define RECORDING_CUT                                                                    \
    "was given up for room (recordings_mb, or Redis's memory): only its result "         \
    "is left"

/* Names within what `paddock save` makes (supervisor/ctl/save_command.h). */
#define RECORDING_FILE "recording"
#define RESULT_FILE    "result.json"

/* Gets the next bytes. A negative errno ends the reading, which then returns it. */
typedef int recording_taker(void *context, const char *bytes, size_t size,
                            struct buffer *why);

/* What a word of a command line names: a file that exists, "-", or a job. */
enum recording_place { RECORDING_IN_FILE, RECORDING_OF_JOB };
/* Returns 0, or -EINVAL (it can name neither) with a sentence in `why`. */
int recording_find(const char *name, enum recording_place *ret_place,
                   struct buffer *why) must_check;

/* What is known of the end of a recording beside its records. */
struct recording_end {
    uint64_t time_us; /* since the job began: when it ended, or by when it still ran; 0:
                       * nobody says */
    struct buffer result; /* as the queue gives it (docs/PROTOCOL.md), JSON; empty: not
                           * yet, or nobody says. The caller's: buffer_done() */
};
#define RECORDING_END_INIT ((struct recording_end){.result = BUFFER_INIT(MIB(1))})

/* What is to be said of parts that Redis did not take (`frames_dropped` of such a
 * result), appended; nothing where there are none. */
void recording_describe_dropped(const char *result, struct buffer *to);
/* Says it on stderr, of what `recording_end` has; that may be empty. */
void recording_say_dropped(const struct buffer *result);

/* Reads what the first word of a command line names: a file to its end, or what there is
 * by now of the last attempt of a job. Where that is read to its end, `ret_end` (may be
 * NULL) is filled. Returns 0, -EINVAL (it names neither, or a file that cannot be read),
 * -ENOENT (there is no such job, it has not begun, or its recording was cut), -ENOTCONN
 * (no pool to ask for it), or another negative errno, with a sentence in `why`. */
int recording_read(const struct args *args, recording_taker *take, void *context,
                   struct recording_end *ret_end, struct buffer *why) must_check;
/* Likewise, of a job alone. */
int recording_read_job(struct endpoint *endpoint, const char *id, recording_taker *take,
                       void *context, struct recording_end *ret_end,
                       struct buffer *why) must_check;
/* The exit code for such an error, and for 0. */
int recording_exit(int error);
