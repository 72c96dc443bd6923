/* SPDX-License-Identifier: MIT */
/*
 * Which points code gets, and where. Runs in the sandbox. Which edges are line events is
 * the interpreter's own rule; the rest of this file divides the edges of an instruction
 * into those that pass its point and those that do not.
 */
#include "worker/sandbox/bytecode_parts.h"

/* Returns the index of the constant, or NOWHERE with an exception. */
static int point(struct code *code, unsigned what, int line)
{
    PyObject *key = Py_BuildValue("(Ii)", what, line);
    PyObject *known = key != NULL ? PyDict_GetItemWithError(code->points, key) : NULL;
    PyObject *made = NULL, *index = NULL;
    int result = NOWHERE;

    if (known != NULL) {
        result = (int)PyLong_AsLong(known);
    } else if (key != NULL && !PyErr_Occurred()) {
        made = code->make(code->context, what, line);
        index = PyLong_FromSsize_t(PyList_GET_SIZE(code->constants));
        if (made != NULL && index != NULL &&
            PyDict_SetItem(code->points, key, index) == 0 &&
            PyList_Append(code->constants, made) == 0) {
            result = (int)PyLong_AsLong(index);
        }
    }
    Py_XDECREF(index);
    Py_XDECREF(made);
    Py_XDECREF(key);
    return result;
}

/* What maybe_call_line_trace() of the interpreter asks. */
static bool is_line_event(const struct code *code, int from, int to)
{
    const struct instruction *next = &code->instructions[to];

    if (next->position.line < 0 || next->opcode == RESUME || to <= code->entry) {
        return false;
    }
    return from <= code->entry ||
           code->instructions[from].position.line != next->position.line ||
           (to < from && next->opcode != SEND);
}

/* Nothing may come between: the interpreter looks at the one from the other. */
static bool is_bound(const struct code *code, int number)
{
    unsigned char opcode = code->instructions[number].opcode;
    unsigned char before = number > 0 ? code->instructions[number - 1].opcode : NOP;

    return opcode == RESUME || opcode == CALL ||
           (opcode == PRECALL && before == KW_NAMES) ||
           (opcode == YIELD_VALUE && before == SEND);
}

/* How the edges to an instruction are divided. */
struct edges {
    int events, others;
    bool falls_event; /* the one from the instruction before it is an event */
};

static void count_edge(struct edges *edges, bool event)
{
    edges->events += event;
    edges->others += !event;
}

static void count_edges(const struct code *code, struct edges *edges)
{
    for (int i = 0; i < code->count; i++) {
        const struct instruction *instruction = &code->instructions[i];

        if (i + 1 < code->count && bytecode_goes_on(instruction->opcode)) {
            edges[i + 1].falls_event = is_line_event(code, i, i + 1);
            count_edge(&edges[i + 1], edges[i + 1].falls_event);
        }
        if (instruction->target != NOWHERE) {
            count_edge(&edges[instruction->target],
                       is_line_event(code, i, instruction->target));
        }
    }
    for (int h = 0; h < code->handler_count; h++) {
        const struct handler *handler = &code->handlers[h];
        bool event = false;

        for (int i = handler->start; i < handler->end; i++) {
            event = event || is_line_event(code, i, handler->target);
        }
        count_edge(&edges[handler->target], event);
    }
}

static bool falls_through(const struct code *code, int to)
{
    return to > 0 && bytecode_goes_on(code->instructions[to - 1].opcode);
}

/* The point stands before the instruction, for all that come there by an event, where the
 * way through from the instruction before it is one, or there is no such way. */
static bool is_in_line(const struct code *code, const struct edges *edges, int to)
{
    return edges[to].events > 0 && !is_bound(code, to) &&
           (edges[to].others == 0 || edges[to].falls_event || !falls_through(code, to));
}

static int add_stub(struct code *code, int from, int constant)
{
    code->stubs[code->stub_count] = (struct stub){.from = from, .constant = constant};
    return code->stub_count++;
}

/* The jump's own: before it where it is always taken, else on its way. */
static bool put_on_edge(struct code *code, int from)
{
    struct instruction *jump = &code->instructions[from];
    int constant =
        point(code, POINT_LINE, code->instructions[jump->target].position.line);

    if (constant == NOWHERE) {
        return false;
    }
    if (bytecode_always_jumps(jump->opcode)) {
        jump->leave = constant;
    } else if (jump->opcode != SEND) {
        jump->stub = add_stub(code, from, constant);
    }
    return true;
}

static bool put_lines(struct code *code)
{
    struct edges *edges = PyMem_Calloc((size_t)code->count, sizeof(*edges));
    bool done = edges != NULL;

    if (edges == NULL) {
        PyErr_NoMemory();
        return false;
    }
    count_edges(code, edges);
    for (int i = 0; done && i < code->count; i++) {
        if (is_in_line(code, edges, i)) {
            code->instructions[i].line =
                point(code, POINT_LINE, code->instructions[i].position.line);
            done = code->instructions[i].line != NOWHERE;
        }
    }
    for (int i = 0; done && i < code->count; i++) {
        struct instruction *jump = &code->instructions[i];

        if (jump->target != NOWHERE && is_line_event(code, i, jump->target)) {
            jump->to_line = code->instructions[jump->target].line != NOWHERE;
            done = jump->to_line || put_on_edge(code, i);
        }
    }
    PyMem_Free(edges);
    return done;
}

static bool put(struct code *code, int *place, unsigned what)
{
    if ((code->what & what) == 0) {
        return true;
    }
    *place = point(code, what, 0);
    return *place != NOWHERE;
}

/* Before a jump that is always taken stands a line's point, if any: nothing else leaves.
 */
static bool put_ways(struct code *code)
{
    bool done = put(code, &code->instructions[code->entry].after, POINT_CALL);

    for (int i = code->entry + 1; done && i < code->count; i++) {
        struct instruction *instruction = &code->instructions[i];

        if (instruction->opcode == RETURN_VALUE) {
            done = put(code, &instruction->leave, POINT_RETURN);
        } else if (instruction->opcode == YIELD_VALUE && !is_bound(code, i)) {
            done = put(code, &instruction->leave, POINT_YIELD);
        } else if (instruction->opcode == RESUME && instruction->argument != 0) {
            done = put(code, &instruction->after, POINT_RESUME);
        }
    }
    return done && put(code, &code->unwind, POINT_UNWIND);
}

static bool put_exceptions(struct code *code)
{
    bool done = true;

    for (int i = 0; done && i < code->handler_count; i++) {
        struct instruction *target = &code->instructions[code->handlers[i].target];

        if (target->exception == NOWHERE && target->opcode == PUSH_EXC_INFO) {
            done = put(code, &target->exception, POINT_EXCEPTION);
        }
    }
    return done;
}

bool bytecode_put_points(struct code *code)
{
    int conditional = 0;

    for (int i = 0; i < code->count; i++) {
        conditional += code->instructions[i].target != NOWHERE;
    }
    code->points = PyDict_New();
    code->stubs = PyMem_Calloc((size_t)conditional + 1, sizeof(*code->stubs));
    if (code->points == NULL || code->stubs == NULL) {
        PyErr_NoMemory();
        return false;
    }
    return put_ways(code) && put_exceptions(code) &&
           ((code->what & POINT_LINE) == 0 || put_lines(code));
}
