/* SPDX-License-Identifier: MIT */
/*
 * Following a job. Runs in the `paddock` command: one poll() over the Redis connection,
 * a signalfd and, while the program waits for it, standard input. The Stream's entries
 * are Paddock's, the slices in them a program's, which is the renderer's affair. Slices
 * of an attempt that was given up are dropped.
 */
#include "supervisor/ctl/follow.h"

#include "common/clock.h"
#include "common/limits.h"
#include "queue/keys.h"
#include "supervisor/ctl/client.h"
#include "supervisor/ctl/entry.h"
#include "supervisor/ctl/feed.h"
#include "supervisor/ctl/interrupt.h"
#include "supervisor/ctl/json.h"
#include "supervisor/ctl/recording.h"
#include "supervisor/ctl/render.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define BLOCK_MS   "1000"
#define TIMEOUT_MS 15000
#define UNSERVED   2 /* times that it was still queued when nothing had come */

struct follow {
    struct endpoint *endpoint;
    const char *id;
    struct renderer *renderer; /* owned */
    struct feed feed;
    char last[64]; /* id of the last entry that was read */
    int attempt;
    int unbegun;  /* times that it was found to be queued */
    bool waiting; /* an XREAD is under way */
    bool cancels; /* who leaves takes the job along */
    bool cancelled;
    bool over;
    bool lost;  /* Redis is gone, or refuses */
    int result; /* exit code, or a negative errno */
    struct buffer *why;
};

/* ---- entries ---- */

static void on_slice(struct follow *follow, int attempt, const struct redisReply *data)
{
    if (attempt == follow->attempt &&
        render_slice(follow->renderer, data->str, data->len) > 0) {
        follow->feed.wanted = true;
    }
}

static void on_state(struct follow *follow, int attempt, const struct redisReply *data)
{
    follow->attempt = attempt;
    follow->feed.wanted = false;
    render_state(follow->renderer, data->str, data->len, attempt);
}

static void on_result(struct follow *follow, int attempt, const struct redisReply *data)
{
    int64_t code;

    follow->over = true;
    follow->result = FOLLOW_FAULT;
    if (attempt > follow->attempt) {
        render_cut(follow->renderer);
    }
    if (json_number(data->str, "exit_code", &code) && code >= 0 && code <= 255) {
        follow->result = (int)code;
    }
    render_result(follow->renderer, data->str, data->len);
}

static const struct {
    const char *kind;
    void (*handle)(struct follow *follow, int attempt, const struct redisReply *data);
} kinds[] = {{"slice", on_slice}, {"state", on_state}, {"result", on_result}};

static void on_entry(struct follow *follow, const struct redisReply *reply)
{
    struct entry entry;

    if (!entry_read(reply, &entry)) {
        return;
    }
    (void)snprintf(follow->last, sizeof(follow->last), "%s", entry.id);
    for (size_t i = 0; entry.kind != NULL && i < array_size(kinds); i++) {
        if (strcmp(kinds[i].kind, entry.kind) == 0) {
            kinds[i].handle(follow, entry.attempt, entry.data);
        }
    }
}

/* XREAD answers [[key, [entry ...]]], or nil when the time is over. */
static void on_entries(void *context, const struct redisReply *reply)
{
    struct follow *follow = context;

    follow->waiting = false;
    if (reply == NULL) {
        follow->lost = true;
        return;
    }
    if (reply->type == REDIS_REPLY_ERROR) { /* it would say so again at once */
        client_say_refused(follow->endpoint, reply, "XREAD", follow->why);
        follow->lost = true;
        return;
    }
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 1 ||
        reply->element[0]->elements != 2) {
        return;
    }
    for (size_t i = 0; i < reply->element[0]->element[1]->elements && !follow->over;
         i++) {
        on_entry(follow, reply->element[0]->element[1]->element[i]);
    }
}

static void read_more(struct follow *follow)
{
    struct queue_key key = queue_key(follow->endpoint->queue, "frames:", follow->id);

    if (redis_send_text(follow->endpoint->redis, TIMEOUT_MS, on_entries, follow, "XREAD",
                        "COUNT", "100", "BLOCK", BLOCK_MS, "STREAMS", key.text,
                        follow->last, NULL) < 0) {
        follow->lost = true;
    }
    follow->waiting = true;
}

/* ---- the loop ---- */

static void cancel(struct follow *follow)
{
    autobuffer struct buffer why = BUFFER_INIT(1024);
    struct redis *redis = NULL;
    struct endpoint other = *follow->endpoint;
    struct redisReply *reply;

    follow->cancelled = true;
    if (endpoint_connect_again(follow->endpoint, &redis, &why) == 0) {
        other.redis = redis;
        reply = client_call(&other, &why, "FCALL", "paddock_cancel", follow->id, NULL);
        if (reply != NULL) {
            freeReplyObject(reply);
        }
    }
    redis_free(redis);
}

static void leave(struct follow *follow)
{
    follow->over = true;
    follow->result = FOLLOW_LEFT;
}

static void on_signal(struct follow *follow, int signals)
{
    struct signalfd_siginfo info;

    if (read(signals, &info, sizeof(info)) != (ssize_t)sizeof(info)) {
        return;
    }
    if (follow->cancels && !follow->cancelled) {
        cancel(follow);
    } else {
        leave(follow);
    }
}

/* Nobody sees what it prints. */
static void on_lost_output(struct follow *follow)
{
    if (!follow->cancels) {
        leave(follow);
    } else if (!follow->cancelled) {
        cancel(follow); /* its end is still waited for */
    }
}

static int64_t figure(const struct redisReply *status, const char *name)
{
    const struct redisReply *value = entry_value(status, name);

    return value != NULL ? value->integer : -1;
}

/* Said once: whoever waits for a pool that is not there would wait for ever. */
static void note_unserved(struct follow *follow)
{
    autobuffer struct buffer why = BUFFER_INIT(KIB(4));
    struct redisReply *status =
        client_call(follow->endpoint, &why, "FCALL_RO", "paddock_status", NULL);

    if (status != NULL && figure(status, "waiting") > 0 &&
        figure(status, "running") == 0 && entry_value(status, "paused") == NULL) {
        render_note(follow->renderer,
                    "the job waits, and no job of its queue runs: it seems that no pool "
                    "serves it");
    }
    freeReplyObject(status);
}

/* A job whose Stream stays silent may have expired. Asked between two reads, while
 * nothing is under way. */
static void check_exists(struct follow *follow)
{
    struct redisReply *job = client_job(follow->endpoint, follow->id, follow->why);

    if (job == NULL) {
        follow->lost = true;
        return;
    }
    if (job->elements == 0) {
        buffer_printf(follow->why, "there is no job %s (it may have expired)",
                      follow->id);
        follow->over = true;
        follow->result = -ENOENT;
    } else if (strcmp(client_job_field(job, "state"), "queued") == 0) {
        if (++follow->unbegun == UNSERVED) {
            note_unserved(follow);
        }
        render_queued(follow->renderer);
    }
    freeReplyObject(job);
}

/* A terminal shows what is typed where the cursor is. */
static void on_input(struct follow *follow)
{
    const char *bytes;
    size_t size = feed_read(&bytes);

    if (isatty(STDIN_FILENO)) {
        render_typed(follow->renderer, bytes, size);
    }
    feed_send(&follow->feed, follow->endpoint, bytes, size);
}

static void wait_once(struct follow *follow, int signals)
{
    struct redis *redis = follow->endpoint->redis;
    struct pollfd fds[] = {{.fd = redis_fd(redis), .events = redis_events(redis)},
                           {.fd = signals, .events = POLLIN},
                           {.fd = feed_fd(&follow->feed), .events = POLLIN}};
    int wait = clock_poll_ms(redis_deadline_ms(redis), clock_now_ms());

    if (poll(fds, array_size(fds), wait) < 0) {
        return; /* EINTR */
    }
    if (fds[1].revents != 0) {
        on_signal(follow, signals);
    }
    if (fds[2].revents != 0) {
        on_input(follow);
    }
    redis_service(redis, fds[0].revents);
}

static int say_lost(const struct follow *follow)
{
    if (follow->why->size == 0) {
        buffer_add_text(follow->why, "the connection to Redis was lost");
    }
    return -ECONNRESET;
}

/* `before`: the last entry when it was asked last. */
static void ask_on(struct follow *follow, char before[64])
{
    if (strcmp(before, follow->last) == 0) {
        check_exists(follow);
    }
    if (!follow->over && !follow->lost) {
        memcpy(before, follow->last, sizeof(follow->last));
        read_more(follow);
    }
}

static int follow_to_end(struct follow *follow, int signals)
{
    char before[64] = "";

    while (!follow->over && !follow->lost) {
        if (!follow->waiting) {
            ask_on(follow, before);
        }
        if (follow->over || follow->lost) {
            break;
        }
        wait_once(follow, signals);
        if (render_error(follow->renderer) < 0) {
            on_lost_output(follow);
        }
    }
    if (follow->lost && !follow->over) {
        return say_lost(follow);
    }
    if (render_error(follow->renderer) < 0) {
        buffer_printf(follow->why, "unable to write the output of job %s: %s", follow->id,
                      strerror(-render_error(follow->renderer)));
        return render_error(follow->renderer);
    }
    return follow->result;
}

/* For whoever looks on: what to do when the program waits for input. */
static struct renderer *new_renderer(const char *id, unsigned how)
{
    char note[160] = "waiting for input";
    size_t size = strlen(note);

    if ((how & FOLLOW_FEEDS) == 0) {
        (void)snprintf(note + size, sizeof(note) - size, ": paddock input %s", id);
    } else if (isatty(STDIN_FILENO)) {
        (void)snprintf(note + size, sizeof(note) - size, ": type a line");
    }
    return render_new((how & FOLLOW_JSON) != 0, note);
}

int follow_job(struct endpoint *endpoint, const char *id, unsigned how,
               struct buffer *why)
{
    struct follow follow = {.endpoint = endpoint,
                            .id = id,
                            .renderer = new_renderer(id, how),
                            .cancels = (how & FOLLOW_CANCELS) != 0,
                            .last = "0-0",
                            .why = why};
    autoclose int signals = interrupt_watch();
    int result = -ENOMEM;

    feed_init(&follow.feed, endpoint, id, (how & FOLLOW_FEEDS) != 0);
    if (follow.renderer != NULL && signals >= 0) {
        result = follow_to_end(&follow, signals);
    }
    if (follow.waiting) {
        redis_drop(endpoint->redis); /* its answer would come to what is gone by then */
    }
    feed_done(&follow.feed);
    render_free(follow.renderer);
    return result;
}

/* ---- a file ---- */

static int show(void *context, const char *bytes, size_t size, struct buffer *why)
{
    struct renderer *renderer = context;

    if (render_slice(renderer, bytes, size) == -EBADMSG) {
        return -EBADMSG;
    }
    return render_error(renderer) < 0 ? -EIO : 0;
}

int follow_recording(const struct args *args, struct buffer *why)
{
    struct renderer *renderer = render_new(args->json, "waiting for input");
    int error;

    if (renderer == NULL) {
        return -ENOMEM;
    }
    error = recording_read(args, show, renderer, NULL, why);
    if (error == 0 || error == -EBADMSG) {
        error = render_slices_end(renderer);
    }
    if (render_error(renderer) < 0) {
        error = render_error(renderer);
        buffer_printf(why, "unable to write the output of %s: %s", args->words[0],
                      strerror(-error));
    }
    render_free(renderer);
    return error;
}
