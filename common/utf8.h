/* SPDX-License-Identifier: MIT */
/* UTF-8 as RFC 3629 has it: shortest forms only, no surrogates, nothing above U+10FFFF.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Returns the length (1-4) of the valid sequence at the start of `bytes`, 0 if there is
 * none, and -1 if `size` ends within a sequence that is valid so far (more bytes may
 * complete it). */
int utf8_sequence(const char *bytes, size_t size);
/* At bytes that begin no valid sequence (`size` > 0): how many of them, 1 to 3, one
 * U+FFFD stands for. So much as could have begun a character, or the one byte that
 * cannot: as Unicode (3.9, U+FFFD Substitution of Maximal Subparts), browsers and Python
 * have it. */
size_t utf8_replaced(const char *bytes, size_t size);

/* The code point of a valid sequence of this length. */
uint32_t utf8_decode(const char *bytes, size_t length);
/* Writes a code point that is no surrogate. Returns how many bytes it takes. */
size_t utf8_encode(uint32_t code, char to[4]);

/* How many of the bytes are left without a sequence that is cut off at their end. */
size_t utf8_whole(const char *bytes, size_t size);

bool utf8_valid(const char *bytes, size_t size);
/* How many characters begin in these bytes of valid UTF-8. */
size_t utf8_characters(const char *bytes, size_t size);

/* Is this character, `length` bytes long, one above ASCII that changes how what stands
 * beside it is shown? Controls (C1), line separators, what turns the direction of
 * writing. */
bool utf8_moves(const char *bytes, size_t length);

/* Is it one that nobody sees, though it makes a word another one? (Some have their place
 * in what people write, as in the names of families of emoji.) */
bool utf8_hides(const char *bytes, size_t length);

/* Copies `size` bytes of `from` as a NUL-terminated string into `to` (`room` bytes, > 0):
 * invalid bytes (utf8_replaced), control characters other than tab and newline, and
 * characters that move others (utf8_moves) become '?', and a text that is too long is cut
 * between characters. Returns the length of the result. Whatever a program said goes
 * through this on its way into a sentence or a claim. */
size_t utf8_copy_clean(char *to, size_t room, const char *from, size_t size);
