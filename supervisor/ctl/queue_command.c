/* SPDX-License-Identifier: MIT */
/*
 * Asking the queue, and changing it. Runs in the `paddock` command; what a job's fields
 * hold is a client's or a program's, and is shown, not believed to be printable.
 */
#include "supervisor/ctl/queue_command.h"

#include "common/limits.h"
#include "supervisor/ctl/client.h"
#include "supervisor/ctl/complain.h"
#include "supervisor/ctl/decoder.h"
#include "supervisor/ctl/entry.h"
#include "supervisor/ctl/recording.h"

#include <stdio.h>
#include <string.h>

#define SHOWN_MAX KIB(8)  /* of a value, to people */
#define JOB_MAX   MIB(16) /* of a whole job in JSON, its input included */

/* ---- status ---- */

typedef void add_field(struct buffer *to, const struct redisReply *name,
                       const struct redisReply *value);

static void add_json(struct buffer *to, const struct redisReply *name,
                     const struct redisReply *value)
{
    buffer_add_char(to, to->size == 0 ? '{' : ',');
    buffer_add_json_string(to, name->str, name->len);
    buffer_add_char(to, ':');
    if (value->type == REDIS_REPLY_INTEGER) {
        buffer_printf(to, "%lld", value->integer);
    } else {
        buffer_add_json_string(to, value->str, value->len);
    }
}

/* One line, whatever the value holds: much of it is a client's or a program's. */
static void add_line(struct buffer *to, const struct redisReply *name,
                     const struct redisReply *value)
{
    size_t shown = value->len < SHOWN_MAX ? value->len : SHOWN_MAX;

    buffer_printf(to, "%-16.64s ", name->str);
    if (value->type == REDIS_REPLY_INTEGER) {
        buffer_printf(to, "%lld", value->integer);
    } else {
        buffer_add_visible(to, value->str, shown);
    }
    if (shown < value->len) {
        buffer_printf(to, "... (%zu bytes in all)", value->len);
    }
    buffer_add_char(to, '\n');
}

/* What whoever asks for a job wants to know, which comes first. */
static const char *const foremost[] = {"state", "verdict", "sentence", "detail", "where"};

static bool is_foremost(const char *name)
{
    for (size_t i = 0; i < array_size(foremost); i++) {
        if (strcmp(foremost[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static void add_named(struct buffer *to, add_field *add, const char *name,
                      const struct redisReply *value)
{
    const struct redisReply called = {
        .type = REDIS_REPLY_STRING, .str = (char *)(uintptr_t)name, .len = strlen(name)};

    if (value != NULL) {
        add(to, &called, value);
    }
}

/* Names and values. `waits`: it waits for input, which no field says. */
static int print_fields(const struct redisReply *fields, bool waits, bool json)
{
    autobuffer struct buffer text = BUFFER_INIT(JOB_MAX);
    static char value[] = "input";
    const struct redisReply input = {
        .type = REDIS_REPLY_STRING, .str = value, .len = strlen(value)};
    add_field *add = json ? add_json : add_line;

    /* Redis has them in an order that changes with their sizes. */
    for (size_t i = 0; i < array_size(foremost); i++) {
        add_named(&text, add, foremost[i], entry_value(fields, foremost[i]));
    }
    for (size_t i = 0; i + 1 < fields->elements; i += 2) {
        if (!is_foremost(fields->element[i]->str)) {
            add(&text, fields->element[i], fields->element[i + 1]);
        }
    }
    if (waits) {
        add_named(&text, add, "waits_for", &input);
    }
    buffer_add_text(&text, json ? "}\n" : "");
    if (buffer_error(&text) < 0) {
        return complain(EXIT_OURS, "the fields are too large to be shown");
    }
    (void)fputs(text.data, stdout);
    return 0;
}

/* ---- does it wait for input? ---- */

struct waiting {
    struct decoder decoder;
    bool waits;
};

static int note_record(void *context, const struct wire_decoded *record)
{
    struct waiting *waiting = context;

    if (record->kind == WIRE_INPUT || record->kind == WIRE_INPUT_END) {
        waiting->waits = record->kind == WIRE_INPUT;
    }
    return 0;
}

static int note_slice(void *context, const char *bytes, size_t size, struct buffer *why)
{
    struct waiting *waiting = context;

    return decoder_bytes(&waiting->decoder, bytes, size, note_record, waiting);
}

/* By its recording, since no field says it; of one that has no live input none need be
 * read. */
static bool waits_for_input(struct endpoint *endpoint, const char *id,
                            const struct redisReply *job)
{
    autobuffer struct buffer why = BUFFER_INIT(WHY_MAX);
    struct waiting waiting = {0};

    if (strcmp(client_job_field(job, "state"), "running") != 0 ||
        strcmp(client_job_field(job, "live_input"), "1") != 0) {
        return false;
    }
    decoder_init(&waiting.decoder);
    if (recording_read_job(endpoint, id, note_slice, &waiting, NULL, &why) < 0) {
        waiting.waits = false;
    }
    decoder_done(&waiting.decoder);
    return waiting.waits;
}

int queue_print_job(struct endpoint *endpoint, const char *id, const char *state,
                    bool json)
{
    autobuffer struct buffer why = BUFFER_INIT(WHY_MAX);
    struct redisReply *job = client_job(endpoint, id, &why);
    int code;

    if (job == NULL) {
        return complain_why(EXIT_CONFIG, &why);
    }
    if (job->elements == 0) {
        code = complain(EXIT_NEGATIVE, "there is no job %s (it may have expired)", id);
    } else if (state != NULL && strcmp(client_job_field(job, "state"), state) != 0) {
        code = complain(EXIT_NEGATIVE, "job %s is %.32s, not %s", id,
                        client_job_field(job, "state"), state);
    } else {
        code = print_fields(job, waits_for_input(endpoint, id, job), json);
    }
    freeReplyObject(job);
    return code;
}

static int print_queue(struct endpoint *endpoint, bool json)
{
    autobuffer struct buffer why = BUFFER_INIT(WHY_MAX);
    struct redisReply *reply =
        client_call(endpoint, &why, "FCALL_RO", "paddock_status", NULL);
    int code;

    if (reply == NULL) {
        return complain_why(EXIT_CONFIG, &why);
    }
    code = print_fields(reply, false, json);
    freeReplyObject(reply);
    return code;
}

int queue_status_command(const struct command *command, struct args *args)
{
    struct endpoint endpoint = ENDPOINT_INIT;
    autobuffer struct buffer why = BUFFER_INIT(WHY_MAX);
    int code;

    if (endpoint_find(args, &endpoint, &why) < 0) {
        code = complain_why(EXIT_CONFIG, &why);
    } else {
        code = args->count > 0
                   ? queue_print_job(&endpoint, args->words[0], NULL, args->json)
                   : print_queue(&endpoint, args->json);
    }
    endpoint_done(&endpoint);
    return code;
}

/* ---- cancel ---- */

static void print_answer_json(const char *kind, const char *id, const char *answer)
{
    autobuffer struct buffer line = BUFFER_INIT(ANSWER_MAX);

    buffer_printf(&line, "{\"kind\":\"%s\"", kind);
    if (id != NULL) {
        buffer_add_text(&line, ",\"id\":");
        buffer_add_json_string(&line, id, strlen(id));
    }
    buffer_add_text(&line, ",\"answer\":");
    buffer_add_json_string(&line, answer, strlen(answer));
    buffer_add_char(&line, '}');
    (void)puts(line.data != NULL ? line.data : "");
}

int queue_print_answer(const char *kind, const char *id, const char *answer,
                       const char *const *negative, bool json)
{
    if (json) {
        print_answer_json(kind, id, answer);
    }
    if (strcmp(answer, "unknown") == 0) {
        return complain(EXIT_NEGATIVE, "there is no job %s (it may have expired)", id);
    }
    if (!json) {
        (void)puts(answer);
    }
    for (; *negative != NULL; negative++) {
        if (strcmp(answer, *negative) == 0) {
            return EXIT_NEGATIVE;
        }
    }
    return 0;
}

/* A call whose answer is one word. `argument` may be NULL; it is a job's id if
 * `about_job`. */
static int call_and_print(const struct args *args, const char *kind, const char *function,
                          const char *argument, bool about_job)
{
    static const char *const negative[] = {"final", NULL};
    struct endpoint endpoint = ENDPOINT_INIT;
    autobuffer struct buffer why = BUFFER_INIT(WHY_MAX);
    struct redisReply *reply = NULL;
    int code;

    if (endpoint_find(args, &endpoint, &why) == 0) {
        reply = client_call(&endpoint, &why, "FCALL", function, argument, NULL);
    }
    if (reply == NULL) {
        code = complain_why(EXIT_CONFIG, &why);
    } else {
        code = queue_print_answer(kind, about_job ? argument : NULL, reply->str, negative,
                                  args->json);
        freeReplyObject(reply);
    }
    endpoint_done(&endpoint);
    return code;
}

int queue_cancel_command(const struct command *command, struct args *args)
{
    return call_and_print(args, "cancel", "paddock_cancel", args->words[0], true);
}

/* ---- pause and resume ---- */

#define REASON_MAX 256 /* bytes; what paddock_pause takes */

int queue_pause_command(const struct command *command, struct args *args)
{
    const char *reason = args->count > 0 ? args->words[0] : NULL;

    if (reason != NULL && strlen(reason) > REASON_MAX) {
        return complain(EXIT_USAGE, "a reason takes at most %d bytes", REASON_MAX);
    }
    args->operates = true;
    return call_and_print(args, "pause", "paddock_pause", reason, false);
}

int queue_resume_command(const struct command *command, struct args *args)
{
    args->operates = true;
    return call_and_print(args, "resume", "paddock_resume", NULL, false);
}
