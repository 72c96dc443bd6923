/* SPDX-License-Identifier: MIT */
/* Keeping output in proportion. Runs in the `paddock` command, on what a hostile program
 * may have written. */
#include "supervisor/ctl/room.h"

#include "common/utf8.h"

#include <stdio.h>
#include <string.h>

#define LINE_SIZE 40  /* bytes of a line in a listing, about */
#define EDGE_SIZE 100 /* of the beginning of a call, or its end, beside its names */

void room_spend(struct room *room, const struct trace_event *event)
{
    if (event->kind == WIRE_CALL || event->kind == WIRE_RESUME) {
        room->used += 3 * (EDGE_SIZE + strnlen(event->call.name, ROOM_NAME)) +
                      2 * strnlen(event->call.path, ROOM_NAME);
    } else if (event->kind == WIRE_LINE) {
        room->used += LINE_SIZE;
    }
}

/* As it stands in a string of JSON, or in a listing: a quote, a backslash and a new line
 * have two characters there. */
static size_t escaped_size(char c)
{
    return c == '"' || c == '\\' || c == '\n' || c == '\t' ? 2 : 1;
}

const char *room_name(const char *name, char to[ROOM_TEXT])
{
    size_t size = 0, fits = 0, used = 0;

    for (; name[size] != '\0' && used <= ROOM_NAME; size++) {
        used += escaped_size(name[size]);
        fits += used <= ROOM_NAME;
    }
    if (used <= ROOM_NAME) {
        return name;
    }
    (void)snprintf(to, ROOM_TEXT, "%.*s...", (int)utf8_whole(name, fits), name);
    return to;
}

const char *room_path(const char *path, char to[ROOM_TEXT])
{
    size_t at = strlen(path), used = 0;

    while (at > 0 && used + escaped_size(path[at - 1]) <= ROOM_NAME) {
        used += escaped_size(path[--at]);
    }
    if (at == 0) {
        return path;
    }
    while ((path[at] & 0xc0) == 0x80) { /* within a character */
        at++;
    }
    (void)snprintf(to, ROOM_TEXT, "...%s", path + at);
    return to;
}
