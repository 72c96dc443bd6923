/* SPDX-License-Identifier: MIT */
/*
 * paddock-tables: prints the tables of common/ in other languages, so that they are
 * written once. A tool of the build: `lua` makes the head of the Functions library,
 * `protocol` the tables of docs/PROTOCOL.md.
 */
#include "common/job.h"
#include "common/verdict.h"
#include "common/wire.h"

#include <stdio.h>
#include <string.h>

/* Of the Functions library: bumped with every change of it or of these tables. */
#define FUNCTIONS_VERSION 19

static const char *const type_names[] = {
    [JOB_FIELD_TEXT] = "text",     [JOB_FIELD_BYTES] = "bytes",
    [JOB_FIELD_NUMBER] = "number", [JOB_FIELD_CHOICE] = "choice",
    [JOB_FIELD_NAME] = "name",
};

/* ---- Lua ---- */

static void lua_string(const char *text)
{
    (void)putchar('"');
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\') {
            (void)putchar('\\');
        }
        (void)putchar(*text);
    }
    (void)putchar('"');
}

static void lua_choices(const char *choices)
{
    (void)fputs(", choices = {", stdout);
    while (*choices != '\0') {
        size_t size = strcspn(choices, " ");

        (void)printf("[\"%.*s\"] = true, ", (int)size, choices);
        choices += size + (choices[size] == ' ');
    }
    (void)putchar('}');
}

static void lua_field(const struct job_field *field)
{
    autobuffer struct buffer takes = BUFFER_INIT(1024);

    (void)printf(
        "  [\"%s\"] = {type = \"%s\", min = %lld, max = %lld, default = ", field->name,
        type_names[field->type], (long long)field->min, (long long)field->max);
    lua_string(field->initial);
    if (field->type == JOB_FIELD_CHOICE) {
        lua_choices(field->choices);
    }
    job_field_say(field, &takes);
    (void)fputs(", takes = ", stdout);
    lua_string(takes.data != NULL ? takes.data : "");
    (void)fputs("},\n", stdout);
}

static void lua_verdict(const struct verdict_row *row)
{
    (void)printf("  [\"%s\"] = {exit_code = %d, sentence = ", row->name, row->exit_code);
    (void)putchar('"');
    (void)fputs(row->happened, stdout);
    (void)printf("%s%s\"},\n", *row->try_this != '\0' ? " " : "", row->try_this);
}

static int print_lua(void)
{
    (void)printf("local VERSION = %d\n\nlocal FIELDS = {\n", FUNCTIONS_VERSION);
    for (size_t i = 0; i < job_field_count; i++) {
        lua_field(&job_fields[i]);
    }
    (void)fputs("}\n\nlocal VERDICTS = {\n", stdout);
    for (int i = VERDICT_NONE + 1; i < VERDICT_COUNT; i++) {
        lua_verdict(verdict_row((enum verdict)i));
    }
    (void)fputs("}\n\n", stdout);
    return 0;
}

/* ---- Markdown ---- */

static void print_fields(void)
{
    (void)fputs("<!-- table: fields -->\n| field | takes | default | what it is "
                "|\n|---|---|---|---|\n",
                stdout);
    for (size_t i = 0; i < job_field_count; i++) {
        const struct job_field *field = &job_fields[i];
        autobuffer struct buffer takes = BUFFER_INIT(1024);

        job_field_say(field, &takes);
        (void)printf("| `%s` | %s | %s%s%s | %s |\n", field->name, takes.data,
                     *field->initial != '\0' ? "`" : "", field->initial,
                     *field->initial != '\0' ? "`" : "", field->help);
    }
    (void)fputs("<!-- end -->\n", stdout);
}

static void print_verdicts(void)
{
    static const struct {
        unsigned source;
        const char *name;
    } sources[] = {{VERDICT_FROM_CLAIM, "claim"},
                   {VERDICT_FROM_EVIDENCE, "evidence"},
                   {VERDICT_FROM_QUEUE, "queue"}};

    (void)fputs("<!-- table: verdicts -->\n| verdict | from | exit code | sentence "
                "|\n|---|---|---|---|\n",
                stdout);
    for (int i = VERDICT_NONE + 1; i < VERDICT_COUNT; i++) {
        const struct verdict_row *row = verdict_row((enum verdict)i);
        const char *separator = "";

        (void)printf("| `%s` | ", row->name);
        for (size_t k = 0; k < array_size(sources); k++) {
            if ((row->sources & sources[k].source) != 0) {
                (void)printf("%s%s", separator, sources[k].name);
                separator = ", ";
            }
        }
        if (row->exit_code >= 0) {
            (void)printf(" | %d | %s %s |\n", row->exit_code, row->happened,
                         row->try_this);
        } else {
            (void)printf(" | its own | %s %s |\n", row->happened, row->try_this);
        }
    }
    (void)fputs("<!-- end -->\n", stdout);
}

static void print_records(void)
{
    (void)fputs("<!-- table: records -->\n| kind | record | fields | what it says "
                "|\n|---|---|---|---|\n",
                stdout);
    for (int i = 0; i < WIRE_KIND_LIMIT; i++) {
        if (wire_records[i].name != NULL) {
            (void)printf("| %d | `%s` | `%s` | %s |\n", i, wire_records[i].name,
                         wire_records[i].fields, wire_records[i].help);
        }
    }
    (void)fputs("<!-- end -->\n", stdout);
}

static int print_protocol(void)
{
    print_fields();
    print_verdicts();
    print_records();
    return 0;
}

/* ---- the command line ---- */

static int print_help(void)
{
    (void)puts(
        "usage: paddock-tables lua|protocol\n"
        "Prints the tables of fields, verdicts and records: as Lua, or as Markdown.");
    return 0;
}

static const struct {
    const char *name;
    int (*print)(void);
} commands[] = {{"lua", print_lua}, {"protocol", print_protocol}, {"--help", print_help}};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc == 2 && i < array_size(commands); i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            return commands[i].print();
        }
    }
    (void)fputs("usage: paddock-tables lua|protocol\n", stderr);
    return 2;
}
