/* SPDX-License-Identifier: MIT */
/* Live input. Runs in the `paddock` command, as the user. Must never read a terminal that
 * belongs to another program: whoever does is stopped. */
#include "supervisor/ctl/feed.h"

#include "common/limits.h"
#include "supervisor/ctl/client.h"
#include "supervisor/ctl/complain.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *name, *sentence;
} answers[] = {
    [FEED_OK] = {"ok", ""},
    [FEED_QUEUED] = {"queued", ""},
    [FEED_FULL] = {"full", "it has been sent all the input that a job takes, 1 MB"},
    [FEED_CLOSED] = {"closed", "its input was ended before"},
    [FEED_REFUSED] = {"refused", "it takes no input while it runs (--live-input)"},
    [FEED_FINAL] = {"final", "it is over"},
    [FEED_UNKNOWN] = {"unknown", "there is no such job (it may have expired)"},
};

const char *feed_answer_name(enum feed_answer answer)
{
    return answers[answer].name;
}

const char *feed_answer_sentence(enum feed_answer answer)
{
    return answers[answer].sentence;
}

static int answer_of(const struct redisReply *reply, struct buffer *why)
{
    for (size_t i = 0; reply->str != NULL && i < array_size(answers); i++) {
        if (strcmp(reply->str, answers[i].name) == 0) {
            return (int)i;
        }
    }
    buffer_printf(why, "Redis answers: %s", reply->str != NULL ? reply->str : "?");
    return -EPROTO;
}

static int send_piece(struct endpoint *endpoint, const char *id, const char *bytes,
                      size_t size, bool eof, struct buffer *why)
{
    struct redisReply *reply = client_input(endpoint, id, bytes, size, eof, why);
    int answer = -ECONNRESET;

    if (reply != NULL) {
        answer = answer_of(reply, why);
        freeReplyObject(reply);
    }
    return answer;
}

/* Returns what came, 0 at the end of it, which a terminal that is gone is, too. */
static size_t read_piece(char piece[LIMIT_INPUT])
{
    ssize_t size;

    do {
        size = read(STDIN_FILENO, piece, LIMIT_INPUT);
    } while (size < 0 && errno == EINTR);
    return size > 0 ? (size_t)size : 0;
}

static int send_all(struct endpoint *endpoint, const char *id, bool eof,
                    struct buffer *why)
{
    static char piece[LIMIT_INPUT];
    size_t size;
    int answer;

    do {
        size = read_piece(piece);
        answer = send_piece(endpoint, id, piece, size, eof && size == 0, why);
    } while (size > 0 && (answer == FEED_OK || answer == FEED_QUEUED));
    return answer;
}

static int send_line(struct endpoint *endpoint, const char *id, const char *text,
                     bool eof, struct buffer *why)
{
    autobuffer struct buffer line = BUFFER_INIT(LIMIT_INPUT + 1);

    buffer_printf(&line, "%s\n", text);
    if (buffer_error(&line) < 0 || line.size > LIMIT_INPUT) {
        buffer_add_text(why, "a line of input is at most 64 KB long");
        return -E2BIG;
    }
    return send_piece(endpoint, id, line.data, line.size, eof, why);
}

int feed_send_words(struct endpoint *endpoint, const struct args *args,
                    struct buffer *why)
{
    const char *id = args->words[0];

    if (args->count > 1) {
        return send_line(endpoint, id, args->words[1], args->eof, why);
    }
    /* From a terminal that is all there is to say. */
    if (args->eof && isatty(STDIN_FILENO)) {
        return send_piece(endpoint, id, "", 0, true, why);
    }
    return send_all(endpoint, id, args->eof, why);
}

/* ---- while it is followed ---- */

void feed_init(struct feed *feed, const struct endpoint *endpoint, const char *id,
               bool open)
{
    *feed = (struct feed){.endpoint = *endpoint, .id = id, .open = open};
    feed->endpoint.redis = NULL;
}

void feed_done(struct feed *feed)
{
    redis_free(feed->endpoint.redis);
    feed->endpoint.redis = NULL;
}

/* Not a terminal, or none that programs are given and taken, or it is our turn. */
static bool is_ours(void)
{
    pid_t group = tcgetpgrp(STDIN_FILENO);

    return group < 0 || group == getpgrp();
}

int feed_fd(const struct feed *feed)
{
    return feed->open && feed->wanted && is_ours() ? STDIN_FILENO : -1;
}

static int send_again(struct feed *feed, const struct endpoint *endpoint,
                      const char *bytes, size_t size, struct buffer *why)
{
    int error = feed->endpoint.redis != NULL
                    ? 0
                    : endpoint_connect_again(endpoint, &feed->endpoint.redis, why);

    return error == 0 ? send_piece(&feed->endpoint, feed->id, bytes, size, size == 0, why)
                      : error;
}

/* The program may go on waiting for the rest: it is told that there is none. */
static void say_lost(struct feed *feed, int answer, struct buffer *why)
{
    const char *reason =
        why->data != NULL ? why->data : "the connection to Redis was lost";

    (void)complain(0, "input for the program is lost: %s",
                   answer >= 0 ? feed_answer_sentence((enum feed_answer)answer) : reason);
    if (answer >= 0) {
        answer = send_piece(&feed->endpoint, feed->id, "", 0, true, why);
    }
}

size_t feed_read(const char **ret_bytes)
{
    static char piece[LIMIT_INPUT];

    *ret_bytes = piece;
    return read_piece(piece);
}

void feed_send(struct feed *feed, const struct endpoint *endpoint, const char *bytes,
               size_t size)
{
    autobuffer struct buffer why = BUFFER_INIT(4096);
    int answer = send_again(feed, endpoint, bytes, size, &why);

    feed->wanted = false;
    feed->open = size > 0 && (answer == FEED_OK || answer == FEED_QUEUED);
    if (answer < 0 || answer == FEED_FULL) {
        say_lost(feed, answer, &why);
    }
}
