/* SPDX-License-Identifier: MIT */
/*
 * Telling an exception may run the program's own code (__str__, an excepthook, a stream
 * in the place of stderr), which may never come back, or end the process. So what can be
 * told without it is laid down first, where the relay finds it when the process is gone
 * (common/ring.h), and struck out as it is told: an exception whose text hangs, exits or
 * crashes costs that text, and no more.
 */
#pragma once

#include "common/wire.h"

#include <stddef.h>

#define LAST_WORDS_MAX 192 /* records: two texts and one error for each that is told */

/* What is to be said is laid down anew, as more of it is known: the same records in the
 * same order, of which those that were struck out stay so. */
void last_words_begin(void);
/* Lays down a record whose time is 0, behind those before it. Where there is no room for
 * it, it is left out. Returns how many have been given to it so far. */
unsigned last_words_add(const struct wire_writer *record);
/* The same of a text on stderr, which is cut where it is too long for a record. */
unsigned last_words_add_text(const char *text, size_t size);
/* The first so many, at most all of them, need not be said any more. */
void last_words_strike(unsigned count);
