/* SPDX-License-Identifier: MIT */
/*
 * paddock, the command: runs a program here and now, drives a pool, asks a queue. Runs as
 * whoever typed it; a client of Redis like any other, with no power over a pool but what
 * the queue's public calls give. What it shows of a job may be a hostile program's.
 */
#include "common/fd.h"
#include "common/limits.h"
#include "common/option.h"
#include "common/secret.h"
#include "common/text.h"
#include "common/verdict.h"
#include "supervisor/ctl/client.h"
#include "supervisor/ctl/complain.h"
#include "supervisor/ctl/dead_command.h"
#include "supervisor/ctl/feed.h"
#include "supervisor/ctl/follow.h"
#include "supervisor/ctl/input.h"
#include "supervisor/ctl/local_pool.h"
#include "supervisor/ctl/queue_command.h"
#include "supervisor/ctl/recording.h"
#include "supervisor/ctl/save_command.h"
#include "supervisor/ctl/top_command.h"
#include "supervisor/ctl/trace_command.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct command {
    const char *name, *usage, *summary;
    unsigned set;    /* enum args_set */
    int least, most; /* words */
    int (*run)(const struct command *command, struct args *args);
};

/* ---- run and submit ---- */

static int exit_of(enum enqueued what)
{
    static const int codes[] = {[ENQUEUED_QUEUED] = 0,
                                [ENQUEUED_DUPLICATE] = EXIT_NEGATIVE,
                                [ENQUEUED_FULL] = EXIT_BUSY,
                                [ENQUEUED_REFUSED] = EXIT_USAGE,
                                [ENQUEUED_FAILED] = EXIT_CONFIG};

    return codes[what];
}

static int follow_and_exit(struct endpoint *endpoint, const char *id,
                           const struct args *args, bool cancels)
{
    autobuffer struct buffer why = BUFFER_INIT(WHY_MAX);
    unsigned how = (args->json ? FOLLOW_JSON : 0) | (cancels ? FOLLOW_CANCELS : 0) |
                   (args->feeds ? FOLLOW_FEEDS : 0);
    int result = follow_job(endpoint, id, how, &why);

    if (result == -EPIPE) {
        return EXIT_UNREAD;
    }
    if (result >= 0) {
        return result;
    }
    return complain_why(result == -ENOENT ? EXIT_NEGATIVE : EXIT_OURS, &why);
}

static int enqueue(struct endpoint *endpoint, const struct args *args,
                   const struct pack *pack, char id[65])
{
    autobuffer struct buffer said = BUFFER_INIT(WHY_MAX);
    enum enqueued what;

    if (client_make_id(args, id, &said) < 0) {
        return complain_why(EXIT_USAGE, &said);
    }
    what = client_enqueue(endpoint, args, id, pack, &said);
    return what == ENQUEUED_QUEUED ? 0 : complain_why(exit_of(what), &said);
}

/* A bare .py is its own entry; one that is given may be another name of it, or what is to
 * be run in it. */
static bool names_more(const struct args *args, const struct pack *pack)
{
    const char *entry = args->fields[job_field_by_name("entry") - job_fields];

    return pack->is_source && entry != NULL && !text_ends_with(entry, ".py");
}

static int read_program(const struct args *args, const char *path, struct pack *pack,
                        struct buffer *why)
{
    int error = pack_read(path, pack, why);

    if (error == 0 && names_more(args, pack)) {
        error = pack_wrap(pack);
        buffer_add_text(why, error < 0 ? strerror(-error) : "");
    }
    return error;
}

static int send_program(struct args *args, const char *path, struct pack *pack,
                        bool embed, struct endpoint *endpoint, char id[65])
{
    autobuffer struct buffer why = BUFFER_INIT(WHY_MAX), argv = BUFFER_INIT(LIMIT_ARGV);
    autofree char *input = NULL;
    int error = read_program(args, path, pack, &why);

    if (error == 0) {
        error = input_take(args, path, &argv, &input, &why);
    }
    if (error < 0) {
        return complain_why(EXIT_USAGE, &why);
    }
    error = embed ? endpoint_embed(endpoint, &why) : endpoint_find(args, endpoint, &why);
    if (error < 0) {
        return complain_why(error == -EINTR ? FOLLOW_LEFT : EXIT_CONFIG, &why);
    }
    return enqueue(endpoint, args, pack, id);
}

static int run_program(const struct command *command, struct args *args)
{
    struct endpoint endpoint = ENDPOINT_INIT;
    struct pack pack = {0};
    char id[65];
    bool embed = args->redis == NULL && args->runtime_dir == NULL && args->pool == NULL;
    int code;

    if (embed && args->queue != NULL) {
        autobuffer struct buffer why = BUFFER_INIT(WHY_MAX);

        if (endpoint_check_queue(args->queue, &why) < 0) {
            return complain_why(EXIT_CONFIG, &why);
        }
        return complain(EXIT_USAGE, "--queue is one of a pool that runs: --redis, --pool "
                                    "or --runtime-dir says which");
    }
    args->feeds = input_feeds(args, args->words[0]);
    code = send_program(args, args->words[0], &pack, embed, &endpoint, id);

    pack_done(&pack);
    if (code == 0) {
        code = follow_and_exit(&endpoint, id, args, true);
    }
    endpoint_done(&endpoint);
    return code;
}

static int submit(const struct command *command, struct args *args)
{
    struct endpoint endpoint = ENDPOINT_INIT;
    int code = 0;

    if (args->count > 1 && args->id != NULL) {
        return complain(EXIT_USAGE, "--id can name one job only, not %d", args->count);
    }
    for (int i = 0; i < args->count && code == 0; i++) {
        struct pack pack = {0};
        char id[65];

        code = send_program(args, args->words[i], &pack, false, &endpoint, id);
        pack_done(&pack);
        if (code == 0 && args->follow) {
            code = follow_and_exit(&endpoint, id, args, false);
        } else if (code == 0) {
            (void)printf(args->json ? "{\"kind\":\"submitted\",\"id\":\"%s\"}\n" : "%s\n",
                         id);
        }
        endpoint_done(&endpoint);
    }
    return code;
}

static int show_file(const struct args *args)
{
    autobuffer struct buffer why = BUFFER_INIT(WHY_MAX);
    int error = follow_recording(args, &why);

    if (error == 0 || error == -EBADMSG) {
        return recording_exit(error);
    }
    return error == -EPIPE ? EXIT_UNREAD : complain_why(recording_exit(error), &why);
}

static int follow(const struct command *command, struct args *args)
{
    struct endpoint endpoint = ENDPOINT_INIT;
    autobuffer struct buffer why = BUFFER_INIT(WHY_MAX);
    enum recording_place place;
    int code;

    if (recording_find(args->words[0], &place, &why) < 0) {
        return complain_why(EXIT_USAGE, &why);
    }
    if (place == RECORDING_IN_FILE) {
        return show_file(args);
    }
    if (endpoint_find(args, &endpoint, &why) < 0) {
        code = complain_why(EXIT_CONFIG, &why);
    } else {
        code = follow_and_exit(&endpoint, args->words[0], args, false);
    }
    endpoint_done(&endpoint);
    return code;
}

/* ---- input ---- */

static int print_fed(const char *id, enum feed_answer answer, bool json)
{
    autobuffer struct buffer line = BUFFER_INIT(ANSWER_MAX);

    if (json) {
        buffer_add_text(&line, "{\"kind\":\"input\",\"id\":");
        buffer_add_json_string(&line, id, strlen(id));
        buffer_printf(&line, ",\"answer\":\"%s\"}", feed_answer_name(answer));
        (void)puts(line.data != NULL ? line.data : "");
    }
    return *feed_answer_sentence(answer) == '\0'
               ? 0
               : complain(EXIT_NEGATIVE, "job %s: %s", id, feed_answer_sentence(answer));
}

static int input(const struct command *command, struct args *args)
{
    struct endpoint endpoint = ENDPOINT_INIT;
    autobuffer struct buffer why = BUFFER_INIT(WHY_MAX);
    int answer = endpoint_find(args, &endpoint, &why);
    int code;

    if (answer == 0) {
        answer = feed_send_words(&endpoint, args, &why);
    }
    code = answer >= 0 ? print_fed(args->words[0], (enum feed_answer)answer, args->json)
                       : complain_why(answer == -E2BIG ? EXIT_USAGE : EXIT_CONFIG, &why);
    endpoint_done(&endpoint);
    return code;
}

/* ---- up, check, verdicts ---- */

/* Becomes another of our programs. */
static int become(const char *program, char *const argv[])
{
    char path[LIMIT_PATH + 64];

    endpoint_program(program, path, sizeof(path));
    (void)execv(path, argv);
    return complain(EXIT_OURS, "unable to run %s: %s", path, strerror(errno));
}

static int check(const struct command *command, struct args *args)
{
    char config[LIMIT_PATH + 16];
    char *policy[] = {(char *)(uintptr_t) "paddock-zygote",
                      (char *)(uintptr_t) "--policy", NULL};
    char *layers[] = {(char *)(uintptr_t) "paddock-supervisor",
                      (char *)(uintptr_t) "--check-sandbox",
                      args->json ? (char *)(uintptr_t) "--json" : NULL, NULL};
    char *file[] = {(char *)(uintptr_t) "paddock-supervisor", config,
                    (char *)(uintptr_t) "--check-config", NULL};

    if (args->json && (args->policy || args->config != NULL)) {
        return complain(EXIT_USAGE, "--json prints layers, not what %s does",
                        args->policy ? "--policy" : "--config");
    }
    if (args->policy + (args->config != NULL) + (args->redis != NULL) > 1) {
        return complain(EXIT_USAGE,
                        "--policy, --config, --redis: one of these at a time");
    }
    if (args->policy) {
        return become("paddock-zygote", policy);
    }
    if (args->config != NULL) {
        (void)snprintf(config, sizeof(config), "--config=%s", args->config);
        return become("paddock-supervisor", file);
    }
    if (args->redis != NULL) {
        struct endpoint endpoint = ENDPOINT_INIT;
        autobuffer struct buffer why = BUFFER_INIT(WHY_MAX);
        int error = endpoint_find(args, &endpoint, &why);

        endpoint_done(&endpoint);
        if (error < 0) {
            return complain_why(EXIT_CONFIG, &why);
        }
        (void)printf(args->json
                         ? "{\"kind\":\"redis\",\"name\":\"redis\",\"holds\":true,"
                           "\"mandatory\":true,\"granted\":true,\"detail\":\"%s\"}\n"
                         : "ok    redis              %s\n",
                     "it answers, and is one that Paddock can use");
        (void)fflush(stdout);
    }
    return become("paddock-supervisor", layers);
}

static int verdicts(const struct command *command, struct args *args)
{
    for (int i = VERDICT_NONE + 1; i < VERDICT_COUNT; i++) {
        const struct verdict_row *row = verdict_row((enum verdict)i);
        autobuffer struct buffer line = BUFFER_INIT(4096);

        if (args->json) {
            buffer_printf(&line,
                          "{\"verdict\":\"%s\",\"exit_code\":%d,\"happened\":\"%s\","
                          "\"try\":\"%s\"}",
                          row->name, row->exit_code, row->happened, row->try_this);
        } else {
            buffer_printf(&line, "%-14s %3s  ", row->name, "");
            buffer_printf(&line, row->exit_code >= 0 ? "%3d  " : "  N  ", row->exit_code);
            buffer_printf(&line, "%s %s", row->happened, row->try_this);
        }
        (void)puts(line.data != NULL ? line.data : "");
    }
    return 0;
}

/* ---- the table ---- */

static const struct command commands[] = {
    {"run", "run FILE.py|DIR|ZIP|- [--FIELD VALUE ...] [-- ARG ...]",
     "run one program here and now, its output live",
     ARGS_POOL | ARGS_JSON | ARGS_ID | ARGS_FIELDS_OF_JOB, 1, 1, run_program},
    {"up",
     "up [--config FILE] [--redis ADDRESS] [--queue NAME] [--workers N] [--OPTION VALUE "
     "...]",
     "run a pool in the foreground", 0, 0, 0, NULL},
    {"submit", "submit FILE.py|DIR|ZIP|- ... [--follow] [--FIELD VALUE ...]",
     "put programs into the queue and print their ids",
     ARGS_POOL | ARGS_JSON | ARGS_ID | ARGS_FOLLOW | ARGS_FIELDS_OF_JOB, 1, 10000,
     submit},
    {"follow", "follow ID|FILE|-", "show a job's output, from its start to its end",
     ARGS_POOL | ARGS_JSON | ARGS_NAMES, 1, 1, follow},
    {"trace", "trace ID|FILE|- [--format text|json|chrome|speedscope|flame]",
     "show what a job did, call by call, or make a file of it for a viewer",
     ARGS_POOL | ARGS_JSON | ARGS_TRACE | ARGS_NAMES, 1, 1, trace_command},
    {"save", "save ID|FILE|- [--output FOLDER]",
     "write a job's recording, results and files into a folder",
     ARGS_POOL | ARGS_SAVE | ARGS_NAMES, 1, 1, save_command},
    {"status", "status [ID]", "what is known of a job, or how full the queue is",
     ARGS_POOL | ARGS_JSON | ARGS_NAMES, 0, 1, queue_status_command},
    {"top", "top [--once]",
     "watch the pool here: its workers, its queue, its tenants, and what became of jobs",
     ARGS_POOL | ARGS_JSON | ARGS_ONCE, 0, 0, top_command},
    {"drain", "drain", "let the pool here take no more jobs, and end when its own have",
     ARGS_POOL | ARGS_JSON, 0, 0, local_pool_drain},
    {"cancel", "cancel ID", "take a job out of the queue, or stop it",
     ARGS_POOL | ARGS_JSON | ARGS_NAMES, 1, 1, queue_cancel_command},
    {"pause", "pause [REASON]", "let no more jobs of the queue begin",
     ARGS_POOL | ARGS_JSON | ARGS_NAMES, 0, 1, queue_pause_command},
    {"resume", "resume", "let the queue's jobs begin again", ARGS_POOL | ARGS_JSON, 0, 0,
     queue_resume_command},
    {"dead", DEAD_COMMAND_USAGE,
     "jobs that were lost too often, or cannot be run: look, run again, drop",
     ARGS_POOL | ARGS_JSON | ARGS_ALL | ARGS_NAMES, 1, 2, dead_command},
    {"input", "input ID [TEXT] [--eof]",
     "send a line, or standard input, to a job with --live-input",
     ARGS_POOL | ARGS_JSON | ARGS_EOF | ARGS_NAMES, 1, 2, input},
    {"check", "check [--policy | --config FILE | --redis ADDRESS]",
     "attack the sandbox layer by layer and say which hold", ARGS_JSON | ARGS_CHECK, 0, 0,
     check},
    {"verdicts", "verdicts", "list how a job can end", ARGS_JSON, 0, 0, verdicts},
};

static int print_overview(FILE *to)
{
    (void)fputs("usage: paddock COMMAND ...\nRuns untrusted Python programs in locked "
                "processes.\n\n",
                to);
    for (size_t i = 0; i < array_size(commands); i++) {
        (void)fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].summary);
    }
    (void)fputs("\n`paddock COMMAND --help` says more.\n", to);
    return to == stdout ? 0 : EXIT_USAGE;
}

static int print_help(const struct command *command)
{
    autobuffer struct buffer options = BUFFER_INIT(MIB(1));

    args_help(command->set, &options);
    (void)printf("usage: paddock %s\n%s\n\n%s", command->usage, command->summary,
                 options.data != NULL ? options.data : "");
    return 0;
}

static int run_command(const struct command *command, int argc, char **argv)
{
    autobuffer struct buffer why = BUFFER_INIT(WHY_MAX);
    struct args args;

    if (args_parse(command->set, argc, argv, &args, &why) < 0) {
        return complain_why(EXIT_USAGE, &why);
    }
    if (args.help) {
        return print_help(command);
    }
    if (args.count < command->least || args.count > command->most) {
        return complain(EXIT_USAGE, "usage: paddock %s", command->usage);
    }
    return command->run(command, &args);
}

static int refuse_command(const char *name)
{
    struct option_row names[array_size(commands)];
    const struct option_table table = {.rows = names, .count = array_size(commands)};
    const char *nearest;

    for (size_t i = 0; i < array_size(commands); i++) {
        names[i] = (struct option_row){.name = commands[i].name};
    }
    nearest = option_nearest(&table, name);
    if (nearest != NULL) {
        return complain(EXIT_USAGE, "there is no command '%s'; did you mean '%s'?", name,
                        nearest);
    }
    return complain(EXIT_USAGE, "there is no command '%s'; `paddock --help` lists them",
                    name);
}

static int dispatch(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : NULL;

    static const char *const help[] = {"--help", "-h", "help"};

    if (name == NULL) {
        return print_overview(stderr);
    }
    for (size_t i = 0; i < array_size(help); i++) {
        if (strcmp(name, help[i]) == 0) {
            return print_overview(stdout);
        }
    }
    if (strcmp(name, "--version") == 0) {
        (void)puts("paddock " PADDOCK_VERSION);
        return 0;
    }
    if (strcmp(name, "up") == 0) {
        argv[1] = (char *)(uintptr_t) "paddock-supervisor";
        return become("paddock-supervisor", argv + 1);
    }
    for (size_t i = 0; i < array_size(commands); i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return run_command(&commands[i], argc - 2, argv + 2);
        }
    }
    return refuse_command(name);
}

/* What was printed has to arrive; a reader who has seen enough is told nothing. */
static int finish(int code)
{
    int error = fd_flush_stdout();

    if (error == -EPIPE) {
        return EXIT_UNREAD;
    }
    return error == 0 ? code
                      : complain(EXIT_OURS, "unable to write to standard output: %s",
                                 strerror(-error));
}

int main(int argc, char **argv)
{
    if (fd_open_standard() < 0 || secret_hide_argv(argc, argv) < 0) {
        return EXIT_OURS;
    }
    /* A reader that goes away shows as a failed write. */
    (void)sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
    return finish(dispatch(argc, argv));
}
