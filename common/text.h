/* SPDX-License-Identifier: MIT */
/* Questions to a NUL-terminated text, and quoting it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool text_ends_with(const char *text, const char *end);
/* Capital letters of ASCII are the same as small ones. */
bool text_ends_with_any_case(const char *text, const char *end);

/* How many bytes at its beginning are letters and digits of ASCII, or among the others
 * that a name may have. */
size_t text_name_length(const char *text, const char *others);

/* Is one of the words of the list, which have spaces between them, that of these `size`
 * bytes? */
bool text_has_word(const char *list, const char *word, size_t size);

/* So much of a text as a sentence about it quotes, whoever wrote it and however long it
 * is: where it is longer, its beginning, cut between characters, and three dots. */
#define TEXT_QUOTED 500
struct text_quote {
    char text[TEXT_QUOTED + sizeof("...")];
};
struct text_quote text_quote(const char *text);

/* FNV-1a of 64 bits (Fowler, Noll and Vo): the same for the same text on every machine,
 * and nothing that an enemy could not forge. `hash` is that of the text before it,
 * TEXT_HASH for the first. */
#define TEXT_HASH UINT64_C(0xcbf29ce484222325)
uint64_t text_add_hash(uint64_t hash, const char *text);
