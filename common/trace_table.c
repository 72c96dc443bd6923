/* SPDX-License-Identifier: MIT */
/*
 * Tables of a recording. Runs in the `paddock` command, on what a hostile program may
 * have written: more rows than there may be, or in another order, are not kept, and what
 * is not kept is unknown.
 */
#include "common/trace_table.h"

#include "common/utf8.h"

/* Room for one row more. Returns it, or NULL when the table is full. */
static void *add_row(struct trace_table *table, size_t size)
{
    size_t room = table->room > 0 ? table->room * 2 : 64;
    void *grown;

    if (table->count == TRACE_TABLE) {
        return NULL;
    }
    if (table->count == table->room) {
        grown = realloc(table->rows, room * size);
        if (grown == NULL) {
            return NULL;
        }
        table->rows = grown;
        table->room = room;
    }
    return (char *)table->rows + size * table->count++;
}

/* Returns the text's place, 0 where there is no room for it. */
static uint32_t keep_text(struct trace_tables *tables, const struct wire_field *field)
{
    char clean[TRACE_TEXT_ONE + 1];
    size_t size = utf8_copy_clean(clean, sizeof(clean), field->bytes, field->size);
    size_t place = tables->texts.size;

    buffer_add(&tables->texts, clean, size + 1);
    return buffer_error(&tables->texts) == 0 ? (uint32_t)place : 0;
}

static void keep_in(struct trace_tables *tables, struct trace_table *table,
                    uint64_t index, const struct wire_field *text)
{
    uint32_t *row = index == table->count ? add_row(table, sizeof(*row)) : NULL;

    if (row != NULL) {
        *row = keep_text(tables, text);
    }
}

void trace_keep_file(struct trace_tables *tables, const struct wire_decoded *record)
{
    keep_in(tables, &tables->files, record->fields[0].number, &record->fields[1]);
}

void trace_keep_name(struct trace_tables *tables, const struct wire_decoded *record)
{
    keep_in(tables, &tables->names, record->fields[0].number - 1, &record->fields[1]);
}

struct function {
    uint32_t name; /* its place in `texts` */
    uint64_t file, line;
};

void trace_keep_function(struct trace_tables *tables, const struct wire_decoded *record)
{
    const struct wire_field *fields = record->fields;
    struct function *row = fields[0].number == tables->functions.count + 1
                               ? add_row(&tables->functions, sizeof(*row))
                               : NULL;

    if (row != NULL) {
        *row = (struct function){.name = keep_text(tables, &fields[3]),
                                 .file = fields[1].number,
                                 .line = fields[2].number};
    }
}

static const char *text_of(const struct trace_tables *tables,
                           const struct trace_table *table, uint64_t index)
{
    const uint32_t *places = table->rows;

    return tables->texts.data + (index < table->count ? places[index] : 0);
}

struct trace_function trace_find_function(const struct trace_tables *tables,
                                          uint64_t number)
{
    const struct function *function = tables->functions.rows;
    const char *unknown = tables->texts.data;

    if (number == 0 || number > tables->functions.count) {
        return (struct trace_function){unknown, unknown, 0};
    }
    function += number - 1;
    return (struct trace_function){.name = tables->texts.data + function->name,
                                   .path =
                                       text_of(tables, &tables->files, function->file),
                                   .line = function->line};
}

const char *trace_find_name(const struct trace_tables *tables, uint64_t number)
{
    return text_of(tables, &tables->names, number - 1);
}

int trace_tables_init(struct trace_tables *tables)
{
    *tables = (struct trace_tables){.texts = BUFFER_INIT(TRACE_TEXT)};
    buffer_add(&tables->texts, "?", sizeof("?"));
    return buffer_error(&tables->texts);
}

void trace_tables_done(struct trace_tables *tables)
{
    free(tables->files.rows);
    free(tables->names.rows);
    free(tables->functions.rows);
    buffer_done(&tables->texts);
}
