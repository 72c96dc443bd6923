/* SPDX-License-Identifier: MIT */
/* The layers of the sandbox for people: name, and what was tried against each
 * (worker/sandbox/selftest.c). */
#pragma once

#include "common/buffer.h"
#include "common/message.h"

struct layer_row {
    uint32_t bit; /* enum layer */
    const char *name;
    const char *attack;
};

extern const struct layer_row layer_rows[];
extern const size_t layer_row_count;

/* One line per layer: "ok", "FAIL" (mandatory, and did not hold) or "--" (this machine
 * does not grant it). Returns false if a mandatory one did not hold. */
bool layers_print(const struct message_ready *sandbox, struct buffer *to);
