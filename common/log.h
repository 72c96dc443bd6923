/* SPDX-License-Identifier: MIT */
/*
 * One event, one line, to stderr: `level role[pid] message`, of one of several pools
 * `level pool/role[pid] message`; or a JSON object with `time` (RFC 3339, UTC), `level`,
 * `pool`, `role`, `pid`, `message` and the facts of the message. Called
 * from main-level code only; library code (common/, importer/) returns errors instead.
 * Text that comes from a client or a program is escaped and capped before it gets here or
 * by log_event itself: as \n, \t, \xNN or \uNNNN control characters, what moves or hides
 * text, and invalid UTF-8.
 *
 * Nobody waits for who reads the log: what it does not take is left out, and counted in
 * the next line that it takes.
 *
 * Grammar: "unable to X: reason"; facts as `key=value`, before any text of others: where
 * a word ends in a colon facts end, too. A fact is a number in JSON where it is one, but
 * names of jobs and queues never are.
 */
#pragma once

#include "common/cleanup.h"
#include "common/limits.h"

#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

enum log_format { LOG_TEXT, LOG_JSON };

struct log_manner {
    uint32_t most; /* enum log_level */
    uint32_t format;
    char pool[LIMIT_POOL + 1]; /* "": the only one */
};

/* `role` must stay valid: a string constant such as "relay-3". */
void log_open(const char *role, struct log_manner manner);
void log_event(enum log_level level, const char *format, ...) printf_like(2, 3);
/* Appends ": " and the text of -error (a negative errno). Returns `error`, so that a
 * caller can log and pass it on in one statement. */
int log_failure(int error, const char *format, ...) printf_like(2, 3);

#define log_error(...)   log_event(LOG_ERROR, __VA_ARGS__)
#define log_warning(...) log_event(LOG_WARNING, __VA_ARGS__)
#define log_info(...)    log_event(LOG_INFO, __VA_ARGS__)
#define log_debug(...)   log_event(LOG_DEBUG, __VA_ARGS__)
