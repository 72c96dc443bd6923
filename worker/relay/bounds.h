/* SPDX-License-Identifier: MIT */
/*
 * What ends the running program: the wall clock, its output, the grace after its own end,
 * a ring that no honest program has.
 */
#pragma once

#include <stdint.h>

struct relay;

/* Has it killed if it is over one of them. */
void bounds_enforce(struct relay *relay);
int64_t bounds_deadline(const struct relay *relay);
/* Of the program, without the time for which it stood because of us. */
int64_t bounds_wall_us(const struct relay *relay, int64_t now_us);
