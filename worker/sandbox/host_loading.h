/* SPDX-License-Identifier: MIT */
/*
 * Host modules as they are loaded, in the zygote: the supervisor is told which one it is,
 * and what it prints, on descriptors as through Python, goes where the supervisor reads
 * it, and not raw into the log, nor into the pipes that are to be a program's.
 */
#pragma once

#include <Python.h>

/* Takes the fd for what they print. */
void host_loading_open(int words);
/* All are loaded, or none is to be. */
void host_loading_close(void);

/* Of bootstrap.py, each a new reference or NULL with an exception: LOADING(name) before a
 * module is loaded, and LOADING("") when it is. */
PyObject *host_loading_function(void);
