/* SPDX-License-Identifier: MIT */
/*
 * Reading one value out of a JSON object as the Functions library writes it: flat, of
 * numbers and strings, without blanks between them (docs/PROTOCOL.md). The strings may
 * hold what a program chose. Not a JSON parser.
 */
#pragma once

#include "common/buffer.h"

#include <stdbool.h>

/* Return false where there is no such name, or its value is of the other kind. */
bool json_number(const char *json, const char *name, int64_t *ret);
/* Appends the string's text, in UTF-8. */
bool json_text(const char *json, const char *name, struct buffer *to);
