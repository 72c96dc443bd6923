/* SPDX-License-Identifier: MIT */
/*
 * The parts of points.h's rewriting, private to them: code that is taken apart
 * (bytecode.c), gets its points (bytecode_points.c) and is put together again
 * (bytecode_write.c). What an opcode does is for bytecode_lines.c, too.
 *
 * Instructions know their jump's target by number, so that points can be put in between.
 * An edge is a way from one instruction to the next. An instruction with a point before
 * it has two entries: one for the edges that are a line event, one for those that are
 * not.
 */
#pragma once

#define Py_BUILD_CORE
#include "worker/sandbox/points.h"

#include <internal/pycore_opcode.h>

#include <stdbool.h>
#include <stdint.h>

struct position {
    int line, end_line, column, end_column; /* -1: none */
};

enum { NOWHERE = -1 };

/* Codes of the table of locations. */
enum { LOCATION_ONE_LINE = 10, LOCATION_NO_COLUMNS = 13, LOCATION_LONG, LOCATION_NONE };

struct instruction {
    unsigned char opcode;
    uint32_t argument;
    int target;   /* of its jump: number of an instruction of the same code */
    bool to_line; /* its jump is a line event: to the target's point */
    struct position position;
    /* points before it, in this order; an index of a constant, or NOWHERE */
    int exception, line, leave;
    int after; /* the point behind it, likewise */
    int stub;  /* number of the stub that its jump goes to, or NOWHERE */
    /* where it stands: code units */
    int at_exception, at_line, at_leave, at;
};

/* A conditional jump whose taking is a line event of an instruction that others reach
 * without: it goes to a point at the end of the code, and from there back. */
struct stub {
    int from; /* number of the jump */
    int constant;
    int at;
};

struct handler {
    int start, end, target; /* numbers of instructions; end is behind the last */
    int depth, lasti;
    int next; /* another range of the same target's, counted from 1; 0: none */
};

struct code {
    PyCodeObject *object;
    PyObject *constants;
    points_make *make;
    void *context;
    unsigned what;
    struct instruction *instructions; /* owned, as are the following */
    int count;
    struct handler *handlers;
    int handler_count;
    struct stub *stubs;
    int stub_count;
    PyObject *points; /* dict: (what, line) -> index of the constant */
    int entry;        /* the first RESUME */
    int unwind;       /* constant, or NOWHERE */
    int at_unwind;
};

/* ---- bytecode.c ---- */

/* Returns the opcode that jumps ahead in the place of this one. */
unsigned char bytecode_ahead(unsigned char opcode);
/* Where its jump goes, or NOWHERE; in code units, as is the `next` instruction. */
int bytecode_target(unsigned char opcode, uint32_t argument, int next);
/* Its jump is always taken. */
bool bytecode_always_jumps(unsigned char opcode);
/* The next instruction may follow it. */
bool bytecode_goes_on(unsigned char opcode);
/* It suspends its call as what that waits for is suspended (`yield from`, `await`): the
 * interpreter looks from it at the SEND before it, and at the RESUME behind it. */
bool bytecode_waits(const struct code *code, int number);

/* ---- bytecode_points.c ---- */

/* Puts all points that `what` names. Returns false with an exception. */
bool bytecode_put_points(struct code *code);

/* ---- bytecode_write.c ---- */

/* Returns the new code object, or NULL with an exception. */
PyObject *bytecode_put_together(struct code *code);
