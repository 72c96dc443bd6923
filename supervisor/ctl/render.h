/* SPDX-License-Identifier: MIT */
/*
 * Showing a job: as a program's own output (text), or as JSON Lines. Both get the decoded
 * records, the state entries and the result; all of it may be a hostile program's.
 */
#pragma once

#include "common/wire.h"

#include <stdbool.h>

struct renderer;

struct renderer *render_new(bool json);
void render_free(struct renderer *renderer);

void render_record(struct renderer *renderer, const struct wire_decoded *record);
/* A `state` entry: its JSON text. `attempt` counts from 1. */
void render_state(struct renderer *renderer, const char *json, size_t size, int attempt);
/* The recording cannot be read on: said once per attempt. */
void render_torn(struct renderer *renderer, const char *why);
/* The end: the JSON text of the result. */
void render_result(struct renderer *renderer, const char *json, size_t size);
/* 0, or the negative errno with which our own output could not be written: from there on
 * nothing is. */
int render_error(const struct renderer *renderer);
