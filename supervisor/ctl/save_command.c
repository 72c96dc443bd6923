/* SPDX-License-Identifier: MIT */
/*
 * `paddock save`. Runs in the `paddock` command, on a recording that may be a hostile
 * program's: a name in it becomes a file only where it is a plain one, in a folder that
 * is ours; sizes are what comes, not what is said.
 */
#include "supervisor/ctl/save_command.h"

#include "common/cleanup.h"
#include "common/fd.h"
#include "supervisor/ctl/complain.h"
#include "supervisor/ctl/decoder.h"
#include "supervisor/ctl/recording.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct saving {
    const char *folder;           /* to be made */
    int recording, values, files; /* owned; the last one is a folder */
    struct decoder decoder;
    int part;       /* owned: the file whose parts come; -1: none */
    char name[256]; /* its name */
    uint64_t got, total;
    uint64_t value_got;
    size_t refused, halves; /* files: of names that are no plain ones; not whole */
    int error;              /* of the first write that failed */
};

static void put(struct saving *saving, int fd, const char *bytes, size_t size)
{
    if (saving->error == 0 && fd >= 0) {
        saving->error = fd_write_full(fd, bytes, size);
    }
}

/* ---- what a program gave back ---- */

static void save_value(struct saving *saving, const struct wire_decoded *record)
{
    const struct wire_field *total = wire_find(record, "total");
    const struct wire_field *part = wire_find(record, "part");

    put(saving, saving->values, part->bytes, part->size);
    saving->value_got += part->size;
    if (saving->value_got >= total->number) {
        put(saving, saving->values, "\n", 1);
        saving->value_got = 0;
    }
}

static bool is_plain(const char *name, size_t size)
{
    if (size == 0 || size > 255 || (size == 1 && name[0] == '.') ||
        (size == 2 && memcmp(name, "..", 2) == 0)) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)name[i];

        if (c < 0x20 || c == 0x7f || c == '/' || c == '\\') {
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

static void begin_file(struct saving *saving, const struct wire_field *name,
                       uint64_t total)
{
    end_file(saving);
    saving->got = 0;
    saving->total = total;
    (void)snprintf(saving->name, sizeof(saving->name), "%.*s", (int)name->size,
                   name->bytes);
    if (!is_plain(name->bytes, name->size)) {
        saving->refused++; /* the module lets no program save it */
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
                   saving->total == total && strlen(saving->name) == name->size &&
                   memcmp(saving->name, name->bytes, name->size) == 0;

    if (!goes_on) {
        begin_file(saving, name, total);
    }
    put(saving, saving->part, part->bytes, part->size);
    saving->got += part->size;
}

static int save_record(void *context, const struct wire_decoded *record,
                       struct buffer *why)
{
    struct saving *saving = context;

    if (record->kind == WIRE_VALUE) {
        save_value(saving, record);
    } else if (record->kind == WIRE_SAVED) {
        save_file(saving, record);
    }
    return 0;
}

/* ---- the recording ---- */

/* When the first bytes have come: of a job that is not there, nothing is left. */
static int make_folder(struct saving *saving, struct buffer *why)
{
    const char *path = saving->folder;
    autoclose int folder = -1;
    int error;

    if (mkdir(path, 0755) != 0 || (folder = open(path, O_DIRECTORY | O_CLOEXEC)) < 0 ||
        mkdirat(folder, "files", 0755) != 0) {
        error = errno;
        buffer_printf(why, "unable to make %s: %s", path, strerror(error));
        return error == EEXIST ? -EEXIST : -EIO;
    }
    saving->recording = openat(folder, "recording", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    saving->values = openat(folder, "values.jsonl", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    saving->files = openat(folder, "files", O_DIRECTORY | O_CLOEXEC);
    if (saving->recording < 0 || saving->values < 0 || saving->files < 0) {
        buffer_printf(why, "unable to write into %s: %s", path, strerror(errno));
        return -EIO;
    }
    return 0;
}

static int refuse(const struct saving *saving, struct buffer *why)
{
    buffer_add_text(why, "the recording cannot be read on, ");
    buffer_add(why, saving->decoder.torn.data, saving->decoder.torn.size);
    return -EBADMSG;
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
    return error < 0 ? refuse(saving, why) : saving->error;
}

static void say_what_is_missing(const struct saving *saving)
{
    if (saving->halves > 0) {
        (void)complain(0, "%zu of the files came in part only", saving->halves);
    }
    if (saving->refused > 0) {
        (void)complain(0, "%zu files were not written: their names are no plain ones",
                       saving->refused);
    }
}

/* Returns 0, -EEXIST (the folder), -EIO (it could not be written), or what recording_read
 * gives, with a sentence in `why`. Whatever was read before an error is there. */
static int save_write(const struct args *args, const char *folder, struct buffer *why)
{
    struct saving saving = {
        .folder = folder, .recording = -1, .values = -1, .files = -1, .part = -1};
    int error;

    decoder_init(&saving.decoder);
    error = recording_read(args, take, &saving, why);
    if (error == 0 && saving.recording < 0) {
        error = make_folder(&saving, why);
    }
    if (error == 0 && decoder_end(&saving.decoder) < 0) {
        error = refuse(&saving, why);
    }
    if (saving.error < 0) {
        buffer_reset(why);
        buffer_printf(why, "unable to write into %s: %s", folder,
                      strerror(-saving.error));
        error = -EIO;
    }
    end_file(&saving);
    say_what_is_missing(&saving);
    close_fd(&saving.files);
    close_fd(&saving.values);
    close_fd(&saving.recording);
    decoder_done(&saving.decoder);
    return error;
}

int save_command(const struct command *command, struct args *args)
{
    autobuffer struct buffer why = BUFFER_INIT(4096);
    const char *name = args->words[0], *slash = strrchr(name, '/');
    char folder[LIMIT_PATH];
    int error;

    (void)snprintf(folder, sizeof(folder), "%s%s",
                   args->output != NULL ? args->output
                   : slash != NULL      ? slash + 1
                                        : name,
                   args->output != NULL ? "" : ".paddock");
    error = save_write(args, folder, &why);
    if (error < 0) {
        return complain_why(recording_exit(error), &why);
    }
    (void)puts(folder);
    return 0;
}
