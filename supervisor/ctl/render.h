/* SPDX-License-Identifier: MIT */
/*
 * Showing a job: as a program's own output (text), or as JSON Lines. Both get the
 * recording, the state entries and the result; all of it may be a hostile program's: a
 * recording that makes no sense ends its own display only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct renderer;

/* `wait_note`: at a terminal, what is said while the program waits for input. Returns
 * NULL when memory is short. */
struct renderer *render_new(bool json, const char *wait_note);
void render_free(struct renderer *renderer);

/* The next bytes of a recording, which may end within a record. Returns 0; 1: the program
 * asks for input in them; -EBADMSG: it cannot be read on, which was said. */
int render_slice(struct renderer *renderer, const char *bytes, size_t size);
/* No more of it comes. Returns 0, or -EBADMSG if that is not the end of a recording,
 * which was said. */
int render_slices_end(struct renderer *renderer);
/* A `state` entry: its JSON text. `attempt` counts from 1. Another recording begins. */
void render_state(struct renderer *renderer, const char *json, size_t size, int attempt);
/* An attempt came to its end whose state and slices are no longer there. In JSON nothing
 * says so but that. */
void render_cut(struct renderer *renderer);
/* The end: the JSON text of the result. */
void render_result(struct renderer *renderer, const char *json, size_t size);
/* It has not begun: a terminal shows so at its foot until something comes. */
void render_queued(struct renderer *renderer);
/* A word of ours on the way. */
void render_note(struct renderer *renderer, const char *text);
/* This was typed at the terminal: what is shown at its foot stands in the way. */
void render_typed(struct renderer *renderer, const char *bytes, size_t size);
/* 0, or the negative errno with which our own output could not be written: from there on
 * nothing is. */
int render_error(const struct renderer *renderer);
