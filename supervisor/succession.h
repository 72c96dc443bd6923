/* SPDX-License-Identifier: MIT */
/*
 * How one zygote follows another without a pause. Two places take turns: in one a zygote
 * serves (READY), the other is SPARE. When the one that serves is worn, its successor is
 * started in the other place. From the moment at which that is READY it serves, every
 * relay is linked with it, and the one before is RETIRING: what runs in it goes on, and
 * when the last relay has left, it is ended, and its place is SPARE again. Until then
 * there is no further renewal. What an event means is in the table of all children
 * (lifecycle.h):
 *
 * - the successor dies before it is READY: the one that serves goes on, and it is started
 *   again with the delays of unit.h
 * - the one that serves dies while its successor starts, or is to be started: the
 *   successor follows, at the latest when the dead one would have been started again
 * - the one that serves dies otherwise: it is started again in its own place, also while
 *   another one is RETIRING
 * - the one that is RETIRING dies: its place is SPARE; what it ran is lost, as ever
 *
 * Why a zygote is worn is no concern of this: it has forked often enough, or (one day) it
 * is of a configuration that is no longer in force.
 */
#pragma once

#include "supervisor/unit.h"

/* Calls the successor of a zygote that is worn, if its place is free: it is to be started
 * at once. */
void succession_call(const struct unit *one, struct unit *other);

/* ---- links ---- */

/* A relay may be given a link with the zygote that serves: it has none, and no sandbox of
 * the relays that had its slot before can be alive with any other zygote. (The one that
 * serves sees to its own.) What a relay that was killed ran must be dead when the next
 * one gives its job back. */
bool succession_may_link(const struct unit *zygote, const struct unit *relay);
/* The link was made. */
void succession_linked(const struct unit *zygote, struct unit *relay);
/* One was closed, and its sandboxes are reaped: the oldest of the slot with this zygote.
 */
void succession_unlinked(const struct unit *zygote, struct unit *relay);
/* A zygote was reaped, and with it all that it forked; or a relay, whose links are still
 * to be UNLINKED. */
void succession_forget_zygote(const struct unit *zygote, struct unit *relay);
void succession_forget_relay(struct unit *relay);
