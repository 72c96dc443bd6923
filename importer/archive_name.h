/* SPDX-License-Identifier: MIT */
/*
 * The policy of names in a ZIP: relative, UTF-8, one way to say each.
 */
#pragma once

#include "importer/archive.h"

/* Why a name of `size` bytes is not acceptable, to stand behind it in a sentence, or
 * NULL. It is normalised already: slashes only, none at the end. */
const char *archive_name_problem(const struct archive_limits *limits, const char *name,
                                 size_t size);
/* Is it what file managers and version control leave in a ZIP without being asked? */
bool archive_name_is_ignored(const char *name);
