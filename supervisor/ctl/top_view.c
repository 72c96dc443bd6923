/* SPDX-License-Identifier: MIT */
/*
 * The picture that `paddock top` shows. Part of the `paddock` command; it reads copies
 * alone, and shows what clients have named so that it is seen as what it is.
 */
#include "supervisor/ctl/top_view.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define TENANTS_SHOWN 10

void top_take(struct top_sample *sample, const struct scoreboard *board, int64_t now_ms)
{
    sample->now_ms = now_ms;
    sample->board = board;
    sample->all = (struct scoreboard_counts){0};
    if (board == NULL) {
        return;
    }
    for (size_t i = 0; i < LIMIT_WORKERS; i++) {
        scoreboard_read(&board->slots[i], &sample->slots[i]);
        scoreboard_add(&sample->all, &sample->slots[i].counts);
    }
}

/* ---- figures ---- */

/* What lies between two samples, which may be of a pool that began in between. */
struct span {
    int64_t ms;
    uint64_t ended;
    struct scoreboard_histogram waits, runs;
};

static void subtract(struct scoreboard_histogram *histogram,
                     const struct scoreboard_histogram *before)
{
    for (size_t i = 0; i < SCOREBOARD_BUCKETS; i++) {
        histogram->buckets[i] -=
            before->buckets[i] <= histogram->buckets[i] ? before->buckets[i] : 0;
    }
}

static struct span span_between(const struct top_sample *now,
                                const struct top_sample *before)
{
    const struct scoreboard_head *head = &now->board->head;
    struct span span = {.ms = now->now_ms - atomic_load(&head->started_ms),
                        .ended = scoreboard_ended(&now->all),
                        .waits = now->all.waits,
                        .runs = now->all.runs};

    if (before != NULL && before->board == now->board) {
        span.ms = now->now_ms - before->now_ms;
        span.ended -= scoreboard_ended(&before->all) <= span.ended
                          ? scoreboard_ended(&before->all)
                          : 0;
        subtract(&span.waits, &before->all.waits);
        subtract(&span.runs, &before->all.runs);
    }
    return span;
}

static double per_second(uint64_t count, int64_t ms)
{
    return ms > 0 ? (double)count * 1000 / (double)ms : 0;
}

/* The bound of the bucket that so many of a hundred do not exceed; -1: there is none. */
static int64_t percentile(const struct scoreboard_histogram *histogram, unsigned percent)
{
    uint64_t all = 0, seen = 0;

    for (size_t i = 0; i < SCOREBOARD_BUCKETS; i++) {
        all += histogram->buckets[i];
    }
    for (size_t i = 0; i < SCOREBOARD_BUCKETS; i++) {
        seen += histogram->buckets[i];
        if (all > 0 && seen * 100 >= all * percent) {
            return scoreboard_bounds_ms[i];
        }
    }
    return -1;
}

static void add_time(struct buffer *to, int64_t ms)
{
    if (ms < 1000) {
        buffer_printf(to, "%" PRId64 " ms", ms);
    } else if (ms < 100000) {
        buffer_printf(to, "%.1f s", (double)ms / 1000);
    } else if (ms < 6000000) {
        buffer_printf(to, "%" PRId64 " min", ms / 60000);
    } else {
        buffer_printf(to, "%" PRId64 " h %" PRId64 " min", ms / 3600000, ms / 60000 % 60);
    }
}

static void add_bound(struct buffer *to, const char *name, int64_t bound_ms)
{
    buffer_printf(to, " %s ", name);
    if (bound_ms < 0) {
        buffer_add_char(to, '-');
    } else if (bound_ms == INT64_MAX) {
        buffer_add_text(to, "over 5 min");
    } else {
        add_time(to, bound_ms);
    }
}

static unsigned busy_slots(const struct top_sample *now)
{
    unsigned busy = 0;

    for (size_t i = 0; i < LIMIT_WORKERS; i++) {
        busy += scoreboard_is_busy((enum scoreboard_state)now->slots[i].state);
    }
    return busy;
}

/* ---- lines, each of them appended by a part of the picture ---- */

static void add_pool(const struct top_sample *now, struct buffer *to)
{
    const struct scoreboard_head *head = &now->board->head;

    buffer_add_text(to, head->queues > 1 ? "queues" : "queue");
    for (uint32_t i = 0; i < head->queues; i++) {
        buffer_printf(to, i == 0 ? " %s" : ", %s", now->board->queues[i].share.name);
    }
    buffer_add_text(to, ", ");
    if (atomic_load(&head->supervisor) == 0) {
        buffer_add_text(to, "ended\n");
        return;
    }
    if (now->gone) {
        buffer_printf(to, "KILLED: its supervisor, process %d, is gone\n",
                      atomic_load(&head->supervisor));
        return;
    }
    buffer_add_text(to, atomic_load(&head->draining) != 0 ? "draining, up " : "up ");
    add_time(to, now->now_ms - atomic_load(&head->started_ms));
    buffer_printf(to, ", workers %u", atomic_load(&head->workers));
    if (atomic_load(&head->least) != atomic_load(&head->most)) {
        buffer_printf(to, " of %u to %u", atomic_load(&head->least),
                      atomic_load(&head->most));
    }
    buffer_printf(to, ", %u busy, %s\n", busy_slots(now),
                  atomic_load(&head->zygote) != 0 ? "zygote ready" : "NO ZYGOTE");
}

/* What the relays have heard of it. */
static void add_hearsay(const struct top_sample *now, const char *name, struct buffer *to)
{
    for (uint32_t i = 0; now->board != NULL && i < now->board->head.queues; i++) {
        const struct scoreboard_queue *told = &now->board->queues[i];

        if (strcmp(told->share.name, name) != 0) {
            continue;
        }
        if (atomic_load(&told->told_ms) == 0) {
            buffer_add_text(to, "no relay has heard of it yet\n");
            continue;
        }
        buffer_printf(to, "waiting %llu", atomic_load(&told->waiting));
        if (atomic_load(&told->oldest_ms) > 0) {
            buffer_add_text(to, " for ");
            add_time(to, atomic_load(&told->oldest_ms));
        }
        buffer_printf(to, ", running %llu, as heard %" PRId64 " s ago\n",
                      atomic_load(&told->running),
                      (now->now_ms - (int64_t)atomic_load(&told->told_ms)) / 1000);
    }
}

/* Does the pool's own line name it, and no other? */
static bool is_told(const struct top_sample *now, const char *name)
{
    return now->board != NULL && now->board->head.queues == 1 &&
           strcmp(now->board->queues[0].share.name, name) == 0;
}

/* The queue's own word, or where there is none that of others. */
static void add_queue(const struct top_sample *now, size_t i, struct buffer *to)
{
    const struct top_queue *queue = &now->queues[i];

    if (queue->name[0] != '\0' && !is_told(now, queue->name)) {
        buffer_printf(to, "%s: ", queue->name);
    }
    if (!queue->known) {
        add_hearsay(now, queue->name, to);
        buffer_add_visible(to, queue->why, strlen(queue->why));
        buffer_add_char(to, '\n');
        return;
    }
    buffer_printf(to, "waiting %" PRId64, queue->waiting);
    if (queue->oldest_ms > 0) {
        buffer_add_text(to, " for ");
        add_time(to, queue->oldest_ms);
    }
    buffer_printf(to,
                  ", running %" PRId64 ", delayed %" PRId64 ", dead %" PRId64
                  ", tenants at their cap %" PRId64 ", programs %" PRId64
                  " MB, recordings %" PRId64 " MB\n",
                  queue->running, queue->delayed, queue->dead, queue->capped,
                  queue->bytes >> 20, queue->recordings_bytes >> 20);
    if (queue->is_paused) {
        buffer_add_text(to, "PAUSED");
        buffer_add_text(to, queue->paused[0] != '\0' ? ": " : "");
        buffer_add_visible(to, queue->paused, strlen(queue->paused));
        buffer_add_char(to, '\n');
    }
}

static void add_rates(const struct top_sample *now, const struct top_sample *before,
                      struct buffer *to)
{
    const struct scoreboard_counts *all = &now->all;
    struct span span = span_between(now, before);

    buffer_printf(to, "%.1f jobs/s, waited", per_second(span.ended, span.ms));
    add_bound(to, "p50", percentile(&span.waits, 50));
    add_bound(to, "p95", percentile(&span.waits, 95));
    buffer_add_text(to, ", ran");
    add_bound(to, "p50", percentile(&span.runs, 50));
    add_bound(to, "p95", percentile(&span.runs, 95));
    buffer_printf(to, "\n%" PRIu64 " jobs:", scoreboard_ended(all));
    for (int i = VERDICT_NONE + 1; i < VERDICT_COUNT; i++) {
        if (all->verdicts[i] > 0) {
            buffer_printf(to, " %s %" PRIu64, verdict_row((enum verdict)i)->name,
                          all->verdicts[i]);
        }
    }
    buffer_add_char(to, '\n');
}

static void add_faults(const struct top_sample *now, struct buffer *to)
{
    const struct scoreboard_head *head = &now->board->head;
    const struct scoreboard_counts *all = &now->all;

    buffer_printf(to,
                  "faults: attempts lost %" PRIu64 ", given back %" PRIu64
                  ", died: relays %llu, zygotes %llu, redis %llu; slices dropped %" PRIu64
                  ", sandboxes %" PRIu64 ", reconnects %" PRIu64 "\n",
                  all->lost, all->given_back,
                  atomic_load(&head->deaths[SCOREBOARD_RELAY]),
                  atomic_load(&head->deaths[SCOREBOARD_ZYGOTE]),
                  atomic_load(&head->deaths[SCOREBOARD_REDIS]), all->slices_dropped,
                  all->sandboxes, all->reconnects);
}

/* One that stands still does nothing of what it has said last. */
static bool stands(const struct top_sample *now, size_t slot)
{
    return scoreboard_stands(&now->slots[slot], now->now_ms);
}

static const char *state_of(const struct top_sample *now, size_t slot)
{
    return stands(now, slot)
               ? "STILL"
               : scoreboard_state_name((enum scoreboard_state)now->slots[slot].state);
}

static const char *about(const struct top_sample *now, size_t slot)
{
    return stands(now, slot)
               ? "does not move; it is replaced"
               : scoreboard_state_about((enum scoreboard_state)now->slots[slot].state);
}

/* Anybody's number, as all of the board is. */
static const char *last_verdict(const struct scoreboard_work *work)
{
    return work->last_verdict < VERDICT_COUNT
               ? verdict_row((enum verdict)work->last_verdict)->name
               : "unknown";
}

static void add_last(const struct top_sample *now, const struct scoreboard_work *work,
                     struct buffer *to)
{
    if (work->last[0] != '\0') {
        buffer_printf(to, "  before: ");
        buffer_add_visible(to, work->last, strlen(work->last));
        buffer_printf(to, " %s, %.1f s ago", last_verdict(work),
                      (double)(now->now_ms - work->last_ms) / 1000);
    }
}

static void add_slot(const struct top_sample *now, size_t slot, struct buffer *to)
{
    const struct scoreboard_work *work = &now->slots[slot];

    buffer_printf(to, "%4zu %-10s ", slot, state_of(now, slot));
    buffer_printf(to, "%8.1f s %8" PRIu64 "  ",
                  (double)(now->now_ms - work->since_ms) / 1000,
                  scoreboard_ended(&work->counts));
    if (work->job[0] != '\0') {
        if (now->board->head.queues > 1) {
            buffer_printf(to, "%s/", work->queue);
        }
        buffer_add_visible(to, work->job, strlen(work->job));
        buffer_add_text(to, "  ");
        buffer_add_visible(to, work->tenant, strlen(work->tenant));
        if (work->attempt > 1) {
            buffer_printf(to, "  attempt %" PRIu32, work->attempt);
        }
    } else {
        buffer_printf(to, "(%s)", about(now, slot));
    }
    add_last(now, work, to);
    buffer_add_char(to, '\n');
}

static void add_slots(const struct top_sample *now, struct buffer *to)
{
    buffer_add_text(to, "\nSLOT STATE           FOR     JOBS  JOB  TENANT\n");
    for (size_t i = 0; i < LIMIT_WORKERS; i++) {
        if (now->slots[i].pid != 0) {
            add_slot(now, i, to);
        }
    }
}

static void add_tenants(const struct top_sample *now, size_t i, struct buffer *to)
{
    const struct top_queue *queue = &now->queues[i];

    if (queue->count == 0) {
        return;
    }
    buffer_add_text(to, "\nWAITING RUNNING  TENANT");
    if (!is_told(now, queue->name)) {
        buffer_printf(to, " OF %s", queue->name);
    }
    buffer_add_char(to, '\n');
    for (size_t k = 0; k < queue->count && k < TENANTS_SHOWN; k++) {
        const struct top_tenant *tenant = &queue->tenants[k];

        buffer_printf(to, "%7" PRId64 " %7" PRId64 "  ", tenant->waiting,
                      tenant->running);
        buffer_add_visible(to, tenant->name, strlen(tenant->name));
        buffer_add_char(to, '\n');
    }
    if (queue->count > TENANTS_SHOWN) {
        buffer_printf(to, "%zu more\n", queue->count - TENANTS_SHOWN);
    }
}

/* ---- the screen ---- */

/* All is ASCII here: buffer_add_visible has made it so, but for letters of other scripts,
 * of which a cut one is no harm. */
static void fit(const struct buffer *text, int columns, int rows, struct buffer *to)
{
    const char *line = text->data != NULL ? text->data : "";

    for (int row = 0; *line != '\0' && (rows == 0 || row < rows - 1); row++) {
        size_t length = strcspn(line, "\n");
        size_t shown = columns > 0 && length > (size_t)columns ? (size_t)columns : length;

        buffer_add(to, line, shown);
        buffer_add_char(to, '\n');
        line += length + (line[length] == '\n');
    }
}

void top_text(const struct top_sample *now, const struct top_sample *before, int columns,
              int rows, struct buffer *to)
{
    autobuffer struct buffer text = BUFFER_INIT(MIB(1));

    if (now->board != NULL) {
        add_pool(now, &text);
    }
    for (size_t i = 0; i < now->count; i++) {
        add_queue(now, i, &text);
    }
    if (now->board != NULL) {
        add_rates(now, before, &text);
        add_faults(now, &text);
        add_slots(now, &text);
    }
    for (size_t i = 0; i < now->count; i++) {
        add_tenants(now, i, &text);
    }
    fit(&text, columns, rows, to);
}

/* ---- JSON ---- */

static void json_name(struct buffer *to, const char *name)
{
    char last = to->size > 0 ? to->data[to->size - 1] : '{';

    if (last != '{' && last != '[') {
        buffer_add_char(to, ',');
    }
    buffer_printf(to, "\"%s\":", name);
}

static void json_value(struct buffer *to, const char *name, int64_t value)
{
    json_name(to, name);
    buffer_printf(to, "%" PRId64, value);
}

static void json_string(struct buffer *to, const char *name, const char *value)
{
    json_name(to, name);
    buffer_add_json_string(to, value, strlen(value));
}

static void json_pool(const struct top_sample *now, struct buffer *to)
{
    const struct scoreboard_head *head = &now->board->head;

    json_value(to, "supervisor", atomic_load(&head->supervisor));
    json_value(to, "gone", now->gone);
    json_value(to, "zygote", atomic_load(&head->zygote));
    json_value(to, "redis", atomic_load(&head->redis));
    json_value(to, "up_ms", now->now_ms - atomic_load(&head->started_ms));
    json_value(to, "draining", atomic_load(&head->draining));
    json_value(to, "workers", atomic_load(&head->workers));
    json_value(to, "min_workers", atomic_load(&head->least));
    json_value(to, "max_workers", atomic_load(&head->most));
    json_value(to, "busy", busy_slots(now));
    json_value(to, "relay_deaths", (int64_t)atomic_load(&head->deaths[SCOREBOARD_RELAY]));
    json_value(to, "zygote_deaths",
               (int64_t)atomic_load(&head->deaths[SCOREBOARD_ZYGOTE]));
    json_value(to, "redis_deaths", (int64_t)atomic_load(&head->deaths[SCOREBOARD_REDIS]));
    json_value(to, "zygotes", (int64_t)atomic_load(&head->zygotes));
    json_value(to, "reloads", (int64_t)atomic_load(&head->reloads));
}

static void json_verdicts(const struct scoreboard_counts *counts, struct buffer *to)
{
    json_name(to, "verdicts");
    buffer_add_char(to, '{');
    for (int i = VERDICT_NONE + 1; i < VERDICT_COUNT; i++) {
        if (counts->verdicts[i] > 0) {
            json_value(to, verdict_row((enum verdict)i)->name,
                       (int64_t)counts->verdicts[i]);
        }
    }
    buffer_add_char(to, '}');
}

static void json_rates(const struct top_sample *now, const struct top_sample *before,
                       struct buffer *to)
{
    const struct scoreboard_counts *all = &now->all;
    struct span span = span_between(now, before);

    json_value(to, "jobs", (int64_t)scoreboard_ended(all));
    json_name(to, "jobs_per_s");
    buffer_printf(to, "%.3f", per_second(span.ended, span.ms));
    json_value(to, "wait_p50_ms", percentile(&span.waits, 50));
    json_value(to, "wait_p95_ms", percentile(&span.waits, 95));
    json_value(to, "run_p50_ms", percentile(&span.runs, 50));
    json_value(to, "run_p95_ms", percentile(&span.runs, 95));
    json_verdicts(all, to);
    json_value(to, "lost", (int64_t)all->lost);
    json_value(to, "given_back", (int64_t)all->given_back);
    json_value(to, "sandboxes", (int64_t)all->sandboxes);
    json_value(to, "slices", (int64_t)all->slices);
    json_value(to, "slice_bytes", (int64_t)all->slice_bytes);
    json_value(to, "slices_dropped", (int64_t)all->slices_dropped);
    json_value(to, "reconnects", (int64_t)all->reconnects);
    json_value(to, "cpu_ms", (int64_t)all->cpu_ms);
}

static void json_slot(const struct top_sample *now, size_t slot, struct buffer *to)
{
    const struct scoreboard_work *work = &now->slots[slot];

    buffer_add_text(to, to->data[to->size - 1] == '[' ? "{" : ",{");
    json_value(to, "slot", (int64_t)slot);
    json_value(to, "pid", work->pid);
    json_string(to, "state", scoreboard_state_name((enum scoreboard_state)work->state));
    json_string(to, "about", about(now, slot));
    json_value(to, "for_ms", now->now_ms - work->since_ms);
    json_value(to, "seen_ms", now->now_ms - work->seen_ms);
    json_value(to, "jobs", (int64_t)scoreboard_ended(&work->counts));
    if (work->job[0] != '\0') {
        json_string(to, "queue", work->queue);
        json_string(to, "job", work->job);
        json_string(to, "tenant", work->tenant);
        json_value(to, "attempt", work->attempt);
    }
    if (work->last[0] != '\0') {
        json_string(to, "last_job", work->last);
        json_string(to, "last_verdict", last_verdict(work));
        json_value(to, "last_ms", now->now_ms - work->last_ms);
    }
    buffer_add_char(to, '}');
}

static void json_slots(const struct top_sample *now, struct buffer *to)
{
    json_name(to, "slots");
    buffer_add_char(to, '[');
    for (size_t i = 0; i < LIMIT_WORKERS; i++) {
        if (now->slots[i].pid != 0) {
            json_slot(now, i, to);
        }
    }
    buffer_add_char(to, ']');
}

static void json_queue(const struct top_queue *queue, struct buffer *to)
{
    json_string(to, "queue", queue->name);
    if (!queue->known) {
        json_string(to, "redis_error", queue->why);
        return;
    }
    json_value(to, "waiting", queue->waiting);
    json_value(to, "oldest_ms", queue->oldest_ms);
    json_value(to, "running", queue->running);
    json_value(to, "delayed", queue->delayed);
    json_value(to, "capped", queue->capped);
    json_value(to, "dead", queue->dead);
    json_value(to, "bytes", queue->bytes);
    json_value(to, "recordings_bytes", queue->recordings_bytes);
    if (queue->is_paused) {
        json_string(to, "paused", queue->paused);
    }
    json_name(to, "tenants");
    buffer_add_char(to, '[');
    for (size_t i = 0; i < queue->count; i++) {
        buffer_add_text(to, i == 0 ? "{" : ",{");
        json_string(to, "tenant", queue->tenants[i].name);
        json_value(to, "waiting", queue->tenants[i].waiting);
        json_value(to, "running", queue->tenants[i].running);
        buffer_add_char(to, '}');
    }
    buffer_add_char(to, ']');
}

void top_json(const struct top_sample *now, const struct top_sample *before,
              struct buffer *to)
{
    buffer_add_text(to, "{\"kind\":\"top\"");
    if (now->board != NULL) {
        json_pool(now, to);
        json_rates(now, before, to);
        json_slots(now, to);
    }
    json_name(to, "queues");
    buffer_add_char(to, '[');
    for (size_t i = 0; i < now->count; i++) {
        buffer_add_text(to, i == 0 ? "{" : ",{");
        json_queue(&now->queues[i], to);
        buffer_add_char(to, '}');
    }
    buffer_add_text(to, "]}\n");
}
