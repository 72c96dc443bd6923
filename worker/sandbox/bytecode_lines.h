/* SPDX-License-Identifier: MIT */
/*
 * Lines of instructions that have none: much of what handles an exception, what drops a
 * value that several ways lead to, where such ways go on. For code of CPython 3.11, as it
 * was compiled or with points.
 */
#pragma once

#include <Python.h>

/* The line that a call is on whose instruction of that number (code units, from 0; -1: it
 * has not begun) is about to run or runs. Where that has no line: the handler's that the
 * exception has come to, which is what runs next, or else the nearest one before it that
 * it cannot have come round; at the least where the code begins. Never one that has not
 * run.
 *
 * Takes no lock and no memory, and runs no code of the program's: for signal handlers.
 * Reads code that is well-formed, of any size, in bounded time. */
int bytecode_line(PyCodeObject *code, int at);
