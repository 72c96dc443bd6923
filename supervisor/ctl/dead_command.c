/* SPDX-License-Identifier: MIT */
/*
 * Dead letters, for the operator. Runs in the `paddock` command; a tenant's name and a
 * detail may hold what a client wrote.
 */
#include "supervisor/ctl/dead_command.h"

#include "common/limits.h"
#include "supervisor/ctl/client.h"
#include "supervisor/ctl/complain.h"
#include "supervisor/ctl/queue_command.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define PAGE     100 /* what paddock_dead gives at once */
#define LINE_MAX KIB(16)
#define ID_SHOWN 256

/* ---- list ---- */

struct letter {
    const struct redisReply *id; /* may be none: what somebody wrote to Redis himself */
    const char *tenant, *detail;
    int64_t time_ms;
};

static bool read_letter(const struct redisReply *reply, struct letter *ret)
{
    struct redisReply **field = reply->element;

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 4 ||
        field[0]->str == NULL || field[1]->type != REDIS_REPLY_INTEGER ||
        field[2]->str == NULL || field[3]->str == NULL) {
        return false;
    }
    *ret = (struct letter){.id = field[0],
                           .time_ms = field[1]->integer,
                           .tenant = field[2]->str,
                           .detail = field[3]->str};
    return true;
}

/* Never another's: it does not end at a NUL, and where it is cut it is none, either. */
static size_t shown(const struct redisReply *id)
{
    return id->len < ID_SHOWN ? id->len : ID_SHOWN;
}

static void add_json(const struct letter *letter, struct buffer *to)
{
    buffer_add_text(to, "{\"kind\":\"dead\",\"id\":");
    buffer_add_json_string(to, letter->id->str, shown(letter->id));
    buffer_printf(to, ",\"time_ms\":%" PRId64 ",\"tenant\":", letter->time_ms);
    buffer_add_json_string(to, letter->tenant, strlen(letter->tenant));
    buffer_add_text(to, ",\"detail\":");
    buffer_add_json_string(to, letter->detail, strlen(letter->detail));
    buffer_add_char(to, '}');
}

static void add_line(const struct letter *letter, struct buffer *to)
{
    time_t seconds = (time_t)(letter->time_ms / 1000);
    struct tm when;
    char date[32] = "";

    if (localtime_r(&seconds, &when) != NULL) {
        (void)strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &when);
    }
    buffer_printf(to, "%-19s  ", date);
    buffer_add_visible(to, letter->id->str, shown(letter->id));
    buffer_add_text(to, "  ");
    buffer_add_visible(to, letter->tenant, strlen(letter->tenant));
    buffer_add_text(to, "  ");
    buffer_add_visible(to, letter->detail, strlen(letter->detail));
}

static void print_page(const struct redisReply *page, bool json)
{
    for (size_t i = 0; i < page->elements; i++) {
        autobuffer struct buffer line = BUFFER_INIT(LINE_MAX);
        struct letter letter;

        if (read_letter(page->element[i], &letter)) {
            (json ? add_json : add_line)(&letter, &line);
            (void)puts(line.data != NULL ? line.data : "");
        }
    }
}

/* Letters that come or go meanwhile may be missed or told twice. */
static int list(struct endpoint *endpoint, const struct args *args, struct buffer *why)
{
    for (size_t offset = 0, count = PAGE; count == PAGE; offset += count) {
        char from[24];
        struct redisReply *page;

        (void)snprintf(from, sizeof(from), "%zu", offset);
        page = client_call(endpoint, why, "FCALL_RO", "paddock_dead", from, NULL);
        if (page == NULL) {
            return complain_why(EXIT_CONFIG, why);
        }
        print_page(page, args->json);
        count = page->elements;
        freeReplyObject(page);
    }
    return 0;
}

/* ---- one of them ---- */

static int refuse_unknown(const char *id)
{
    return complain(EXIT_NEGATIVE, "there is no dead letter %s", id);
}

static int show(struct endpoint *endpoint, const struct args *args, struct buffer *why)
{
    return queue_print_job(endpoint, args->words[1], "dead", args->json);
}

static int requeue(struct endpoint *endpoint, const struct args *args, struct buffer *why)
{
    static const char *const negative[] = {"gone", NULL};
    const char *id = args->words[1];
    struct redisReply *reply =
        client_call(endpoint, why, "FCALL", "paddock_dead_requeue", id, NULL);
    int code;

    if (reply == NULL) {
        return complain_why(EXIT_CONFIG, why);
    }
    if (strcmp(reply->str, "unknown") == 0) {
        code = refuse_unknown(id);
    } else {
        code = queue_print_answer("requeue", id, reply->str, negative, args->json);
        code = strncmp(reply->str, "full", 4) == 0 ? EXIT_BUSY : code;
    }
    freeReplyObject(reply);
    return code;
}

/* To paddock_dead_drop; somebody may have written a letter of that id. */
#define EVERY_ONE "*"

static int drop(struct endpoint *endpoint, const struct args *args, struct buffer *why)
{
    const char *id = args->all ? EVERY_ONE : args->words[1];
    struct redisReply *reply;
    long long dropped;

    if (!args->all && strcmp(id, EVERY_ONE) == 0) {
        return complain(EXIT_USAGE, "%s is the id of no job, and goes with --all", id);
    }
    reply = client_call(endpoint, why, "FCALL", "paddock_dead_drop", id, NULL);
    if (reply == NULL) {
        return complain_why(EXIT_CONFIG, why);
    }
    dropped = reply->integer;
    freeReplyObject(reply);
    if (dropped == 0 && !args->all) {
        return refuse_unknown(id);
    }
    (void)printf(args->json ? "{\"kind\":\"drop\",\"dropped\":%lld}\n" : "dropped %lld\n",
                 dropped);
    return 0;
}

/* ---- which of these ---- */

static const struct action {
    const char *name;
    bool about_one; /* names a job, or --all where that is taken */
    bool takes_all;
    int (*run)(struct endpoint *endpoint, const struct args *args, struct buffer *why);
} actions[] = {
    {"list", false, false, list},
    {"show", true, false, show},
    {"requeue", true, false, requeue},
    {"drop", true, true, drop},
};

static const struct action *find_action(const struct args *args)
{
    for (size_t i = 0; i < array_size(actions); i++) {
        const struct action *action = &actions[i];
        bool names_one = args->count == 2;

        if (strcmp(action->name, args->words[0]) == 0) {
            return (action->takes_all || !args->all) &&
                           names_one == (action->about_one && !args->all)
                       ? action
                       : NULL;
        }
    }
    return NULL;
}

int dead_command(const struct command *command, struct args *args)
{
    const struct action *action = find_action(args);
    struct endpoint endpoint = ENDPOINT_INIT;
    autobuffer struct buffer why = BUFFER_INIT(WHY_MAX);
    int code;

    if (action == NULL) {
        return complain(EXIT_USAGE, "usage: paddock %s", DEAD_COMMAND_USAGE);
    }
    args->operates = true;
    code = endpoint_find(args, &endpoint, &why) < 0 ? complain_why(EXIT_CONFIG, &why)
                                                    : action->run(&endpoint, args, &why);
    endpoint_done(&endpoint);
    return code;
}
