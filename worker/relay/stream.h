/* SPDX-License-Identifier: MIT */
/*
 * The Stream that a running job's recording goes to (docs/PROTOCOL.md). Commands return 0
 * when they are under way, or a negative errno when the connection is down; the answer
 * comes to the function that is given, in the order of the commands.
 */
#pragma once

#include "queue/redis.h"

#include <stdbool.h>
#include <stdint.h>

struct relay;

/* The id of an entry of a Stream; ms 0: none. */
struct stream_id {
    uint64_t ms, number;
};

struct stream_id_text {
    char text[48];
};

/* Returns false for a text that is none. */
bool stream_read_id(const char *text, struct stream_id *ret);
struct stream_id_text stream_id_text(struct stream_id id);
/* Returns a number below, of, or above 0, as strcmp does. */
int stream_compare(struct stream_id one, struct stream_id other);

/* A slice of the running job's recording, by that id, or by one of Redis's own. A Stream
 * takes ids in their order alone: by the same it gets there once, however often it is
 * sent, on whatever ways. */
int stream_publish(struct relay *relay, struct stream_id id, const void *bytes,
                   size_t size, redis_answer *answer);
/* Redis has it, or something behind it. */
bool stream_is_behind(const struct redisReply *reply);
/* What stands in the place of its Stream is none. */
bool stream_is_none(const struct redisReply *reply);
/* The first `most` entries of its Stream after that one (none: of all). */
int stream_find(struct relay *relay, struct stream_id after, size_t most,
                redis_answer *answer);
/* Reads the id of one of these. Returns whether it is a slice of this attempt. */
bool stream_read_slice(const struct redisReply *entry, uint32_t attempt,
                       struct stream_id *ret);
