/* SPDX-License-Identifier: MIT */
/* UTF-8 as RFC 3629 has it: shortest forms only, no surrogates, nothing above U+10FFFF.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Returns the length (1-4) of the valid sequence at the start of `bytes`, 0 if there is
 * none, and -1 if `size` ends within a sequence that is valid so far (more bytes may
 * complete it). */
int utf8_sequence(const char *bytes, size_t size);

/* How many of the bytes are left without a sequence that is cut off at their end. */
size_t utf8_whole(const char *bytes, size_t size);

bool utf8_valid(const char *bytes, size_t size);

/* Copies `size` bytes of `from` as a NUL-terminated string into `to` (`room` bytes, > 0):
 * invalid bytes and control characters other than tab and newline become '?', and a text
 * that is too long is cut between characters. Returns the length of the result. */
size_t utf8_copy_clean(char *to, size_t room, const char *from, size_t size);
