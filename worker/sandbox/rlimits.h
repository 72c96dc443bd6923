/* SPDX-License-Identifier: MIT */
/*
 * The resource limits of a sandbox (setrlimit(2)), one row each with its reason. Set hard
 * at birth to the operator's maxima, lowered by the job's own limits before a byte of its
 * program is looked at.
 */
#pragma once

#include "common/buffer.h"
#include "common/job.h"
#include "worker/sandbox/sandbox.h"

/* At birth. Returns 0 or a negative errno. */
int rlimits_set(const struct sandbox_settings *settings) must_check;
/* Are all of them so, can none be raised, and is memory beyond them refused? */
bool rlimits_hold(const struct sandbox_settings *settings);
/* At the start of the job: can only lower. */
int rlimits_lower(const struct sandbox_settings *settings,
                  const struct job_limits *job) must_check;
/* What the control group of a sandbox may hold, for a job of so much memory:
 * RLIMIT_DATA's hard value, 32 MB, and 1/256. By then a MemoryError that can be raised
 * was raised. */
int64_t rlimits_group_bytes(const struct sandbox_settings *settings, int64_t memory_mb);
/* Of the 8 MB that RLIMIT_DATA's soft value is below the hard one, for what it takes to
 * handle a MemoryError and to tell it: opens so many, leaving `keep`. Returns how many
 * were opened, which may be none. */
size_t rlimits_open_reserve(size_t bytes, size_t keep);
void rlimits_close_reserve(size_t bytes);
/* One line per row. */
void rlimits_print(struct buffer *to);
