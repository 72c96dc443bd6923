/* SPDX-License-Identifier: MIT */
/*
 * Standard input and output of a program. The fds 0, 1 and 2 of a sandbox are all its
 * doorbell; read(2) on 0 and write(2) on 1 and 2 are trapped (trap.h) and served here:
 * from the job's stdin, and into the recording. So print, os.write and C code all come
 * out in one exact order.
 */
#pragma once

#include "common/ring.h"

#include <stddef.h>
#include <ucontext.h>

/* C's own standard output goes out line by line, as at a terminal, and as Python's does.
 * What is left of it when the program ends is written by stdio_flush(). */
void stdio_by_lines(void);
void stdio_flush(void);

/* What read(2) on 0 gives: these bytes, and then, where `live` is not NULL, the live
 * input of that ring, for which it waits. Both borrowed for the life of the process. */
void stdio_set_input(const void *bytes, size_t size, struct ring_writer *live);
/* The calls of these names, with their first three arguments; `interrupted` is the state
 * of the thread that made it. Each returns what the kernel would: a count, or a negative
 * errno. */
long stdio_write(const long *arguments);
long stdio_writev(const long *arguments);
long stdio_read(const long *arguments, ucontext_t *interrupted);
long stdio_readv(const long *arguments, ucontext_t *interrupted);
