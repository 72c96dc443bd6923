/* SPDX-License-Identifier: MIT */
/*
 * The memory that a sandbox and its relay share: a single-producer, single-consumer ring
 * of bytes for the recording, a claim area for the program's own verdict, the word that
 * starts the job, and a smaller ring the other way, for live input. It is a memfd that
 * the relay creates, so it survives the sandbox's death: whatever was published before a
 * SIGKILL can be read after it.
 *
 * Trust: the writer (the sandbox) is hostile. The reader copies every index once, checks
 * it against what it knows, and copies bytes before anything is decided; the memfd is
 * sealed against resizing (a truncated mapping would kill the reader by SIGBUS). The
 * writer trusts nothing either, but only because that costs nothing.
 *
 * Publishing: a record becomes visible as a whole by one release store of `head`, so
 * whatever the reader sees ends at a record boundary. `head` and `tail` count bytes since
 * the start and never wrap in practice (2^64).
 *
 * The doorbell is an eventfd that the writer rings when the reader has said that it
 * sleeps.
 *
 * Live input: the relay writes where it knows itself to be, whatever stands in the
 * memory, and only as far as what the sandbox says it has read leaves room. It never
 * waits for room. The sandbox waits for bytes on a futex.
 */
#pragma once

#include "common/limits.h"
#include "common/verdict.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define RING_DATA  KIB(256) /* a power of two; no larger than the largest slice */
#define RING_INPUT KIB(64)  /* of live input; a power of two */
#define RING_LINE  64       /* a cache line: what each side writes is kept apart */

struct ring_claim {
    _Atomic uint32_t made; /* 1: the rest is complete (release store) */
    uint32_t verdict;      /* enum verdict, one that may be claimed */
    int32_t exit_code;
    uint32_t report_size;
    char report[LIMIT_REPORT];
};

/* Where the program was when it was asked with the signal, before it was killed. One that
 * nothing else sends, and none of real time: these are refused where those of the same id
 * that wait are too many. Its value (0 where the kernel had no room for it) says why. */
#define RING_WHERE_SIGNAL SIGSTKFLT
#define RING_WHERE_CPU    1 /* the computing time is used up */

struct ring_where {
    _Atomic uint32_t made; /* 1: the rest is complete (release store) */
    uint32_t line;
    char file[120]; /* below the program's root, NUL-terminated, cut */
};

/* The end of a trace that has grown over the recording's size: two chunks, written in
 * turn, of which the relay appends the older and then the newer to the recording when the
 * program is gone (common/chunk.h). */
#define RING_CHUNK KIB(32)

/* Of a `repeat` that is not written yet (common/wire.h): the relay writes it when the
 * program is gone. The period is in the upper half, the number of records in the lower.
 */
#define RING_REPEAT(period, records) ((uint64_t)(period) << 32 | (uint32_t)(records))

struct ring_chunk {
    _Atomic uint64_t turn; /* 0: never begun; the higher of the two is the newer */
    _Atomic uint64_t size; /* bytes of whole records (release store) */
    uint64_t used;         /* the writer's own: with those that are not shown yet */
    unsigned char data[RING_CHUNK - 24];
};

/* What a program would have said next, had it not been ended first: whole records, which
 * the relay appends to the recording. It strikes out what it has said by itself. */
#define RING_WILL KIB(64)

struct ring_will {
    _Atomic uint64_t start; /* what stands before it is struck out */
    _Atomic uint64_t size;  /* bytes of whole records (release store) */
    unsigned char data[RING_WILL - 16];
};

struct ring_shared {
    /* written by the relay */
    _Alignas(RING_LINE) _Atomic uint64_t tail;
    _Atomic uint32_t start;         /* futex: 0 wait, 1 the inbox is filled: run */
    _Atomic uint32_t room_sequence; /* futex: changes whenever tail moves */
    _Atomic uint32_t reader_sleeps; /* 1: ring the doorbell after publishing */
    /* written by the sandbox */
    _Alignas(RING_LINE) _Atomic uint64_t head;
    _Atomic uint32_t writer_waits; /* 1: wake room_sequence after moving tail */
    _Atomic uint32_t
        over_output; /* 1: the program printed more than output_kb; it waits to be
                        killed, and gains nothing by saying so wrongly */
    /* When it began to wait for its job; 0: it does not wait yet. */
    _Atomic int64_t born_kb; /* memory that it had, nearly all of it shared */
    _Atomic int64_t born_ns; /* computing time that it had used; written last */
    _Atomic uint64_t repeat; /* RING_REPEAT; 0: none */
    /* chunk_place() where it stands: what was written since has it */
    _Atomic uint64_t repeat_at;
    /* The head behind the older and the newer chunk, which are being moved into the ring:
     * it has those that it is beyond. 0: they are not moved. */
    _Atomic uint64_t moved[2];
    /* 1: Python was refused memory, and has not been granted as much since */
    _Atomic uint32_t starved;
    /* The first is made as soon as it is known how the program ended; the second, where
     * there is one, has more to say of it. */
    _Alignas(4096) struct ring_claim claim;
    _Alignas(4096) struct ring_claim full_claim;
    struct ring_where where;
    _Alignas(4096) struct ring_chunk chunks[2];
    _Alignas(4096) unsigned char data[RING_DATA];
    /* live input, written by the relay; untouched, and so no memory, where there is none
     */
    _Alignas(4096) _Atomic uint64_t input_head;
    _Atomic uint32_t input_over;     /* 1: no more comes; written after the last head */
    _Atomic uint32_t input_sequence; /* futex: changes whenever these two do */
    /* written by the sandbox */
    _Alignas(RING_LINE) _Atomic uint64_t input_tail;
    _Alignas(4096) unsigned char input[RING_INPUT];
    _Alignas(4096) struct ring_will will;
};

struct ring_birth {
    int64_t cpu_ns;
    int64_t resident_kb;
};

/* ---- reader: the relay ---- */

struct ring_reader {
    struct ring_shared *shared; /* mapped, owned */
    uint64_t tail;              /* our own copy: the shared one is not believed */
    uint64_t fed;               /* bytes of input so far: likewise */
};

#define RING_READER_INIT ((struct ring_reader){0})

/* Creates the memory. *ret_fd is the caller's, to be passed to the sandbox and closed. */
int ring_reader_init(struct ring_reader *ring, int *ret_fd) must_check;
void ring_reader_done(struct ring_reader *ring);
/* What the sandbox had used when it began to wait, all 0 if it does not wait yet: to be
 * asked before it runs, for then it is ours alone that writes it. */
struct ring_birth ring_reader_birth(const struct ring_reader *ring);
/* Lets the sandbox run: its inbox is filled. */
void ring_reader_start(struct ring_reader *ring);
/* Copies what is published and not yet read, at most RING_DATA bytes, into `to`
 * (RING_DATA bytes) and makes room. Returns the count, always up to a record boundary, or
 * -EBADMSG if the indexes are impossible: a hostile writer. */
ssize_t ring_reader_take(struct ring_reader *ring, void *to) must_check;
/* How many bytes wait; -EBADMSG as above. */
ssize_t ring_reader_waiting(const struct ring_reader *ring) must_check;
/* Says whether the doorbell is wanted. After ring_reader_sleep(ring, true) look once more
 * with ring_reader_waiting before blocking. */
void ring_reader_sleep(struct ring_reader *ring, bool sleeps);
/* Whether the writer says that the program's output is over its limit. */
bool ring_reader_over_output(const struct ring_reader *ring);
/* Copies where the program was. Returns false if it has not said so, or nonsense. */
bool ring_reader_where(const struct ring_reader *ring, struct ring_where *ret);
/* Whether the writer says that Python lacks memory. */
bool ring_reader_starved(const struct ring_reader *ring);
/* How many bytes of live input there is room for; -EBADMSG if the sandbox says that it
 * has read what it was not given. */
ssize_t ring_reader_input_room(const struct ring_reader *ring) must_check;
/* Gives the sandbox as many of these bytes as there is room for, and wakes whoever waits
 * for them. Returns how many, or -EBADMSG as above. */
ssize_t ring_reader_feed(struct ring_reader *ring, const void *bytes,
                         size_t size) must_check;
/* Says that no more comes. */
void ring_reader_end_input(struct ring_reader *ring);
/* Copies the claim, the fuller one if there are two. Returns true and a claim that is in
 * range (verdict may be claimed, exit code 0-255, report_size <= LIMIT_REPORT), or false
 * if there is none or it is nonsense. */
bool ring_reader_claim(const struct ring_reader *ring, struct ring_claim *ret);

/* ---- writer: the sandbox ---- */

struct ring_writer {
    struct ring_shared *shared;
    uint64_t head; /* our own copy */
    int doorbell;  /* eventfd; borrowed */
};

/* Maps an existing ring; the fd stays the caller's. */
int ring_writer_init(struct ring_writer *ring, int fd, int doorbell) must_check;
/* Says what computing time was used so far, and blocks until ring_reader_start, without
 * any fd. */
void ring_writer_wait_start(struct ring_writer *ring);
/* Publishes one record (1..LIMIT_RECORD bytes), waiting while the ring is full. Not
 * reentrant: the caller serialises. */
void ring_writer_put(struct ring_writer *ring, const void *record, size_t size);
/* The same for records that come in great numbers: whether the reader sleeps is looked at
 * without a fence, so it may hear of one only when it wakes by itself. */
void ring_writer_put_lazily(struct ring_writer *ring, const void *record, size_t size);
/* Says that the output is over its limit, rings, and waits for the end: does not return.
 */
_Noreturn void ring_writer_over_output(struct ring_writer *ring);
/* Says where the program is. In a signal handler. */
void ring_writer_where(struct ring_writer *ring, const char *file, int line);
/* Publishes the claim, and the second time the fuller one; these two stand. */
void ring_writer_claim(struct ring_writer *ring, enum verdict verdict, int exit_code,
                       const char *report, size_t report_size);

/* Live input: what the relay has said so far. Taken before ring_writer_input, it is what
 * to wait on, and whether to. */
struct ring_input_mark {
    uint32_t sequence;
    bool over;
};
struct ring_input_mark ring_writer_input_mark(const struct ring_writer *ring);
/* Copies at most `size` bytes of live input and makes room. Returns how many; 0: there
 * are none, and where the mark said that it is over, there will be none. Not reentrant:
 * the caller serialises. */
size_t ring_writer_input(struct ring_writer *ring, void *to, size_t size) must_check;
/* Waits until the relay says more. Returns 0, also without a reason, or -EINTR after a
 * signal's handler. */
int ring_writer_input_wait(struct ring_writer *ring,
                           const struct ring_input_mark *mark) must_check;
