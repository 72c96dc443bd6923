/* SPDX-License-Identifier: MIT */
/*
 * Host modules while a zygote loads them: which one it is, and what it prints. The zygote
 * says which (LOADING); what is printed goes to a memfd that is ours, too, so that it is
 * there whatever becomes of the zygote, and that nobody has to read meanwhile.
 */
#pragma once

#include "common/message.h"

#include <stdbool.h>
#include <stdint.h>

/* How long one may take; of more than that nothing will come. */
#define LOADING_MS 60000

struct loading {
    int words;               /* what they print; -1: nobody loads any; owned */
    uint64_t told;           /* how much of it is in the log */
    char what[LOADING_WHAT]; /* the one that is being loaded; "": none */
    bool overdue;            /* it was given up, and that was said */
};

#define LOADING_INIT                                                                     \
    {                                                                                    \
        .words = -1                                                                      \
    }

/* Before a zygote is started. Returns 0 or a negative errno. */
int loading_open(struct loading *loading) must_check;
/* As the zygote says. */
void loading_note(struct loading *loading, const struct message_loading *message);
/* One has not been loaded for LOADING_MS, and its zygote is to be killed: says so. */
void loading_give_up(struct loading *loading);
/* The zygote has ended with that status: says which module it was with, if it was.
 * Returns whether it was. */
bool loading_died(struct loading *loading, int status);
/* No further one is loaded. */
void loading_close(struct loading *loading);
