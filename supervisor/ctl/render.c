/* SPDX-License-Identifier: MIT */
/*
 * Rendering. Runs in the `paddock` command. In text, a program's bytes go out as they
 * are, as running it would have done; in JSON everything is escaped, so that no program
 * can make up a line of ours.
 */
#include "supervisor/ctl/render.h"

#include "common/fd.h"
#include "common/limits.h"
#include "common/utf8.h"
#include "common/verdict.h"
#include "supervisor/ctl/json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TABLE_MAX 65536 /* files and functions that are remembered */
#define THREADS   64

struct function {
    uint64_t file, line;
    char name[96];
};

struct renderer {
    bool json;
    int error;          /* of the first write to our own output that failed */
    char (*files)[160]; /* owned, TABLE_MAX at most */
    size_t file_count;
    struct function *functions; /* owned */
    size_t function_count;
    uint64_t thread;
    unsigned depth[THREADS];
    uint64_t seen; /* trace records */
};

struct renderer *render_new(bool json)
{
    struct renderer *renderer = calloc(1, sizeof(*renderer));

    if (renderer != NULL) {
        renderer->json = json;
    }
    return renderer;
}

void render_free(struct renderer *renderer)
{
    if (renderer != NULL) {
        free(renderer->files);
        free(renderer->functions);
        free(renderer);
    }
}

int render_error(const struct renderer *renderer)
{
    return renderer->error;
}

static void write_to(struct renderer *renderer, int fd, const char *bytes, size_t size)
{
    if (renderer->error == 0) {
        renderer->error = fd_write_full(fd, bytes, size);
    }
}

static void say(struct renderer *renderer, const char *format, ...) printf_like(2, 3);
static void say(struct renderer *renderer, const char *format, ...)
{
    autobuffer struct buffer text = BUFFER_INIT(KIB(64));
    va_list args;

    buffer_add_text(&text, "paddock: ");
    va_start(args, format);
    buffer_vprintf(&text, format, args);
    va_end(args);
    buffer_add_char(&text, '\n');
    if (text.data != NULL) {
        write_to(renderer, STDERR_FILENO, text.data, text.size);
    }
}

/* ---- text ---- */

static uint64_t number(const struct wire_decoded *record, const char *name)
{
    const struct wire_field *field = wire_find(record, name);

    return field != NULL ? field->number : 0;
}

static void text_output(struct renderer *renderer, const struct wire_decoded *record)
{
    const struct wire_field *data = wire_find(record, "data");

    write_to(renderer, record->kind == WIRE_ERR ? STDERR_FILENO : STDOUT_FILENO,
             data->bytes, data->size);
}

/* Tables grow by one entry at a time, numbered as the sandbox numbers them; anything else
 * is ignored. */
static void text_file(struct renderer *renderer, const struct wire_decoded *record)
{
    const struct wire_field *path = wire_find(record, "path");
    void *grown;

    if (number(record, "file") != renderer->file_count ||
        renderer->file_count == TABLE_MAX) {
        return;
    }
    grown =
        realloc(renderer->files, (renderer->file_count + 1) * sizeof(*renderer->files));
    if (grown != NULL) {
        renderer->files = grown;
        (void)utf8_copy_clean(renderer->files[renderer->file_count++],
                              sizeof(*renderer->files), path->bytes, path->size);
    }
}

static void text_function(struct renderer *renderer, const struct wire_decoded *record)
{
    const struct wire_field *name = wire_find(record, "name");
    const struct wire_field *file = &record->fields[1];
    struct function *grown;

    if (record->fields[0].number != renderer->function_count + 1 ||
        renderer->function_count == TABLE_MAX) {
        return;
    }
    grown = realloc(renderer->functions, (renderer->function_count + 1) * sizeof(*grown));
    if (grown != NULL) {
        struct function *function = &grown[renderer->function_count++];

        renderer->functions = grown;
        function->file = file->number;
        function->line = number(record, "line");
        (void)utf8_copy_clean(function->name, sizeof(function->name), name->bytes,
                              name->size);
    }
}

static unsigned *depth_of(struct renderer *renderer)
{
    return &renderer->depth[renderer->thread < THREADS ? renderer->thread : THREADS - 1];
}

static void text_thread(struct renderer *renderer, const struct wire_decoded *record)
{
    renderer->thread = number(record, "thread");
}

/* As the tracer of 2010 printed them: who was called, and where it stands. */
static void text_call(struct renderer *renderer, const struct wire_decoded *record)
{
    uint64_t id = number(record, "function");
    unsigned *depth = depth_of(renderer);
    char line[512];

    renderer->seen++;
    if (id == 0 || id > renderer->function_count) {
        (void)snprintf(line, sizeof(line), "%*s?\n", (int)(2 * (*depth % 40)), "");
    } else {
        const struct function *function = &renderer->functions[id - 1];
        const char *file =
            function->file < renderer->file_count ? renderer->files[function->file] : "?";

        (void)snprintf(line, sizeof(line), "%*s%s:%llu %s\n", (int)(2 * (*depth % 40)),
                       "", file, (unsigned long long)function->line, function->name);
    }
    ++*depth;
    write_to(renderer, STDERR_FILENO, line, strlen(line));
}

static void text_return(struct renderer *renderer, const struct wire_decoded *record)
{
    unsigned *depth = depth_of(renderer);

    renderer->seen++;
    *depth -= *depth > 0;
}

static void text_sync(struct renderer *renderer, const struct wire_decoded *record)
{
    renderer->thread = number(record, "thread");
    *depth_of(renderer) = (unsigned)number(record, "stack");
}

static void text_dropped(struct renderer *renderer, const struct wire_decoded *record)
{
    uint64_t produced = number(record, "produced");

    if (produced > renderer->seen) {
        say(renderer, "%llu calls and returns are left out here (see --recording-kb)",
            (unsigned long long)(produced - renderer->seen));
        renderer->seen = produced;
    }
}

static void (*const text_records[WIRE_KIND_LIMIT])(struct renderer *,
                                                   const struct wire_decoded *) = {
    [WIRE_OUT] = text_output,    [WIRE_ERR] = text_output,
    [WIRE_FILE] = text_file,     [WIRE_FUNCTION] = text_function,
    [WIRE_CALL] = text_call,     [WIRE_RETURN] = text_return,
    [WIRE_UNWIND] = text_return, [WIRE_THREAD] = text_thread,
    [WIRE_SYNC] = text_sync,     [WIRE_DROPPED] = text_dropped,
};

/* ---- JSON ---- */

static void json_line(struct renderer *renderer, const char *json, size_t size)
{
    write_to(renderer, STDOUT_FILENO, json, size);
    write_to(renderer, STDOUT_FILENO, "\n", 1);
}

static void json_record(struct renderer *renderer, const struct wire_decoded *record)
{
    autobuffer struct buffer line = BUFFER_INIT(8 * LIMIT_RECORD);

    wire_to_json(record, &line);
    buffer_add_char(&line, '\n');
    if (buffer_error(&line) == 0) {
        write_to(renderer, STDOUT_FILENO, line.data, line.size);
    }
}

/* ---- both ---- */

void render_record(struct renderer *renderer, const struct wire_decoded *record)
{
    if (renderer->json) {
        json_record(renderer, record);
    } else if (text_records[record->kind] != NULL) {
        text_records[record->kind](renderer, record);
    }
}

void render_state(struct renderer *renderer, const char *json, size_t size, int attempt)
{
    if (renderer->json) {
        json_line(renderer, json, size);
    } else if (attempt > 1) {
        say(renderer,
            "the run was interrupted through no fault of the program; it starts again");
    }
    renderer->file_count = renderer->function_count = 0;
    renderer->thread = renderer->seen = 0;
    memset(renderer->depth, 0, sizeof(renderer->depth));
}

void render_torn(struct renderer *renderer, const char *why)
{
    say(renderer, "the recording cannot be read on, %s", why);
}

void render_result(struct renderer *renderer, const char *json, size_t size)
{
    autobuffer struct buffer verdict = BUFFER_INIT(64), sentence = BUFFER_INIT(KIB(32));

    if (renderer->json) {
        json_line(renderer, json, size);
    } else if (json_text(json, "verdict", &verdict) &&
               json_text(json, "sentence", &sentence) &&
               strcmp(verdict.data, verdict_row(VERDICT_OK)->name) != 0) {
        char clean[8192];

        (void)utf8_copy_clean(clean, sizeof(clean), sentence.data, sentence.size);
        say(renderer, "%s", clean);
    }
}
