/* SPDX-License-Identifier: MIT */
/*
 * A program's variables as the trace level `steps` tells them: which of a call's have
 * changed, and a text for each. Neither runs a program's code: no __repr__, no __eq__, no
 * attribute is asked for; what is in a value is looked at as far as it is of a type of
 * Python's own, or of one derived from it, or the attributes of an instance.
 * docs/PROTOCOL.md says how much is shown; a change of what is not shown is not seen.
 *
 * Nothing is held on to between two looks, so that no object lives a moment longer than
 * untraced: what a value was is remembered as a fingerprint of 64 bits.
 */
#pragma once

#include "common/buffer.h"

#include <Python.h>
#include <stdint.h>

#define VARIABLES_TEXT 256 /* bytes of a value's text, at most */

#define VARIABLES_OPAQUE 2 /* is no value's fingerprint: for what is no data */

/* The fingerprint of a value, odd. */
uint64_t variables_fingerprint(PyObject *value);
/* Whether it is worth telling: modules, functions and classes are not, unless the
 * variable had another value before. */
bool variables_is_data(PyObject *value);
/* Appends the value as text, cut at VARIABLES_TEXT bytes. */
void variables_text(PyObject *value, struct buffer *to);
