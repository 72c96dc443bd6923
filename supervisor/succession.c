/* SPDX-License-Identifier: MIT */
/*
 * When a zygote is followed by another, and who is linked with which. Runs in the
 * supervisor, on its own records; makes no system call.
 */
#include "supervisor/succession.h"

#include "supervisor/lifecycle.h"

#include <stddef.h>

void succession_call(const struct unit *one, struct unit *other)
{
    if (one->state == UNIT_READY && one->worn && other != NULL) {
        lifecycle_handle(other, NULL, LIFECYCLE_WANTED, 0);
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
