/* SPDX-License-Identifier: MIT */
/*
 * The table of a code object's handlers as CPython 3.11 and later has it, read entry by
 * entry (Objects/exception_handling_notes.txt). Takes no lock and no memory: it is read
 * in a signal handler, too.
 */
#pragma once

#include <Python.h>
#include <stdbool.h>

/* Numbers of code units: the instructions that a handler is for, and where that begins.
 */
struct exception_range {
    unsigned start, size, target, depth;
    bool lasti; /* the number of the instruction that raised is put on the stack */
};

struct exception_table {
    const unsigned char *at, *end;
};

static inline struct exception_table exception_table_of(const PyCodeObject *code)
{
    const unsigned char *begin =
        (const unsigned char *)PyBytes_AS_STRING(code->co_exceptiontable);

    return (struct exception_table){begin,
                                    begin + PyBytes_GET_SIZE(code->co_exceptiontable)};
}

/* Returns false at the table's end. */
static inline bool exception_table_next(struct exception_table *table,
                                        struct exception_range *ret)
{
    unsigned values[4] = {0};

    if (table->at >= table->end) {
        return false;
    }
    for (int i = 0; i < 4; i++) {
        unsigned byte = 64;

        while ((byte & 64) != 0 && table->at < table->end) { /* highest bits first */
            byte = *table->at++;
            values[i] = values[i] << 6 | (byte & 63);
        }
    }
    *ret = (struct exception_range){.start = values[0],
                                    .size = values[1],
                                    .target = values[2],
                                    .depth = values[3] >> 1,
                                    .lasti = (values[3] & 1) != 0};
    return true;
}
