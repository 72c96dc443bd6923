/* SPDX-License-Identifier: MIT */
/*
 * The parts of report.h, private to them: records and lines (report.c), what is shown on
 * stderr (report_print.c), and what kind of exception it is (report_kind.c).
 */
#pragma once

#include "worker/sandbox/report.h"

#define REPORT_CHAIN_MAX  8  /* exceptions of a chain */
#define REPORT_FRAMES_MAX 20 /* innermost frames of one exception */

/* Returns the exception (new reference) that is told before this one, and how this one
 * relates to it. */
PyObject *report_earlier(PyObject *exception, const char **ret_relation);
/* Its text can be had without running any code of the program's. */
bool report_is_plain(PyObject *exception);
/* An object of the program's may be asked for its names (importer_suggestion()). */
bool report_asks_object(PyObject *exception);
/* Nothing of the program's is asked while the exception is told. */
bool report_asks_nothing(PyObject *exception);
int report_print_prepare(PyObject *print_exception);
