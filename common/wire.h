/* SPDX-License-Identifier: MIT */
/*
 * The recording's records: their closed list, an encoder that writes straight into the
 * ring, and an incremental decoder. docs/PROTOCOL.md is the specification byte by byte;
 * its table of records is generated from wire_records.
 *
 * A record is one byte, its kind, and then the kind's fields in order. There is no length
 * in front of it: the kind's row says what follows. Field types, one letter each in
 * `wire_record.fields`:
 *
 *   u  unsigned varint, LEB128, at most WIRE_NUMBER_MAX
 *   s  signed varint, zigzag-coded (0, -1, 1, -2 ... as 0, 1, 2, 3 ...)
 *   t  time: microseconds since the previous record that has a `t`, as u. Of a `sync`
 *      record: since the start of the job
 *   b  bytes of a text: u length, then that many bytes
 *   d  data: as b, of anything
 *   x  text: as b, UTF-8
 *   [  start of a group that is repeated: u count, then the fields up to ] that many
 * times
 *
 * A byte from 128 on is a whole record: a `line` without a time, its step the byte less
 * 192.
 *
 * "t:time u:function" names the fields for the JSON form and the documentation.
 */
#pragma once

#include "common/buffer.h"
#include "common/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_VERSION 4
#define WIRE_MAGIC   "PADDOCK" /* first field of the header record */

/* kind number, identifier, wire name, fields, what it says */
#define WIRE_RECORDS(R)                                                                  \
    R(1, HEADER, "header", "x:magic u:version x:level x:engine",                         \
      "Once, first. Version of this format, the trace level, who wrote it")              \
    R(2, FILE, "file", "u:file x:path",                                                  \
      "A file of the program, once before its first use")                                \
    R(3, FUNCTION, "function", "u:function u:file u:line x:name",                        \
      "A function of the program, once before its first use")                            \
    R(4, THREAD, "thread", "u:thread",                                                   \
      "The records that follow are of this thread (0: the first)")                       \
    R(5, CALL, "call", "t:time u:function", "A function was entered")                    \
    R(6, RETURN, "return", "t:time", "The innermost call of this thread returned")       \
    R(7, UNWIND, "unwind", "t:time",                                                     \
      "The innermost call of this thread was left by an exception")                      \
    R(8, LINE, "line", "t:time s:step",                                                  \
      "A line of the innermost call begins: so many below the call's last one, the "     \
      "first time below the line of its function")                                       \
    R(9, REPEAT, "repeat", "t:time u:period u:records",                                  \
      "The last so many trace records came again, one after the other and from the "     \
      "first again, so many in all; the time is that of the last")                       \
    R(10, VARIABLE, "variable", "u:name u:type u:head u:tail x:value",                   \
      "A local variable of the innermost call has got another value; type 0: it is "     \
      "gone. Its text is the last one of this name, but for what stands between the "    \
      "first `head` and the last `tail` bytes of that: in the place of it stands "       \
      "`value`")                                                                         \
    R(11, OUT, "out", "t:time b:data", "Bytes written to standard output")               \
    R(12, ERR, "err", "t:time b:data", "Bytes written to standard error")                \
    R(13, NAME, "name", "u:name x:text",                                                 \
      "A name of a variable, a type or an exception, once before its first use")         \
    R(14, YIELD, "yield", "t:time",                                                      \
      "The innermost call of this thread is suspended: a generator, or a coroutine")     \
    R(15, RESUME, "resume", "t:time u:function s:step",                                  \
      "A suspended call of this function goes on, on the line that it was suspended "    \
      "on: so many below that of its function")                                          \
    R(16, EXCEPTION, "exception", "t:time s:step u:type",                                \
      "An exception has come to the innermost call, which goes on with it or is left "   \
      "by it; its number is so many above the last one's (at first, and behind a "       \
      "`sync`: above 0)")                                                                \
    R(17, ERROR, "error",                                                                \
      "t:time x:relation x:type x:message [:frames x:file u:line u:column u:end_line "   \
      "u:end_column x:function x:source ]",                                              \
      "The exception that ended the program; causes and contexts come first")            \
    R(18, DROPPED, "dropped", "t:time u:produced",                                       \
      "Trace records are missing here, over the recording's size: so many had been "     \
      "produced so "                                                                     \
      "far; a reader knows how many of them it saw")                                     \
    R(19, SYNC, "sync", "t:time u:thread [:stack u:function u:line ]",                   \
      "Absolute values: decoding can go on from here without what came before, tables "  \
      "excepted")                                                                        \
    R(20, END, "end", "t:time u:produced",                                               \
      "Once, last: the program ended by itself, having produced so many trace records")  \
    R(21, LEVEL, "level", "x:level",                                                     \
      "From here on so much is traced: as the program wishes, or for want of room")      \
    R(22, INPUT, "input", "t:time", "The program waits for input")                       \
    R(23, HOST, "host", "t:time x:json", "What a host module has to say")                \
    R(24, VALUE, "value", "t:time u:total b:part",                                       \
      "A result of the program, as JSON of so many bytes in all, in one or more parts")  \
    R(25, SAVED, "saved", "t:time x:name x:media_type u:total d:part",                   \
      "A file that the program saved, of so many bytes in all, in one or more parts")    \
    R(26, INPUT_END, "input_end", "t:time",                                              \
      "The program waits for input no longer: some came, or no more will, or a handler " \
      "of a signal goes on instead")

enum wire_kind {
#define WIRE_ENUM(number, id, name, fields, help) WIRE_##id = number,
    WIRE_RECORDS(WIRE_ENUM)
#undef WIRE_ENUM
        WIRE_KIND_LIMIT = 32,
};

struct wire_record {
    const char *name; /* NULL: no such kind */
    const char *fields;
    const char *help;
};

extern const struct wire_record wire_records[WIRE_KIND_LIMIT];

/* 2^53 - 1: of every number as it is coded, and of the clock. Readers take none beyond,
 * JavaScript's numbers being what they are. */
#define WIRE_NUMBER_MAX ((UINT64_C(1) << 53) - 1)
/* Calls within one another that a thread can have, calls that are open in all threads,
 * and threads: what is more is not traced. */
#define WIRE_DEPTH_MAX   100000
#define WIRE_OPEN_MAX    200000
#define WIRE_THREADS_MAX 65536

/* What a `variable` can go on from: the last values of so many names, the first ones, of
 * so many bytes at most. */
#define WIRE_VALUES    1024
#define WIRE_VALUE_MAX 256

/* ---- encoder ---- */

/* A line without a time of its own, in one byte: kind 192 plus the step, which is within
 * these. */
#define WIRE_SHORT_LINE 192
#define WIRE_STEP_MIN   (-64)
#define WIRE_STEP_MAX   63

/* The trace's records of which `repeat` counts the last, and so many it can reach back.
 */
#define WIRE_PERIOD_MAX 255

/* One record being put together. Bytes beyond LIMIT_RECORD set `overflow` instead of
 * being written; whoever fills variable fields keeps them short enough (wire_room). */
struct wire_writer {
    size_t size;
    bool overflow;
    unsigned char bytes[LIMIT_RECORD];
};

void wire_begin(struct wire_writer *record, enum wire_kind kind);
void wire_unsigned(struct wire_writer *record, uint64_t value);
void wire_signed(struct wire_writer *record, int64_t value);
void wire_bytes(struct wire_writer *record, const void *bytes, size_t size);
void wire_text(struct wire_writer *record, const char *text);
/* Fields that were put together before. */
void wire_raw(struct wire_writer *record, const void *bytes, size_t size);
static inline size_t wire_room(const struct wire_writer *record)
{
    return sizeof(record->bytes) - record->size;
}

/* ---- decoder ---- */

#define WIRE_FIELDS_MAX 1024 /* of one record: each in a group, and a group's count */

struct wire_field {
    char type; /* 'u', 's', 't', 'b', 'd', 'x', or '[' with the count in `number` */
    const char *name; /* into the table; not NUL-terminated: */
    size_t name_size;
    uint64_t number;   /* 'u', 't' (already absolute), '[', and 's' as it is coded */
    int64_t integer;   /* 's' */
    const char *bytes; /* 'b', 'd' and 'x': into the caller's buffer */
    size_t size;
};

struct wire_decoded {
    enum wire_kind kind;
    uint64_t offset;  /* where it begins in the recording: for error messages */
    uint64_t time_us; /* since the start of the job: the clock after this record */
    size_t field_count;
    struct wire_field fields[WIRE_FIELDS_MAX];
};

struct wire_reader {
    uint64_t time_us;
    uint64_t offset; /* bytes decoded so far: for error messages */
    bool started;    /* the header has been seen */
    bool ended;      /* so has the end: nothing comes behind it */
};

/* Decodes the record at the start of `bytes`. Returns its length, 0 when more bytes are
 * needed, or -EBADMSG: no such kind, a malformed field, a number that is too large, a
 * missing or repeated header, another version, whatever else its header holds, or
 * anything behind the end (`why` then holds a sentence with the offset). Never reads
 * beyond `size`. */
ssize_t wire_decode(struct wire_reader *reader, const void *bytes, size_t size,
                    struct wire_decoded *ret, struct buffer *why) must_check;

/* No more bytes come, and `left` of them are no whole record. Returns 0, or -EBADMSG with
 * a sentence in `why`: it ends within a record, or was never a recording. */
int wire_end(const struct wire_reader *reader, size_t left,
             struct buffer *why) must_check;

/* Says in `why` (may be NULL) that a recording cannot be read on from there. Returns
 * -EBADMSG. */
int wire_refuse(uint64_t offset, struct buffer *why, const char *format, ...) must_check
    printf_like(3, 4);

/* Returns a field by name, or NULL. Fields of groups are found by walking. */
const struct wire_field *wire_find(const struct wire_decoded *record, const char *name);
