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
 * does not grant it); with `json` an object of its name, whether it `holds` and is
 * `mandatory`, and as `detail` what was tried. Returns false if a mandatory one did not
 * hold. */
bool layers_print(const struct message_ready *sandbox, bool json, struct buffer *to);
