/* SPDX-License-Identifier: MIT */
/* What was complained of. Runs in the relay; reads what Redis answers, as text alone. */
#include "worker/relay/complaints.h"

#include "common/cleanup.h"

#include <string.h>

/* Returns its place, or else that of the one that came longest ago. */
static struct complaint *find(struct complaints *complaints, const char *error,
                              size_t size)
{
    struct complaint *oldest = &complaints->each[0];

    for (size_t i = 0; i < array_size(complaints->each); i++) {
        struct complaint *one = &complaints->each[i];

        if (strlen(one->error) == size && memcmp(one->error, error, size) == 0) {
            return one;
        }
        oldest = one->ms < oldest->ms ? one : oldest;
    }
    oldest->error[0] = '\0';
    return oldest;
}

bool complaints_add(struct complaints *complaints, const char *error, int64_t now_ms)
{
    const char *script = strstr(error, " script: ");
    size_t size = script != NULL ? (size_t)(script - error) : strlen(error);
    struct complaint *one;
    bool is_new;

    if (size > sizeof(one->error) - 1) {
        size = sizeof(one->error) - 1;
    }
    one = find(complaints, error, size);
    is_new = one->error[0] == '\0' || now_ms >= one->ms + COMPLAINTS_QUIET_MS;
    memcpy(one->error, error, size);
    one->error[size] = '\0';
    one->ms = now_ms;
    return is_new;
}
