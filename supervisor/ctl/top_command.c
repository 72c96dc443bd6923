/* SPDX-License-Identifier: MIT */
/*
 * `paddock top`. Runs in the command, as whoever may look into the pool's folder. It
 * reads the scoreboard, which costs the pool nothing, and asks the queue, where there is
 * one that answers: each shows without the other.
 */
#include "supervisor/ctl/top_command.h"

#include "common/clock.h"
#include "supervisor/ctl/client.h"
#include "supervisor/ctl/complain.h"
#include "supervisor/ctl/interrupt.h"
#include "supervisor/ctl/local_pool.h"
#include "supervisor/ctl/top_view.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#define PERIOD_MS 1000
#define SCREEN    "\033[H\033[J" /* the cursor home, and all below it erased */

struct top {
    const struct args *args;
    struct scoreboard *board;
    struct endpoint endpoint;
    struct top_sample samples[2];
};

/* ---- the scoreboard ---- */

/* Of the pool of these options; -ENOENT where none of them names one here. */
static int open_board(const struct args *args, struct scoreboard **ret,
                      struct buffer *why)
{
    return args->redis == NULL ? local_pool_board(args, ret, why) : -ENOENT;
}

/* The next question finds its way anew. */
static void leave_redis(struct top *top)
{
    endpoint_done(&top->endpoint);
    top->endpoint = ENDPOINT_INIT;
}

/* A pool that has ended may be followed by another, which has a scoreboard of its own,
 * and may have another Redis. The one before it is there until then: two samples of one
 * address are of one board. */
static void follow_board(struct top *top)
{
    autobuffer struct buffer why = BUFFER_INIT(WHY_MAX);
    struct scoreboard *next = NULL;

    if (top->board == NULL || !local_pool_is_gone(top->board) ||
        open_board(top->args, &next, &why) < 0) {
        return;
    }
    if (!local_pool_is_gone(next)) {
        struct scoreboard *before = top->board;

        top->board = next;
        next = before;
        leave_redis(top);
    }
    scoreboard_unmap(next);
}

/* ---- the queue ---- */

static const struct {
    const char *name;
    size_t offset; /* of an int64_t in struct top_queue */
} figures[] = {
    {"waiting", offsetof(struct top_queue, waiting)},
    {"running", offsetof(struct top_queue, running)},
    {"oldest_ms", offsetof(struct top_queue, oldest_ms)},
    {"delayed", offsetof(struct top_queue, delayed)},
    {"capped", offsetof(struct top_queue, capped)},
    {"dead", offsetof(struct top_queue, dead)},
    {"bytes", offsetof(struct top_queue, bytes)},
    {"recordings_bytes", offsetof(struct top_queue, recordings_bytes)},
};

static void take_status(struct top_queue *queue, const struct redisReply *reply)
{
    for (size_t i = 0; i + 1 < reply->elements; i += 2) {
        const char *name = reply->element[i]->str;
        const struct redisReply *value = reply->element[i + 1];

        for (size_t k = 0; k < array_size(figures); k++) {
            if (strcmp(name, figures[k].name) == 0) {
                *(int64_t *)((char *)queue + figures[k].offset) = value->integer;
            }
        }
        if (strcmp(name, "paused") == 0) {
            queue->is_paused = true;
            (void)snprintf(queue->paused, sizeof(queue->paused), "%s", value->str);
        }
    }
}

static void take_tenants(struct top_queue *queue, const struct redisReply *reply)
{
    for (size_t i = 0; i < reply->elements && queue->count < TOP_TENANTS; i++) {
        const struct redisReply *row = reply->element[i];
        struct top_tenant *tenant = &queue->tenants[queue->count];

        if (row->type == REDIS_REPLY_ARRAY && row->elements == 3) {
            (void)snprintf(tenant->name, sizeof(tenant->name), "%s",
                           row->element[0]->str);
            tenant->waiting = row->element[1]->integer;
            tenant->running = row->element[2]->integer;
            queue->count++;
        }
    }
}

static const struct {
    const char *function;
    void (*take)(struct top_queue *queue, const struct redisReply *reply);
} questions[] = {{"paddock_status", take_status}, {"paddock_tenants", take_tenants}};

/* Connects, and again after an error. */
static int reach(struct top *top, struct buffer *why)
{
    return top->endpoint.redis != NULL ? 0
                                       : endpoint_find(top->args, &top->endpoint, why);
}

/* Of a pool here all that it serves, but where one is named; else the one that the
 * options lead to, whose name is "" as long as nothing has led there. */
static size_t choose_queues(const struct top *top, struct top_queue queues[LIMIT_QUEUES])
{
    bool all = top->board != NULL && top->args->queue == NULL;
    size_t count = all ? top->board->head.queues : 1;

    for (size_t i = 0; i < count; i++) {
        const char *name = all                        ? top->board->queues[i].share.name
                           : top->args->queue != NULL ? top->args->queue
                                                      : top->endpoint.queue;

        queues[i] = (struct top_queue){0};
        (void)snprintf(queues[i].name, sizeof(queues[i].name), "%s", name);
    }
    return count;
}

/* Returns whether Redis is there to be asked of another. */
static bool ask_queue(struct top *top, struct top_queue *queue)
{
    autobuffer struct buffer why = BUFFER_INIT(WHY_MAX);
    bool known = reach(top, &why) == 0, is_there;

    if (queue->name[0] != '\0') {
        memcpy(top->endpoint.queue, queue->name, sizeof(queue->name));
    }
    for (size_t i = 0; known && i < array_size(questions); i++) {
        struct redisReply *reply =
            client_call(&top->endpoint, &why, "FCALL_RO", questions[i].function, NULL);

        known = reply != NULL;
        if (known) {
            questions[i].take(queue, reply);
            freeReplyObject(reply);
        }
    }
    queue->known = known;
    is_there = top->endpoint.redis != NULL && redis_is_up(top->endpoint.redis);
    if (!known) {
        leave_redis(top);
        (void)snprintf(queue->why, sizeof(queue->why), "%s",
                       why.data != NULL ? why.data : "the queue does not answer");
    }
    return known || is_there;
}

/* All are in one Redis: who does not hear from it waits for it once. */
static void ask_queues(struct top *top, struct top_queue *queues, size_t count)
{
    size_t asked = 0;

    while (asked < count && ask_queue(top, &queues[asked++])) {
    }
    for (size_t i = asked; i < count; i++) {
        memcpy(queues[i].why, queues[asked - 1].why, sizeof(queues[i].why));
    }
}

/* ---- the picture, again and again ---- */

static void show(const struct top *top, const struct top_sample *now,
                 const struct top_sample *before)
{
    autobuffer struct buffer text = BUFFER_INIT(MIB(1));
    struct winsize size = {0};
    bool screen = !top->args->json && !top->args->once && isatty(STDOUT_FILENO) &&
                  ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0;

    if (top->args->json) {
        top_json(now, before, &text);
    } else {
        buffer_add_text(&text, screen ? SCREEN : "");
        top_text(now, before, screen ? size.ws_col : 0, screen ? size.ws_row : 0, &text);
    }
    (void)fputs(text.data != NULL ? text.data : "", stdout);
}

/* Returns whether somebody wants an end before the next picture. */
static bool is_ended(int signals, int64_t next_ms)
{
    struct pollfd fds = {.fd = signals, .events = POLLIN};

    return poll(&fds, 1, clock_poll_ms(next_ms, clock_now_ms())) != 0;
}

static void take(struct top *top, struct top_sample *sample)
{
    follow_board(top);
    sample->count = choose_queues(top, sample->queues);
    ask_queues(top, sample->queues, sample->count);
    top_take(sample, top->board, clock_now_ms());
    sample->gone = top->board != NULL && atomic_load(&top->board->head.supervisor) != 0 &&
                   local_pool_is_gone(top->board);
}

/* The first picture is compared with the scoreboard alone, for which no Redis is asked:
 * one that does not answer is waited for once. */
static int repeat(struct top *top, int signals)
{
    int64_t next_ms = clock_now_ms();

    top_take(&top->samples[1], top->board, clock_now_ms());
    for (int turn = 0;; turn++) {
        struct top_sample *now = &top->samples[turn % 2];

        next_ms += PERIOD_MS;
        if (is_ended(signals, next_ms)) {
            return 0;
        }
        take(top, now);
        show(top, now, &top->samples[(turn + 1) % 2]);
        if (fflush(stdout) != 0 || top->args->once) {
            return 0; /* whether it arrived is seen to at the end of the command */
        }
    }
}

int top_command(const struct command *command, struct args *args)
{
    static struct top top;
    autobuffer struct buffer why = BUFFER_INIT(WHY_MAX);
    autoclose int signals = interrupt_watch();
    int error;

    args->operates = true;
    top = (struct top){.args = args, .endpoint = ENDPOINT_INIT};
    if (args->queue != NULL && endpoint_check_queue(args->queue, &why) < 0) {
        return complain_why(EXIT_CONFIG, &why);
    }
    error = open_board(args, &top.board, &why);
    if (error < 0 && (error != -ENOENT || args->redis == NULL)) {
        return complain_why(EXIT_CONFIG, &why);
    }
    error = args->redis != NULL ? reach(&top, &why) : 0;
    if (error < 0) {
        return complain_why(EXIT_CONFIG, &why);
    }
    error = repeat(&top, signals);
    scoreboard_unmap(top.board);
    endpoint_done(&top.endpoint);
    return error;
}
