/* SPDX-License-Identifier: MIT */
/*
 * The zygote's Python: started once, isolated, with what most programs import, so that a
 * job finds it running, and with the rest of the library at hand in memory. Only Debian's
 * libpython 3.11 and its own standard library.
 */
#pragma once

#include "common/message.h"

#include <stddef.h>

/* The root under which a program's files appear. */
#define PROGRAM_ROOT "/robot"

struct interpreter {
    uint32_t modules; /* modules that were imported ahead, host modules among them */
    long data_pages;  /* private writable pages of the process, before any job */
    long total_pages; /* its whole address space */
};

/* Starts Python, imports the modules named in `preload` (separated by spaces; one that
 * can not be imported is logged and left out), the importer, Python's library from the
 * archive that `library_fd` reads (left open), the operator's host modules, and what
 * Paddock itself needs. Returns 0, or a negative errno after logging the reason; -ENOPKG:
 * a host module cannot be loaded. Reads the disk: to be called before the
 * lock. */
int interpreter_start(const struct message_setup *setup, int library_fd,
                      struct interpreter *ret);

/* The last things before the lock: forgets the disk (sys.path leads into the library's
 * archive) and freezes what is there, so that the collector leaves the pages shared with
 * the children alone.
 */
int interpreter_settle(struct interpreter *interpreter);

/* Called in a fresh child, instead of the after-fork hooks of threading, random and
 * logging, which have nothing to repair in the child of a single-threaded process (and
 * touch 200 pages): seeds `random` anew. */
void interpreter_after_fork(void);
