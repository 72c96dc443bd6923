/* SPDX-License-Identifier: MIT */
/*
 * `paddock save`. Runs in the `paddock` command, on a recording that may be a hostile
 * program's: a name in it becomes a file only where it is a plain one, in a folder that
 * is ours, and a value a line only where it is JSON; sizes are what comes, not what is
 * said.
 */
#include "supervisor/ctl/save_command.h"

#include "common/cleanup.h"
#include "common/fd.h"
#include "common/utf8.h"
#include "supervisor/ctl/complain.h"
#include "supervisor/ctl/decoder.h"
#include "supervisor/ctl/recording.h"
#include "supervisor/ctl/values.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct saving {
    const char *folder;         /* to be made */
    int root, recording, files; /* owned; the first and the last one are folders */
    struct values values;
    struct decoder decoder;
    int part;       /* owned: the file whose parts come; -1: none */
    char name[256]; /* its name, or the beginning of one that is too long */
    size_t name_size;
    uint64_t got, total;
    size_t halves;               /* files that are not whole */
    size_t refused;              /* of names that are no plain ones ... */
    struct buffer first_refused; /* ... the first of them */
    int error;                   /* of the first write that failed */
};

static void put(struct saving *saving, int fd, const char *bytes, size_t size)
{
    if (saving->error == 0 && fd >= 0) {
        saving->error = fd_write_full(fd, bytes, size);
    }
}

/* ---- what a program gave back ---- */

/* One that can be printed, without folders. */
static bool is_plain(const char *name, size_t size)
{
    if (size == 0 || size > 255 || (size == 1 && name[0] == '.') ||
        (size == 2 && memcmp(name, "..", 2) == 0)) {
        return false;
    }
    for (size_t i = 0, length; i < size; i += length) {
        int sequence = utf8_sequence(name + i, size - i);
        unsigned char c = (unsigned char)name[i];

        length = sequence > 0 ? (size_t)sequence : 1;
        if (sequence <= 0 || c < 0x20 || c == 0x7f || c == '/' || c == '\\' ||
            utf8_moves(name + i, length)) {
            return false;
        }
    }
    return true;
}

static void end_file(struct saving *saving)
{
    saving->halves += saving->part >= 0 && saving->got < saving->total;
    close_fd(&saving->part);
}

/* The module lets no program save it. */
static void refuse_file(struct saving *saving, const struct wire_field *name)
{
    if (saving->refused++ == 0) {
        buffer_add(&saving->first_refused, name->bytes,
                   name->size < sizeof(saving->name) ? name->size : sizeof(saving->name));
    }
}

static bool has_name(const struct saving *saving, const struct wire_field *name)
{
    size_t kept =
        name->size < sizeof(saving->name) ? name->size : sizeof(saving->name) - 1;

    return saving->name_size == name->size &&
           memcmp(saving->name, name->bytes, kept) == 0;
}

static void keep_name(struct saving *saving, const struct wire_field *name)
{
    size_t kept =
        name->size < sizeof(saving->name) ? name->size : sizeof(saving->name) - 1;

    memcpy(saving->name, name->bytes, kept);
    saving->name[kept] = '\0';
    saving->name_size = name->size;
}

static void begin_file(struct saving *saving, const struct wire_field *name,
                       uint64_t total)
{
    end_file(saving);
    saving->got = 0;
    saving->total = total;
    keep_name(saving, name);
    if (!is_plain(name->bytes, name->size)) {
        refuse_file(saving, name);
        return;
    }
    saving->part = openat(saving->files, saving->name,
                          O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (saving->part < 0 && saving->error == 0) {
        saving->error = -errno;
    }
}

static void save_file(struct saving *saving, const struct wire_decoded *record)
{
    const struct wire_field *name = wire_find(record, "name");
    const struct wire_field *part = wire_find(record, "part");
    uint64_t total = wire_find(record, "total")->number;
    bool goes_on = saving->got > 0 && saving->got < saving->total &&
                   saving->total == total && has_name(saving, name);
    size_t size;

    if (!goes_on) {
        begin_file(saving, name, total);
    }
    size = part->size < total - saving->got ? part->size : (size_t)(total - saving->got);
    put(saving, saving->part, part->bytes, size);
    saving->got += size;
}

static int save_record(void *context, const struct wire_decoded *record)
{
    struct saving *saving = context;

    if (record->kind == WIRE_VALUE) {
        values_take(&saving->values, record);
    } else if (record->kind == WIRE_SAVED) {
        save_file(saving, record);
    }
    return 0;
}

/* ---- the recording ---- */

static int make_file(const struct saving *saving, const char *name)
{
    return openat(saving->root, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
}

/* When the first bytes have come: of a job that is not there, nothing is left. */
static int make_folder(struct saving *saving, struct buffer *why)
{
    const char *path = saving->folder;
    int error;

    if (mkdir(path, 0755) != 0 ||
        (saving->root = open(path, O_DIRECTORY | O_CLOEXEC)) < 0 ||
        mkdirat(saving->root, "files", 0755) != 0) {
        error = errno;
        buffer_printf(why, "unable to make %s: %s", path, strerror(error));
        return error == EEXIST ? -EEXIST : -EIO;
    }
    saving->recording = make_file(saving, RECORDING_FILE);
    saving->values.file = make_file(saving, "values.jsonl");
    saving->files = openat(saving->root, "files", O_DIRECTORY | O_CLOEXEC);
    if (saving->recording < 0 || saving->values.file < 0 || saving->files < 0) {
        buffer_printf(why, "unable to write into %s: %s", path, strerror(errno));
        return -EIO;
    }
    return 0;
}

static int take(void *context, const char *bytes, size_t size, struct buffer *why)
{
    struct saving *saving = context;
    int error = saving->recording < 0 ? make_folder(saving, why) : 0;

    if (error < 0) {
        return error;
    }
    put(saving, saving->recording, bytes, size);
    error = decoder_bytes(&saving->decoder, bytes, size, save_record, saving);
    return error < 0 ? decoder_refuse(&saving->decoder, why) : saving->error;
}

static void save_result(struct saving *saving, const struct buffer *result)
{
    autoclose int file = -1;

    if (result->size == 0 || saving->error < 0) {
        return;
    }
    file = make_file(saving, RESULT_FILE);
    if (file < 0) {
        saving->error = -errno;
    }
    put(saving, file, result->data, result->size);
}

/* One of them, or so many. */
static void say_missing(size_t count, const char *one, const char *many)
{
    if (count > 0) {
        (void)complain(0, "%zu of the %s", count, count == 1 ? one : many);
    }
}

static void say_refused(const struct saving *saving)
{
    autobuffer struct buffer text = BUFFER_INIT(WHY_MAX);

    if (saving->refused == 1) {
        buffer_add_text(&text, "1 of the files was not written: \"");
    } else {
        buffer_printf(&text,
                      "%zu of the files were not written: their names are no plain ones, "
                      "the first is \"",
                      saving->refused);
    }
    buffer_add(&text, saving->first_refused.data, saving->first_refused.size);
    buffer_add_text(&text, saving->refused == 1 ? "\" is no plain name" : "\"");
    if (saving->refused > 0) {
        (void)complain_why(0, &text);
    }
}

static void say_wrong(const struct values *values)
{
    if (values->wrong > 0) {
        (void)complain(0,
                       "%zu of the values %s no JSON, and %s left out: %s at byte %llu",
                       values->wrong, values->wrong == 1 ? "is" : "are",
                       values->wrong == 1 ? "was" : "were",
                       values->wrong == 1 ? "it ends with the record"
                                          : "the first ends with the record",
                       (unsigned long long)values->first_wrong);
    }
}

/* Returns whether anything is. */
static bool say_what_is_missing(const struct saving *saving)
{
    const struct values *values = &saving->values;

    say_missing(saving->halves, "files came in part only", "files came in part only");
    say_missing(values->halves, "values came in part only, and was left out",
                "values came in part only, and were left out");
    say_wrong(values);
    say_refused(saving);
    return saving->halves + values->halves + values->wrong + saving->refused > 0;
}

/* Returns 0, or -EIO with a sentence in `why`: of all that was to be written. */
static int check_written(const struct saving *saving, struct buffer *why)
{
    int error = saving->error < 0 ? saving->error : saving->values.error;

    if (error < 0) {
        buffer_reset(why);
        buffer_printf(why, "unable to write into %s: %s", saving->folder,
                      strerror(-error));
    }
    return error < 0 ? -EIO : 0;
}

static int save_all(struct saving *saving, const struct args *args, struct buffer *why)
{
    struct recording_end end = RECORDING_END_INIT;
    int error = recording_read(args, take, saving, &end, why);

    if (error == 0 && saving->recording < 0) {
        error = make_folder(saving, why);
    }
    if (error == 0) {
        save_result(saving, &end.result);
        recording_say_dropped(&end.result);
    }
    buffer_done(&end.result);
    if (error == 0 && decoder_end(&saving->decoder) < 0) {
        error = decoder_refuse(&saving->decoder, why);
    }
    end_file(saving);
    values_end(&saving->values);
    return check_written(saving, why) < 0 ? -EIO : error;
}

/* Returns 0, -EEXIST (the folder), -EIO (it could not be written), or what recording_read
 * gives, with a sentence in `why`. Whatever was read before an error is there.
 * *ret_missing: something else is not, which was said. */
static int save_write(const struct args *args, const char *folder, bool *ret_missing,
                      struct buffer *why)
{
    struct saving saving = {.folder = folder,
                            .root = -1,
                            .recording = -1,
                            .files = -1,
                            .part = -1,
                            .first_refused = BUFFER_INIT(KIB(4))};
    int error;

    values_init(&saving.values, -1);
    decoder_init(&saving.decoder);
    error = decoder_trace(&saving.decoder, (struct trace_limits){0}, 0, NULL, NULL);
    if (error < 0) {
        buffer_add_text(why, "there is not enough memory");
    } else {
        error = save_all(&saving, args, why);
        *ret_missing = say_what_is_missing(&saving);
    }
    close_fd(&saving.files);
    close_fd(&saving.recording);
    close_fd(&saving.root);
    values_done(&saving.values);
    buffer_done(&saving.first_refused);
    decoder_done(&saving.decoder);
    return error;
}

int save_command(const struct command *command, struct args *args)
{
    autobuffer struct buffer why = BUFFER_INIT(WHY_MAX), folder = BUFFER_INIT(WHY_MAX);
    const char *name = args->words[0], *slash = strrchr(name, '/');
    bool missing = false;
    int error;

    if (args->output != NULL) {
        buffer_add_text(&folder, args->output);
    } else {
        buffer_printf(&folder, "%s.paddock", slash != NULL ? slash + 1 : name);
    }
    if (buffer_error(&folder) < 0) {
        return complain(EXIT_OURS, "there is not enough memory");
    }
    error = save_write(args, folder.data, &missing, &why);
    if (error == 0 || error == -EBADMSG) { /* what came before it is there */
        (void)puts(folder.data);
    }
    if (error < 0) {
        return complain_why(recording_exit(error), &why);
    }
    return missing ? EXIT_NEGATIVE : 0;
}
