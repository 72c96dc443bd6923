/* SPDX-License-Identifier: MIT */
/*
 * Host modules in a sandbox: what hosts/host_module.py stands on (records, the job, the
 * end of a match), and the functions that they have called before a program begins.
 */
#pragma once

#include "common/job.h"
#include "common/ring.h"

#include <Python.h>
#include <stdbool.h>

/* In the zygote: a new reference to the module that host_module.py knows as `_hosts`;
 * NULL with an exception. */
PyObject *hosts_module(void);
/* In the zygote: takes what starts host modules from bootstrap.py's globals; a pool
 * without host modules has none. */
void hosts_prepare(PyObject *bootstrap_globals);

/* The job begins: from here on host modules may say something. Both are borrowed. */
void hosts_begin(const struct job_inbox *inbox, struct ring_writer *ring);
/* Calls what is to be called before the program. Returns 0, or -1 with an exception. */
int hosts_start(void);
/* It was that which failed, and so no program has begun. */
bool hosts_have_failed(void);
