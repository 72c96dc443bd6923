/* SPDX-License-Identifier: MIT */
/* Numbers from text: decimal, whole, nothing around them. */
#pragma once

#include "common/cleanup.h"

#include <stdint.h>

/* Returns 0, or -EINVAL for another text or a number outside least..most. */
int number_parse(const char *text, int64_t least, int64_t most, int64_t *ret) must_check;
