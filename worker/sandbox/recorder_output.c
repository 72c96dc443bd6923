/* SPDX-License-Identifier: MIT */
/*
 * What a program prints and gives back, on its way into the recording. Runs in the
 * sandbox, most of it in the handler of a write(2). Must never allocate, and never call
 * Python.
 */
#include "worker/sandbox/recorder_parts.h"

#include "common/utf8.h"
#include "worker/sandbox/where.h"

#include <string.h>

static struct {
    struct ring_writer *ring; /* NULL: the job has not begun */
    size_t part_max;
    uint64_t left;           /* bytes that are still allowed */
    uint64_t waits_left;     /* likewise, of records about waiting for input */
    uint64_t told;           /* likewise, beside these, of who tells an error */
    uint64_t told_last;      /* likewise, of its last lines */
    bool left_out;           /* something of an error has not fitted */
    _Atomic uint32_t teller; /* that thread's number, plus one; 0: nobody does */
} output;

void recorder_output_start(struct ring_writer *ring, size_t part_max, uint64_t left)
{
    output.ring = ring;
    output.part_max = part_max;
    output.left = left;
    output.waits_left = LIMIT_WAITS;
    output.told = LIMIT_TOLD - LIMIT_LAST;
    output.told_last = LIMIT_LAST;
}

void recorder_tell(bool begins)
{
    output.teller = begins ? recorder_thread() + 1 : 0;
}

static bool is_teller(void)
{
    return output.teller == recorder_thread() + 1;
}

/* Puts a record of so many bytes of output, which count as what they are, but for no less
 * than an eighth of what is written of them, `named` bytes of their thread included: a
 * line of JSON for each single byte would be many times what the limit says. */
static void put_charged(const struct wire_writer *record, size_t size, size_t named,
                        uint64_t *left)
{
    size_t least = (recorder_put(record) + named + 7) / 8;
    uint64_t more = least > size ? least - size : 0;

    *left -= more < *left ? more : *left;
}

/* ---- output ---- */

/* Puts as much as there is room for in one record, and returns how much that is. */
static size_t put_some(enum wire_kind kind, const char *bytes, size_t size)
{
    uint64_t *left = is_teller() && output.told > 0 ? &output.told : &output.left;
    size_t part = size < output.part_max ? size : output.part_max;
    struct wire_writer *record;
    size_t named;

    part = part < *left ? part : (size_t)*left;
    if (part > 0) {
        *left -= part;
        named = recorder_name_thread();
        record = recorder_begin(kind);
        wire_bytes(record, bytes, part);
        put_charged(record, part, named, left);
    }
    return part;
}

/* A program that prints over its limit does not return from here; the guard stays shut.
 * Of an error what does not fit is left out: the program has ended with it. */
static void put_output(enum wire_kind kind, const char *bytes, size_t size)
{
    size_t part = 1;

    while (output.ring != NULL && size > 0 && part > 0) {
        part = put_some(kind, bytes, size);
        bytes += part;
        size -= part;
    }
    if (size > 0 && output.ring != NULL && is_teller()) {
        output.left_out = true;
    } else if (size > 0 && output.ring != NULL) {
        where_say();
        ring_writer_over_output(output.ring);
    }
}

void recorder_put_kept(struct guard *guard)
{
    char bytes[1024];
    enum wire_kind kind;
    size_t size;

    while ((size = guard_take(guard, &kind, bytes, sizeof(bytes))) > 0) {
        put_output(kind, bytes, size);
    }
}

void recorder_output(enum wire_kind kind, const char *bytes, size_t size)
{
    if (recorder_enter()) {
        put_output(kind, bytes, size);
        recorder_leave();
    } else {
        recorder_keep(kind, bytes, size);
    }
}

void recorder_tell_last(void)
{
    static const char mark[] = "\n...\n";

    if (!is_teller() || output.told_last == 0) {
        return;
    }
    output.told += output.told_last;
    output.told_last = 0;
    if (output.left_out) {
        recorder_output(WIRE_ERR, mark, sizeof(mark) - 1);
    }
}

/* ---- input ---- */

static void put_wait(enum wire_kind kind)
{
    size_t size;

    (void)recorder_enter();
    size = recorder_name_thread();
    size += recorder_put(recorder_begin(kind));
    output.waits_left -= size < output.waits_left ? size : output.waits_left;
    recorder_leave();
}

/* Each answers what a client sent, or follows what was printed: but a program prints a
 * byte at a time, and more is written of a wait. */
bool recorder_wait(void)
{
    bool told = output.waits_left > 0;

    if (told) {
        put_wait(WIRE_INPUT);
    }
    return told;
}

void recorder_wait_end(void)
{
    put_wait(WIRE_INPUT_END);
}

/* ---- what a program gives back ---- */

static void put_part(enum wire_kind kind, const char *name, const char *media_type,
                     uint64_t total, const char *bytes, size_t size)
{
    size_t named = recorder_name_thread();
    struct wire_writer *record = recorder_begin(kind);

    if (name != NULL) {
        wire_text(record, name);
        wire_text(record, media_type);
    }
    wire_unsigned(record, total);
    wire_bytes(record, bytes, size);
    put_charged(record, size, named, &output.left);
}

void recorder_host(const char *json, size_t size)
{
    struct wire_writer *record;
    size_t named;

    (void)recorder_enter();
    if (size > output.left) {
        where_say();
        ring_writer_over_output(output.ring);
    }
    output.left -= size;
    named = recorder_name_thread();
    record = recorder_begin(WIRE_HOST);
    wire_bytes(record, json, size);
    put_charged(record, size, named, &output.left);
    recorder_leave();
}

/* A value is text, and each of its parts is. */
static size_t part_size(enum wire_kind kind, const char *bytes, size_t left)
{
    if (left <= output.part_max) {
        return left;
    }
    return kind == WIRE_VALUE ? utf8_whole(bytes, output.part_max) : output.part_max;
}

bool recorder_parts(enum wire_kind kind, const char *name, const char *media_type,
                    const char *bytes, size_t size)
{
    size_t names = name != NULL ? strlen(name) + strlen(media_type) : 0;
    size_t whole = size + (size / LIMIT_CHUNK + 1) * names;
    bool fits;

    (void)recorder_enter();
    fits = whole <= output.left;
    output.left -= fits ? whole : 0;
    for (size_t at = 0, part; fits && (at < size || at == 0); at += part + (part == 0)) {
        part = part_size(kind, bytes + at, size - at);
        put_part(kind, name, media_type, size, bytes + at, part);
    }
    recorder_leave();
    return fits;
}
