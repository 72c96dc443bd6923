/* SPDX-License-Identifier: MIT */
/*
 * Standard input and output of a program. The fds 0, 1 and 2 of a sandbox are all its
 * doorbell; the filter traps read(2) on 0 and write(2) on 1 and 2 (SECCOMP_RET_TRAP,
 * seccomp(2)), and the handler of SIGSYS serves them: from the job's stdin, and into the
 * recording. So print, os.write and C code all come out in one exact order.
 */
#pragma once

#include <stddef.h>

/* Installs the handler. Returns 0 or a negative errno. */
int stdio_catch_writes(void);
/* What read(2) on 0 gives; borrowed for the life of the process. */
void stdio_set_input(const void *bytes, size_t size);
