/* SPDX-License-Identifier: MIT */
/*
 * Code with its points, laid out anew and written: instructions, locations, handlers.
 * Runs in the sandbox.
 */
#include "worker/sandbox/bytecode_parts.h"

#include "common/buffer.h"
#include "common/limits.h"

#include <string.h>

/* ---- laying it out ---- */

static int argument_units(uint32_t argument)
{
    return argument > 0xffffff ? 4 : argument > 0xffff ? 3 : argument > 0xff ? 2 : 1;
}

static int instruction_units(unsigned char opcode, uint32_t argument)
{
    return argument_units(argument) + _PyOpcode_Caches[opcode];
}

/* LOAD_CONST, POP_JUMP_FORWARD_IF_FALSE to the next: asks for the truth value. */
static int point_units(int constant)
{
    return constant == NOWHERE ? 0 : argument_units((uint32_t)constant) + 1;
}

/* Behind the point of a call that waits for another stands, passed over, the SEND that
 * the interpreter finds there (Objects/genobject.c, _gen_throw). */
static bool has_second_send(const struct code *code, int number)
{
    return code->instructions[number].leave != NOWHERE && bytecode_waits(code, number);
}

/* COPY, LOAD_CONST, CONTAINS_OP, POP_TOP. */
static int exception_units(int constant)
{
    return constant == NOWHERE ? 0 : argument_units((uint32_t)constant) + 3;
}

static int jump_to(const struct code *code, const struct instruction *jump)
{
    const struct instruction *target = &code->instructions[jump->target];

    if (jump->stub != NOWHERE) {
        return code->stubs[jump->stub].at;
    }
    return jump->to_line ? target->at_line : target->at_leave;
}

static void set_jump(const struct code *code, struct instruction *jump)
{
    int next = jump->at + instruction_units(jump->opcode, jump->argument);
    int distance = jump_to(code, jump) - next;

    jump->argument = (uint32_t)(distance < 0 ? -distance : distance);
}

static int stub_units(const struct code *code, const struct stub *stub, int at)
{
    const struct instruction *target =
        &code->instructions[code->instructions[stub->from].target];
    int units = point_units(stub->constant), back = 1;

    while (argument_units((uint32_t)(at + units + back - target->at_leave)) > back) {
        back++;
    }
    return units + back;
}

/* Places everything, with jumps as long as they were. Returns the number of units. */
static int place(struct code *code)
{
    int at = 0;

    for (int i = 0; i < code->count; i++) {
        struct instruction *instruction = &code->instructions[i];

        instruction->at_exception = at;
        at += exception_units(instruction->exception);
        instruction->at_line = at;
        at += point_units(instruction->line);
        instruction->at_leave = at;
        at += point_units(instruction->leave) + has_second_send(code, i);
        instruction->at = at;
        at += instruction_units(instruction->opcode, instruction->argument);
        at += point_units(instruction->after);
    }
    for (int i = 0; i < code->stub_count; i++) {
        code->stubs[i].at = at;
        at += stub_units(code, &code->stubs[i], at);
    }
    code->at_unwind = at;
    return at + (code->unwind != NOWHERE ? exception_units(code->unwind) + 1 : 0);
}

/* Until no jump grows any more: none ever shrinks, so this ends. */
static int lay_out(struct code *code)
{
    bool grown = true;
    int units = 0;

    for (int i = 0; i < code->count; i++) {
        struct instruction *jump = &code->instructions[i];

        jump->opcode =
            jump->stub != NOWHERE ? bytecode_ahead(jump->opcode) : jump->opcode;
    }
    while (grown) {
        grown = false;
        units = place(code);
        for (int i = 0; i < code->count; i++) {
            struct instruction *jump = &code->instructions[i];
            uint32_t before = jump->argument;

            if (jump->target == NOWHERE) {
                continue;
            }
            set_jump(code, jump);
            if (argument_units(jump->argument) > argument_units(before)) {
                grown = true;
            } else if (argument_units(jump->argument) < argument_units(before)) {
                jump->argument = before; /* its place is kept; the bytes are made below */
            }
        }
    }
    return units;
}

/* ---- writing it ---- */

struct writer {
    struct buffer code, locations;
    int line;                 /* the running one of the locations */
    struct position position; /* of the units that are not written yet */
    int units;
};

static void write_varint(struct buffer *to, unsigned value)
{
    while (value >= 64) {
        buffer_add_char(to, (char)(64 | (value & 63)));
        value >>= 6;
    }
    buffer_add_char(to, (char)value);
}

static void write_signed(struct buffer *to, int value)
{
    write_varint(to, value < 0 ? (unsigned)-value << 1 | 1 : (unsigned)value << 1);
}

static void write_location(struct writer *writer, int units)
{
    const struct position *position = &writer->position;
    int code = position->line < 0     ? LOCATION_NONE
               : position->column < 0 ? LOCATION_NO_COLUMNS
                                      : LOCATION_LONG;

    buffer_add_char(&writer->locations, (char)(0x80 | code << 3 | (units - 1)));
    if (code == LOCATION_NONE) {
        return;
    }
    write_signed(&writer->locations, position->line - writer->line);
    writer->line = position->line;
    if (code == LOCATION_LONG) {
        write_varint(&writer->locations, (unsigned)(position->end_line - position->line));
        write_varint(&writer->locations, (unsigned)(position->column + 1));
        write_varint(&writer->locations, (unsigned)(position->end_column + 1));
    }
}

static void flush_locations(struct writer *writer)
{
    while (writer->units > 0) {
        int units = writer->units < 8 ? writer->units : 8;

        write_location(writer, units);
        writer->units -= units;
    }
}

static bool same_place(const struct position *one, const struct position *other)
{
    return memcmp(one, other, sizeof(*one)) == 0;
}

static void write_unit(struct writer *writer, unsigned char opcode,
                       unsigned char argument, const struct position *position)
{
    if (!same_place(&writer->position, position)) {
        flush_locations(writer);
        writer->position = *position;
    }
    writer->units++;
    buffer_add_char(&writer->code, (char)opcode);
    buffer_add_char(&writer->code, (char)argument);
}

/* With at least so many units for the argument. */
static void write_wide(struct writer *writer, unsigned char opcode, uint32_t argument,
                       int units, const struct position *position)
{
    int needed = argument_units(argument);

    for (int i = (units > needed ? units : needed) - 1; i > 0; i--) {
        write_unit(writer, EXTENDED_ARG, (unsigned char)(argument >> (8 * i)), position);
    }
    write_unit(writer, opcode, (unsigned char)argument, position);
    for (int i = 0; i < _PyOpcode_Caches[opcode]; i++) {
        write_unit(writer, CACHE, 0, position);
    }
}

static void write_short(struct writer *writer, unsigned char opcode, int argument,
                        const struct position *position)
{
    write_wide(writer, opcode, (uint32_t)argument, 1, position);
}

static void write_point(struct writer *writer, int constant,
                        const struct position *position)
{
    if (constant != NOWHERE) {
        write_short(writer, LOAD_CONST, constant, position);
        write_short(writer, POP_JUMP_FORWARD_IF_FALSE, 0, position);
    }
}

static void write_point_of_wait(struct writer *writer, const struct code *code,
                                int number)
{
    const struct instruction *yield = &code->instructions[number];

    write_short(writer, LOAD_CONST, yield->leave, &yield->position);
    write_short(writer, POP_JUMP_FORWARD_IF_TRUE, 1, &yield->position);
    write_short(writer, SEND, jump_to(code, yield - 1) - yield->at, &yield->position);
}

/* `depth`: on the stack, of what is asked for. */
static void write_exception(struct writer *writer, int constant, int depth,
                            const struct position *position)
{
    if (constant != NOWHERE) {
        write_short(writer, COPY, depth, position);
        write_short(writer, LOAD_CONST, constant, position);
        write_short(writer, CONTAINS_OP, 0, position);
        write_short(writer, POP_TOP, 0, position);
    }
}

/* Of who raises again: the number of the instruction that did so before. */
static int asked_depth(const struct instruction *instruction)
{
    return instruction->opcode == RERAISE ? (int)instruction->argument + 1 : 1;
}

/* Where a call begins, RESUME is passed over by a program's trace function; a point
 * behind it must not be told of: it is of the first line that is. */
static const struct position *behind(const struct code *code, int number)
{
    bool begins = number == code->entry && number + 1 < code->count;

    return &code->instructions[begins ? number + 1 : number].position;
}

static void write_instruction(struct writer *writer, const struct code *code, int number)
{
    struct instruction *instruction = &code->instructions[number];
    const struct position *position = &instruction->position;
    int units = argument_units(instruction->argument);

    write_exception(writer, instruction->exception, asked_depth(instruction), position);
    write_point(writer, instruction->line, position);
    if (has_second_send(code, number)) {
        write_point_of_wait(writer, code, number);
    } else {
        write_point(writer, instruction->leave, position);
    }
    if (instruction->target != NOWHERE) {
        set_jump(code, instruction);
    }
    write_wide(writer, instruction->opcode, instruction->argument, units, position);
    write_point(writer, instruction->after, behind(code, number));
}

static void write_stub(struct writer *writer, const struct code *code,
                       const struct stub *stub)
{
    const struct instruction *jump = &code->instructions[stub->from];
    const struct instruction *target = &code->instructions[jump->target];
    int units = stub_units(code, stub, stub->at);
    int back = units - point_units(stub->constant);

    write_point(writer, stub->constant, &target->position);
    write_wide(writer, JUMP_BACKWARD, (uint32_t)(stub->at + units - target->at_leave),
               back, &target->position);
}

static void write_code(struct writer *writer, const struct code *code)
{
    static const struct position nowhere = {-1, -1, -1, -1};

    for (int i = 0; i < code->count; i++) {
        write_instruction(writer, code, i);
    }
    for (int i = 0; i < code->stub_count; i++) {
        write_stub(writer, code, &code->stubs[i]);
    }
    if (code->unwind != NOWHERE) {
        write_exception(writer, code->unwind, 1, &nowhere);
        write_short(writer, RERAISE, 1, &nowhere);
    }
    flush_locations(writer);
}

/* ---- its handlers ---- */

static void write_handler_number(struct buffer *to, unsigned value, unsigned first)
{
    int digits = 1;

    while (digits < 5 && value >> (6 * digits) != 0) {
        digits++;
    }
    while (digits-- > 0) {
        unsigned bits = value >> (6 * digits) & 63;

        buffer_add_char(to, (char)(bits | first | (digits > 0 ? 64 : 0)));
        first = 0;
    }
}

static void write_handler(struct buffer *to, int start, int end, int target, int depth,
                          int lasti)
{
    if (start >= end) {
        return;
    }
    write_handler_number(to, (unsigned)start, 128);
    write_handler_number(to, (unsigned)(end - start), 0);
    write_handler_number(to, (unsigned)target, 0);
    write_handler_number(to, (unsigned)(depth << 1 | lasti), 0);
}

/* Where the points of an instruction begin. */
static int begin_of(const struct code *code, int number)
{
    return number < code->count   ? code->instructions[number].at_exception
           : code->stub_count > 0 ? code->stubs[0].at
                                  : code->at_unwind;
}

/* What nobody handles from one instruction to another leaves by the point of unwinding.
 */
static void write_gap(struct buffer *to, const struct code *code, int start, int end)
{
    int first = code->entry + 1;

    if (code->unwind != NOWHERE) {
        start = start < first ? first : start;
        write_handler(to, begin_of(code, start), end < start ? 0 : begin_of(code, end),
                      code->at_unwind, 0, 1);
    }
}

static const struct handler *handler_of(const struct code *code, int number)
{
    for (int i = 0; i < code->handler_count; i++) {
        if (number >= code->handlers[i].start && number < code->handlers[i].end) {
            return &code->handlers[i];
        }
    }
    return NULL;
}

/* A jump back may be interrupted: by what would have handled it where it came from. */
static void write_stub_handler(struct buffer *to, const struct code *code, int number)
{
    const struct stub *stub = &code->stubs[number];
    const struct handler *handler = handler_of(code, stub->from);
    int end =
        number + 1 < code->stub_count ? code->stubs[number + 1].at : code->at_unwind;

    if (handler != NULL) {
        write_handler(to, stub->at, end, code->instructions[handler->target].at_exception,
                      handler->depth, handler->lasti);
    } else if (code->unwind != NOWHERE) {
        write_handler(to, stub->at, end, code->at_unwind, 0, 1);
    }
}

static void write_handlers(struct buffer *to, const struct code *code)
{
    int covered = 0;

    for (int i = 0; i < code->handler_count; i++) {
        const struct handler *handler = &code->handlers[i];

        write_gap(to, code, covered, handler->start);
        write_handler(to, begin_of(code, handler->start), begin_of(code, handler->end),
                      code->instructions[handler->target].at_exception, handler->depth,
                      handler->lasti);
        covered = handler->end;
    }
    write_gap(to, code, covered, code->count);
    for (int i = 0; i < code->stub_count; i++) {
        write_stub_handler(to, code, i);
    }
}

/* ---- all of it ---- */

#define EXTRA_STACK 4 /* what the points need, above what any instruction does */

static PyObject *bytes_of(const struct buffer *buffer)
{
    return PyBytes_FromStringAndSize(buffer->data != NULL ? buffer->data : "",
                                     (Py_ssize_t)buffer->size);
}

static PyObject *replace(const struct code *code, const struct writer *writer,
                         const struct buffer *handlers)
{
    PyObject *method = PyObject_GetAttrString((PyObject *)code->object, "replace");
    PyObject *none = PyTuple_New(0);
    PyObject *changes =
        Py_BuildValue("{s:N,s:N,s:N,s:N,s:i}", "co_code", bytes_of(&writer->code),
                      "co_linetable", bytes_of(&writer->locations), "co_exceptiontable",
                      bytes_of(handlers), "co_consts", PyList_AsTuple(code->constants),
                      "co_stacksize", code->object->co_stacksize + EXTRA_STACK);
    PyObject *result = method != NULL && none != NULL && changes != NULL
                           ? PyObject_Call(method, none, changes)
                           : NULL;

    Py_XDECREF(changes);
    Py_XDECREF(none);
    Py_XDECREF(method);
    return result;
}

#define CODE_MAX MIB(64) /* bytes */

PyObject *bytecode_put_together(struct code *code)
{
    struct writer writer = {.code = BUFFER_INIT(CODE_MAX),
                            .locations = BUFFER_INIT(CODE_MAX),
                            .line = code->object->co_firstlineno};
    struct buffer handlers = BUFFER_INIT(CODE_MAX);
    PyObject *result = NULL;

    (void)lay_out(code);
    write_code(&writer, code);
    write_handlers(&handlers, code);
    if (buffer_error(&writer.code) < 0 || buffer_error(&writer.locations) < 0 ||
        buffer_error(&handlers) < 0) {
        PyErr_NoMemory();
    } else {
        result = replace(code, &writer, &handlers);
    }
    buffer_done(&writer.code);
    buffer_done(&writer.locations);
    buffer_done(&handlers);
    return result;
}
