/* SPDX-License-Identifier: MIT */
/*
 * One job, from its inbox to its claim: prologue (limits, input, recording), the
 * program's archive and entry, its run as `python FILE` would have it, the claim, its end
 * (threads joined, atexit, buffers flushed).
 */
#pragma once

#include "common/job.h"
#include "common/ring.h"
#include "worker/sandbox/sandbox.h"

#include <Python.h>

/* In the zygote: takes what it needs from bootstrap.py's globals, so that nothing is
 * looked up later. Returns 0, or -1 with an exception. */
int guest_prepare(PyObject *bootstrap_globals);

/* Runs a small program of ours through archive, importer, compiler and streams, and
 * leaves nothing of it; what it prints must go nowhere. In the zygote, before its lock,
 * so that what a first program has Python make (interned names, caches of types) is there
 * already. And in a locked sandbox that waits, so that the pages which every job writes
 * to are the sandbox's own: copying them is most of what a small job costs, and now
 * happens ahead of it. */
void guest_rehearse(void);

/* In a locked sandbox whose job has come. */
_Noreturn void guest_run(const struct sandbox_settings *settings,
                         const struct job_inbox *inbox, struct ring_writer *ring);
