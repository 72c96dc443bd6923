/* SPDX-License-Identifier: MIT */
/*
 * The levels of trace that a program wishes for, by paddock.trace(). Each wish stands
 * from when it is made: one that is a `with` block's until that block ends, another until
 * it is followed by one of its kind. In force is the last one that stands. So the blocks
 * of several threads or tasks may overlap, and whichever ends last leaves what was
 * before.
 */
#pragma once

#include "common/job.h"

#include <Python.h>

/* In the zygote. 0, or -1 with an exception. */
int wish_init(void);
/* A new reference to a wish, which stands and is in force, as far as the job asked for
 * it. It is a context manager, and its `level` is what was in force then. NULL with an
 * exception. */
PyObject *wish_new(enum job_trace level);
