/* SPDX-License-Identifier: MIT */
/*
 * The records of a recording as lines of JSON (common/wire_json.h), whatever form it has.
 * Runs in the `paddock` command, on a recording that may be a hostile program's.
 */
#include "common/wire_json.h"
#include "supervisor/ctl/export.h"

struct json {
    FILE *out; /* borrowed */
    struct wire_lines lines;
};

static void *json_new(FILE *out)
{
    struct json *json = calloc(1, sizeof(*json));

    if (json != NULL) {
        json->out = out;
    }
    return json;
}

static void write_out(const struct json *json, const struct buffer *line)
{
    if (line->size > 0 && buffer_error(line) == 0) {
        (void)fwrite(line->data, 1, line->size, json->out);
    }
}

static void json_record(void *state, const struct wire_decoded *record)
{
    autobuffer struct buffer line = BUFFER_INIT(LIMIT_LINE);
    struct json *json = state;

    wire_lines_add(&json->lines, record, &line);
    write_out(json, &line);
}

static void json_end(void *state, const struct trace *trace)
{
    autobuffer struct buffer line = BUFFER_INIT(LIMIT_LINE);
    struct json *json = state;

    wire_lines_end(&json->lines, &line);
    write_out(json, &line);
}

const struct export_format export_json = {.name = "json",
                                          .new_state = json_new,
                                          .free_state = free,
                                          .record = json_record,
                                          .end = json_end};
