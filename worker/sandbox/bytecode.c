/* SPDX-License-Identifier: MIT */
/*
 * Rewriting a code object, and taking it apart. Runs in the sandbox, on what Python's
 * compiler made of a hostile source, before it runs: well-formed, and perhaps very large.
 * Must never change what a program does, only say it.
 */
#define NEED_OPCODE_TABLES
#include "worker/sandbox/bytecode_parts.h"

#include "common/cleanup.h"
#include "worker/sandbox/exception_table.h"

/* ---- taking it apart ---- */

struct reader {
    const unsigned char *at, *end;
};

static int read_byte(struct reader *reader)
{
    return reader->at < reader->end ? *reader->at++ : 0;
}

static unsigned read_varint(struct reader *reader)
{
    unsigned byte = (unsigned)read_byte(reader), value = byte & 63;

    for (unsigned shift = 6; (byte & 64) != 0 && shift < 30; shift += 6) {
        byte = (unsigned)read_byte(reader);
        value |= (byte & 63) << shift;
    }
    return value;
}

static int read_signed(struct reader *reader)
{
    unsigned value = read_varint(reader);

    return (value & 1) != 0 ? -(int)(value >> 1) : (int)(value >> 1);
}

/* One entry of the table of locations; `line` is the running one. */
static struct position read_location(struct reader *reader, int code, int *line)
{
    struct position position = {-1, -1, -1, -1};

    if (code == LOCATION_NONE) {
        return position;
    }
    if (code == LOCATION_LONG || code == LOCATION_NO_COLUMNS) {
        *line += read_signed(reader);
    } else if (code >= LOCATION_ONE_LINE) {
        *line += code - LOCATION_ONE_LINE;
    }
    position.line = position.end_line = *line;
    if (code == LOCATION_LONG) {
        position.end_line += (int)read_varint(reader);
        position.column = (int)read_varint(reader) - 1;
        position.end_column = (int)read_varint(reader) - 1;
    } else if (code < LOCATION_ONE_LINE) {
        int byte = read_byte(reader);

        position.column = code << 3 | byte >> 4;
        position.end_column = position.column + (byte & 15);
    } else if (code < LOCATION_NO_COLUMNS) {
        position.column = read_byte(reader);
        position.end_column = read_byte(reader);
    }
    return position;
}

/* The positions of all code units. */
static void read_positions(PyCodeObject *object, struct position *to, Py_ssize_t units)
{
    struct reader reader = {(unsigned char *)PyBytes_AS_STRING(object->co_linetable),
                            NULL};
    int line = object->co_firstlineno;
    Py_ssize_t unit = 0;

    reader.end = reader.at + PyBytes_GET_SIZE(object->co_linetable);
    while (reader.at < reader.end && unit < units) {
        int first = read_byte(&reader);
        struct position position = read_location(&reader, first >> 3 & 15, &line);

        for (int i = 0; i <= (first & 7) && unit < units; i++) {
            to[unit++] = position;
        }
    }
    while (unit < units) {
        to[unit++] = (struct position){-1, -1, -1, -1};
    }
}

/* Jumps back, and what jumps ahead likewise. */
static const struct {
    unsigned char back, ahead;
} directions[] = {
    {JUMP_BACKWARD, JUMP_FORWARD},
    {JUMP_BACKWARD_NO_INTERRUPT, JUMP_FORWARD},
    {POP_JUMP_BACKWARD_IF_TRUE, POP_JUMP_FORWARD_IF_TRUE},
    {POP_JUMP_BACKWARD_IF_FALSE, POP_JUMP_FORWARD_IF_FALSE},
    {POP_JUMP_BACKWARD_IF_NONE, POP_JUMP_FORWARD_IF_NONE},
    {POP_JUMP_BACKWARD_IF_NOT_NONE, POP_JUMP_FORWARD_IF_NOT_NONE},
};

unsigned char bytecode_ahead(unsigned char opcode)
{
    for (size_t i = 0; i < array_size(directions); i++) {
        if (directions[i].back == opcode) {
            return directions[i].ahead;
        }
    }
    return opcode;
}

int bytecode_target(unsigned char opcode, uint32_t argument, int next)
{
    bool jumps = (_PyOpcode_Jump[opcode >> 5] >> (opcode & 31) & 1) != 0;
    bool back = bytecode_ahead(opcode) != opcode;

    return jumps ? next + (back ? -(int)argument : (int)argument) : NOWHERE;
}

bool bytecode_always_jumps(unsigned char opcode)
{
    return opcode == JUMP_FORWARD || opcode == JUMP_BACKWARD ||
           opcode == JUMP_BACKWARD_NO_INTERRUPT;
}

bool bytecode_goes_on(unsigned char opcode)
{
    return !bytecode_always_jumps(opcode) && opcode != RETURN_VALUE &&
           opcode != RERAISE && opcode != RAISE_VARARGS;
}

bool bytecode_waits(const struct code *code, int number)
{
    return number > 0 && code->instructions[number].opcode == YIELD_VALUE &&
           code->instructions[number - 1].opcode == SEND;
}

/* The instructions, with their jumps' targets still in code units; `numbers` gets for
 * each unit the number of the instruction that it belongs to. */
static void read_instructions(struct code *code, const unsigned char *bytes,
                              Py_ssize_t units, const struct position *positions,
                              int *numbers)
{
    for (Py_ssize_t unit = 0; unit < units;) {
        struct instruction *instruction = &code->instructions[code->count];
        uint32_t argument = 0;
        Py_ssize_t start = unit;

        while (bytes[2 * unit] == EXTENDED_ARG && unit + 1 < units) {
            argument = argument << 8 | bytes[2 * unit + 1];
            unit++;
        }
        *instruction =
            (struct instruction){.opcode = bytes[2 * unit],
                                 .argument = argument << 8 | bytes[2 * unit + 1],
                                 .position = positions[unit],
                                 .exception = NOWHERE,
                                 .line = NOWHERE,
                                 .leave = NOWHERE,
                                 .after = NOWHERE,
                                 .stub = NOWHERE};
        unit += 1 + _PyOpcode_Caches[instruction->opcode];
        instruction->target =
            bytecode_target(instruction->opcode, instruction->argument, (int)unit);
        for (Py_ssize_t i = start; i < unit && i < units; i++) {
            numbers[i] = code->count;
        }
        code->count++;
    }
    numbers[units] = code->count;
}

static bool resolve_jumps(struct code *code, const int *numbers, Py_ssize_t units)
{
    for (int i = 0; i < code->count; i++) {
        struct instruction *jump = &code->instructions[i];

        if (jump->target != NOWHERE) {
            if (jump->target < 0 || jump->target >= units) {
                return false;
            }
            jump->target = numbers[jump->target];
        }
    }
    return true;
}

static bool read_handlers(struct code *code, const int *numbers, Py_ssize_t units)
{
    struct exception_table table = exception_table_of(code->object);
    struct exception_range range;

    /* At most one for every four bytes; and between any two, and around them, one more.
     */
    code->handlers =
        PyMem_Calloc((size_t)(table.end - table.at) + 2, sizeof(*code->handlers));
    if (code->handlers == NULL) {
        return false;
    }
    while (exception_table_next(&table, &range)) {
        unsigned end = range.start + range.size;

        if (end > (unsigned)units || range.target >= (unsigned)units) {
            return false;
        }
        code->handlers[code->handler_count++] =
            (struct handler){.start = numbers[range.start],
                             .end = numbers[end],
                             .target = numbers[range.target],
                             .depth = (int)range.depth,
                             .lasti = range.lasti};
    }
    return true;
}

/* Returns false without an exception for code that this does not fit. */
static bool take_apart(struct code *code)
{
    PyObject *bytes = PyCode_GetCode(code->object);
    Py_ssize_t units = bytes != NULL ? PyBytes_GET_SIZE(bytes) / 2 : 0;
    struct position *positions = PyMem_Calloc((size_t)units + 1, sizeof(*positions));
    int *numbers = PyMem_Calloc((size_t)units + 1, sizeof(*numbers));
    bool done = false;

    code->instructions = PyMem_Calloc((size_t)units + 1, sizeof(*code->instructions));
    if (bytes == NULL || positions == NULL || numbers == NULL ||
        code->instructions == NULL) {
        PyErr_NoMemory();
    } else {
        read_positions(code->object, positions, units);
        read_instructions(code, (unsigned char *)PyBytes_AS_STRING(bytes), units,
                          positions, numbers);
        done = resolve_jumps(code, numbers, units) && read_handlers(code, numbers, units);
    }
    PyMem_Free(numbers);
    PyMem_Free(positions);
    Py_XDECREF(bytes);
    while (done && code->entry < code->count &&
           code->instructions[code->entry].opcode != RESUME) {
        code->entry++;
    }
    return done && code->entry < code->count;
}

/* ---- all of it ---- */

PyObject *points_instrument(PyCodeObject *object, unsigned what, PyObject *constants,
                            points_make *make, void *context)
{
    struct code code = {.object = object,
                        .constants = constants,
                        .make = make,
                        .context = context,
                        .what = what,
                        .unwind = NOWHERE};
    PyObject *result = NULL;

    if (take_apart(&code)) {
        result = bytecode_put_points(&code) ? bytecode_put_together(&code) : NULL;
    } else if (!PyErr_Occurred()) {
        result = Py_NewRef(object);
    }
    Py_XDECREF(code.points);
    PyMem_Free(code.stubs);
    PyMem_Free(code.handlers);
    PyMem_Free(code.instructions);
    return result;
}
