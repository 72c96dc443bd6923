/* SPDX-License-Identifier: MIT */
/*
 * The supervisor's part of the pool's scoreboard (common/scoreboard.h), the file
 * `scoreboard` in the runtime folder.
 */
#pragma once

#include "supervisor/pool.h"

/* Returns 0, or a negative errno with a sentence in `why`. */
int board_open(struct pool *pool, struct buffer *why) must_check;
void board_close(struct pool *pool);

/* Shows how the pool is. Without a scoreboard (in a check) it does nothing, as is true of
 * all below. */
void board_show(struct pool *pool);
/* What the scoreboard calls a kind. */
enum scoreboard_process board_process(enum unit_kind kind);
/* A child is dead: `counts` where nobody had asked it to end. */
void board_death(struct pool *pool, const struct unit *unit, bool counts);
void board_count_zygote(struct pool *pool);
/* What the relay of a slot does. */
enum scoreboard_state board_state(const struct pool *pool, uint32_t slot);
