/* SPDX-License-Identifier: MIT */
/* Calls to the queue. Runs in the `paddock` command; what Redis answers is shown, not
 * believed to be printable. */
#include "supervisor/ctl/client.h"

#include "common/random.h"
#include "queue/keys.h"
#include "supervisor/ctl/entry.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TIMEOUT_MS 10000
#define WORDS_MAX  (16 + 2 * ARGS_FIELDS)

int client_make_id(const struct args *args, char id[65], struct buffer *why)
{
    char name[RANDOM_NAME];
    int error;

    if (args->id == NULL) {
        error = random_name(name);
        (void)snprintf(id, 65, "%.16s", error == 0 ? name : "");
        return error;
    }
    if (!queue_id_valid(args->id)) {
        buffer_printf(why, "--id %s: takes 1 to 64 letters, digits, _ and -", args->id);
        return -EINVAL;
    }
    (void)snprintf(id, 65, "%s", args->id);
    return 0;
}

void client_say_refused(const struct endpoint *endpoint, const struct redisReply *reply,
                        const char *asked, struct buffer *why)
{
    if (reply == NULL) {
        buffer_add_text(why, "Redis does not answer");
        return;
    }
    buffer_printf(why, "Redis answers to %s: %s", asked,
                  reply->str != NULL ? reply->str : "?");
    if (reply->str != NULL && strncmp(reply->str, "NOPERM", 6) == 0) {
        buffer_printf(why,
                      " (this is the user %s; redis_web and redis_operator in "
                      "paddock.conf name others, or a file `pool` in a folder for "
                      "--runtime-dir)",
                      redis_user(endpoint->redis));
    }
}

/* ---- enqueue ---- */

struct words {
    const char *text[WORDS_MAX];
    size_t lengths[WORDS_MAX];
    int count;
};

static void add(struct words *words, const char *text)
{
    words->text[words->count] = text;
    words->lengths[words->count++] = strlen(text);
}

static void add_fields(struct words *words, const struct args *args,
                       const struct pack *pack)
{
    for (size_t i = 0; i < job_field_count; i++) {
        if (args->fields[i] != NULL) {
            add(words, job_fields[i].name);
            add(words, args->fields[i]);
        }
    }
    if (pack->is_source) {
        add(words, "source");
        add(words, "py");
    }
    if (pack->is_source &&
        args->fields[job_field_by_name("entry") - job_fields] == NULL) {
        add(words, "entry");
        add(words, pack->entry);
    }
}

static int upload(struct endpoint *endpoint, const char *name, const struct pack *pack)
{
    struct queue_key key = queue_key(endpoint->queue, "up:", name);
    const char *words[] = {"SET", key.text, pack->bytes, "EX", "60"};
    const size_t lengths[] = {3, strlen(key.text), pack->size, 2, 2};

    return redis_send(endpoint->redis, TIMEOUT_MS, NULL, NULL, 5, words, lengths);
}

static void say_too_big(const struct pack *pack, const char *most, struct buffer *said)
{
    buffer_printf(said, "%s: too large to be sent: %zu bytes, and the queue takes %s",
                  pack->name, pack->size, most);
}

/* What the replies of paddock_enqueue mean to whoever typed the command. */
static const struct answer {
    const char *prefix;
    enum enqueued what;
    const char *sentence; /* comes before what the reply says on */
    void (*say)(const struct pack *pack, const char *rest, struct buffer *said); /* or */
} answers[] = {
    {"queued", ENQUEUED_QUEUED, "", NULL},
    {"duplicate", ENQUEUED_DUPLICATE, "there is a job of this id already; it is ", NULL},
    {"full", ENQUEUED_FULL, "the queue is full, please try again later: ", NULL},
    {"BADFIELD", ENQUEUED_REFUSED, "", NULL},
    {"TOOBIG", ENQUEUED_REFUSED, "", say_too_big},
    {"OOM", ENQUEUED_FULL, "Redis has no memory left: ", NULL},
};

static enum enqueued say_answer(const struct answer *answer, const char *rest,
                                const struct pack *pack, struct buffer *said)
{
    rest += *rest == ' ';
    if (answer->say != NULL) {
        answer->say(pack, rest, said);
    } else {
        buffer_printf(said, "%s%s", answer->sentence, rest);
    }
    return answer->what;
}

static enum enqueued judge_answer(const struct endpoint *endpoint,
                                  const struct redisReply *reply, const struct pack *pack,
                                  struct buffer *said)
{
    for (size_t i = 0; reply != NULL && reply->str != NULL && i < array_size(answers);
         i++) {
        size_t length = strlen(answers[i].prefix);

        if (strncmp(reply->str, answers[i].prefix, length) == 0) {
            return say_answer(&answers[i], reply->str + length, pack, said);
        }
    }
    client_say_refused(endpoint, reply, "paddock_enqueue", said);
    return ENQUEUED_FAILED;
}

static struct redisReply *send_enqueue(struct endpoint *endpoint, const struct args *args,
                                       const char *id, const struct pack *pack)
{
    struct queue_key open = queue_key(endpoint->queue, "open", "");
    struct words words = {.count = 0};
    char name[RANDOM_NAME];

    if (random_name(name) < 0 || upload(endpoint, name, pack) < 0) {
        return NULL;
    }
    add(&words, "FCALL");
    add(&words, "paddock_enqueue");
    add(&words, "1");
    add(&words, open.text);
    add(&words, id);
    add(&words, "upload");
    add(&words, name);
    add_fields(&words, args, pack);
    return redis_call(endpoint->redis, TIMEOUT_MS, words.count, words.text,
                      words.lengths);
}

enum enqueued client_enqueue(struct endpoint *endpoint, const struct args *args,
                             const char *id, const struct pack *pack, struct buffer *said)
{
    struct redisReply *reply;
    enum enqueued what;

    if (redis_load_functions(endpoint->redis, endpoint->queue, said) < 0) {
        return ENQUEUED_FAILED;
    }
    reply = send_enqueue(endpoint, args, id, pack);
    what = judge_answer(endpoint, reply, pack, said);
    if (reply != NULL) {
        freeReplyObject(reply);
    }
    return what;
}

/* ---- other calls ---- */

static struct redisReply *check(const struct endpoint *endpoint, struct redisReply *reply,
                                const char *asked, struct buffer *why)
{
    if (reply == NULL || reply->type == REDIS_REPLY_ERROR) {
        client_say_refused(endpoint, reply, asked, why);
        freeReplyObject(reply);
        reply = NULL;
    }
    return reply;
}

struct redisReply *client_call(struct endpoint *endpoint, struct buffer *why,
                               const char *how, const char *function, ...)
{
    struct queue_key open = queue_key(endpoint->queue, "open", "");
    struct words words = {.count = 0};
    const char *argument;
    va_list args;

    if (redis_load_functions(endpoint->redis, endpoint->queue, why) < 0) {
        return NULL;
    }
    add(&words, how);
    add(&words, function);
    add(&words, "1");
    add(&words, open.text);
    va_start(args, function);
    while (words.count < WORDS_MAX && (argument = va_arg(args, const char *)) != NULL) {
        add(&words, argument);
    }
    va_end(args);
    return check(
        endpoint,
        redis_call(endpoint->redis, TIMEOUT_MS, words.count, words.text, words.lengths),
        function, why);
}

struct redisReply *client_input(struct endpoint *endpoint, const char *id,
                                const char *bytes, size_t size, bool eof,
                                struct buffer *why)
{
    struct queue_key open = queue_key(endpoint->queue, "open", "");
    const char *words[] = {"FCALL", "paddock_input", "1", open.text, id, bytes, "eof"};
    size_t lengths[array_size(words)];

    if (redis_load_functions(endpoint->redis, endpoint->queue, why) < 0) {
        return NULL;
    }
    for (size_t i = 0; i < array_size(words); i++) {
        lengths[i] = words[i] == bytes ? size : strlen(words[i]);
    }
    return check(endpoint,
                 redis_call(endpoint->redis, TIMEOUT_MS,
                            (int)array_size(words) - (eof ? 0 : 1), words, lengths),
                 words[1], why);
}

struct redisReply *client_job(struct endpoint *endpoint, const char *id,
                              struct buffer *why)
{
    struct queue_key key = queue_key(endpoint->queue, "job:", id);

    return check(endpoint,
                 redis_call_text(endpoint->redis, TIMEOUT_MS, "HGETALL", key.text, NULL),
                 "HGETALL", why);
}

const char *client_job_field(const struct redisReply *job, const char *name)
{
    const struct redisReply *value = entry_value(job, name);

    return value != NULL && value->str != NULL ? value->str : "";
}
