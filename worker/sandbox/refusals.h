/* SPDX-License-Identifier: MIT */
/* What of Python's library makes no sense in a sandbox. */
#pragma once

#include "common/buffer.h"

/* Tells the importer of the modules. Once, in the zygote, before any is imported. */
void refusals_install(void);
/* The names of the modules in which something is replaced, each behind a space. */
void refusals_used(struct buffer *to);
/* Replaces what makes no sense in the modules that are loaded: to be called when the last
 * one is. Returns 0, or -1 with a Python exception: the table and the library do not fit.
 */
int refusals_install_uses(void);
