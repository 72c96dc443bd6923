/* SPDX-License-Identifier: MIT */
/* Writing values. Runs in the `paddock` command; sizes are what comes, not what is said.
 */
#include "supervisor/ctl/values.h"

#include "common/fd.h"
#include "common/utf8.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

void values_init(struct values *values, int file)
{
    *values = (struct values){.file = file, .cut = BUFFER_INIT(3 * LIMIT_RECORD)};
}

void values_done(struct values *values)
{
    close_fd(&values->file);
    buffer_done(&values->cut);
}

static void put(struct values *values, const char *bytes, size_t size)
{
    if (values->error == 0 && values->file >= 0) {
        values->error = fd_write_full(values->file, bytes, size);
    }
}

/* On one line, as UTF-8: a blank of JSON may be any other. */
static void put_line(struct values *values, const char *bytes, size_t size)
{
    autobuffer struct buffer line = BUFFER_INIT(6 * LIMIT_RECORD);

    buffer_add_utf8(&line, bytes, size);
    for (size_t i = 0; i < line.size; i++) {
        line.data[i] = (unsigned char)line.data[i] < ' ' ? ' ' : line.data[i];
    }
    put(values, line.data, line.size);
}

static void begin(struct values *values, uint64_t total)
{
    values->got = 0;
    values->total = total;
    values->begin = lseek(values->file, 0, SEEK_CUR);
    buffer_reset(&values->cut);
    json_check_begin(&values->check);
}

static void leave_out(struct values *values)
{
    if (values->file >= 0 && (ftruncate(values->file, values->begin) != 0 ||
                              lseek(values->file, values->begin, SEEK_SET) < 0)) {
        values->error = values->error == 0 ? -errno : values->error;
    }
}

/* All of it has come, with the record at that offset. */
static void finish(struct values *values, uint64_t offset)
{
    if (json_check_end(&values->check)) {
        put(values, "\n", 1);
    } else {
        values->first_wrong = values->wrong == 0 ? offset : values->first_wrong;
        values->wrong++;
        leave_out(values);
    }
    values->got = values->total = 0;
}

void values_end(struct values *values)
{
    if (values->got < values->total) {
        values->halves++;
        leave_out(values);
    }
    values->got = values->total = 0;
}

void values_take(struct values *values, const struct wire_decoded *record)
{
    uint64_t total = wire_find(record, "total")->number;
    const struct wire_field *part = wire_find(record, "part");
    size_t size, whole;

    if (values->got == 0 || total != values->total) {
        values_end(values);
        begin(values, total);
    }
    size = part->size < total - values->got ? part->size : (size_t)(total - values->got);
    values->got += size;
    json_check_add(&values->check, part->bytes, size);
    buffer_add(&values->cut, part->bytes, size);
    whole = values->got == total ? values->cut.size
                                 : utf8_whole(values->cut.data, values->cut.size);
    put_line(values, values->cut.data, whole);
    buffer_consume(&values->cut, whole);
    if (values->got == total) {
        finish(values, record->offset);
    }
}
