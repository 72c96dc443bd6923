/* SPDX-License-Identifier: MIT */
/*
 * One event, one line, to stderr: `level role[pid] message`. Called from main-level code
 * only; library code (common/, importer/) returns errors instead. Text that comes from a
 * client or a program is escaped and capped before it gets here or by log_event itself:
 * control characters and invalid UTF-8 never reach the log.
 *
 * Grammar: "unable to X: reason"; facts as `key=value`.
 */
#pragma once

#include "common/cleanup.h"

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

/* `role` must stay valid: a string constant such as "relay-3". */
void log_open(const char *role, enum log_level most);
void log_event(enum log_level level, const char *format, ...) printf_like(2, 3);
/* Appends ": " and the text of -error (a negative errno). Returns `error`, so that a
 * caller can log and pass it on in one statement. */
int log_failure(int error, const char *format, ...) printf_like(2, 3);

#define log_error(...)   log_event(LOG_ERROR, __VA_ARGS__)
#define log_warning(...) log_event(LOG_WARNING, __VA_ARGS__)
#define log_info(...)    log_event(LOG_INFO, __VA_ARGS__)
#define log_debug(...)   log_event(LOG_DEBUG, __VA_ARGS__)
