/* SPDX-License-Identifier: MIT */
/* Options of the `paddock` command. Runs as whoever typed it; checks before anything is
 * sent. */
#include "supervisor/ctl/args.h"

#include "common/option.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const struct row {
    const char *name;
    char letter; /* -h for --help; NUL: none */
    unsigned set;
    bool takes_value;
    size_t offset; /* of a const char *, or of a bool */
    const char *metavar, *help;
} rows[] = {
    {"redis", 0, ARGS_POOL | ARGS_CHECK, true, offsetof(struct args, redis), "ADDRESS",
     "the Redis of the queue: unix:/PATH, HOST:PORT or redis://..."},
    {"queue", 0, ARGS_POOL, true, offsetof(struct args, queue), "NAME",
     "the queue (default: the pool's)"},
    {"runtime-dir", 0, ARGS_POOL, true, offsetof(struct args, runtime_dir), "DIR",
     "folder of the pool to use"},
    {"pool", 0, ARGS_POOL, true, offsetof(struct args, pool), "NAME",
     "which one, where several run"},
    {"json", 0, ARGS_JSON, false, offsetof(struct args, json), "",
     "print JSON, one object per line"},
    {"id", 0, ARGS_ID, true, offsetof(struct args, id), "ID",
     "the job's id (default: a random one)"},
    {"follow", 0, ARGS_FOLLOW, false, offsetof(struct args, follow), "",
     "show its output, wait for its end"},
    {"policy", 0, ARGS_CHECK, false, offsetof(struct args, policy), "",
     "print the sandbox's system calls and limits, each with its reason"},
    {"config", 0, ARGS_CHECK, true, offsetof(struct args, config), "FILE",
     "check a configuration file"},
    {"format", 0, ARGS_TRACE, true, offsetof(struct args, format), "FORMAT",
     "text (the default), json, chrome, speedscope or flame"},
    {"output", 0, ARGS_TRACE, true, offsetof(struct args, output), "FILE",
     "write to this file"},
    {"output", 0, ARGS_SAVE, true, offsetof(struct args, output), "FOLDER",
     "make this folder (default: the id with .paddock)"},
    {"eof", 0, ARGS_EOF, false, offsetof(struct args, eof), "",
     "say that no more comes after this"},
    {"all", 0, ARGS_ALL, false, offsetof(struct args, all), "",
     "all of them, in the place of an ID"},
    {"once", 0, ARGS_ONCE, false, offsetof(struct args, once), "",
     "show it once, after a second, and end"},
    {"help", 'h', ~0u, false, offsetof(struct args, help), "", "this text"},
};

static const struct row *find_row(unsigned set, const char *name)
{
    for (size_t i = 0; i < array_size(rows); i++) {
        if ((rows[i].set & set) != 0 && strcmp(rows[i].name, name) == 0) {
            return &rows[i];
        }
    }
    return NULL;
}

/* Option names have hyphens, fields underscores. */
static void to_field_name(char *name)
{
    for (; *name != '\0'; name++) {
        *name = *name == '-' ? '_' : *name;
    }
}

static int set_field(struct args *args, const char *name, const char *value,
                     struct buffer *why)
{
    const struct job_field *field = job_field_by_name(name);

    buffer_add_text(why, "--");
    if (job_field_check(field, value, strlen(value), why) < 0) {
        return -EINVAL;
    }
    buffer_reset(why);
    args->fields[field - job_fields] = value;
    return 0;
}

/* The option that a mistyped name may have meant. */
static const char *nearest(unsigned set, const char *name)
{
    struct option_row names[array_size(rows) + ARGS_FIELDS];
    struct option_table table = {.rows = names, .count = 0};

    for (size_t i = 0; i < array_size(rows); i++) {
        if ((rows[i].set & set) != 0) {
            names[table.count++] = (struct option_row){.name = rows[i].name};
        }
    }
    for (size_t i = 0; (set & ARGS_FIELDS_OF_JOB) != 0 && i < job_field_count; i++) {
        names[table.count++] = (struct option_row){.name = job_fields[i].name};
    }
    return option_nearest(&table, name);
}

/* It may have been meant as a name: clients make ids that begin with a dash. */
static int refuse_unknown(unsigned set, const char *word, const char *near,
                          struct buffer *why)
{
    buffer_printf(why, "there is no option %s here", word);
    if (near != NULL) {
        buffer_printf(why, "; did you mean --%s?", near);
    } else if ((set & ARGS_NAMES) != 0) {
        buffer_add_text(why, "; a name that begins with a dash stands behind --");
    }
    return -EINVAL;
}

/* Where the value of an option stands: behind its '=', or in the next word, which it
 * takes; of a switch, nowhere else than behind '='. */
static const char *take_value(const struct job_field *field, const char *equals,
                              char **argv, int argc, int *index)
{
    if (equals != NULL) {
        return equals + 1;
    }
    if (field != NULL && job_field_is_switch(field)) {
        return "1";
    }
    return *index + 1 < argc ? argv[++*index] : NULL;
}

static int parse_option(unsigned set, char **argv, int argc, int *index, struct args *ret,
                        struct buffer *why)
{
    const char *equals = strchr(argv[*index], '=');
    const struct row *row;
    const char *value;
    char name[64], field[64 + 2];

    (void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(argv[*index] + 2, "="),
                   argv[*index] + 2);
    (void)snprintf(field, sizeof(field), "%s", name);
    to_field_name(field);
    row = find_row(set, name);
    if (row == NULL &&
        ((set & ARGS_FIELDS_OF_JOB) == 0 || job_field_by_name(field) == NULL)) {
        (void)snprintf(field, sizeof(field), "--%s", name);
        return refuse_unknown(set, field, nearest(set, name), why);
    }
    if (row != NULL && !row->takes_value) {
        if (equals != NULL) {
            buffer_printf(why, "--%s takes no value", name);
            return -EINVAL;
        }
        *(bool *)((char *)ret + row->offset) = true;
        return 0;
    }
    value = take_value(row == NULL ? job_field_by_name(field) : NULL, equals, argv, argc,
                       index);
    if (value == NULL || (row != NULL && *value == '\0')) {
        buffer_printf(why, "--%s needs a value", name);
        return -EINVAL;
    }
    if (row == NULL) {
        return set_field(ret, field, value, why);
    }
    *(const char **)((char *)ret + row->offset) = value;
    return 0;
}

/* An option of one letter; none takes a value. */
static int parse_letter(unsigned set, const char *word, struct args *ret,
                        struct buffer *why)
{
    for (size_t i = 0; i < array_size(rows); i++) {
        if ((rows[i].set & set) != 0 && rows[i].letter == word[1] && word[2] == '\0') {
            *(bool *)((char *)ret + rows[i].offset) = true;
            return 0;
        }
    }
    return refuse_unknown(set, word, NULL, why);
}

static bool is_letter(const char *word)
{
    return word[0] == '-' && word[1] != '\0';
}

/* Behind "--" nothing is an option: names, or else what is a program's own. */
static void take_rest(unsigned set, int argc, char **argv, struct args *ret)
{
    if ((set & ARGS_FIELDS_OF_JOB) != 0) {
        ret->rest = argv;
        ret->rest_count = argc;
        return;
    }
    for (int i = 0; i < argc; i++) {
        ret->words[ret->count++] = argv[i];
    }
}

/* Each says where the queue is: what one of them says would be passed over. */
static int check_place(const struct args *args, struct buffer *why)
{
    const char *pool = args->pool != NULL          ? "pool"
                       : args->runtime_dir != NULL ? "runtime-dir"
                                                   : NULL;

    if (args->redis == NULL || pool == NULL) {
        return 0;
    }
    buffer_printf(why,
                  "--redis names the queue's Redis and --%s a pool, which has its own: "
                  "give one of them",
                  pool);
    return -EINVAL;
}

int args_parse(unsigned set, int argc, char **argv, struct args *ret, struct buffer *why)
{
    int error = 0;

    *ret = (struct args){.words = argv};
    for (int i = 0; i < argc && error == 0; i++) {
        if (strcmp(argv[i], "--") == 0) {
            take_rest(set, argc - i - 1, argv + i + 1, ret);
            break;
        }
        if (strncmp(argv[i], "--", 2) == 0) {
            error = parse_option(set, argv, argc, &i, ret, why);
        } else if (is_letter(argv[i])) {
            error = parse_letter(set, argv[i], ret, why);
        } else {
            argv[ret->count++] = argv[i];
        }
    }
    return error == 0 ? check_place(ret, why) : error;
}

void args_help(unsigned set, struct buffer *to)
{
    for (size_t i = 0; i < array_size(rows); i++) {
        if ((rows[i].set & set) != 0) {
            char name[64];

            (void)snprintf(name, sizeof(name), "--%s %s", rows[i].name, rows[i].metavar);
            buffer_printf(to, "  %-22s %s\n", name, rows[i].help);
        }
    }
    for (size_t i = 0; (set & ARGS_FIELDS_OF_JOB) != 0 && i < job_field_count; i++) {
        char name[64];

        (void)snprintf(name, sizeof(name), "--%s %s", job_fields[i].name,
                       job_fields[i].metavar);
        buffer_printf(to, "  %-22s %s", name, job_fields[i].help);
        buffer_printf(to, *job_fields[i].initial != '\0' ? " (%s)\n" : "%s\n",
                      job_fields[i].initial);
    }
}
