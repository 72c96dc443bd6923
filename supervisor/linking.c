/* SPDX-License-Identifier: MIT */
/*
 * Handing out socketpairs. Runs in the supervisor. What zygotes say of their links is
 * believed: they are ours, and no byte of a job reaches them.
 */
#include "supervisor/linking.h"

#include "common/log.h"
#include "supervisor/succession.h"

#include <signal.h>

static void make_link(struct unit *zygote, struct unit *relay)
{
    const struct message_link link = {.slot = relay->slot};
    autoclose int one = -1, two = -1;
    int pair[2];

    if (message_pair(pair) < 0) {
        log_error("unable to make a link for relay %u", relay->slot);
        return;
    }
    one = pair[0];
    two = pair[1];
    succession_linked(zygote, relay);
    if (message_send(zygote->peer, MESSAGE_LINK, &link, &one) < 0) {
        process_signal(&zygote->process, SIGKILL);
    } else if (message_send(relay->peer, MESSAGE_LINK, &link, &two) < 0) {
        process_signal(&relay->process, SIGKILL);
    }
}

/* A relay of a former configuration ends with the job that it has: it takes no part in a
 * zygote that it would only hold. */
void linking_tend(struct pool *pool)
{
    struct unit *zygote = pool->held ? NULL : succession_server(pool->units, pool->count);

    for (size_t i = 0; zygote != NULL && i < pool->count; i++) {
        struct unit *unit = &pool->units[i];

        if (unit->kind == UNIT_RELAY && unit->generation == pool->generation &&
            succession_may_link(zygote, unit)) {
            make_link(zygote, unit);
        }
    }
}

void linking_undo(struct pool *pool, const struct unit *zygote, uint32_t slot)
{
    for (size_t i = 0; i < pool->count; i++) {
        if (pool->units[i].kind == UNIT_RELAY && pool->units[i].slot == slot) {
            succession_unlinked(zygote, &pool->units[i]);
        }
    }
}

void linking_forget(struct pool *pool, struct unit *dead)
{
    if (dead->kind == UNIT_RELAY) {
        succession_forget_relay(dead);
    }
    for (size_t i = 0; dead->kind == UNIT_ZYGOTE && i < pool->count; i++) {
        if (pool->units[i].kind == UNIT_RELAY) {
            succession_forget_zygote(dead, &pool->units[i]);
        }
    }
}

bool linking_is_free(const struct pool *pool, const struct unit *zygote)
{
    for (size_t i = 0; i < pool->count; i++) {
        if (pool->units[i].links[zygote->slot].open > 0) {
            return false;
        }
    }
    return true;
}
