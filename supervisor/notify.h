/* SPDX-License-Identifier: MIT */
/*
 * Word to the service manager: sd_notify(3), its protocol alone. Where there is none
 * ($NOTIFY_SOCKET is not set), nothing is said.
 */
#pragma once

#include "common/cleanup.h"

#include <stdint.h>

struct notify {
    int socket;          /* owned; -1: nobody is told */
    int64_t watchdog_ms; /* between signs of life; 0: none are asked for */
    int64_t next_ms;
};

#define NOTIFY_INIT ((struct notify){.socket = -1})

/* Takes $NOTIFY_SOCKET, $WATCHDOG_USEC and $WATCHDOG_PID over: no child inherits them. */
void notify_open(struct notify *notify);
void notify_close(struct notify *notify);

/* Lines of NAME=value: "READY=1", "STATUS=...". One that is not taken within a few
 * seconds is lost; what only has a status, or is a sign of life, if it is not taken at
 * once. */
void notify_say(const struct notify *notify, const char *format, ...) printf_like(2, 3);

/* That the end begins, and how long running jobs may take: the manager waits for as long
 * (EXTEND_TIMEOUT_USEC, sd_notify(3)), and some time for what comes after them. */
void notify_draining(const struct notify *notify, int64_t jobs_ms);

/* Gives a sign of life when it is time. */
void notify_tend(struct notify *notify, int64_t now_ms);
int64_t notify_next_ms(const struct notify *notify);
