/* SPDX-License-Identifier: MIT */
/*
 * Where a program was when a limit struck: the zygote asks with a signal, and kills a
 * moment later whatever comes of it. What is said is the process's own word.
 */
#pragma once

#include "common/ring.h"

/* In the main thread of a sandbox, before its program runs. A program that takes the
 * signal for itself is not asked. */
void where_watch(struct ring_writer *ring);
