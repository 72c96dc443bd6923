/* SPDX-License-Identifier: MIT */
/*
 * Figures for Prometheus. Runs in paddock-metrics, on a scoreboard that it can only read:
 * whatever stands there, it is numbers.
 */
#include "supervisor/metrics/exposition.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

/* What Redis said or took longer ago is no longer believed: a relay without a job claims
 * one every 5 s at the latest, and one that has a job renews its lease more often. */
#define STALE_MS 10000

/* Between two jobs a sandbox is born, in milliseconds. */
#define BIRTH_MS 1000

/* What an upload, the recording of an ordinary job and Redis's own buffers, which come
 * and go, need at least: from there on it refuses some. */
#define ROOM_BYTES MIB(1)

/* ---- what is read ---- */

struct view {
    const struct scoreboard *board;
    int64_t now_ms;
    struct scoreboard_counts all;
    uint64_t states[SCOREBOARD_STATES]; /* workers in each */
    uint64_t
        able; /* workers that have a job or could take one, by what Redis last took */
    uint64_t still; /* workers that stand still */
};

/* By what it has said itself. */
static bool is_ready(const struct scoreboard_work *work, int64_t now_ms)
{
    return work->state == SCOREBOARD_IDLE ||
           scoreboard_is_busy((enum scoreboard_state)work->state) ||
           (work->state == SCOREBOARD_NO_SANDBOX && now_ms - work->since_ms < BIRTH_MS);
}

static void look(const struct scoreboard *board, int64_t now_ms, struct view *ret)
{
    *ret = (struct view){.board = board, .now_ms = now_ms};
    for (size_t i = 0; i < LIMIT_WORKERS; i++) {
        struct scoreboard_work work;
        bool stands;

        scoreboard_read(&board->slots[i], &work);
        scoreboard_add(&ret->all, &work.counts);
        if (work.pid == 0 || work.state >= SCOREBOARD_STATES) {
            continue;
        }
        stands = scoreboard_stands(&work, now_ms);
        ret->states[work.state]++;
        ret->able +=
            is_ready(&work, now_ms) && !stands && now_ms - work.taken_ms < STALE_MS;
        ret->still += stands;
    }
}

/* ---- the figures, a row each ---- */

static double workers_wanted(const struct view *view)
{
    return atomic_load(&view->board->head.workers);
}

static double workers_least(const struct view *view)
{
    return atomic_load(&view->board->head.least);
}

static double workers_most(const struct view *view)
{
    return atomic_load(&view->board->head.most);
}

static double up_s(const struct view *view)
{
    return (double)(view->now_ms - atomic_load(&view->board->head.started_ms)) / 1000;
}

static double workers_still(const struct view *view)
{
    return (double)view->still;
}

static double redis_memory(const struct view *view)
{
    return (double)atomic_load(&view->board->redis.memory);
}

static double redis_memory_most(const struct view *view)
{
    return (double)atomic_load(&view->board->redis.memory_most);
}

static double zygotes(const struct view *view)
{
    return (double)atomic_load(&view->board->head.zygotes);
}

static double reloads(const struct view *view)
{
    return (double)atomic_load(&view->board->head.reloads);
}

static const struct {
    const char *name, *type, *help;
    double (*value)(const struct view *view);
} figures[] = {
    {"up_seconds", "gauge", "Since the pool was started.", up_s},
    {"workers_wanted", "gauge", "Workers that there are to be now.", workers_wanted},
    {"workers_min", "gauge", "Option workers.", workers_least},
    {"workers_max", "gauge", "Option max_workers.", workers_most},
    {"workers_still", "gauge", "Workers that have not moved for 5 s.", workers_still},
    {"redis_used_bytes", "gauge", "Memory that Redis uses.", redis_memory},
    {"redis_max_bytes", "gauge", "Redis's maxmemory; 0: it has none.", redis_memory_most},
    {"zygotes_total", "counter", "Zygotes that became ready.", zygotes},
    {"reloads_total", "counter", "Configurations that were read again.", reloads},
};

/* ---- of each queue ---- */

static double waiting(const struct scoreboard_queue *queue, int64_t now_ms)
{
    return (double)atomic_load(&queue->waiting);
}

static double running(const struct scoreboard_queue *queue, int64_t now_ms)
{
    return (double)atomic_load(&queue->running);
}

static double oldest_s(const struct scoreboard_queue *queue, int64_t now_ms)
{
    return (double)atomic_load(&queue->oldest_ms) / 1000;
}

static double delayed(const struct scoreboard_queue *queue, int64_t now_ms)
{
    return (double)atomic_load(&queue->delayed);
}

static double dead(const struct scoreboard_queue *queue, int64_t now_ms)
{
    return (double)atomic_load(&queue->dead);
}

static double paused(const struct scoreboard_queue *queue, int64_t now_ms)
{
    return atomic_load(&queue->paused);
}

static double told_s(const struct scoreboard_queue *queue, int64_t now_ms)
{
    return (double)(now_ms - atomic_load(&queue->told_ms)) / 1000;
}

static double weight(const struct scoreboard_queue *queue, int64_t now_ms)
{
    return queue->share.weight;
}

static const struct {
    const char *name, *help;
    double (*value)(const struct scoreboard_queue *queue, int64_t now_ms);
    bool is_told; /* by Redis: there is none before */
} queue_figures[] = {
    {"queue_waiting", "Jobs of the queue that could run now.", waiting, true},
    {"queue_running", "Jobs of the queue that run, in all pools.", running, true},
    {"queue_oldest_seconds", "Wait of the oldest that could run.", oldest_s, true},
    {"queue_delayed", "Jobs that were put off.", delayed, true},
    {"queue_dead", "Dead letters.", dead, true},
    {"queue_paused", "1: no job begins.", paused, true},
    {"queue_told_seconds", "Since the queue's figures came from Redis.", told_s, true},
    {"queue_weight", "Its share of the pool, as it is configured.", weight, false},
};

/* What slots count: sums over all of them. */
static const struct {
    const char *name, *help;
    size_t offset; /* of a uint64_t in struct scoreboard_counts */
    double unit;   /* how much each is */
} sums[] = {
#define COUNT(member) offsetof(struct scoreboard_counts, member)
    {"attempts_lost_total", "Attempts that a fault of ours ended.", COUNT(lost), 1},
    {"attempts_given_back_total", "Attempts that were given back to the queue unharmed.",
     COUNT(given_back), 1},
    {"sandboxes_total", "Sandboxes that were forked.", COUNT(sandboxes), 1},
    {"job_cpu_seconds_total", "Computing time of programs.", COUNT(cpu_ms), 0.001},
    {"slices_total", "Slices of recordings sent to Redis.", COUNT(slices), 1},
    {"slice_bytes_total", "Bytes of these.", COUNT(slice_bytes), 1},
    {"slices_dropped_total", "Slices that did not get there.", COUNT(slices_dropped), 1},
    {"redis_reconnects_total", "Connections to Redis that were lost and came up again.",
     COUNT(reconnects), 1},
#undef COUNT
};

static void add_head(struct buffer *to, const char *name, const char *type,
                     const char *help)
{
    buffer_printf(to, "# HELP paddock_%s %s\n# TYPE paddock_%s %s\n", name, help, name,
                  type);
}

static void add_figures(const struct view *view, struct buffer *to)
{
    for (size_t i = 0; i < array_size(figures); i++) {
        add_head(to, figures[i].name, figures[i].type, figures[i].help);
        buffer_printf(to, "paddock_%s %.15g\n", figures[i].name, figures[i].value(view));
    }
}

static void add_queue_figures(const struct view *view, struct buffer *to)
{
    for (size_t i = 0; i < array_size(queue_figures); i++) {
        add_head(to, queue_figures[i].name, "gauge", queue_figures[i].help);
        for (uint32_t k = 0; k < view->board->head.queues; k++) {
            const struct scoreboard_queue *queue = &view->board->queues[k];

            if (queue_figures[i].is_told && atomic_load(&queue->told_ms) == 0) {
                continue;
            }
            buffer_printf(to, "paddock_%s{queue=\"%s\"} %.15g\n", queue_figures[i].name,
                          queue->share.name, queue_figures[i].value(queue, view->now_ms));
        }
    }
}

static void add_sums(const struct view *view, struct buffer *to)
{
    for (size_t i = 0; i < array_size(sums); i++) {
        const char *counts = (const char *)&view->all;

        add_head(to, sums[i].name, "counter", sums[i].help);
        buffer_printf(to, "paddock_%s %.15g\n", sums[i].name,
                      (double)*(const uint64_t *)(counts + sums[i].offset) *
                          sums[i].unit);
    }
}

static void add_verdicts(const struct view *view, struct buffer *to)
{
    add_head(to, "jobs_total", "counter",
             "Jobs that ended here or in the queue, by verdict.");
    for (int i = VERDICT_NONE + 1; i < VERDICT_COUNT; i++) {
        buffer_printf(to, "paddock_jobs_total{verdict=\"%s\"} %" PRIu64 "\n",
                      verdict_row((enum verdict)i)->name, view->all.verdicts[i]);
    }
}

static void add_states(const struct view *view, struct buffer *to)
{
    add_head(to, "workers", "gauge", "Workers, by what they do.");
    for (int i = SCOREBOARD_OFF + 1; i < SCOREBOARD_STATES; i++) {
        buffer_printf(to, "paddock_workers{state=\"%s\"} %" PRIu64 "\n",
                      scoreboard_state_name((enum scoreboard_state)i), view->states[i]);
    }
}

static void add_deaths(const struct view *view, struct buffer *to)
{
    add_head(to, "process_deaths_total", "counter",
             "Processes of the pool that died without having been asked to.");
    for (int i = 0; i < SCOREBOARD_CHILDREN; i++) {
        buffer_printf(to, "paddock_process_deaths_total{process=\"%s\"} %llu\n",
                      scoreboard_process_name((enum scoreboard_process)i),
                      atomic_load(&view->board->head.deaths[i]));
    }
}

static void add_memory(const struct view *view, struct buffer *to)
{
    add_head(to, "resident_bytes", "gauge",
             "Resident memory of the pool's processes, by kind; shared pages count in "
             "each.");
    for (int i = 0; i < SCOREBOARD_PROCESSES; i++) {
        buffer_printf(to, "paddock_resident_bytes{process=\"%s\"} %llu\n",
                      scoreboard_process_name((enum scoreboard_process)i),
                      atomic_load(&view->board->head.resident[i]));
    }
}

static void add_histogram(const char *name, const char *help,
                          const struct scoreboard_histogram *histogram, struct buffer *to)
{
    uint64_t sum = 0;

    add_head(to, name, "histogram", help);
    for (size_t i = 0; i < SCOREBOARD_BUCKETS; i++) {
        sum += histogram->buckets[i];
        buffer_printf(to, "paddock_%s_bucket{le=\"", name);
        if (i + 1 < SCOREBOARD_BUCKETS) {
            buffer_printf(to, "%.15g", (double)scoreboard_bounds_ms[i] / 1000);
        } else {
            buffer_add_text(to, "+Inf");
        }
        buffer_printf(to, "\"} %" PRIu64 "\n", sum);
    }
    buffer_printf(to, "paddock_%s_sum %.15g\npaddock_%s_count %" PRIu64 "\n", name,
                  (double)histogram->sum_ms / 1000, name, sum);
}

/* ---- health ---- */

static bool is_ending(const struct view *view)
{
    return atomic_load(&view->board->head.supervisor) == 0 ||
           atomic_load(&view->board->head.draining) != 0;
}

/* Nobody would know then that the zygote stands still, nor replace it. */
static bool lacks_supervisor(const struct view *view)
{
    return atomic_load(&view->board->head.asked_ms) != 0 &&
           scoreboard_is_still(atomic_load(&view->board->head.seen_ms), view->now_ms);
}

static bool lacks_zygote(const struct view *view)
{
    return atomic_load(&view->board->head.zygote) == 0;
}

/* It owes an answer, and not because nobody has asked. */
static bool has_still_zygote(const struct view *view)
{
    const struct scoreboard_head *head = &view->board->head;
    int64_t answered_ms = atomic_load(&head->answered_ms);

    return !lacks_zygote(view) && answered_ms < atomic_load(&head->asked_ms) &&
           scoreboard_is_still(answered_ms, view->now_ms);
}

static bool is_untold(const struct scoreboard_queue *queue, int64_t now_ms)
{
    return now_ms - atomic_load(&queue->told_ms) >= STALE_MS;
}

static bool is_refused(const struct scoreboard_queue *queue, int64_t now_ms)
{
    return is_untold(queue, now_ms) && atomic_load(&queue->refused) != 0;
}

static bool is_closed(const struct scoreboard_queue *queue, int64_t now_ms)
{
    return atomic_load(&queue->closed) != 0;
}

static bool is_paused(const struct scoreboard_queue *queue, int64_t now_ms)
{
    return atomic_load(&queue->paused) != 0;
}

static const struct {
    bool (*is_so)(const struct scoreboard_queue *queue, int64_t now_ms);
    const char *before, *behind; /* its name, which the only one needs not */
} queue_obstacles[] = {
    {is_refused, "Redis refuses to tell of the queue", ""},
    {is_paused, "the queue", " is paused"},
    {is_closed, "the queue", " takes no job: its configuration has a maximum of 0"},
};

static bool lacks_redis(const struct view *view)
{
    bool untold = false;

    for (uint32_t i = 0; i < view->board->head.queues; i++) {
        const struct scoreboard_queue *queue = &view->board->queues[i];

        untold |= is_untold(queue, view->now_ms) && !is_refused(queue, view->now_ms);
    }
    return untold;
}

static bool lacks_memory(const struct view *view)
{
    uint64_t most = atomic_load(&view->board->redis.memory_most);

    return most > 0 && atomic_load(&view->board->redis.memory) + ROOM_BYTES > most;
}

static bool has_still_workers(const struct view *view)
{
    return view->able == 0 && view->still > 0;
}

static bool lacks_workers(const struct view *view)
{
    return view->able == 0;
}

static const struct {
    bool (*is_so)(const struct view *view);
    const char *text;
} obstacles[] = {
    {is_ending, "the pool is ending"},
    {lacks_supervisor, "the supervisor has stood still for 5 s"},
    {lacks_zygote, "no zygote is ready"},
    {has_still_zygote, "the zygote has not answered for 5 s"},
    {lacks_redis, "Redis has not answered for 10 s"},
    {lacks_memory, "Redis's memory is full"},
    {lacks_workers, "no worker could take a job"},
    {has_still_workers, "workers have stood still for 5 s"},
};

static bool is_queue_healthy(const struct view *view, uint32_t i, struct buffer *to)
{
    const struct scoreboard_queue *queue = &view->board->queues[i];
    const char *name = view->board->head.queues > 1 ? queue->share.name : "";
    bool healthy = true;

    for (size_t k = 0; k < array_size(queue_obstacles); k++) {
        if (queue_obstacles[k].is_so(queue, view->now_ms)) {
            buffer_printf(to, "%s%s%s%s\n", queue_obstacles[k].before,
                          *name != '\0' ? " " : "", name, queue_obstacles[k].behind);
            healthy = false;
        }
    }
    return healthy;
}

static bool is_healthy(const struct view *view, struct buffer *to)
{
    bool healthy = true;

    for (size_t i = 0; i < array_size(obstacles); i++) {
        if (obstacles[i].is_so(view)) {
            buffer_printf(to, "%s\n", obstacles[i].text);
            healthy = false;
        }
    }
    for (uint32_t i = 0; i < view->board->head.queues; i++) {
        healthy &= is_queue_healthy(view, i, to);
    }
    buffer_add_text(to, healthy ? "ok\n" : "");
    return healthy;
}

/* ---- the pages ---- */

bool exposition_health(const struct scoreboard *board, int64_t now_ms, struct buffer *to)
{
    struct view view;

    look(board, now_ms, &view);
    return is_healthy(&view, to);
}

void exposition_metrics(const struct scoreboard *board, int64_t now_ms, struct buffer *to)
{
    autobuffer struct buffer why = BUFFER_INIT(4096);
    struct view view;

    look(board, now_ms, &view);
    add_head(to, "info", "gauge", "The version that runs.");
    buffer_printf(to, "paddock_info{version=\"%s\"} 1\n", PADDOCK_VERSION);
    add_head(to, "healthy", "gauge", "1: a job that is enqueued now would run.");
    buffer_printf(to, "paddock_healthy %d\n", is_healthy(&view, &why));
    add_figures(&view, to);
    add_queue_figures(&view, to);
    add_sums(&view, to);
    add_states(&view, to);
    add_verdicts(&view, to);
    add_deaths(&view, to);
    add_memory(&view, to);
    add_histogram("job_wait_seconds", "How long jobs had waited when they were begun.",
                  &view.all.waits, to);
    add_histogram("job_run_seconds", "How long programs ran.", &view.all.runs, to);
}
