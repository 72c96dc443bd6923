/* SPDX-License-Identifier: MIT */
/* The layers of the sandbox for people: name, and what was tried against each
 * (worker/sandbox/selftest.c). */
#pragma once

#include "common/buffer.h"
#include "common/message.h"
#include "supervisor/cgroup.h"

struct layer_row {
    uint32_t bit; /* enum layer */
    const char *name;
    const char *attack;
};

extern const struct layer_row layer_rows[];
extern const size_t layer_row_count;

/* One line per layer: "ok", "FAIL" (mandatory or put in place, and did not hold) or "--"
 * (this machine does not grant it); with `json` an object of its name, whether it
 * `holds`, is `mandatory` and was `granted`, and as `detail` what was tried. The last one
 * says where control groups are, or why there are none. Returns false if one failed. */
bool layers_print(const struct message_ready *sandbox, const struct cgroup *cgroup,
                  bool json, struct buffer *to);
