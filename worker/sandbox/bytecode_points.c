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

/* No line begins between them: the interpreter looks at the one from the other. */
static bool is_bound(const struct code *code, int number)
{
    unsigned char opcode = code->instructions[number].opcode;
    unsigned char before = number > 0 ? code->instructions[number - 1].opcode : NOP;

    return opcode == RESUME || opcode == CALL ||
           (opcode == PRECALL && before == KW_NAMES) || bytecode_waits(code, number);
}

/* How the edges to an instruction are divided. */
struct edges {
    int events, others;
    bool falls_event; /* the one from the instruction before it is an event */
    bool unsure;      /* exceptions come by some that are events and some that are not */
    int handler;      /* the first instruction of the handler that it is of */
    int covered;      /* where a handler begins: its first range, counted from 1 */
    int asked;        /* where a handler begins: last for the one that begins there */
};

static void count_edge(struct edges *edges, bool event)
{
    edges->events += event;
    edges->others += !event;
}

/* The ways of exceptions to a handler. */
struct ways {
    bool event, other;
};

/* None of them finds anything wrong. */
static bool can_raise(unsigned char opcode)
{
    static const unsigned char harmless[] = {
        NOP,   POP_TOP,    PUSH_NULL,  COPY,       SWAP,         PUSH_EXC_INFO,
        CACHE, POP_EXCEPT, LOAD_CONST, STORE_FAST, JUMP_FORWARD,
    };

    return memchr(harmless, opcode, sizeof(harmless)) == NULL;
}

static bool raises_again(const struct instruction *instruction)
{
    return instruction->opcode == RERAISE && instruction->argument != 0;
}

/* The ways to `to` of exceptions that come to `handler`. One that is raised again by
 * RERAISE with an argument is, to the interpreter, where it was raised at first. */
static void find_ways(const struct code *code, struct edges *edges, int handler, int to,
                      struct ways *ret)
{
    if (edges[handler].asked == to) {
        return;
    }
    edges[handler].asked = to;
    for (int h = edges[handler].covered; h > 0; h = code->handlers[h - 1].next) {
        const struct handler *covering = &code->handlers[h - 1];

        for (int i = covering->start; i < covering->end; i++) {
            if (raises_again(&code->instructions[i])) {
                find_ways(code, edges, edges[i].handler, to, ret);
            } else if (can_raise(code->instructions[i].opcode)) {
                *(is_line_event(code, i, to) ? &ret->event : &ret->other) = true;
            }
        }
    }
}

/* Where handlers begin, what they cover, and which each instruction is of. */
static void find_handlers(const struct code *code, struct edges *edges)
{
    int handler = 0;

    for (int h = 0; h < code->handler_count; h++) {
        struct edges *target = &edges[code->handlers[h].target];

        code->handlers[h].next = target->covered;
        target->covered = h + 1;
    }
    for (int i = 0; i < code->count; i++) {
        handler = edges[i].covered > 0 ? i : handler;
        edges[i].handler = handler;
    }
}

static void count_handlers(const struct code *code, struct edges *edges)
{
    find_handlers(code, edges);
    for (int i = 0; i < code->count; i++) {
        struct ways ways = {0};

        if (edges[i].covered > 0) {
            find_ways(code, edges, i, i, &ways);
            edges[i].unsure = ways.event && ways.other;
            count_edge(&edges[i], ways.event);
        }
    }
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
    count_handlers(code, edges);
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

/* Whoever raises an exception again is not on the line that was told last: it has none of
 * its own, or that of who raised it before. */
static bool put_again(struct code *code, const struct edges *edges, int handler)
{
    bool done = true;

    for (int h = edges[handler].covered; h > 0; h = code->handlers[h - 1].next) {
        for (int i = code->handlers[h - 1].start; i < code->handlers[h - 1].end; i++) {
            struct instruction *raising = &code->instructions[i];

            if (raises_again(raising)) {
                raising->exception = point(code, POINT_AGAIN, 0);
                done = done && raising->exception != NOWHERE;
            } else if (raising->opcode == RERAISE) {
                raising->leave = point(code, POINT_AGAIN, raising->position.line);
                done = done && raising->leave != NOWHERE;
            }
        }
    }
    return done;
}

/* Code that only puts things in order on the way out has a line of what stands before it.
 * An exception is told of before that: it was raised on another one. */
static bool put_ahead(struct code *code, int handler)
{
    struct instruction *first = &code->instructions[handler];

    if (first->exception == NOWHERE) {
        first->exception = point(code, POINT_AHEAD, 0);
    }
    return first->exception != NOWHERE;
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
            unsigned what = POINT_LINE | (edges[i].unsure ? POINT_ELSEWHERE : 0);

            code->instructions[i].line =
                point(code, what, code->instructions[i].position.line);
            done = code->instructions[i].line != NOWHERE &&
                   (edges[i].covered == 0 || put_ahead(code, i)) &&
                   (!edges[i].unsure || put_again(code, edges, i));
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

static bool put_at(struct code *code, int *place, unsigned what, int line)
{
    if ((code->what & what) == 0) {
        return true;
    }
    *place = point(code, what, line);
    return *place != NOWHERE;
}

static bool put(struct code *code, int *place, unsigned what)
{
    return put_at(code, place, what, 0);
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
        } else if (instruction->opcode == YIELD_VALUE) {
            done = put(code, &instruction->leave, POINT_YIELD);
        } else if (instruction->opcode == RESUME && instruction->argument != 0) {
            done = put_at(code, &instruction->after, POINT_RESUME,
                          instruction->position.line);
        }
    }
    return done && put(code, &code->unwind, POINT_UNWIND);
}

/* What leaves the body of an `except*` is put into a list, behind its name's end, and
 * comes to no handler any more. */
static bool is_collected(const struct code *code, int at)
{
    static const unsigned char end_of_name[] = {
        LOAD_CONST,  STORE_FAST,  STORE_NAME,    STORE_GLOBAL, STORE_DEREF,
        DELETE_FAST, DELETE_NAME, DELETE_GLOBAL, DELETE_DEREF,
    };

    while (memchr(end_of_name, code->instructions[at].opcode, sizeof(end_of_name)) !=
           NULL) {
        at++;
    }
    return code->instructions[at].opcode == LIST_APPEND;
}

/* The end of the name of an `except ... as`, in a namespace that may refuse it: an
 * exception that has come there is followed by another one. */
static bool ends_name(const struct code *code, int at)
{
    return at + 1 < code->count && code->instructions[at].opcode == LOAD_CONST &&
           code->instructions[at + 1].opcode == STORE_NAME;
}

static bool put_exceptions(struct code *code)
{
    bool done = true;

    for (int i = 0; done && i < code->handler_count; i++) {
        int at = code->handlers[i].target;
        struct instruction *target = &code->instructions[at];

        if (target->exception == NOWHERE &&
            (target->opcode == PUSH_EXC_INFO || is_collected(code, at))) {
            done = put(code, &target->exception, POINT_EXCEPTION);
        } else if ((code->what & POINT_EXCEPTION) != 0 && ends_name(code, at)) {
            done = put_ahead(code, at);
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
