/* SPDX-License-Identifier: MIT */
/*
 * Points by sys.monitoring, for CPython 3.12 and later (PEP 669). Code with points is a
 * copy that its own points hang on; the interpreter calls us where one of its events is,
 * and we ask the point of that event and line. Events that cannot be had for single code
 * objects come from everywhere, and are passed over where there is no point.
 *
 * Would run in the sandbox, on what Python's compiler made of a hostile source. Debian 12
 * has 3.11, so no pool of today does: tests/trace runs it in every newer Python that
 * there is.
 */
#include "worker/sandbox/points.h"

#include "common/cleanup.h"

#include <opcode.h>
#include <stdbool.h>

#define TOOL                                                                             \
    4 /* 0 to 2 and 5 are named after debuggers, coverage, profilers, optimizers */

typedef PyObject *callback(PyObject *self, PyObject *const *args, Py_ssize_t count);

static callback on_frame, on_exception, on_handled, on_line, on_jump;

static const struct event {
    const char *name; /* among sys.monitoring.events */
    unsigned what;
    bool everywhere; /* not to be had for single code objects */
    callback *call;
} events[] = {
    {"PY_START", POINT_CALL, false, on_frame},
    {"PY_RESUME", POINT_RESUME, false, on_frame},
    {"PY_THROW", POINT_RESUME, true, on_frame},
    {"PY_RETURN", POINT_RETURN, false, on_frame},
    {"PY_YIELD", POINT_YIELD, false, on_frame},
    {"PY_UNWIND", POINT_UNWIND, true, on_exception},
    {"EXCEPTION_HANDLED", POINT_EXCEPTION, true, on_handled},
    {"LINE", POINT_LINE, false, on_line},
    {"JUMP", POINT_LINE, false, on_jump},
};

static PyMethodDef methods[array_size(events)];

static struct {
    PyObject *module;  /* sys.monitoring; owned */
    PyObject *disable; /* what says that one place need not call again; owned */
    long numbers[array_size(events)]; /* of the events, as bits */
    long everywhere;                  /* events that are on */
    Py_ssize_t extra;                 /* slot of code objects */
} monitoring;

/* What hangs on code. */
struct points {
    PyObject *of_event[array_size(events)]; /* owned; NULL: none, or those of lines */
    PyObject *lines;                        /* dict: line -> point; owned */
};

static void points_free(void *held)
{
    struct points *points = held;

    if (points != NULL) {
        for (size_t i = 0; i < array_size(events); i++) {
            Py_XDECREF(points->of_event[i]);
        }
        Py_XDECREF(points->lines);
        PyMem_Free(points);
    }
}

/* NULL: it has none. */
static const struct points *points_of(PyObject *code)
{
    void *points = NULL;

    if (PyUnstable_Code_GetExtra(code, monitoring.extra, &points) != 0) {
        PyErr_Clear();
    }
    return points;
}

/* ---- events ---- */

/* The point of the event that calls; its number is what a callback is bound to. */
static PyObject *point_of_event(PyObject *self, PyObject *code)
{
    const struct points *points = points_of(code);

    return points != NULL ? points->of_event[PyLong_AsSize_t(self)] : NULL;
}

static PyObject *done(int answer)
{
    return answer >= 0 ? Py_NewRef(Py_None) : NULL;
}

/* (code, offset) or, of one that is left with a value, (code, offset, value). */
static PyObject *on_frame(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    PyObject *point = point_of_event(self, args[0]);

    return done(point != NULL ? PyObject_IsTrue(point) : 0);
}

/* The instruction there, without its argument; 0: there is none. */
static unsigned opcode_at(PyObject *code, PyObject *offset)
{
    PyObject *bytes = PyCode_GetCode((PyCodeObject *)code);
    long at = PyLong_AsLong(offset);
    unsigned found = 0;

    if (bytes != NULL && at >= 0 && at < PyBytes_GET_SIZE(bytes)) {
        found = (unsigned char)PyBytes_AS_STRING(bytes)[at];
    }
    Py_XDECREF(bytes);
    PyErr_Clear();
    return found;
}

/* (code, offset of the handler, exception) */
static PyObject *on_handled(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    PyObject *point = point_of_event(self, args[0]);

    /* of the program's, and none that only puts things in order on the way out */
    return done(point != NULL && opcode_at(args[0], args[1]) == PUSH_EXC_INFO
                    ? PySequence_Contains(point, args[2])
                    : 0);
}

/* (code, offset, exception) */
static PyObject *on_exception(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    PyObject *point = point_of_event(self, args[0]);

    return done(point != NULL ? PySequence_Contains(point, args[2]) : 0);
}

static PyObject *ask_line(PyObject *code, PyObject *line)
{
    const struct points *points = points_of(code);
    PyObject *point =
        points != NULL ? PyDict_GetItemWithError(points->lines, line) : NULL;

    return done(point != NULL ? PyObject_IsTrue(point) : PyErr_Occurred() ? -1 : 0);
}

/* (code, line) */
static PyObject *on_line(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    return ask_line(args[0], args[1]);
}

/* (code, offset, offset of the target): one that goes back to where its own line begins
 * begins that line again. */
static PyObject *on_jump(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    int from = (int)PyLong_AsLong(args[1]), to = (int)PyLong_AsLong(args[2]);
    int line = PyCode_Addr2Line((PyCodeObject *)args[0], to);
    PyObject *number, *result;

    if (to >= from || line != PyCode_Addr2Line((PyCodeObject *)args[0], from)) {
        return Py_NewRef(monitoring.disable);
    }
    number = PyLong_FromLong(line);
    result = number != NULL ? ask_line(args[0], number) : NULL;
    Py_XDECREF(number);
    return result;
}

/* ---- taking part ---- */

/* Calls a function of sys.monitoring for its effect. */
static bool tell(const char *name, const char *format, ...)
{
    PyObject *function = PyObject_GetAttrString(monitoring.module, name);
    PyObject *args = NULL, *result = NULL;
    va_list values;

    va_start(values, format);
    args = function != NULL ? Py_VaBuildValue(format, values) : NULL;
    va_end(values);
    result = args != NULL ? PyObject_CallObject(function, args) : NULL;
    Py_XDECREF(result);
    Py_XDECREF(args);
    Py_XDECREF(function);
    return result != NULL;
}

static bool register_event(size_t i)
{
    PyObject *all = PyObject_GetAttrString(monitoring.module, "events");
    PyObject *number = all != NULL ? PyObject_GetAttrString(all, events[i].name) : NULL;
    PyObject *self = PyLong_FromSize_t(i), *function;
    bool done_so;

    methods[i] = (PyMethodDef){
        events[i].name, (PyCFunction)(void (*)(void))events[i].call, METH_FASTCALL, NULL};
    function = self != NULL ? PyCFunction_New(&methods[i], self) : NULL;
    done_so = number != NULL && function != NULL &&
              tell("register_callback", "(iOO)", TOOL, number, function);
    monitoring.numbers[i] = done_so ? PyLong_AsLong(number) : 0;
    Py_XDECREF(function);
    Py_XDECREF(self);
    Py_XDECREF(number);
    Py_XDECREF(all);
    return done_so;
}

/* Once in a process. Returns false with an exception. */
static bool take_part(void)
{
    if (monitoring.module != NULL) {
        return true;
    }
    monitoring.module = Py_XNewRef(PySys_GetObject("monitoring"));
    monitoring.extra = PyUnstable_Eval_RequestCodeExtraIndex(points_free);
    if (monitoring.module == NULL || monitoring.extra < 0) {
        PyErr_SetString(PyExc_RuntimeError, "no monitoring, or no slot for it");
        return false;
    }
    monitoring.disable = PyObject_GetAttrString(monitoring.module, "DISABLE");
    if (monitoring.disable == NULL || !tell("use_tool_id", "(is)", TOOL, "paddock")) {
        return false;
    }
    for (size_t i = 0; i < array_size(events); i++) {
        if (!register_event(i)) {
            return false;
        }
    }
    return true;
}

/* ---- code ---- */

static PyObject *replace_constants(PyCodeObject *code, PyObject *constants)
{
    PyObject *replace = PyObject_GetAttrString((PyObject *)code, "replace");
    PyObject *none = PyTuple_New(0);
    PyObject *tuple = PySequence_Tuple(constants);
    PyObject *names = tuple != NULL ? Py_BuildValue("{s:O}", "co_consts", tuple) : NULL;
    PyObject *copy = replace != NULL && none != NULL && names != NULL
                         ? PyObject_Call(replace, none, names)
                         : NULL;

    Py_XDECREF(names);
    Py_XDECREF(tuple);
    Py_XDECREF(none);
    Py_XDECREF(replace);
    return copy;
}

static bool make_line(struct points *points, PyObject *line, points_make *make,
                      void *context)
{
    PyObject *point = NULL;
    bool made;

    if (line == Py_None || PyDict_Contains(points->lines, line) != 0) {
        return !PyErr_Occurred();
    }
    point = make(context, POINT_LINE, (int)PyLong_AsLong(line));
    made = point != NULL && PyDict_SetItem(points->lines, line, point) == 0;
    Py_XDECREF(point);
    return made;
}

/* One for every line that any instruction is of. */
static bool make_lines(struct points *points, PyObject *code, points_make *make,
                       void *context)
{
    PyObject *ranges = PyObject_CallMethod(code, "co_lines", NULL);
    PyObject *all = ranges != NULL ? PySequence_List(ranges) : NULL;
    bool made = all != NULL;

    for (Py_ssize_t i = 0; made && i < PyList_GET_SIZE(all); i++) {
        /* (start, end, line or None) */
        made = make_line(points, PyTuple_GET_ITEM(PyList_GET_ITEM(all, i), 2), make,
                         context);
    }
    Py_XDECREF(all);
    Py_XDECREF(ranges);
    return made;
}

static bool make_points(struct points *points, PyObject *code, unsigned what,
                        points_make *make, void *context)
{
    points->lines = PyDict_New();
    for (size_t i = 0; points->lines != NULL && i < array_size(events); i++) {
        if ((events[i].what & what) == 0 || events[i].what == POINT_LINE) {
            continue;
        }
        points->of_event[i] = make(context, events[i].what, 0);
        if (points->of_event[i] == NULL) {
            return false;
        }
    }
    return points->lines != NULL &&
           ((what & POINT_LINE) == 0 || make_lines(points, code, make, context));
}

/* From here on the events of these points come. Lines come with the events of frames, as
 * for sys.settrace: 3.13 tells fewer of them without. */
static bool switch_on(PyObject *code, unsigned what)
{
    long here = 0, everywhere = monitoring.everywhere;

    what |= (what & POINT_LINE) != 0 ? POINT_CALL | POINT_RESUME | POINT_RETURN : 0;
    for (size_t i = 0; i < array_size(events); i++) {
        if ((events[i].what & what) != 0) {
            *(events[i].everywhere ? &everywhere : &here) |= monitoring.numbers[i];
        }
    }
    if (everywhere != monitoring.everywhere &&
        !tell("set_events", "(il)", TOOL, everywhere)) {
        return false;
    }
    monitoring.everywhere = everywhere;
    return tell("set_local_events", "(iOl)", TOOL, code, here);
}

PyObject *points_instrument(PyCodeObject *code, unsigned what, PyObject *constants,
                            points_make *make, void *context)
{
    struct points *points = NULL;
    PyObject *copy;

    if (what == 0) {
        return Py_NewRef((PyObject *)code);
    }
    copy = take_part() ? replace_constants(code, constants) : NULL;
    points = copy != NULL ? PyMem_Calloc(1, sizeof(*points)) : NULL;
    if (points == NULL || !make_points(points, copy, what, make, context) ||
        PyUnstable_Code_SetExtra(copy, monitoring.extra, points) != 0) {
        points_free(points);
        Py_XDECREF(copy);
        return PyErr_Occurred() ? NULL : PyErr_NoMemory();
    }
    if (!switch_on(copy, what)) {
        Py_CLEAR(copy);
    }
    return copy;
}
