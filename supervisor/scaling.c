/* SPDX-License-Identifier: MIT */
/* The rules of scaling. Runs in the supervisor, on numbers that its relays have told. */
#include "supervisor/scaling.h"

#define RATE_MAX 32

static uint32_t least_of(uint32_t a, uint64_t b)
{
    return a < b ? a : (uint32_t)b;
}

/* Jobs for which nobody is there, once all are who are on their way. */
static uint64_t unserved(const struct scaling_view *view)
{
    uint64_t served = (uint64_t)view->idle + view->starting;

    return view->waiting > served ? view->waiting - served : 0;
}

struct look {
    struct scaling *scaling;
    const struct scaling_rules *rules;
    const struct scaling_view *view;
    int64_t now_ms;
};

static bool has_less_than(const struct look *look, int64_t mb)
{
    return look->view->available_mb >= 0 && look->view->available_mb < mb;
}

static int keep_bounds(const struct look *look)
{
    uint32_t workers = look->view->workers;
    uint32_t least = look->rules->least, most = look->rules->most;
    uint32_t bounded = workers < least ? least : workers > most ? most : workers;

    return (int)bounded - (int)workers;
}

static int serve_more(const struct look *look)
{
    struct scaling *scaling = look->scaling;
    bool late = look->view->oldest_ms >= look->rules->up_ms;
    uint64_t wanted = late ? unserved(look->view) : 0;
    uint32_t more = least_of(least_of(scaling->rate, wanted),
                             look->rules->most - look->view->workers);

    scaling->rate = wanted == 0 ? 1 : least_of(2 * scaling->rate, RATE_MAX);
    scaling->held = more > 0 && has_less_than(look, look->rules->spare_mb);
    return scaling->held ? 0 : (int)more;
}

static bool one_can_go(const struct look *look)
{
    return look->view->workers > look->rules->least && look->view->idle > 0;
}

static int spare_memory(const struct look *look)
{
    return one_can_go(look) && has_less_than(look, look->rules->spare_mb / 2) ? -1 : 0;
}

static int rest(const struct look *look)
{
    bool long_idle = look->now_ms - look->scaling->needed_ms >= look->rules->down_ms;

    return one_can_go(look) && long_idle ? -1 : 0;
}

/* The first that wants something has it. */
static int (*const steps[SCALING_REASONS])(const struct look *look) = {
    [SCALING_BOUNDS] = keep_bounds,
    [SCALING_JOBS] = serve_more,
    [SCALING_MEMORY] = spare_memory,
    [SCALING_IDLE] = rest,
};

int scaling_decide(struct scaling *scaling, const struct scaling_rules *rules,
                   const struct scaling_view *view, int64_t now_ms,
                   enum scaling_reason *ret_reason)
{
    const struct look look = {scaling, rules, view, now_ms};

    if (scaling->rate == 0 || view->idle <= 1 || view->waiting > 0) {
        scaling->rate = scaling->rate > 0 ? scaling->rate : 1;
        scaling->needed_ms = now_ms;
    }
    scaling->held = false;
    for (int reason = SCALING_NONE + 1; reason < SCALING_REASONS; reason++) {
        int difference = steps[reason](&look);

        if (difference != 0) {
            *ret_reason = (enum scaling_reason)reason;
            return difference;
        }
    }
    *ret_reason = SCALING_NONE;
    return 0;
}
