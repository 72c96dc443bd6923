/* SPDX-License-Identifier: MIT */
/*
 * Telling an exception may run the program's own code (__str__, an excepthook, a stream
 * in the place of stderr), which may never come back. So what can be told without it is
 * laid down first, and where the telling takes long, a thread that knows nothing of
 * Python says it: an exception that hangs costs its own text, and no more.
 */
#pragma once

#include "common/buffer.h"
#include "common/wire.h"

#include <stdbool.h>

#define LAST_WORDS_MAX 8 /* records */

/* An `error` record, whose time is yet to come; in the order in which they are told.
 * Where there is no memory for it, it is not laid down. */
void last_words_add(const struct wire_writer *record);
/* What stderr is to show, which the caller appends to. */
struct buffer *last_words_text(void);
/* Starts the thread. Without one, all goes on. */
void last_words_watch(void);
/* Of who does the telling. stderr has shown it; */
void last_words_are_shown(void);
/* may the next record be written? No: all of them have been. */
bool last_words_turn(void);
