/* SPDX-License-Identifier: MIT */
/*
 * The tracer. Runs in the sandbox, inside the interpreter's loop: no Python is called
 * and, but for a thread's own stack, nothing allocated per event. Trusts nothing it reads
 * of a program's code objects but their types.
 */
#include "worker/sandbox/frames.h" /* first: what it defines decides what Python.h has */

#include "worker/sandbox/tracer.h"

#include "common/cleanup.h"
#include "importer/importer.h"
#include "worker/sandbox/bytecode.h"
#include "worker/sandbox/recorder.h"
#include "worker/sandbox/variables.h"

#include <stdlib.h>
#include <string.h>

static struct tracer {
    enum job_trace most, level;
    Py_ssize_t extra;    /* slot of code objects: struct function, or NULL */
    PyObject *numbers;   /* dict: path -> number of the file; owned */
    PyObject *names;     /* dict: text -> number of the name; owned */
    uint32_t functions;  /* numbers given */
    PyObject *exception; /* the last one, borrowed: for its address alone */
    uint64_t exceptions; /* numbers given */
} tracer;

/* One code object with points; lives as long as the process, and is found from its code
 * by the code's extra slot. */
struct function {
    PyCodeObject *code; /* as it was compiled; owned */
    uint32_t number;    /* 0: not named yet */
    bool nameless;      /* there was no room for its name: it is not traced */
};

struct point {
    PyObject_HEAD struct function *function;
    unsigned what;
    int line;
};

static struct function *function_of(PyCodeObject *code)
{
    void *function = NULL;

    if (_PyCode_GetExtra((PyObject *)code, tracer.extra, &function) != 0) {
        PyErr_Clear();
        return NULL;
    }
    return function;
}

/* ---- tables ---- */

#define NAME_MAX_BYTES 512
#define TABLE_ROOM     (2 * (NAME_MAX_BYTES + 32)) /* for a file and a function */

/* As much of a text as fits well into one record, in whole characters. */
static void write_name(struct wire_writer *record, PyObject *text)
{
    Py_ssize_t size = 0;
    const char *bytes = PyUnicode_AsUTF8AndSize(text, &size);

    if (bytes == NULL) {
        PyErr_Clear();
        bytes = "";
        size = 0;
    }
    if (size > NAME_MAX_BYTES) {
        size = NAME_MAX_BYTES;
        while ((bytes[size] & 0xc0) == 0x80) { /* within a character */
            size--;
        }
    }
    wire_bytes(record, bytes, (size_t)size);
}

/* The number of a text in a dict, from `first` on; *ret_new where it had none. */
static uint32_t number_of(PyObject *numbers, PyObject *text, uint32_t first,
                          bool *ret_new)
{
    PyObject *known = PyDict_GetItemWithError(numbers, text);
    uint32_t number = first + (uint32_t)PyDict_GET_SIZE(numbers);

    *ret_new = known == NULL;
    if (known != NULL) {
        return (uint32_t)PyLong_AsUnsignedLong(known);
    }
    known = PyLong_FromUnsignedLong(number);
    if (known == NULL || PyDict_SetItem(numbers, text, known) != 0) {
        PyErr_Clear(); /* out of memory: it will be named again */
    }
    Py_XDECREF(known);
    return number;
}

static uint32_t file_number(PyObject *path)
{
    bool is_new;
    uint32_t number = number_of(tracer.numbers, path, 0, &is_new);

    if (is_new) {
        struct wire_writer *record = recorder_table(WIRE_FILE);

        wire_unsigned(record, number);
        write_name(record, path);
        recorder_publish_table();
    }
    return number;
}

/* Of a text that is no more than a name: without room it is 0, which is none. */
static uint32_t name_number(PyObject *text)
{
    bool is_new;
    uint32_t number;
    struct wire_writer *record;

    if (!recorder_has_table_room(TABLE_ROOM)) {
        return 0;
    }
    number = number_of(tracer.names, text, 1, &is_new);
    if (is_new) {
        record = recorder_table(WIRE_NAME);
        wire_unsigned(record, number);
        write_name(record, text);
        recorder_publish_table();
    }
    return number;
}

static int first_line(const PyCodeObject *code)
{
    return code->co_firstlineno > 0 ? code->co_firstlineno : 0;
}

static void name_function(struct function *function)
{
    PyCodeObject *code = function->code;
    uint32_t file;
    struct wire_writer *record;

    if (!recorder_has_table_room(TABLE_ROOM)) {
        function->nameless = true;
        return;
    }
    file = file_number(code->co_filename);
    function->number = ++tracer.functions;
    record = recorder_table(WIRE_FUNCTION);
    wire_unsigned(record, function->number);
    wire_unsigned(record, file);
    wire_unsigned(record, (uint64_t)first_line(code));
    write_name(record, code->co_qualname);
    recorder_publish_table();
}

static bool has_name(struct function *function)
{
    if (function->number == 0 && !function->nameless) {
        name_function(function);
    }
    return function->number != 0;
}

/* ---- a thread's stack ---- */

struct call {
    const frame *frame; /* for its address alone */
    struct function *function;
    int line;        /* the last one */
    uint64_t *known; /* fingerprints of its variables; owned; NULL: none looked at */
    PyObject *names; /* the same of a module's or a class's, by name: dict; owned */
};

#define STACK_MAX 100000 /* calls; what is deeper is not traced */

static _Thread_local struct stack {
    struct call *calls; /* owned; an end of the thread leaves it */
    uint32_t depth, room;
    uint32_t thread; /* the recorder's number of it */
    uint64_t id;     /* of Python's thread; 0: not known yet */
    bool alone;
} stack;

static void look_at_thread(void)
{
    const PyThreadState *thread = frames_thread();

    if (stack.id != frames_thread_id(thread)) {
        stack.id = frames_thread_id(thread);
        stack.thread = recorder_thread();
    }
    stack.alone = frames_alone(thread);
}

static void tell(enum wire_kind kind, int32_t operand)
{
    recorder_event(kind, operand, stack.thread, stack.alone);
}

static bool has_room(void)
{
    uint32_t room = stack.room > 0 ? stack.room * 2 : 64;
    struct call *calls;

    if (stack.depth < stack.room) {
        return true;
    }
    room = room < STACK_MAX ? room : STACK_MAX;
    calls = stack.depth < STACK_MAX ? realloc(stack.calls, room * sizeof(*calls)) : NULL;
    if (calls != NULL) {
        stack.calls = calls;
        stack.room = room;
    }
    return calls != NULL;
}

static void pop(void)
{
    struct call *call = &stack.calls[--stack.depth];

    free(call->known);
    Py_CLEAR(call->names);
}

static struct call *top(void)
{
    return stack.depth > 0 ? &stack.calls[stack.depth - 1] : NULL;
}

static bool is_called_from(const frame *caller, const frame *of)
{
    while (caller != NULL && caller != of) {
        caller = frames_back(caller);
    }
    return caller != NULL;
}

/* Told first: where the record begins a chunk, the stack is the one before it. */
static void leave_top(enum wire_kind kind)
{
    tell(kind, 0);
    pop();
}

/* What is on our stack and not on Python's is suspended. */
static void leave_suspended(const frame *caller)
{
    while (stack.depth > 0 && !is_called_from(caller, top()->frame)) {
        leave_top(WIRE_YIELD);
    }
}

static void push(const frame *of, struct function *function, enum wire_kind kind)
{
    if (has_name(function) && has_room()) {
        tell(kind, (int32_t)function->number);
        stack.calls[stack.depth++] =
            (struct call){of, function, first_line(function->code), NULL, NULL};
    }
}

#define BETWEEN_MAX 64

/* Calls between the innermost one that we know and this caller: they go on without a word
 * where an exception is thrown through them into the generator that they wait for, or
 * began while nothing was traced. */
static void resume_callers(const frame *caller)
{
    const frame *between[BETWEEN_MAX];
    size_t count = 0;

    while (caller != NULL && count < BETWEEN_MAX &&
           (stack.depth == 0 || caller != top()->frame)) {
        if (function_of(frames_code(caller)) != NULL) {
            between[count++] = caller;
        }
        caller = frames_back(caller);
    }
    while (count-- > 0) {
        push(between[count], function_of(frames_code(between[count])), WIRE_RESUME);
    }
}

static void enter(struct function *function, enum wire_kind kind)
{
    const frame *current = frames_current(frames_thread());
    const frame *caller = frames_back(current);

    if (stack.depth == 0 || top()->frame != caller) {
        leave_suspended(caller);
        resume_callers(caller);
    }
    push(current, function, kind);
}

/* Makes the current frame the innermost call: it may have gone on without a word, when an
 * exception was thrown into it. Returns false where it is not traced. */
static bool come_back(struct function *function)
{
    const frame *current = frames_current(frames_thread());

    if (stack.depth > 0 && top()->frame == current) {
        return true;
    }
    leave_suspended(current);
    if (stack.depth == 0 || top()->frame != current) {
        enter(function, WIRE_RESUME);
    }
    return stack.depth > 0 && top()->frame == current;
}

/* ---- variables ---- */

static void tell_variable(PyObject *name, PyObject *value)
{
    autobuffer struct buffer text = BUFFER_INIT(KIB(4));
    PyObject *type = value != NULL ? PyUnicode_FromString(Py_TYPE(value)->tp_name) : NULL;
    uint32_t name_is = name_number(name), type_is = type != NULL ? name_number(type) : 0;

    if (value != NULL) {
        variables_text(value, &text);
    }
    PyErr_Clear();
    Py_XDECREF(type);
    if (name_is != 0 && (value == NULL || type_is != 0)) {
        recorder_variable(name_is, type_is, text.data != NULL ? text.data : "", text.size,
                          stack.thread);
    }
}

/* Of a comprehension's ".0", and of what Python keeps for itself, nothing is told. */
static bool is_told(PyObject *name)
{
    return PyUnicode_GET_LENGTH(name) > 0 && PyUnicode_READ_CHAR(name, 0) != '.' &&
           !(PyUnicode_GET_LENGTH(name) > 1 && PyUnicode_READ_CHAR(name, 0) == '_' &&
             PyUnicode_READ_CHAR(name, 1) == '_');
}

static void tell_places(struct call *call)
{
    int places = frames_places(call->frame);

    if (call->known == NULL && places > 0) {
        call->known = calloc((size_t)places, sizeof(*call->known));
    }
    for (int i = 0; call->known != NULL && i < places; i++) {
        PyObject *value = frames_local(call->frame, i);
        uint64_t print =
            value != NULL && variables_is_data(value) ? variables_fingerprint(value) : 0;

        if (print != call->known[i] && is_told(frames_local_name(call->frame, i))) {
            tell_variable(frames_local_name(call->frame, i), print != 0 ? value : NULL);
        }
        call->known[i] = print;
    }
}

/* Returns whether it was another one before, and remembers it. */
static bool has_changed(PyObject *known, PyObject *name, uint64_t print)
{
    PyObject *before = PyDict_GetItemWithError(known, name);
    PyObject *now;
    bool changed = before == NULL || PyLong_AsUnsignedLongLongMask(before) != print;

    if (changed) {
        now = PyLong_FromUnsignedLongLong(print);
        if (now == NULL || PyDict_SetItem(known, name, now) != 0) {
            PyErr_Clear(); /* it is told again */
        }
        Py_XDECREF(now);
    }
    return changed;
}

static void tell_gone(struct call *call, PyObject *names)
{
    PyObject *name, *print;
    Py_ssize_t at = 0;

    while (PyDict_Next(call->names, &at, &name, &print)) {
        if (print != Py_None && !PyDict_Contains(names, name)) {
            tell_variable(name, NULL);
            (void)PyDict_SetItem(call->names, name,
                                 Py_None); /* no new key: no new order */
        }
    }
    PyErr_Clear();
}

static void tell_names(struct call *call, PyObject *names)
{
    PyObject *name, *value;
    Py_ssize_t at = 0, count = 0;

    if (call->names == NULL) {
        call->names = PyDict_New();
    }
    while (call->names != NULL && PyDict_Next(names, &at, &name, &value)) {
        if (PyUnicode_CheckExact(name) && is_told(name) && variables_is_data(value)) {
            count++;
            if (has_changed(call->names, name, variables_fingerprint(value))) {
                tell_variable(name, value);
            }
        }
    }
    if (call->names != NULL && count < PyDict_GET_SIZE(call->names)) {
        tell_gone(call, names);
    }
    PyErr_Clear();
}

/* What has changed since the last line of the call, which is the innermost. */
static void tell_variables(struct call *call)
{
    PyObject *names;

    if (tracer.level < JOB_TRACE_STEPS || call == NULL) {
        return;
    }
    if (recorder_is_full()) { /* variables cost most, in time and in room */
        tracer_set_level(JOB_TRACE_LINES);
        tracer.most = JOB_TRACE_LINES;
        return;
    }
    names = frames_names(call->frame);
    if (names != NULL) {
        tell_names(call, names);
    } else {
        tell_places(call);
    }
}

/* ---- leaving, and lines ---- */

static void leave(struct function *function, enum wire_kind kind)
{
    if (come_back(function)) {
        tell_variables(top());
        leave_top(kind);
    }
}

static void begin_line(const struct point *point)
{
    struct call *call = top();

    if (call == NULL || call->function != point->function) {
        if (!come_back(point->function)) {
            return;
        }
        call = top();
    }
    tell_variables(call);
    tell(WIRE_LINE, point->line - call->line);
    call->line = point->line;
}

/* For `sync`, under the recorder's lock. */
static size_t current_stack(struct recorder_call *calls, size_t room)
{
    size_t depth = stack.depth < room ? stack.depth : room;
    const struct call *first = stack.calls + (stack.depth - depth);

    for (size_t i = 0; i < depth; i++) {
        calls[i] = (struct recorder_call){.function = first[i].function->number,
                                          .line = (uint32_t)first[i].line};
    }
    return depth;
}

/* ---- points ---- */

static int on_point(PyObject *self)
{
    const struct point *point = (struct point *)self;

    if (tracer.level == JOB_TRACE_OFF) {
        return 1;
    }
    look_at_thread();
    if ((point->what & POINT_LINE) != 0) {
        if (tracer.level >= JOB_TRACE_LINES) {
            begin_line(point);
        }
    } else if ((point->what & (POINT_CALL | POINT_RESUME)) != 0) {
        enter(point->function, point->what == POINT_CALL ? WIRE_CALL : WIRE_RESUME);
    } else {
        leave(point->function, point->what == POINT_RETURN ? WIRE_RETURN : WIRE_YIELD);
    }
    return 1;
}

static void tell_exception(PyObject *exception)
{
    PyObject *name = PyUnicode_FromString(Py_TYPE(exception)->tp_name);
    uint32_t type = name != NULL ? name_number(name) : 0;

    PyErr_Clear();
    Py_XDECREF(name);
    tracer.exceptions += tracer.exception != exception;
    tracer.exception = exception;
    recorder_exception(tracer.exceptions, type, stack.thread);
}

/* The interpreter has taken the exception off its state: ours is to leave it so. */
static int on_exception(PyObject *self, PyObject *exception)
{
    const struct point *point = (struct point *)self;

    if (tracer.level == JOB_TRACE_OFF) {
        return 1;
    }
    look_at_thread();
    if (come_back(point->function) && tracer.level >= JOB_TRACE_LINES) {
        tell_exception(exception);
    }
    if (point->what == POINT_UNWIND) {
        leave(point->function, WIRE_UNWIND);
    }
    return 1;
}

static PyNumberMethods point_number = {.nb_bool = on_point};
static PySequenceMethods point_sequence = {.sq_contains = on_exception};
static PyTypeObject point_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "paddock.point",
    .tp_basicsize = sizeof(struct point),
    .tp_as_number = &point_number,
    .tp_as_sequence = &point_sequence,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
};

static PyObject *make_point(void *context, unsigned what, int line)
{
    struct point *point = PyObject_New(struct point, &point_type);

    if (point != NULL) {
        point->function = context;
        point->what = what;
        point->line = line;
    }
    return (PyObject *)point;
}

/* ---- code ---- */

static unsigned points_of(enum job_trace level)
{
    unsigned calls =
        POINT_CALL | POINT_RETURN | POINT_YIELD | POINT_RESUME | POINT_UNWIND;

    return level == JOB_TRACE_OFF     ? 0
           : level == JOB_TRACE_CALLS ? calls
                                      : calls | POINT_LINE | POINT_EXCEPTION;
}

static PyObject *instrument(PyObject *code);

/* The constants with points in those that are code. */
static PyObject *instrument_constants(PyCodeObject *code)
{
    PyObject *constants = PySequence_List(code->co_consts);

    for (Py_ssize_t i = 0; constants != NULL && i < PyList_GET_SIZE(constants); i++) {
        PyObject *constant = PyList_GET_ITEM(constants, i);
        PyObject *inner = PyCode_Check(constant) ? instrument(constant) : NULL;

        if (inner != NULL) {
            (void)PyList_SetItem(constants, i, inner); /* cannot fail here */
        } else if (PyErr_Occurred()) {
            Py_CLEAR(constants);
        }
    }
    return constants;
}

/* Deep nesting of functions is bounded by Python's compiler. */
static PyObject *instrument(PyObject *object)
{
    PyCodeObject *code = (PyCodeObject *)object;
    struct function *function = calloc(1, sizeof(*function));
    PyObject *constants =
        function != NULL ? instrument_constants(code) : PyErr_NoMemory();
    PyObject *result = NULL;

    if (constants != NULL) {
        function->code = (PyCodeObject *)Py_NewRef(object);
        result = bytecode_instrument(code, points_of(tracer.most), constants, make_point,
                                     function);
    }
    if (result != NULL && _PyCode_SetExtra(result, tracer.extra, function) != 0) {
        PyErr_Clear();
    }
    Py_XDECREF(constants);
    return result;
}

/* ---- start and stop ---- */

int tracer_init(void)
{
    recorder_init();
    tracer.extra = _PyEval_RequestCodeExtraIndex(NULL);
    tracer.numbers = PyDict_New();
    tracer.names = PyDict_New();
    return tracer.numbers != NULL && tracer.names != NULL ? PyType_Ready(&point_type)
                                                          : -1;
}

void tracer_start(enum job_trace level)
{
    tracer.most = tracer.level = level;
    if (level != JOB_TRACE_OFF) {
        recorder_set_stack(current_stack);
        importer_set_code_hook(instrument);
    }
}

void tracer_stop(void)
{
    tracer.level = JOB_TRACE_OFF;
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
        recorder_level(job_trace_names[level]);
    }
}
