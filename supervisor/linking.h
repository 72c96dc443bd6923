/* SPDX-License-Identifier: MIT */
/*
 * The links between the pool's zygotes and relays: made as soon as succession.h permits,
 * and followed until they are UNLINKED.
 */
#pragma once

#include "supervisor/pool.h"

/* Makes every link that is due, if the pool is not held: without one no relay takes a
 * job. A zygote or relay that does not take it is killed. */
void linking_tend(struct pool *pool);
/* A zygote says that a slot's link is closed and its sandboxes reaped. */
void linking_undo(struct pool *pool, const struct unit *zygote, uint32_t slot);
/* A zygote or relay was reaped. */
void linking_forget(struct pool *pool, struct unit *dead);
/* No slot has a link with this zygote. */
bool linking_is_free(const struct pool *pool, const struct unit *zygote);
