/* SPDX-License-Identifier: MIT */
/*
 * The module `paddock`, with which a program speaks to whoever runs it. What it offers is
 * in program_module.py; this is what it stands on: the level of the trace, and records.
 */
#pragma once

#include <Python.h>

/* In the zygote: a new reference to the module that program_module.py knows as `_host`;
 * NULL with an exception. */
PyObject *module_host(void);
