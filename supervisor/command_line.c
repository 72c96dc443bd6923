/* SPDX-License-Identifier: MIT */
/*
 * The command line, and what it asks for instead of a pool: help, the version, a sample
 * configuration. Runs in the supervisor, on what the operator wrote.
 */
#include "supervisor/command_line.h"

#include "common/cleanup.h"
#include "common/fd.h"
#include "common/message.h"
#include "common/number.h"
#include "common/role.h"
#include "common/text.h"
#include "supervisor/health.h"
#include "supervisor/runtime.h"
#include "supervisor/sizing.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int print_help(const struct command_line *line)
{
    autobuffer struct buffer text = BUFFER_INIT(MIB(1));

    buffer_add_text(
        &text,
        "usage: paddock-supervisor [--config FILE] [--OPTION=VALUE ...]\n"
        "Runs a pool of workers in the foreground.\n\n"
        "  --config FILE    read options from an INI file\n"
        "  --config-fd N    as it stands there; a reload comes from --ready-fd\n"
        "  --pool NAME      run that one alone of the file's pools, its [pool NAME]\n"
        "  --check-config   read the configuration, say whether it is good, and end\n"
        "  --check-sandbox  attack the sandbox layer by layer, say which hold, and end;\n"
        "                   with --json in JSON, one object per layer\n"
        "  --print-config   print the commented default configuration, and end\n"
        "  --ready-fd N     write \"ready\" to this socket; stop when it is closed\n"
        "  --hold           take no job until \"go\" can be read from it\n"
        "  --help, --version\n\nOptions:\n");
    option_help(&config_table, &text);
    (void)fputs(text.data != NULL ? text.data : "", stdout);
    return ROLE_EXIT_OK;
}

static int print_version(const struct command_line *line)
{
    (void)puts("paddock-supervisor " PADDOCK_VERSION);
    return ROLE_EXIT_OK;
}

static int print_config(const struct command_line *line)
{
    autobuffer struct buffer text = BUFFER_INIT(MIB(1));

    buffer_add_text(&text, "# paddock.conf(5) describes this file.\n\n");
    option_sample(&config_table, &text);
    buffer_add_text(&text,
                    "\n# [pool NAME]\n"
                    "# A section with a name is a pool of its own, beside others. In it "
                    "each option of any\n# section can be another one, but for:");
    for (size_t i = 0; i < config_table.count; i++) {
        if (config_table.rows[i].scope == OPTION_WHOLE) {
            buffer_printf(&text, " %s", config_table.rows[i].name);
        }
    }
    buffer_add_text(&text, "\n");
    (void)fputs(text.data != NULL ? text.data : "", stdout);
    return ROLE_EXIT_OK;
}

/* What a pool names on this machine, as far as that is seen without starting one, which
 * says more. */
static int try_names(const struct config *config, struct buffer *why)
{
    static const char zip[] = "PK\3\4";
    autoclose int fd = open(config->library, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    char found[sizeof(zip)] = "";

    if (config->library[0] != '\0' && fd >= 0 &&
        (read(fd, found, strlen(zip)) < 0 || strcmp(found, zip) != 0)) {
        buffer_printf(
            why, "library = %s: it is no library of Python: paddock-library makes one",
            text_quote(config->library).text);
        return -EINVAL;
    }
    return runtime_try(config, why);
}

static int try_all(const struct pools *pools, struct buffer *why)
{
    int error = try_names(&pools->common, why);

    for (uint32_t i = 0; i < pools->count && error == 0; i++) {
        error = try_names(&pools->each[i], why);
    }
    return error;
}

static int check_config(const struct command_line *line)
{
    autofree struct pools *pools = NULL;
    autobuffer struct buffer text = BUFFER_INIT(KIB(16)), why = BUFFER_INIT(KIB(4));
    int code = pools_read(line, &pools, &why);

    if (code == ROLE_EXIT_OK && try_all(pools, &why) < 0) {
        code = ROLE_EXIT_CONFIG;
    }
    if (code != ROLE_EXIT_OK) {
        return command_line_complain(code, &why);
    }
    buffer_add_text(&text, "the configuration is good\n");
    if (!sizing_add_up(pools, &text)) {
        buffer_add_text(&text, "that is more than there is: jobs that take all that they "
                               "may at once would be too many\n");
    }
    (void)fputs(text.data != NULL ? text.data : "", stdout);
    return ROLE_EXIT_OK;
}

static int take_check(struct command_line *line, const char *value)
{
    line->check = true;
    return 0;
}

static int take_json(struct command_line *line, const char *value)
{
    line->json = true;
    return 0;
}

static int take_config(struct command_line *line, const char *value)
{
    line->config_file = value;
    return value[0] != '\0' ? 0 : -EINVAL;
}

static int take_fd(const char *value, int least, int *ret)
{
    int64_t fd;

    if (number_parse(value, least, 65535, &fd) < 0 || fd_set_cloexec((int)fd, 1) < 0) {
        return -EINVAL;
    }
    *ret = (int)fd;
    return 0;
}

static int take_config_fd(struct command_line *line, const char *value)
{
    return take_fd(value, 0, &line->copy);
}

static int take_pool(struct command_line *line, const char *value)
{
    line->pool = value;
    return option_part_valid(value) ? 0 : -EINVAL;
}

static int take_ready_fd(struct command_line *line, const char *value)
{
    return take_fd(value, 3, &line->ready_fd);
}

static int take_hold(struct command_line *line, const char *value)
{
    line->hold = true;
    return 0;
}

static const struct flag {
    const char *name;
    bool alone;                                      /* takes no value */
    int (*instead)(const struct command_line *line); /* or */
    int (*take)(struct command_line *line, const char *value);
    bool task; /* not beside another one */
} flags[] = {
    {"help", true, print_help, NULL, false},
    {"version", true, print_version, NULL, false},
    {"print-config", true, print_config, NULL, true},
    {"check-config", true, check_config, NULL, true},
    {"check-sandbox", true, NULL, take_check, true},
    {"json", true, NULL, take_json, false},
    {"hold", true, NULL, take_hold, false},
    {"config", false, NULL, take_config, false},
    {"config-fd", false, NULL, take_config_fd, false},
    {"pool", false, NULL, take_pool, false},
    {"ready-fd", false, NULL, take_ready_fd, false},
};

/* What is read into. */
struct reading {
    struct command_line *line; /* NULL: options alone are wanted */
    struct config *config;
    struct option_parts *parts;
    struct buffer *why;
};

/* The command line is configuration, as the file is. */
static int refuse(const struct reading *reading, const char *format, ...)
    printf_like(2, 3);
static int refuse(const struct reading *reading, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    buffer_vprintf(reading->why, format, args);
    va_end(args);
    return ROLE_EXIT_CONFIG;
}

static const struct flag *find_flag(const char *name)
{
    for (size_t i = 0; i < array_size(flags); i++) {
        if (strcmp(flags[i].name, name) == 0) {
            return &flags[i];
        }
    }
    return NULL;
}

/* value: NULL where there is none. */
static int apply_flag(const struct reading *reading, const struct flag *flag,
                      const char *value)
{
    struct command_line *line = reading->line;

    if (flag->alone && value != NULL) {
        return refuse(reading, "--%s takes no value", flag->name);
    }
    if (line == NULL) {
        return ROLE_EXIT_OK;
    }
    if (flag->task && line->task != NULL && strcmp(line->task, flag->name) != 0) {
        return refuse(reading, "--%s beside --%s: one of these at a time", flag->name,
                      line->task);
    }
    line->task = flag->task ? flag->name : line->task;
    line->instead = flag->instead != NULL ? flag->instead : line->instead;
    if (flag->take != NULL && flag->take(line, value) < 0) {
        return refuse(reading, "--%s: a bad value: %s", flag->name,
                      value != NULL ? text_quote(value).text : "");
    }
    return ROLE_EXIT_OK;
}

/* As all that follow, returns ROLE_EXIT_OK or the code to end with, with a sentence.
 * value: NULL where the command line ends behind the name. */
static int apply_option(const struct reading *reading, const char *name,
                        const char *value)
{
    autobuffer struct buffer why = BUFFER_INIT(KIB(2));
    const struct option_row *row;
    char option[64];

    (void)snprintf(option, sizeof(option), "%s", name);
    for (char *c = option; *c != '\0'; c++) {
        *c = *c == '-' ? '_' : *c;
    }
    row = option_find(&config_table, option);
    if (row != NULL && value == NULL) {
        return refuse(reading, "--%s needs a value", name);
    }
    if (option_set(&config_table, reading->config, option, value, &why) < 0) {
        return refuse(reading, "--%s: %s", name,
                      why.data != NULL ? why.data : "a bad value");
    }
    reading->parts->lines[row - config_table.rows] = 0;
    return ROLE_EXIT_OK;
}

/* The name in --name or --name=value. Returns where the = is, or NULL. */
static const char *take_name(const char *argument, char name[64])
{
    const char *equals = strchr(argument, '=');
    size_t size = equals != NULL ? (size_t)(equals - argument) : strlen(argument);

    (void)snprintf(name, 64, "%.*s", (int)(size - 2), argument + 2);
    return equals;
}

/* Cuts --name=value, or takes the value from the next argument. Options are looked at
 * twice: the first time for flags, of which one names the file, the second time for what
 * goes over that. */
static int parse_one(const struct reading *reading, char **argv, int *index, bool first)
{
    char name[64];
    const char *argument = argv[*index], *equals, *value;
    const struct flag *flag;

    if (strncmp(argument, "--", 2) != 0 || strlen(argument) < 3) {
        return refuse(reading, "'%s' is no option; see --help",
                      text_quote(argument).text);
    }
    equals = take_name(argument, name);
    value = equals != NULL ? equals + 1 : argv[*index + 1];
    flag = find_flag(name);
    if (flag != NULL && flag->alone) {
        return first ? apply_flag(reading, flag, equals != NULL ? value : NULL)
                     : ROLE_EXIT_OK;
    }
    if (flag != NULL && value == NULL) {
        return refuse(reading, "--%s needs a value", name);
    }
    *index += equals == NULL;
    if (flag != NULL) {
        return first ? apply_flag(reading, flag, value) : ROLE_EXIT_OK;
    }
    return first ? ROLE_EXIT_OK : apply_option(reading, name, value);
}

static int parse_all(const struct reading *reading, int argc, char **argv, bool first)
{
    int code = ROLE_EXIT_OK;

    for (int i = 1; i < argc && code == ROLE_EXIT_OK; i++) {
        code = parse_one(reading, argv, &i, first);
    }
    return code;
}

/* Defaults, the file, and what goes over it. */
static int read_config(const struct reading *reading, const struct command_line *line,
                       const char *pool)
{
    int code = ROLE_EXIT_OK;

    *reading->parts = (struct option_parts){0};
    option_defaults(&config_table, reading->config);
    if (line->config_file != NULL &&
        config_read(reading->config, line->config_file, line->copy, pool, reading->parts,
                    reading->why) < 0) {
        code = ROLE_EXIT_CONFIG;
    }
    if (code == ROLE_EXIT_OK) {
        code = parse_all(reading, line->argc, line->argv, false);
    }
    config_complete(reading->config);
    if (code == ROLE_EXIT_OK && config_check(reading->config, line->config_file,
                                             reading->parts, reading->why) < 0) {
        code = ROLE_EXIT_CONFIG;
    }
    return code;
}

/* What goes with what. */
static int check_company(const struct reading *reading)
{
    const struct command_line *line = reading->line;
    bool no_file = line->config_file == NULL, nobody = line->ready_fd < 0;
    const struct {
        bool is_given, is_alone;
        const char *sentence;
    } rules[] = {
        {line->pool != NULL, no_file, "--pool goes with --config"},
        {line->copy >= 0, no_file || nobody,
         "--config-fd goes with --config and --ready-fd"},
        {line->json, !line->check, "--json goes with --check-sandbox"},
        {line->hold, line->pool == NULL || nobody,
         "--hold goes with --pool and --ready-fd"},
    };

    for (size_t i = 0; i < array_size(rules); i++) {
        if (rules[i].is_given && rules[i].is_alone) {
            return refuse(reading, "%s", rules[i].sentence);
        }
    }
    return ROLE_EXIT_OK;
}

int command_line_read(struct command_line *line, int argc, char **argv,
                      struct config *config, struct buffer *why)
{
    const struct reading reading = {line, config, &line->parts, why};
    int code;

    line->argc = argc;
    line->argv = argv;
    code = parse_all(&reading, argc, argv, true);
    code = code == ROLE_EXIT_OK ? check_company(&reading) : code;
    code = code == ROLE_EXIT_OK ? read_config(&reading, line, line->pool) : code;
    line->kept = line->copy >= 0;
    line->copy = -1; /* what follows is a reload */
    return code;
}

int command_line_read_again(const struct command_line *line, const char *pool,
                            struct config *config, struct option_parts *parts,
                            struct buffer *why)
{
    struct option_parts unused;
    const struct reading reading = {NULL, config, parts != NULL ? parts : &unused, why};

    return read_config(&reading, line, pool);
}

size_t command_line_options(const struct command_line *line, const char **to, size_t room)
{
    size_t count = 0;

    for (int i = 1; i < line->argc && count + 2 <= room; i++) {
        char name[64];
        const char *equals = take_name(line->argv[i], name);
        const struct flag *flag = find_flag(name);
        int words = equals != NULL || (flag != NULL && flag->alone) ? 1 : 2;

        for (int word = 0; word < words && flag == NULL; word++) {
            to[count++] = line->argv[i + word];
        }
        i += words - 1;
    }
    return count;
}

int command_line_say_ready(struct command_line *line)
{
    static const char word[] = COMMAND_LINE_READY "\n";

    if (line->ready_fd < 0) {
        return 0;
    }
    line->alive_ms = clock_now_ms() + HEALTH_ASK_MS;
    return fd_write_full(line->ready_fd, word, strlen(word));
}

bool command_line_hear_go(const struct command_line *line)
{
    static const char go[] = COMMAND_LINE_GO "\n";
    char word[sizeof(go)];

    return recv(line->ready_fd, word, sizeof(word), MSG_DONTWAIT) ==
               (ssize_t)strlen(go) &&
           memcmp(word, go, strlen(go)) == 0;
}

int command_line_hear_reload(struct command_line *line, int64_t *ret_number)
{
    struct message message;
    int result = message_receive(line->ready_fd, 1u << MESSAGE_RELOAD, &message);

    if (result != 1 && result != -EMFILE) {
        return 0;
    }
    *ret_number = message.payload.RELOAD_.number;
    if (result == 1) {
        close_fd(&line->copy);
        line->copy = message.fds[0];
    }
    return result;
}

void command_line_say(const struct command_line *line, const char *word, int64_t number)
{
    char text[64], of[32] = "";
    int size;

    if (line->ready_fd < 0) {
        return;
    }
    if (number != 0) {
        (void)snprintf(of, sizeof(of), " %" PRId64, number);
    }
    size = snprintf(text, sizeof(text), "%s%s\n", word, of);
    (void)send(line->ready_fd, text, (size_t)size, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void command_line_say_alive(struct command_line *line, int64_t now_ms)
{
    if (now_ms >= line->alive_ms) {
        line->alive_ms = now_ms + HEALTH_ASK_MS;
        command_line_say(line, COMMAND_LINE_ALIVE, 0);
    }
}

int command_line_complain(int code, const struct buffer *why)
{
    autobuffer struct buffer visible = BUFFER_INIT(KIB(16)); /* the file's bytes, too */

    buffer_add_visible(&visible, why->data != NULL ? why->data : "", why->size);
    (void)fprintf(stderr, "paddock-supervisor: %s\n",
                  visible.data != NULL ? visible.data : "");
    return code;
}

int command_line_finish(int code)
{
    autobuffer struct buffer why = BUFFER_INIT(1024);
    int error = fd_flush_stdout();

    if (error == 0) {
        return code;
    }
    if (error != -EPIPE) {
        buffer_printf(&why, "unable to write to standard output: %s", strerror(-error));
        (void)command_line_complain(ROLE_EXIT_SYSTEM, &why);
    }
    return ROLE_EXIT_SYSTEM;
}
