/* SPDX-License-Identifier: MIT */
/*
 * What host_module.py stands on. Runs in the sandbox, called by the operator's modules,
 * or by a hostile program in their place: it could write the same records and the same
 * claim itself, and gains nothing.
 */
#include "worker/sandbox/hosts.h"

#include "common/utf8.h"
#include "worker/sandbox/ending.h"
#include "worker/sandbox/recorder.h"
#include "worker/sandbox/stdio.h"

#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

static struct {
    const struct job_inbox *inbox; /* NULL: there is no job yet */
    struct ring_writer *ring;
    PyObject *start; /* host_module.py's _start, owned; NULL: there are no host modules */
    bool failed;
} hosts;

/* Sets an exception, and returns false, while modules are loaded. */
static bool has_job(void)
{
    if (hosts.inbox == NULL) {
        PyErr_SetString(PyExc_RuntimeError,
                        "there is no job yet: this is for while a program runs");
    }
    return hosts.inbox != NULL;
}

/* ---- records ---- */

static PyObject *told(PyObject *self, PyObject *argument)
{
    PyObject *result = NULL;
    Py_buffer json;

    if (!has_job() || PyObject_GetBuffer(argument, &json, PyBUF_SIMPLE) != 0) {
        return NULL;
    }
    if ((size_t)json.len > RECORDER_HOST_MAX) {
        (void)PyErr_Format(PyExc_ValueError,
                           "a host record has at most %zu bytes of JSON, not %zd",
                           RECORDER_HOST_MAX, json.len);
    } else if (!utf8_valid(json.buf, (size_t)json.len)) {
        PyErr_SetString(PyExc_ValueError, "a host record is a text");
    } else {
        recorder_host(json.buf, (size_t)json.len);
        result = Py_NewRef(Py_None);
    }
    PyBuffer_Release(&json);
    return result;
}

/* ---- the job ---- */

/* Takes the value. */
static int set_item(PyObject *dict, const char *name, PyObject *value)
{
    int error = value != NULL ? PyDict_SetItemString(dict, name, value) : -1;

    Py_XDECREF(value);
    return error;
}

static PyObject *word_of(const char *choices, int64_t place)
{
    for (; place > 0; place--) {
        choices += strcspn(choices, " ");
        choices += strspn(choices, " ");
    }
    return PyUnicode_FromStringAndSize(choices, (Py_ssize_t)strcspn(choices, " "));
}

static PyObject *limit_of(const struct job_field *field)
{
    int64_t value;

    memcpy(&value, (const char *)&hosts.inbox->limits + field->offset, sizeof(value));
    return field->type == JOB_FIELD_CHOICE ? word_of(field->choices, value)
                                           : PyLong_FromLongLong(value);
}

static PyObject *text_of(enum job_part part)
{
    struct job_part_bytes text = job_inbox_part(hosts.inbox, part);

    return PyUnicode_DecodeUTF8(text.bytes, (Py_ssize_t)text.size, "replace");
}

static PyObject *job(PyObject *self, PyObject *unused)
{
    PyObject *dict = has_job() ? PyDict_New() : NULL;
    int error = dict != NULL ? 0 : -1;

    for (size_t i = 0; i < job_field_count && error == 0; i++) {
        if (job_fields[i].offset >= 0) {
            error = set_item(dict, job_fields[i].name, limit_of(&job_fields[i]));
        }
    }
    if (error != 0 || set_item(dict, "argv", text_of(JOB_PART_ARGV)) != 0 ||
        set_item(dict, "host", text_of(JOB_PART_HOST)) != 0) {
        Py_CLEAR(dict);
    }
    return dict;
}

/* ---- the end of a match ---- */

/* Of a program that has failed by itself that stands: what comes later hides no error. */
static void claim(const char *message, size_t size)
{
    if (atomic_load(&hosts.ring->shared->claim.made) == 0) {
        ring_writer_claim(hosts.ring, VERDICT_MATCH_OVER, 0, message, size);
    }
}

/* No exception: a bare `except:`, of which programs are full, would catch it. The claim
 * comes first, as a stream of the program's own may hang, and then has the relay's grace.
 */
static PyObject *end(PyObject *self, PyObject *message)
{
    PyObject *text =
        has_job() ? PyUnicode_AsEncodedString(message, "utf-8", "replace") : NULL;

    if (text == NULL) {
        return NULL;
    }
    claim(PyBytes_AS_STRING(text), (size_t)PyBytes_GET_SIZE(text));
    ending_flush();
    stdio_flush();
    recorder_settle();
    recorder_end();
    _exit(0);
}

static PyMethodDef methods[] = {{"told", told, METH_O, NULL},
                                {"job", job, METH_NOARGS, NULL},
                                {"end", end, METH_O, NULL},
                                {0}};
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "_hosts",
                                        .m_size = -1, .m_methods = methods};

PyObject *hosts_module(void)
{
    return PyModule_Create(&definition);
}

/* ---- the start of a job ---- */

void hosts_prepare(PyObject *bootstrap_globals)
{
    PyObject *start = PyDict_GetItemString(bootstrap_globals, "start_hosts");

    hosts.start = start != NULL && start != Py_None ? Py_NewRef(start) : NULL;
}

void hosts_begin(const struct job_inbox *inbox, struct ring_writer *ring)
{
    if (hosts.start != NULL) { /* elsewhere no page is written for it */
        hosts.inbox = inbox;
        hosts.ring = ring;
    }
}

int hosts_start(void)
{
    PyObject *result;

    if (hosts.start == NULL) {
        return 0;
    }
    result = PyObject_CallNoArgs(hosts.start);
    hosts.failed = result == NULL;
    Py_XDECREF(result);
    return hosts.failed ? -1 : 0;
}

bool hosts_have_failed(void)
{
    return hosts.failed;
}
