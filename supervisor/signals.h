/* SPDX-License-Identifier: MIT */
/* Signals as rows of a table, over a signalfd(2): who runs a loop handles them there, one
 * after the other. */
#pragma once

#include "common/cleanup.h"

#include <stdbool.h>
#include <stddef.h>

struct signal_row {
    int number;
    void (*handle)(void *context);
};

/* Blocks them all. Returns 0, and *ret_fd that is readable when one has come; or a
 * negative errno. */
int signals_open(const struct signal_row *rows, size_t count, int *ret_fd) must_check;
/* Has one come, of those that are blocked, by which programs are asked to end? For who
 * waits ahead of his loop, which then handles it. */
bool signals_ask_for_the_end(void);
/* Handles what has come. */
void signals_service(int fd, const struct signal_row *rows, size_t count, void *context);
/* For a row of what is to do nothing. */
void signals_pass_over(void *context);
