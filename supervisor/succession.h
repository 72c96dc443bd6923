/* SPDX-License-Identifier: MIT */
/*
 * How one zygote follows another without a pause. They have places, of which at most one
 * has the zygote that serves (READY), at most one its heir, which is to be started or
 * starts (OFF, STARTING); in the others former ones are RETIRING, or nobody is (SPARE).
 *
 * An heir is called for one of three reasons: the one that serves is worn (it has forked
 * often enough), there is none that serves, or a reload wants one of its configuration
 * (reload.h). From the moment at which it is READY it serves, every relay is linked with
 * it, and the one before is RETIRING: what runs in that goes on, and when the last relay
 * has left, it is ended, and its place is SPARE again. Who is only worn waits for that:
 * there is no second renewal until no place but its own is in use. A reload does not wait
 * as long as one place is SPARE.
 *
 * What an event means is in the table of all children (lifecycle.h):
 *
 * - the heir dies before it is READY: the one that serves goes on, and it is started
 *   again with the delays of unit.h; but an heir that a reload has called is given up,
 *   and its configuration with it
 * - a reload comes while there is an heir: that is called off, whatever it was called
 *   for, and however long it would have been until it is tried again
 * - the one that serves dies while there is an heir: the heir follows, at the latest when
 *   the dead one would have been started again
 * - the one that serves dies otherwise: it is started again in its own place, also while
 *   others are RETIRING
 * - one that is RETIRING dies: its place is SPARE; what it ran is lost, as ever
 */
#pragma once

#include "supervisor/unit.h"

/* ---- places: of all units, those that are zygotes ---- */

/* The one that serves, and its heir; NULL where there is none. */
struct unit *succession_server(struct unit *units, size_t count);
struct unit *succession_heir(struct unit *units, size_t count);
/* Of these two the one that is not `one`. */
struct unit *succession_other(struct unit *units, size_t count, const struct unit *one);

/* Calls an heir, where there is none, into a place that is SPARE: it is to be started at
 * once. Returns its place, NULL where all are in use. */
struct unit *succession_call(struct unit *units, size_t count);
/* The same, where one is due: none serves, or the one that does is worn. */
void succession_tend(struct unit *units, size_t count);

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
