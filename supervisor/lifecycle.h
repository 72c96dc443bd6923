/* SPDX-License-Identifier: MIT */
/*
 * What an event makes of a child, by one table of state and event for all kinds of them.
 * Only that a process was made (unit_started) is not in it: from OFF it leads to
 * STARTING. A pair that the table leaves out changes nothing.
 */
#pragma once

#include "supervisor/unit.h"

enum lifecycle_event {
    LIFECYCLE_WANTED,   /* it is to be started, and at once */
    LIFECYCLE_MENDED,   /* what it died of may be so: it is tried again at once */
    LIFECYCLE_UNWANTED, /* it is to end when it has nothing more to do, or not to start */
    LIFECYCLE_FAILED,   /* it could not be started */
    LIFECYCLE_READY,    /* it can serve */
    LIFECYCLE_WORN,     /* of a zygote: a successor is wanted */
    LIFECYCLE_DIED,     /* after process_reap */
    LIFECYCLE_ENDED,    /* the same in a pool that ends: it is not followed by another */
    LIFECYCLE_EVENTS,
};

/* Something happened to `one`. `other` is the zygote besides it that serves, starts or is
 * to be started (succession_other); NULL where there is none, and for all other kinds.
 * `status` is the exit status of one that died. */
void lifecycle_handle(struct unit *one, struct unit *other, enum lifecycle_event event,
                      int status);
