/* SPDX-License-Identifier: MIT */
/*
 * A recording as collapsed stacks, "a;b;c N", of which flamegraph.pl makes a picture: for
 * each stack of calls that there was, the microseconds that it was the whole stack. Each
 * line has all the names of its stack: where there is no more room for another one, its
 * time is its callers'. Runs in the `paddock` command; names of a program cannot bring a
 * ';' or a new line.
 */
#include "supervisor/ctl/export.h"

#include <string.h>

#define NODES_MAX (1u << 18) /* different stacks; the time of more is their callers' */
#define SLOTS     (NODES_MAX * 2)
#define DEPTH_MAX 512 /* calls of one stack; the time of deeper ones is the last's */

/* A stack: a call on top of another stack. Number 0 is the empty one. */
struct node {
    uint32_t parent;
    uint32_t what; /* a function's number, or THREAD and a thread's */
    uint32_t size; /* bytes of its line, without the number */
    uint64_t own_us;
};

#define THREAD (1u << 31)

/* Where a thread stands. */
struct place {
    uint32_t node, depth;
    uint32_t root;    /* the node of the thread itself */
    uint64_t skipped; /* calls on top of the node's that have none */
    uint64_t since_us;
    bool known;
};

struct flame {
    FILE *out;
    struct buffer frame; /* one, as it is written */
    struct room room;    /* for the lines of all nodes */
    struct node *nodes;  /* owned, NODES_MAX */
    uint32_t *slots;     /* owned, SLOTS: numbers of nodes by hash, 0: free */
    uint32_t count;
    struct place places[WIRE_THREADS_MAX];
};

static void flame_free(void *state)
{
    struct flame *flame = state;

    free(flame->nodes);
    free(flame->slots);
    buffer_done(&flame->frame);
    free(flame);
}

static void *flame_new(FILE *out)
{
    struct flame *flame = calloc(1, sizeof(*flame));

    if (flame == NULL) {
        return NULL;
    }
    flame->out = out;
    flame->room.base = ROOM_FILE;
    flame->frame = BUFFER_INIT(KIB(4));
    flame->nodes = calloc(NODES_MAX, sizeof(*flame->nodes));
    flame->slots = calloc(SLOTS, sizeof(*flame->slots));
    flame->count = 1;
    if (flame->nodes == NULL || flame->slots == NULL) {
        flame_free(flame);
        return NULL;
    }
    return flame;
}

/* ---- frames ---- */

static void add_text(struct buffer *to, const char *text)
{
    for (; *text != '\0'; text++) {
        bool splits = *text == ';' || *text == '\n' || *text == '\t';

        buffer_add_char(to, splits ? '_' : *text);
    }
}

static void add_frame(const struct trace *trace, uint32_t what, struct buffer *to)
{
    struct trace_function function = trace_function(trace, what);
    char name[ROOM_TEXT], path[ROOM_TEXT];

    if ((what & THREAD) != 0) {
        buffer_printf(to, "thread %u", what & ~THREAD);
        return;
    }
    add_text(to, room_name(function.name, name));
    buffer_add_text(to, " (");
    add_text(to, room_path(function.path, path));
    buffer_printf(to, ":%llu)", (unsigned long long)function.line);
}

/* ---- stacks ---- */

/* Adds the last of the nodes, and its line to what will be written. */
static void add_node(struct flame *flame, const struct trace *trace, uint32_t parent,
                     uint32_t what)
{
    struct node *node = &flame->nodes[flame->count++];

    buffer_reset(&flame->frame);
    add_frame(trace, what, &flame->frame);
    *node = (struct node){.parent = parent, .what = what};
    node->size = flame->nodes[parent].size + (uint32_t)flame->frame.size + 1;
    flame->room.used += node->size;
}

/* The node of `what` on top of `parent`, made where there was none; 0 without room. */
static uint32_t node_on(struct flame *flame, const struct trace *trace, uint32_t parent,
                        uint32_t what)
{
    uint64_t hash = ((uint64_t)parent << 32 | what) * UINT64_C(0x9e3779b97f4a7c15);
    uint32_t slot = (uint32_t)(hash >> 40) % SLOTS;
    uint32_t number;

    /* Half of the slots are always free. */
    while ((number = flame->slots[slot]) != 0) {
        if (flame->nodes[number].parent == parent && flame->nodes[number].what == what) {
            return number;
        }
        slot = (slot + 1) % SLOTS;
    }
    if (flame->count == NODES_MAX || !room_left(&flame->room)) {
        return 0;
    }
    flame->slots[slot] = flame->count;
    add_node(flame, trace, parent, what);
    return flame->count - 1;
}

/* Gives the time since the thread's last call to where it stood. */
static struct place *settle(struct flame *flame, const struct trace *trace,
                            const struct trace_event *event)
{
    struct place *place = &flame->places[event->thread];

    flame->room.read = event->offset;
    if (!place->known) {
        place->known = true;
        place->root = event->thread > 0
                          ? node_on(flame, trace, 0, THREAD | (uint32_t)event->thread)
                          : 0;
        place->node = place->root;
    } else if (place->depth > 0) {
        flame->nodes[place->node].own_us += event->time_us - place->since_us;
    }
    place->since_us = event->time_us;
    return place;
}

static void enter(struct flame *flame, const struct trace *trace,
                  const struct trace_event *event)
{
    struct place *place = settle(flame, trace, event);
    uint32_t node = place->skipped > 0 || place->depth == DEPTH_MAX
                        ? 0
                        : node_on(flame, trace, place->node, event->function);

    if (node == 0) {
        place->skipped++;
        return;
    }
    place->node = node;
    place->depth++;
}

static void leave(struct flame *flame, const struct trace *trace,
                  const struct trace_event *event)
{
    struct place *place = settle(flame, trace, event);

    if (place->skipped > 0) {
        place->skipped--;
        return;
    }
    place->node = flame->nodes[place->node].parent;
    place->depth--;
}

static void (*const takers[WIRE_KIND_LIMIT])(struct flame *flame,
                                             const struct trace *trace,
                                             const struct trace_event *event) = {
    [WIRE_CALL] = enter,   [WIRE_RESUME] = enter, [WIRE_RETURN] = leave,
    [WIRE_UNWIND] = leave, [WIRE_YIELD] = leave,
};

static void flame_event(void *state, const struct trace *trace,
                        const struct trace_event *event)
{
    if (takers[event->kind] != NULL) {
        takers[event->kind](state, trace, event);
    }
}

/* ---- the file ---- */

static void write_stack(const struct flame *flame, const struct trace *trace,
                        uint32_t number, struct buffer *line)
{
    uint32_t path[DEPTH_MAX + 1];
    size_t depth = 0;

    for (uint32_t at = number; at != 0; at = flame->nodes[at].parent) {
        path[depth++] = at;
    }
    while (depth > 0) {
        add_frame(trace, flame->nodes[path[--depth]].what, line);
        buffer_add_text(line, depth > 0 ? ";" : "");
    }
    buffer_printf(line, " %llu\n", (unsigned long long)flame->nodes[number].own_us);
    if (buffer_error(line) == 0) {
        (void)fwrite(line->data, 1, line->size, flame->out);
    }
    buffer_reset(line);
}

static void flame_end(void *state, const struct trace *trace)
{
    const struct flame *flame = state;
    autobuffer struct buffer line = BUFFER_INIT(MIB(1));

    for (uint32_t i = 1; i < flame->count; i++) {
        if (flame->nodes[i].own_us > 0) {
            write_stack(flame, trace, i, &line);
        }
    }
}

const struct export_format export_flame = {
    .name = "flame",
    .limits = {.repeat = 1 << 16, .deep = 1 << 16, .total = 1 << 27, .calls_only = true},
    .new_state = flame_new,
    .free_state = flame_free,
    .event = flame_event,
    .end = flame_end,
};
