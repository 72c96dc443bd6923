/* SPDX-License-Identifier: MIT */
/*
 * What is said of an exception that cannot be told. Runs in the sandbox, on the program's
 * main thread. Must never call Python.
 */
#include "worker/sandbox/last_words.h"

#include "common/cleanup.h"
#include "common/limits.h"
#include "common/utf8.h"
#include "worker/sandbox/recorder.h"

#define PART 4000 /* of a text; whatever its encoding, that is less than a record */

static struct {
    size_t ends[LAST_WORDS_MAX]; /* for recorder_strike() */
    unsigned count, struck;
} words;

void last_words_begin(void)
{
    words.count = 0;
    recorder_lay_anew();
}

unsigned last_words_add(const struct wire_writer *record)
{
    if (words.count < array_size(words.ends)) {
        size_t end = words.count < words.struck ? 0 : recorder_lay_down(record);
        size_t before = words.count > 0 ? words.ends[words.count - 1] : 0;

        words.ends[words.count++] = end > 0 ? end : before;
    }
    return words.count;
}

unsigned last_words_add_text(const char *text, size_t size)
{
    static struct wire_writer record;

    wire_begin(&record, WIRE_ERR);
    wire_unsigned(&record, 0);
    wire_bytes(&record, text, size <= PART ? size : utf8_whole(text, PART));
    return last_words_add(&record);
}

void last_words_strike(unsigned count)
{
    count = count < words.count ? count : words.count;
    if (count > words.struck) {
        words.struck = count;
        recorder_strike(words.ends[count - 1]);
    }
}
