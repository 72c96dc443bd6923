/* SPDX-License-Identifier: MIT */
/*
 * Where code is when its instruction has no line. Runs in the sandbox, in a signal
 * handler that may have interrupted anything, on what Python's compiler made of a hostile
 * source.
 */
#define Py_BUILD_CORE
#include "worker/sandbox/bytecode_lines.h"

#include "worker/sandbox/bytecode_parts.h"
#include "worker/sandbox/exception_table.h"

#include <internal/pycore_code.h>

/* Instructions that are looked at before it is given up: some 20 ms. Somebody waits. */
#define LOOKS_MAX (4 << 20)

/* Code units of a handler before its first line, and its points with it. */
#define BEGINNING_MAX 64

static int units_of(const PyCodeObject *code)
{
    return (int)(_PyCode_NBYTES(code) / sizeof(_Py_CODEUNIT));
}

/* 0 or less: it has none. */
static int line_at(PyCodeObject *code, int unit)
{
    return PyCode_Addr2Line(code, unit * (int)sizeof(_Py_CODEUNIT));
}

struct step {
    int at, next; /* code units */
    unsigned char opcode;
    int target; /* of its jump, or NOWHERE */
};

/* As it was compiled: the interpreter puts others in the place of those that it has come
 * to know. */
static unsigned char opcode_at(const PyCodeObject *code, int unit)
{
    return _PyOpcode_Deopt[_Py_OPCODE(_PyCode_CODE(code)[unit])];
}

static struct step step_at(const PyCodeObject *code, int unit)
{
    const _Py_CODEUNIT *units = _PyCode_CODE(code);
    struct step step = {.at = unit};
    uint32_t argument = _Py_OPARG(units[unit]);

    while (opcode_at(code, unit) == EXTENDED_ARG && unit + 1 < units_of(code)) {
        argument = argument << 8 | _Py_OPARG(units[++unit]);
    }
    step.opcode = opcode_at(code, unit);
    step.next = unit + 1 + _PyOpcode_Caches[step.opcode];
    step.target = bytecode_target(step.opcode, argument, step.next);
    return step;
}

/* ---- in a handler, before its first line ---- */

static bool goes_straight_on(const struct step *step)
{
    return bytecode_goes_on(step->opcode) &&
           (step->target == NOWHERE || step->target == step->next);
}

/* The first line that is come to from `from`, if nothing but `at` lies on the way; or 0.
 */
static int line_behind(PyCodeObject *code, int from, int at)
{
    bool passed = false;

    for (int unit = from; unit < units_of(code);) {
        struct step step = step_at(code, unit);
        int line = line_at(code, unit);

        passed = passed || at < step.next;
        if (line > 0 || !goes_straight_on(&step)) {
            return passed && line > 0 ? line : 0;
        }
        unit = step.next;
    }
    return 0;
}

/* What puts things in order, and keeps where that was raised, has no lines of its own. */
static int line_of_handler(PyCodeObject *code, int at)
{
    struct exception_table table = exception_table_of(code);
    struct exception_range range;
    int line = 0;

    while (line <= 0 && exception_table_next(&table, &range)) {
        if (!range.lasti && (int)range.target <= at &&
            at - (int)range.target < BEGINNING_MAX) {
            line = line_behind(code, (int)range.target, at);
        }
    }
    return line;
}

/* ---- before it ---- */

/* Code units from `low` to `high`, which are come to by way of `low` alone, as soon as
 * all jumps to them are among them. */
struct span {
    int low, high;
};

/* Takes in what jumps to it, and says whether that was outside. */
static bool take_in(struct span *span, int first, int last, int target)
{
    bool enters = target > span->low && target <= span->high &&
                  (first < span->low || last > span->high);

    if (enters) {
        span->low = first < span->low ? first : span->low;
        span->high = last > span->high ? last : span->high;
    }
    return enters;
}

static bool take_in_jumps(const PyCodeObject *code, struct span *span)
{
    bool enters = false;

    for (int unit = 0; unit < units_of(code);) {
        struct step step = step_at(code, unit);

        enters |= take_in(span, step.at, step.at, step.target);
        unit = step.next;
    }
    return enters;
}

static bool take_in_exceptions(const PyCodeObject *code, struct span *span)
{
    struct exception_table table = exception_table_of(code);
    struct exception_range range;
    bool enters = false;

    while (exception_table_next(&table, &range)) {
        enters |= take_in(span, (int)range.start, (int)(range.start + range.size) - 1,
                          (int)range.target);
    }
    return enters;
}

/* Further and further back, to a line that each way to `at` leads over. */
static int line_before(PyCodeObject *code, int at)
{
    struct span span = {at, at};
    int line = 0, looks = 0;

    while (line <= 0 && span.low > 0) {
        bool enters = true;

        for (span.low--; enters; looks += units_of(code)) {
            if (looks > LOOKS_MAX) {
                return 0;
            }
            enters = take_in_jumps(code, &span);
            enters |= take_in_exceptions(code, &span);
        }
        line = line_at(code, span.low);
    }
    return line;
}

int bytecode_line(PyCodeObject *code, int at)
{
    int line = line_at(code, at);

    if (line <= 0) {
        line = line_of_handler(code, at);
    }
    if (line <= 0) {
        line = line_before(code, at);
    }
    return line > 0 ? line : code->co_firstlineno;
}
