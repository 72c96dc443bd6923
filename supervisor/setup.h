/* SPDX-License-Identifier: MIT */
/* The first messages to zygotes and relays, from the configuration. */
#pragma once

#include "supervisor/pool.h"

/* For the zygote in one of the places; what it takes beyond the configuration (the
 * library, groups) is the caller's. */
void setup_zygote(const struct pool *pool, const struct config *config, uint32_t place,
                  struct message_setup *setup);
/* For the relay of a slot. */
void setup_relay(const struct pool *pool, uint32_t slot, struct message_relay *relay);
