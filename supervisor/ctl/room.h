/* SPDX-License-Identifier: MIT */
/*
 * What is written of a recording stays in proportion to it. A hostile one of a few
 * kilobytes can stand for calls, lines and names without end. So a name is cut where no
 * real one is as long, and repeats are told one by one while there is room: when there
 * is none, the trace is to be brief (common/trace.h). What is written of each event is
 * only estimated, so that all forms tell of the same ones.
 */
#pragma once

#include "common/limits.h"
#include "common/trace.h"

#define ROOM_FACTOR 256 /* bytes that may be written for each that was read */
/* And beside these: in a listing that somebody reads, and in a file for a program. */
#define ROOM_READ MIB(4)
#define ROOM_FILE MIB(16)

#define ROOM_NAME 128 /* bytes of a name, as they are when escaped */
#define ROOM_TEXT (ROOM_NAME + sizeof("..."))

struct room {
    uint64_t base; /* ROOM_READ or ROOM_FILE */
    uint64_t read; /* bytes of the recording */
    uint64_t used;
};

static inline bool room_left(const struct room *room)
{
    return room->used < room->base + ROOM_FACTOR * room->read;
}

/* Such an event is told: where a call begins its end counts, too, which is sure to come,
 * and that it is unfinished, which it may be. */
void room_spend(struct room *room, const struct trace_event *event);

/* Return the text as it is, or where it is too long, in `to`: the beginning of a name,
 * the end of a path, and "..." in place of the rest. */
const char *room_name(const char *name, char to[ROOM_TEXT]);
const char *room_path(const char *path, char to[ROOM_TEXT]);
