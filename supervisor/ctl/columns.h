/* SPDX-License-Identifier: MIT */
/* Texts on a terminal: how much of one its row holds. */
#pragma once

#include <stddef.h>

/* The columns of the terminal that stderr is; 80 where it does not say. They change as
 * its window does: to be asked for each row. */
size_t columns_of_terminal(void);
/* How many bytes of a text take at most so many columns: whole characters, with those
 * that are shown upon them. The text is UTF-8 without control characters. */
size_t columns_fit(const char *text, size_t columns);
