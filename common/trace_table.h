/* SPDX-License-Identifier: MIT */
/*
 * The tables of a recording: its files, functions and names, by their numbers. For
 * common/trace.c, which hands on what it is given here. Bounded, whatever a recording
 * holds.
 */
#pragma once

#include "common/wire.h"

#define TRACE_TABLE    65536  /* files, functions, names; what is beyond is "?" */
#define TRACE_TEXT     MIB(4) /* bytes of all their texts */
#define TRACE_TEXT_ONE 512    /* bytes of one, which are as many as a sandbox writes */

/* A function of the recording. Texts are valid until the next record, hold no control
 * characters but tabs and newlines, and are "?" where there is no such function. */
struct trace_function {
    const char *name, *path;
    uint64_t line; /* where it begins; 0: not known */
};

/* Rows that are numbered one after the other as they come. */
struct trace_table {
    void *rows; /* owned */
    size_t count, room;
};

struct trace_tables {
    struct trace_table files, names; /* of uint32_t, places in `texts` */
    struct trace_table functions;
    struct buffer texts; /* each with its NUL; the first one is "?" */
};

/* Returns 0 or -ENOMEM; trace_tables_done in both cases. */
int trace_tables_init(struct trace_tables *tables) must_check;
void trace_tables_done(struct trace_tables *tables);

/* Keep what a record of this kind says. What comes out of its turn is not kept: numbers
 * are given in order of appearance. */
void trace_keep_file(struct trace_tables *tables, const struct wire_decoded *record);
void trace_keep_function(struct trace_tables *tables, const struct wire_decoded *record);
void trace_keep_name(struct trace_tables *tables, const struct wire_decoded *record);

/* Of any number. */
struct trace_function trace_find_function(const struct trace_tables *tables,
                                          uint64_t number);
const char *trace_find_name(const struct trace_tables *tables, uint64_t number);
