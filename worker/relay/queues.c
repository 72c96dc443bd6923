/* SPDX-License-Identifier: MIT */
/* The order of a pool's queues. Runs in the relay, on its configuration alone. */
#include "worker/relay/queues.h"

#include <stdbool.h>
#include <string.h>

/* Divided by each weight up to SHARE_WEIGHT_MAX: what is lost of it is no matter. */
#define STRIDE 1000000

void queues_init(struct queues *queues, const struct share *shares, uint32_t count)
{
    *queues = (struct queues){
        .count = count < LIMIT_QUEUES ? count : LIMIT_QUEUES,
        .woken = QUEUES_NONE,
    };
    memcpy(queues->shares, shares, queues->count * sizeof(*shares));
    queues_order(queues);
}

static bool comes_before(const struct queues *queues, uint32_t a, uint32_t b)
{
    if (a == queues->woken || b == queues->woken) {
        return a == queues->woken;
    }
    return queues->passes[a] < queues->passes[b];
}

void queues_order(struct queues *queues)
{
    for (uint32_t queue = 0; queue < queues->count; queue++) {
        uint32_t place = queue;

        while (place > 0 && comes_before(queues, queue, queues->asked[place - 1])) {
            queues->asked[place] = queues->asked[place - 1];
            place--;
        }
        queues->asked[place] = queue;
    }
    queues->woken = QUEUES_NONE;
}

void queues_served(struct queues *queues, uint32_t queue)
{
    for (uint32_t i = 0; i < queues->count && queues->asked[i] != queue; i++) {
        uint64_t *pass = &queues->passes[queues->asked[i]];

        *pass = *pass > queues->passes[queue] ? *pass : queues->passes[queue];
    }
    queues->passes[queue] += STRIDE / queues->shares[queue].weight;
}

void queues_none(struct queues *queues)
{
    memset(queues->passes, 0, sizeof(queues->passes));
}

uint32_t queues_find(const struct queues *queues, const char *name)
{
    for (uint32_t i = 0; i < queues->count; i++) {
        if (strcmp(queues->shares[i].name, name) == 0) {
            return i;
        }
    }
    return QUEUES_NONE;
}
