/* SPDX-License-Identifier: MIT */
/*
 * When a zygote is followed by another, and who is linked with which. Runs in the
 * supervisor, on its own records; makes no system call.
 */
#include "supervisor/succession.h"

#include "supervisor/lifecycle.h"

#include <stddef.h>

/* ---- places ---- */

/* Each has one bit. */
#define IN(state)  (1u << (state))
#define CALLED     (IN(UNIT_OFF) | IN(UNIT_STARTING))
#define IN_ANY_USE (CALLED | IN(UNIT_READY) | IN(UNIT_RETIRING))

/* A zygote in one of these states, but for `one`; NULL: none is. */
static struct unit *find(struct unit *units, size_t count, unsigned states,
                         const struct unit *one)
{
    for (size_t i = 0; i < count; i++) {
        if (units[i].kind == UNIT_ZYGOTE && (states & IN(units[i].state)) != 0 &&
            &units[i] != one) {
            return &units[i];
        }
    }
    return NULL;
}

struct unit *succession_server(struct unit *units, size_t count)
{
    return find(units, count, IN(UNIT_READY), NULL);
}

struct unit *succession_heir(struct unit *units, size_t count)
{
    return find(units, count, CALLED, NULL);
}

struct unit *succession_other(struct unit *units, size_t count, const struct unit *one)
{
    return one->kind == UNIT_ZYGOTE ? find(units, count, CALLED | IN(UNIT_READY), one)
                                    : NULL;
}

struct unit *succession_call(struct unit *units, size_t count)
{
    struct unit *place = find(units, count, IN(UNIT_SPARE), NULL);

    if (place != NULL) {
        lifecycle_handle(place, NULL, LIFECYCLE_WANTED, 0);
    }
    return place;
}

void succession_tend(struct unit *units, size_t count)
{
    const struct unit *server = succession_server(units, count);
    bool due = server == NULL ||
               (server->worn && find(units, count, IN_ANY_USE, server) == NULL);

    if (due && succession_heir(units, count) == NULL) {
        (void)succession_call(units, count);
    }
}

/* ---- links ---- */

bool succession_may_link(const struct unit *zygote, const struct unit *relay)
{
    bool may = zygote->state == UNIT_READY && relay->state == UNIT_READY &&
               relay->peer >= 0 && !relay->links[zygote->slot].own;

    for (uint32_t place = 0; place < UNIT_ZYGOTES; place++) {
        const struct unit_links *links = &relay->links[place];

        may = may && (place == zygote->slot || links->open <= (links->own ? 1u : 0u));
    }
    return may;
}

void succession_linked(const struct unit *zygote, struct unit *relay)
{
    relay->links[zygote->slot].open++;
    relay->links[zygote->slot].own = true;
}

void succession_unlinked(const struct unit *zygote, struct unit *relay)
{
    struct unit_links *links = &relay->links[zygote->slot];

    links->open -= links->open > 0;
    links->own = links->own && links->open > 0;
}

void succession_forget_zygote(const struct unit *zygote, struct unit *relay)
{
    relay->links[zygote->slot] = (struct unit_links){0};
}

void succession_forget_relay(struct unit *relay)
{
    for (uint32_t place = 0; place < UNIT_ZYGOTES; place++) {
        relay->links[place].own = false;
    }
}
