/* SPDX-License-Identifier: MIT */
/* Texts on a terminal: how much of one its row holds, and where in it the cursor is then.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* The columns of the terminal that stderr is; 80 where it does not say. They change as
 * its window does: to be asked for each row. */
size_t columns_of_terminal(void);
/* How many bytes of a text take at most so many columns: whole characters, with those
 * that are shown upon them. The text is UTF-8 without control characters. */
size_t columns_fit(const char *text, size_t columns);

/* Where the cursor is behind what a program wrote, which may be anything: begins as {0},
 * at the beginning of a row. Of the sequences of terminals only those for colours are
 * known; whoever uses others drives the terminal himself. */
struct columns_cursor {
    size_t column;  /* from 0 */
    size_t unsure;  /* characters of the line that may take one more, or less */
    char begun[4];  /* of a character that is not whole yet */
    size_t size;    /* bytes of it */
    int in_escape;  /* of a sequence: how far it is known; of one for colours: */
    unsigned value; /* the parameter that it is in, */
    unsigned count; /* how many there were before, */
    unsigned skip;  /* and how many more are of the one before */
    bool is_part;   /* it is a part of the one before */
    bool is_paper;  /* what is erased now would have a colour, */
    bool is_turned; /* or that of the text */
    bool is_driven; /* by the program, from here on */
};

/* More was written, to a terminal of so many columns. */
void columns_follow(struct columns_cursor *cursor, const char *bytes, size_t size,
                    size_t columns);
/* May it be moved, rows be erased, and it be put back? Not within a character or a
 * sequence, nor behind a full row, from where the next character begins another one, nor
 * on a coloured ground, nor where the program drives the terminal. */
bool columns_is_free(const struct columns_cursor *cursor, size_t columns);
