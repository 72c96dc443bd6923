/* SPDX-License-Identifier: MIT */
/*
 * Reading recordings. Runs in the `paddock` command, as whoever typed it; looks at no
 * byte of a recording. A Stream is read in pages, from the `state` with which its last
 * attempt began: what stands before it is of attempts that were given up.
 */
#include "supervisor/ctl/recording.h"

#include "common/cleanup.h"
#include "common/fd.h"
#include "common/limits.h"
#include "common/number.h"
#include "common/wire.h"
#include "queue/keys.h"
#include "supervisor/ctl/client.h"
#include "supervisor/ctl/complain.h"
#include "supervisor/ctl/entry.h"
#include "supervisor/ctl/json.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE       "100" /* entries */
#define TIMEOUT_MS 15000

/* ---- the end ---- */

/* Of a result, whose JSON a file may hold by now. */
static uint64_t end_of(const struct buffer *result)
{
    int64_t wall_ms;
    bool known = result->size > 0 && json_number(result->data, "wall_ms", &wall_ms) &&
                 wall_ms >= 0 && wall_ms <= (int64_t)(WIRE_NUMBER_MAX / 1000);

    return known ? (uint64_t)wall_ms * 1000 : 0;
}

/* ---- files ---- */

static int refuse(struct buffer *why, const char *path)
{
    int error = -errno;

    buffer_printf(why, "%s: %s", path, strerror(-error));
    return error;
}

/* Of a recording that was saved, the result stands beside it. */
static void find_saved_result(const char *path, struct recording_end *end)
{
    const char *slash = strrchr(path, '/');
    int folder = slash != NULL ? (int)(slash + 1 - path) : 0;
    autobuffer struct buffer beside = BUFFER_INIT(WHY_MAX);
    autofree char *data = NULL;
    size_t size;

    if (strcmp(path + folder, RECORDING_FILE) != 0) {
        return;
    }
    buffer_printf(&beside, "%.*s" RESULT_FILE, folder, path);
    if (buffer_error(&beside) == 0 &&
        fd_read_file(beside.data, end->result.maximum, &data, &size) == 0) {
        buffer_add(&end->result, data, size);
        end->time_us = end_of(&end->result);
    }
}

static int read_file(const char *path, recording_taker *take, void *context,
                     struct buffer *why)
{
    bool is_input = strcmp(path, "-") == 0;
    autoclose int opened = is_input ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    int fd = is_input ? STDIN_FILENO : opened;
    char bytes[KIB(16)];
    ssize_t size = 1;
    int error = 0;

    if (fd < 0) {
        return refuse(why, path);
    }
    while (error == 0 && size != 0) {
        size = read(fd, bytes, sizeof(bytes));
        if (size > 0) {
            error = take(context, bytes, (size_t)size, why);
        } else if (size < 0 && errno != EINTR) {
            return refuse(why, is_input ? "standard input" : path);
        }
    }
    return error;
}

/* ---- Streams ---- */

/* One way through a Stream, page by page. */
struct walk {
    struct endpoint *endpoint;
    struct queue_key key;
    const char *command; /* XRANGE or XREVRANGE */
    char from[80];       /* with '(' before it: behind that one */
    /* Gets each entry: 0 goes on, 1 ends the walk, a negative errno, too. */
    int (*visit)(void *context, const struct entry *entry, struct buffer *why);
    void *context;
};

static int visit_page(struct walk *walk, const struct redisReply *page,
                      struct buffer *why)
{
    struct entry entry;
    int result = 0;

    for (size_t i = 0; i < page->elements && result == 0; i++) {
        if (!entry_read(page->element[i], &entry)) {
            buffer_printf(why, "%s in Redis is no recording of Paddock", walk->key.text);
            return -EBADMSG;
        }
        (void)snprintf(walk->from, sizeof(walk->from), "(%s", entry.id);
        result = entry.kind != NULL ? walk->visit(walk->context, &entry, why) : 0;
    }
    return result;
}

/* Returns 0 at the end of the Stream, or what ended the walk. */
static int walk_on(struct walk *walk, struct buffer *why)
{
    const char *to = strcmp(walk->command, "XRANGE") == 0 ? "+" : "-";
    bool more = true;
    int result = 0;

    while (more && result == 0) {
        struct redisReply *page =
            redis_call_text(walk->endpoint->redis, TIMEOUT_MS, walk->command,
                            walk->key.text, walk->from, to, "COUNT", PAGE, NULL);

        if (page == NULL || page->type != REDIS_REPLY_ARRAY) {
            client_say_refused(walk->endpoint, page, walk->command, why);
            result = -ECONNRESET;
        } else {
            more = page->elements > 0;
            result = visit_page(walk, page, why);
        }
        freeReplyObject(page);
    }
    return result;
}

struct attempt {
    char id[64]; /* of its `state`; "": there is none */
    int number;
    int64_t began_ms; /* by Redis's clock; 0: not known */
    recording_taker *take;
    void *context;
    struct recording_end *end; /* may be NULL */
};

static int find_state(void *context, const struct entry *entry, struct buffer *why)
{
    struct attempt *attempt = context;

    if (strcmp(entry->kind, "state") != 0) {
        return 0;
    }
    (void)snprintf(attempt->id, sizeof(attempt->id), "%s", entry->id);
    attempt->number = entry->attempt;
    (void)json_number(entry->data->str, "time_ms", &attempt->began_ms);
    return 1;
}

/* Behind the result there is nothing, nor can Redis be asked for it. */
static int take_slice(void *context, const struct entry *entry, struct buffer *why)
{
    const struct attempt *attempt = context;

    if (strcmp(entry->kind, "result") == 0) {
        if (attempt->end != NULL) {
            buffer_add(&attempt->end->result, entry->data->str, entry->data->len);
        }
        return 1;
    }
    if (strcmp(entry->kind, "slice") != 0 || entry->attempt != attempt->number) {
        return 0;
    }
    return attempt->take(attempt->context, entry->data->str, entry->data->len, why);
}

static int say_nothing_there(struct endpoint *endpoint, const char *id,
                             struct buffer *why)
{
    struct redisReply *job = client_job(endpoint, id, why);

    if (job == NULL) {
        return -ECONNRESET;
    }
    if (job->elements == 0) {
        buffer_printf(why, "there is no job %s (it may have expired)", id);
    } else if (*client_job_field(job, "recording_cut") != '\0') {
        buffer_printf(why, "the recording of job %s %s", id, RECORDING_CUT);
    } else {
        buffer_printf(why, "job %s has not begun: it has no recording", id);
    }
    freeReplyObject(job);
    return -ENOENT;
}

static int64_t number_at(const struct redisReply *reply, size_t at)
{
    const char *text =
        reply != NULL && at < reply->elements ? reply->element[at]->str : NULL;
    int64_t number;

    return text != NULL && number_parse(text, 0, INT32_MAX, &number) == 0 ? number : -1;
}

/* By Redis's clock, which may jump; or -1. */
static int64_t ask_time_us(struct redis *redis)
{
    struct redisReply *reply = redis_call_text(redis, TIMEOUT_MS, "TIME", NULL);
    int64_t seconds = number_at(reply, 0), part_us = number_at(reply, 1);

    freeReplyObject(reply);
    return seconds >= 0 && part_us >= 0 ? seconds * 1000000 + part_us : -1;
}

/* An attempt that was lost does not, whoever knows since when. */
static bool ask_whether_it_runs(const struct attempt *attempt, struct endpoint *endpoint,
                                const char *id)
{
    struct queue_key key = queue_key(endpoint->queue, "job:", id);
    struct redisReply *reply = redis_call_text(endpoint->redis, TIMEOUT_MS, "HMGET",
                                               key.text, "attempt", "state", NULL);
    bool runs = number_at(reply, 0) == attempt->number && reply->elements == 2 &&
                reply->element[1]->str != NULL &&
                strcmp(reply->element[1]->str, "running") == 0;

    freeReplyObject(reply);
    return runs;
}

/* When all that there is by now has been read. What cannot be asked for is not known. */
static void find_end(const struct attempt *attempt, struct endpoint *endpoint,
                     const char *id)
{
    struct recording_end *end = attempt->end;
    int64_t now_us;

    if (end->result.size > 0) {
        end->time_us = end_of(&end->result);
    } else if (attempt->began_ms > 0) {
        now_us = ask_time_us(endpoint->redis);
        if (now_us / 1000 > attempt->began_ms &&
            ask_whether_it_runs(attempt, endpoint, id)) {
            end->time_us = (uint64_t)(now_us - attempt->began_ms * 1000);
        }
    }
}

int recording_read_job(struct endpoint *endpoint, const char *id, recording_taker *take,
                       void *context, struct recording_end *ret_end, struct buffer *why)
{
    struct attempt attempt = {.take = take, .context = context, .end = ret_end};
    struct walk walk = {.endpoint = endpoint,
                        .key = queue_key(endpoint->queue, "frames:", id),
                        .command = "XREVRANGE",
                        .from = "+",
                        .visit = find_state,
                        .context = &attempt};
    int result = walk_on(&walk, why);

    if (result < 0) {
        return result;
    }
    if (*attempt.id == '\0') {
        return say_nothing_there(endpoint, id, why);
    }
    walk.command = "XRANGE";
    (void)snprintf(walk.from, sizeof(walk.from), "%s", attempt.id);
    walk.visit = take_slice;
    result = walk_on(&walk, why);
    if (result >= 0 && ret_end != NULL) {
        find_end(&attempt, endpoint, id);
    }
    return result < 0 ? result : 0;
}

/* ---- either ---- */

static int read_from_pool(const struct args *args, recording_taker *take, void *context,
                          struct recording_end *ret_end, struct buffer *why)
{
    struct endpoint endpoint = ENDPOINT_INIT;
    int error = endpoint_find(args, &endpoint, why);

    if (error < 0) {
        error = -ENOTCONN;
    } else {
        error =
            recording_read_job(&endpoint, args->words[0], take, context, ret_end, why);
    }
    endpoint_done(&endpoint);
    return error;
}

int recording_find(const char *name, enum recording_place *ret_place, struct buffer *why)
{
    struct stat status;
    bool is_file = strcmp(name, "-") == 0 || stat(name, &status) == 0;

    *ret_place = is_file ? RECORDING_IN_FILE : RECORDING_OF_JOB;
    if (!is_file && !queue_id_valid(name)) {
        if (*name == '\0') {
            buffer_add_text(why, "an empty name is neither a file's nor a job's");
        } else {
            buffer_printf(why, "there is no file %s, and no job can have this id", name);
        }
        return -EINVAL;
    }
    return 0;
}

int recording_read(const struct args *args, recording_taker *take, void *context,
                   struct recording_end *ret_end, struct buffer *why)
{
    const char *name = args->words[0];
    enum recording_place place;
    int error = recording_find(name, &place, why);

    if (error < 0) {
        return error;
    }
    if (place == RECORDING_OF_JOB) {
        return read_from_pool(args, take, context, ret_end, why);
    }
    error = read_file(name, take, context, why);
    if (error == 0 && ret_end != NULL) {
        find_saved_result(name, ret_end);
    }
    return error == 0 || error == -EBADMSG || error == -EIO || error == -EEXIST ? error
                                                                                : -EINVAL;
}

void recording_describe_dropped(const char *result, struct buffer *to)
{
    int64_t dropped;

    if (json_number(result, "frames_dropped", &dropped) && dropped > 0) {
        buffer_printf(to,
                      "%" PRId64
                      " part%s of what the program did %s missing here: Redis, "
                      "full or away, did not take %s",
                      dropped, dropped == 1 ? "" : "s", dropped == 1 ? "is" : "are",
                      dropped == 1 ? "it" : "them");
    }
}

void recording_say_dropped(const struct buffer *result)
{
    autobuffer struct buffer text = BUFFER_INIT(KIB(1));

    recording_describe_dropped(result->data != NULL ? result->data : "", &text);
    if (text.size > 0) {
        (void)complain_why(0, &text);
    }
}

int recording_exit(int error)
{
    static const struct {
        int error, code;
    } rows[] = {{0, 0},
                {-EBADMSG, EXIT_NEGATIVE},
                {-ENOENT, EXIT_NEGATIVE},
                {-EINVAL, EXIT_USAGE},
                {-EEXIST, EXIT_USAGE},
                {-ENOTCONN, EXIT_CONFIG}};

    for (size_t i = 0; i < array_size(rows); i++) {
        if (rows[i].error == error) {
            return rows[i].code;
        }
    }
    return EXIT_OURS;
}
