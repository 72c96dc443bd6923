/* SPDX-License-Identifier: MIT */
/*
 * What a sandbox costs beyond its program is pages: all that the zygote has are gone over
 * at its birth and its end, and each that it writes to first is copied, and every one is
 * an exception. Here the zygote's memory is laid out so that there are few.
 */
#pragma once

/* Before the lock, when all is loaded: uses up memory that was freed and lies scattered,
 * a megabyte at most, so that sandboxes take theirs side by side from where nothing has
 * been yet; and puts the rest into huge pages where the kernel can (madvise(2),
 * MADV_COLLAPSE: Linux 6.1). */
void pages_settle(void);
