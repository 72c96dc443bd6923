/* SPDX-License-Identifier: MIT */
/*
 * The tracer's events. Runs in the sandbox, inside the interpreter's loop: no Python is
 * called and, but for a thread's own stack, nothing allocated per event. Trusts nothing
 * it reads of a program's code objects but their types.
 */
#include "worker/sandbox/tracer_parts.h"

#include "worker/sandbox/tracer.h"

#include "importer/importer.h"
#include "worker/sandbox/points.h"
#include "worker/sandbox/recorder.h"
#include "worker/sandbox/texts.h"

#include <stdlib.h>
#include <string.h>

static struct tracer {
    enum job_trace most, level;
    uint32_t levels; /* set so far, the first one included */
    uint32_t open;   /* calls on the stacks of all threads, of ended ones as well */
} tracer;

struct point {
    PyObject_HEAD struct function *function; /* owned */
    unsigned what;
    int line;
};

/* ---- a thread's stack ---- */

/* Neither pointer is followed: what they point to is alive as long as every end is seen,
 * which no mistake of ours is to make worse than a wrong name. */
struct call {
    const frame *frame;
    const struct function *function;
    uint32_t number : 31;  /* of the function */
    uint32_t suspends : 1; /* of a generator or a coroutine */
    int line;              /* the last one, */
    int at;                /* and where the interpreter takes it to be */
    uint32_t ahead;        /* an exception that was told ahead, by its number; 0: none, */
    uint32_t ahead_levels; /* and when */
    struct known known;
};

#define FUNCTIONS 256 /* those beyond are taken together */

static _Thread_local struct stack {
    struct call *calls; /* owned */
    uint32_t depth, room;
    uint32_t beyond;           /* calls that there was no room for */
    uint32_t known[FUNCTIONS]; /* how many there are, by the function's number */
    uint32_t levels;           /* of the tracer's, when this one last looked; 0: never */
    uint32_t thread;           /* the recorder's number of it */
} stack;

static void tell(enum wire_kind kind, uint32_t function, int32_t step)
{
    recorder_event(kind, function, step, stack.thread);
}

static uint32_t least_of(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* How many calls more a reader takes of this thread. */
static uint32_t readable(void)
{
    return stack.thread >= WIRE_THREADS_MAX
               ? 0
               : least_of(WIRE_DEPTH_MAX - stack.depth, WIRE_OPEN_MAX - tracer.open);
}

/* Makes room for so many calls more. */
static bool grow(uint32_t more)
{
    uint32_t room = stack.room > 0 ? stack.room : 64;
    struct call *calls;

    while (room - stack.depth < more) {
        room = least_of(2 * room, WIRE_DEPTH_MAX);
    }
    calls = realloc(stack.calls, room * sizeof(*calls));
    if (calls != NULL) {
        stack.calls = calls;
        stack.room = room;
    }
    return calls != NULL;
}

static inline bool has_room(uint32_t more)
{
    return readable() >= more && (stack.room - stack.depth >= more || grow(more));
}

static inline void pop(void)
{
    struct call *call = &stack.calls[--stack.depth];

    tracer.open--;
    stack.known[call->number % FUNCTIONS]--;
    known_done(&call->known);
}

static struct call *top(void)
{
    return stack.depth > 0 ? &stack.calls[stack.depth - 1] : NULL;
}

/* Calls between the innermost one that we know and this one, this one included; 0 where
 * it is not called from there. */
static uint32_t count_unknown(const frame *of)
{
    uint32_t count = 0;

    while (of != NULL && (stack.depth == 0 || of != top()->frame)) {
        count += functions_of(frames_code(of)) != NULL;
        of = frames_back(of);
    }
    return of != NULL || stack.depth == 0 ? count : 0;
}

/* Is this call deeper than there is room for? They are counted, in and out: to look where
 * among Python's frames such a call is takes as long as they are many. */
static bool is_beyond(const frame *of)
{
    if (stack.depth > 0 && top()->frame == of) {
        stack.beyond = 0;
    }
    return stack.beyond > 0;
}

/* Is that call among those that wait for this one, or this one itself? */
static bool is_called_from(const frame *current, const struct call *call)
{
    const struct function *function;

    while (current != NULL && current != call->frame) {
        current = frames_back(current);
    }
    function = current != NULL ? functions_of(frames_code(current)) : NULL;
    return current != NULL && (function == NULL || function == call->function);
}

/* Told first: where the record begins a chunk, the stack is the one before it. */
static inline void leave_top(enum wire_kind kind)
{
    tell(kind, 0, 0);
    pop();
}

/* What is on our stack and not on Python's is suspended. */
static void leave_suspended(const frame *caller)
{
    while (stack.depth > 0 && !is_called_from(caller, top())) {
        leave_top(WIRE_YIELD);
    }
}

/* `at`: the line that it goes on from; 0: it has none yet. Where calls alone are told, so
 * is no line of them. */
static inline void push(const frame *of, struct function *function, enum wire_kind kind,
                        int at)
{
    int line = at > 0 && tracer.level >= JOB_TRACE_LINES ? at : function->line;

    if (!has_room(1)) {
        stack.beyond++;
    } else if (functions_has_name(function)) {
        tell(kind, function->number, line - function->line);
        tracer.open++;
        stack.known[function->number % FUNCTIONS]++;
        stack.calls[stack.depth++] = (struct call){.frame = of,
                                                   .function = function,
                                                   .number = function->number,
                                                   .line = line,
                                                   .at = at,
                                                   .suspends = function->suspends};
    }
}

/* Calls between the innermost one that we know and this one, this one included: they go
 * on without a word where an exception is thrown through them into the generator that
 * they wait for, or began while nothing was traced. The outermost are told first, and are
 * found last: they are laid down where they are going to stand. */
static void resume_unknown(const frame *of)
{
    uint32_t count = count_unknown(of), at = count, first = stack.depth, room;
    const frame *call;

    room = least_of(count, readable());
    room = has_room(room) ? room : 0;
    while (at > 0) {
        if (functions_of(frames_code(of)) != NULL && --at < room) {
            stack.calls[first + at].frame = of;
        }
        of = frames_back(of);
    }
    for (uint32_t i = 0; i < room; i++) {
        call = stack.calls[first + i].frame;
        push(call, functions_of(frames_code(call)), WIRE_RESUME,
             recorder_line(frames_line(call)));
    }
    stack.beyond += count - room;
}

/* The level was another one when this thread was last seen. If it was off, what has ended
 * since has been told (end_known), what has begun has not. `of` is the innermost call
 * that the point itself does not tell. */
static void catch_up(const struct point *point)
{
    const frame *of = frames_current(frames_thread());

    if ((point->what & (POINT_CALL | POINT_RESUME)) != 0) {
        of = frames_back(of);
    }
    if (stack.levels == 0) {
        stack.thread = recorder_thread();
        recorder_trace_thread(&stack);
    }
    leave_suspended(of);
    stack.beyond = readable() == 0 ? count_unknown(of) : 0;
    if (!frames_are_watched(frames_thread())) {
        stack.levels = tracer.levels;
        if (stack.beyond == 0) {
            resume_unknown(of);
        }
    }
}

static inline void look_at_thread(const struct point *point)
{
    if (stack.levels != tracer.levels) {
        catch_up(point);
    }
}

static void enter(struct function *function, enum wire_kind kind, int at)
{
    const frame *current = frames_current(frames_thread());
    const frame *caller = frames_back(current);

    if (is_beyond(caller)) {
        stack.beyond++;
        return;
    }
    if (stack.depth == 0 || top()->frame != caller) {
        leave_suspended(caller);
        if (!frames_are_watched(frames_thread())) {
            resume_unknown(caller);
        }
    }
    push(current, function, kind, at);
}

static inline bool is_top(const frame *of, const struct function *function)
{
    const struct call *call = top();

    return call != NULL && call->frame == of && call->function == function;
}

/* Makes the current frame the innermost call: it may have gone on without a word, when an
 * exception was thrown into it: this one, or, where it is NULL, one that what it waited
 * for has caught. Returns false where it is not traced. */
static bool come_back(struct function *function, PyObject *exception)
{
    const frame *current = frames_current(frames_thread());

    if (is_top(current, function)) {
        return true;
    }
    leave_suspended(current);
    if (!is_top(current, function)) {
        enter(function, WIRE_RESUME,
              recorder_line(frames_line_thrown(current, exception)));
        if (exception == NULL && is_top(current, function)) {
            top()->at = 0; /* from where is not known: what begins now is a line */
        }
    }
    return is_top(current, function);
}

/* ---- leaving, and lines ---- */

/* Of the innermost call, which this is. */
static void tell_variables(struct call *call)
{
    if (tracer.level < JOB_TRACE_STEPS || call == NULL) {
        return;
    }
    if (recorder_is_full()) { /* variables cost most, in time and in room */
        tracer_set_level(JOB_TRACE_LINES);
        tracer.most = JOB_TRACE_LINES;
        return;
    }
    known_tell(&call->known, frames_current(frames_thread()), stack.thread);
}

/* Calls that wait, and are on the stack as an exception was thrown through them, wait
 * again without a word as soon as what it was thrown into has answered: by a yield or, of
 * a class, at the end of its `throw`. `of`: who called what has answered. What is not
 * traced between them may answer, or not: of that is known what comes next. */
static void leave_waiting(const frame *of)
{
    while (of != NULL && frames_waits(of)) {
        if (stack.depth > 0 && top()->frame == of) {
            leave_top(WIRE_YIELD);
        }
        of = frames_back(of);
    }
}

static void leave(struct function *function, enum wire_kind kind)
{
    const frame *current = frames_current(frames_thread());

    if (!is_beyond(current) && come_back(function, NULL)) {
        tell_variables(top());
        leave_top(kind);
        if (kind == WIRE_YIELD || (kind == WIRE_RETURN && function->throws)) {
            leave_waiting(frames_back(current));
        }
    } else if (stack.beyond > 0) { /* there is no room, or it has come back to none */
        stack.beyond--;
    }
}

/* Of a function that can be suspended another call may have gone on without a word. */
static bool is_another(const struct call *call)
{
    return call->suspends && call->frame != frames_current(frames_thread());
}

static void begin_line(const struct point *point)
{
    struct call *call = top();

    if (stack.beyond > 0 && is_beyond(frames_current(frames_thread()))) {
        return;
    }
    if (call == NULL || call->function != point->function || is_another(call)) {
        if (!come_back(point->function, NULL)) {
            return;
        }
        call = top();
    }
    if ((point->what & POINT_ELSEWHERE) != 0 && call->at == point->line) {
        return;
    }
    tell_variables(call);
    tell(WIRE_LINE, 0, point->line - call->line);
    call->line = call->at = point->line;
}

/* An exception is about to be raised again, as if from there. */
static void raise_again(const struct point *point, int line)
{
    struct call *call = top();

    if (call != NULL && call->function == point->function &&
        call->frame == frames_current(frames_thread())) {
        call->at = line;
    }
}

/* While the level is off nothing is told but the ends of calls that are known: no frame
 * on our stack is one that is gone. Above a call that runs there are only such as can be
 * suspended; one that is about to go on was. */
static void end_known(const struct point *point)
{
    static const unsigned ends = POINT_RETURN | POINT_YIELD | POINT_RESUME | POINT_UNWIND;
    const frame *current = frames_current(frames_thread());
    unsigned what = point->what;
    bool is_known = stack.known[point->function->number % FUNCTIONS] > 0;
    uint32_t depth = (what & ends) != 0 && is_known ? stack.depth : 0;

    while (depth > 0 && stack.calls[depth - 1].frame != current) {
        if (!stack.calls[--depth].suspends) {
            return;
        }
    }
    if (depth == 0 || tracer.most == JOB_TRACE_OFF) {
        return;
    }
    while (stack.depth > depth) {
        leave_top(WIRE_YIELD);
    }
    leave_top(what == POINT_RETURN   ? WIRE_RETURN
              : what == POINT_UNWIND ? WIRE_UNWIND
                                     : WIRE_YIELD);
}

/* For `sync`, under the recorder's guard, and the interpreter's lock: of any thread's. */
static size_t name_calls(const void *of, struct recorder_call *calls, size_t room)
{
    const struct stack *its = of;
    size_t depth = its->depth < room ? its->depth : room;
    const struct call *first = its->calls + (its->depth - depth);

    for (size_t i = 0; i < depth; i++) {
        calls[i] = (struct recorder_call){.function = first[i].number,
                                          .line = (uint32_t)first[i].line};
    }
    return depth;
}

/* The thread has ended, without the interpreter's lock: of a coroutine that it left
 * suspended it may still hold what was known. */
static void end_stack(void *of)
{
    struct stack *its = of;

    free(its->calls);
    its->calls = NULL;
    its->depth = its->room = 0;
}

/* ---- points ---- */

static void begin_call(const struct point *point)
{
    bool resumes = point->what != POINT_CALL;
    int line = point->line;

    if (resumes && line == 0) {
        line = recorder_line(frames_line(frames_current(frames_thread())));
    }
    enter(point->function, resumes ? WIRE_RESUME : WIRE_CALL, line);
}

/* A program may have made a copy of its code. */
static inline void adopt(PyObject *point, struct function *function)
{
    PyCodeObject *code = frames_code(frames_current(frames_thread()));

    if (code->co_extra == NULL) {
        functions_adopt(code, point, function);
    }
}

static int on_point(PyObject *self)
{
    const struct point *point = (struct point *)self;

    if (point->what == POINT_CALL) {
        adopt(self, point->function);
    }
    if (tracer.level == JOB_TRACE_OFF) {
        end_known(point);
        return 1;
    }
    look_at_thread(point);
    if (point->what == POINT_AGAIN) {
        raise_again(point, point->line);
    } else if ((point->what & POINT_LINE) != 0) {
        if (tracer.level >= JOB_TRACE_LINES) {
            begin_line(point);
        }
    } else if ((point->what & (POINT_CALL | POINT_RESUME)) != 0) {
        begin_call(point);
    } else {
        leave(point->function, point->what == POINT_RETURN ? WIRE_RETURN : WIRE_YIELD);
    }
    return 1;
}

/* Of the innermost call. One that was told ahead of code that puts things in order comes
 * once more when that is done: to a handler of the same call, or to leave it. */
static void tell_exception(PyObject *exception, bool is_ahead)
{
    struct call *call = top();
    uint32_t number = exceptions_number(exception);

    if (call->ahead != number || call->ahead_levels != tracer.levels) {
        recorder_exception(number, functions_type_number(Py_TYPE(exception)),
                           stack.thread);
    }
    call->ahead = is_ahead ? number : 0;
    call->ahead_levels = tracer.levels;
}

/* The interpreter has taken the exception off its state: ours is to leave it so. */
static int on_exception(PyObject *self, PyObject *exception)
{
    const struct point *point = (struct point *)self;

    if (point->what == POINT_AGAIN) {
        raise_again(point, frames_line_at(frames_current(frames_thread()), exception));
        return 1;
    }
    if (tracer.level == JOB_TRACE_OFF) {
        end_known(point);
        return 1;
    }
    look_at_thread(point);
    if (!is_beyond(frames_current(frames_thread())) &&
        come_back(point->function, exception) && tracer.level >= JOB_TRACE_LINES) {
        tell_exception(exception, point->what == POINT_AHEAD);
    }
    if (point->what == POINT_UNWIND) {
        leave(point->function, WIRE_UNWIND);
    }
    return 1;
}

static void point_free(PyObject *self)
{
    Py_DECREF(((struct point *)self)->function);
    PyObject_Free(self);
}

static PyNumberMethods point_number = {.nb_bool = on_point};
static PySequenceMethods point_sequence = {.sq_contains = on_exception};
static PyTypeObject point_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "paddock.point",
    .tp_basicsize = sizeof(struct point),
    .tp_dealloc = point_free,
    .tp_as_number = &point_number,
    .tp_as_sequence = &point_sequence,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
};

PyObject *tracer_point(void *context, unsigned what, int line)
{
    struct point *point = PyObject_New(struct point, &point_type);

    if (point != NULL) {
        point->function = (struct function *)Py_NewRef(context);
        point->what = what;
        point->line = recorder_line(line);
    }
    return (PyObject *)point;
}

/* ---- start and stop ---- */

enum job_trace tracer_most(void)
{
    return tracer.most;
}

int tracer_init(void)
{
    recorder_init();
    recorder_set_stack(name_calls, end_stack);
    return functions_init() == 0 ? PyType_Ready(&point_type) : -1;
}

void tracer_start(enum job_trace level)
{
    tracer.most = tracer.level = level;
    tracer.levels = 1;
    if (level >= JOB_TRACE_LINES) {
        exceptions_start();
    }
    if (level != JOB_TRACE_OFF) {
        importer_set_code_hook(tracer_instrument);
        texts_trace();
    }
}

void tracer_stop(void)
{
    tracer.most = tracer.level = JOB_TRACE_OFF;
}

enum job_trace tracer_level(void)
{
    return tracer.level;
}

void tracer_set_level(enum job_trace level)
{
    level = level < tracer.most ? level : tracer.most;
    if (level != tracer.level) {
        tracer.level = level;
        tracer.levels++;
        recorder_level(level);
    }
}
