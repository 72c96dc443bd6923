/* SPDX-License-Identifier: MIT */
/*
 * A recording as speedscope's file format: one evented profile per thread. Runs in the
 * `paddock` command. The profiles stand one after the other in the file, and so the
 * events of all are kept until the end: so many and no more.
 */
#include "supervisor/ctl/export.h"

#include <string.h>

#define MARKS_MAX (16u << 20) /* of all threads, 16 bytes each; and the ends of those */
#define DEPTH_MAX 2000        /* calls within one another: speedscope recurses as deep */

struct mark {
    uint64_t at;
    uint32_t frame; /* the function's number: 0 is "?" */
    bool open;
};

struct profile {
    struct mark *marks; /* owned */
    size_t count, room;
    size_t open;      /* calls that have a mark and are open */
    uint64_t skipped; /* those on top of these that have none */
};

struct speedscope {
    FILE *out;
    struct profile profiles[WIRE_THREADS_MAX];
    size_t count;      /* marks of all */
    uint64_t left_out; /* calls */
};

static void *speedscope_new(FILE *out)
{
    struct speedscope *scope = calloc(1, sizeof(*scope));

    if (scope != NULL) {
        scope->out = out;
    }
    return scope;
}

static void speedscope_free(void *state)
{
    struct speedscope *scope = state;

    for (size_t i = 0; i < WIRE_THREADS_MAX; i++) {
        free(scope->profiles[i].marks);
    }
    free(scope);
}

/* Room for one call that is opened, and for the ends of it and of all that are open: no
 * end is ever left out. */
static bool has_room(const struct speedscope *scope, struct profile *profile)
{
    size_t needed = profile->count + profile->open + 2;
    size_t room = profile->room > 0 ? profile->room : 64;
    struct mark *marks;

    if (scope->count >= MARKS_MAX) {
        return false;
    }
    if (needed <= profile->room) {
        return true;
    }
    while (room < needed) {
        room *= 2;
    }
    marks = realloc(profile->marks, room * sizeof(*marks));
    if (marks != NULL) {
        profile->marks = marks;
        profile->room = room;
    }
    return marks != NULL;
}

static void add(struct speedscope *scope, struct profile *profile,
                const struct trace_event *event, bool open)
{
    profile->marks[profile->count++] =
        (struct mark){.at = event->time_us, .frame = event->function, .open = open};
    scope->count++;
}

static void open_call(struct speedscope *scope, struct profile *profile,
                      const struct trace_event *event)
{
    if (profile->skipped > 0 || profile->open == DEPTH_MAX || !has_room(scope, profile)) {
        profile->skipped++;
        scope->left_out++;
        return;
    }
    profile->open++;
    add(scope, profile, event, true);
}

static void close_call(struct speedscope *scope, struct profile *profile,
                       const struct trace_event *event)
{
    if (profile->skipped > 0) {
        profile->skipped--;
        return;
    }
    profile->open--;
    add(scope, profile, event, false);
}

static void (*const takers[WIRE_KIND_LIMIT])(struct speedscope *scope,
                                             struct profile *profile,
                                             const struct trace_event *event) = {
    [WIRE_CALL] = open_call,    [WIRE_RESUME] = open_call, [WIRE_RETURN] = close_call,
    [WIRE_UNWIND] = close_call, [WIRE_YIELD] = close_call,
};

static void speedscope_event(void *state, const struct trace *trace,
                             const struct trace_event *event)
{
    struct speedscope *scope = state;

    if (takers[event->kind] != NULL) {
        takers[event->kind](scope, &scope->profiles[event->thread], event);
    }
}

/* ---- the file ---- */

static void write_frame(FILE *out, struct trace_function function, bool first)
{
    autobuffer struct buffer line = BUFFER_INIT(LIMIT_RECORD);

    buffer_add_text(&line, first ? "\n{\"name\":" : ",\n{\"name\":");
    buffer_add_json_string(&line, function.name, strlen(function.name));
    buffer_add_text(&line, ",\"file\":");
    buffer_add_json_string(&line, function.path, strlen(function.path));
    if (function.line > 0) {
        buffer_printf(&line, ",\"line\":%llu", (unsigned long long)function.line);
    }
    buffer_add_char(&line, '}');
    (void)fwrite(line.data, 1, line.size, out);
}

/* What begins and ends in one moment is not shown: within a microsecond each mark is a
 * nanosecond later than the one before it. */
static uint64_t later(const struct mark *mark, uint64_t before_ns)
{
    uint64_t ns = 1000 * mark->at;

    return ns > before_ns ? ns : before_ns + 1;
}

static void write_profile(FILE *out, const struct profile *profile, size_t thread,
                          bool first)
{
    char text[EXPORT_US_MAX];
    uint64_t ns = 0;

    (void)fprintf(out,
                  "%s\n{\"type\":\"evented\",\"name\":\"%s %zu\","
                  "\"unit\":\"microseconds\",\"startValue\":0,\"events\":[",
                  first ? "" : ",", thread == 0 ? "main thread" : "thread", thread);
    for (size_t i = 0; i < profile->count; i++) {
        const struct mark *mark = &profile->marks[i];

        ns = later(mark, ns);
        (void)fprintf(out, "%s\n{\"type\":\"%c\",\"frame\":%u,\"at\":%s}",
                      i == 0 ? "" : ",", mark->open ? 'O' : 'C', mark->frame,
                      export_us(ns, text));
    }
    (void)fprintf(out, "],\"endValue\":%s}", export_us(ns, text));
}

/* The first thread always has a profile: the file is to have one. */
static void speedscope_end(void *state, const struct trace *trace)
{
    const struct speedscope *scope = state;

    (void)fputs("{\"$schema\":\"https://www.speedscope.app/file-format-schema.json\","
                "\"exporter\":\"paddock " PADDOCK_VERSION "\",\n"
                "\"shared\":{\"frames\":[",
                scope->out);
    for (uint32_t i = 0; i <= trace_functions(trace); i++) {
        write_frame(scope->out, trace_function(trace, i), i == 0);
    }
    (void)fputs("]},\n\"profiles\":[", scope->out);
    for (size_t i = 0; i < WIRE_THREADS_MAX; i++) {
        if (i == 0 || scope->profiles[i].count > 0) {
            write_profile(scope->out, &scope->profiles[i], i, i == 0);
        }
    }
    (void)fputs("]}\n", scope->out);
}

static void speedscope_left_out(const void *state, struct buffer *to)
{
    const struct speedscope *scope = state;

    if (scope->left_out > 0) {
        buffer_printf(to,
                      "%llu calls are left out: there are too many for this format, or "
                      "they are too "
                      "deep",
                      (unsigned long long)scope->left_out);
    }
}

const struct export_format export_speedscope = {
    .name = "speedscope",
    .limits = {.repeat = 4096, .deep = 4096, .total = 1 << 21, .calls_only = true},
    .room = ROOM_FILE,
    .new_state = speedscope_new,
    .free_state = speedscope_free,
    .event = speedscope_event,
    .end = speedscope_end,
    .left_out = speedscope_left_out,
};
