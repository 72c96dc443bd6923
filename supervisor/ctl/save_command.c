/* SPDX-License-Identifier: MIT */
/*
 * `paddock save`. Runs in the `paddock` command, on a recording that may be a hostile
 * program's: a name in it becomes a file only where it is a plain one, in a folder that
 * is ours; sizes are what comes, not what is said.
 */
#include "supervisor/ctl/save_command.h"

#include "common/cleanup.h"
#include "common/fd.h"
#include "common/utf8.h"
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
    uint64_t value_got, value_total; /* bytes of the value whose parts come */
    off_t value_at;                  /* where its line begins */
    size_t refused, halves; /* files: of names that are no plain ones; not whole */
    size_t value_halves;
    int error; /* of the first write that failed */
};

static void put(struct saving *saving, int fd, const char *bytes, size_t size)
{
    if (saving->error == 0 && fd >= 0) {
        saving->error = fd_write_full(fd, bytes, size);
    }
}

/* ---- what a program gave back ---- */

/* On one line, as UTF-8: what is JSON is already. */
static void put_line(struct saving *saving, const char *bytes, size_t size)
{
    autobuffer struct buffer line = BUFFER_INIT(3 * LIMIT_RECORD);

    for (size_t at = 0; at < size;) {
        int length = utf8_sequence(bytes + at, size - at);

        if (length <= 0) {
            buffer_add_text(&line, "\xef\xbf\xbd");
            at += utf8_replaced(bytes + at, size - at);
        } else {
            bool is_control = (unsigned char)bytes[at] < ' ';

            buffer_add(&line, is_control ? " " : bytes + at, (size_t)length);
            at += (size_t)length;
        }
    }
    put(saving, saving->values, line.data, line.size);
}

/* The one whose parts came is left out if it is not whole. */
static void end_value(struct saving *saving)
{
    if (saving->value_got < saving->value_total) {
        saving->value_halves++;
        if (ftruncate(saving->values, saving->value_at) != 0 ||
            lseek(saving->values, saving->value_at, SEEK_SET) < 0) {
            saving->error = saving->error == 0 ? -errno : saving->error;
        }
    }
    saving->value_got = saving->value_total = 0;
}

static void save_value(struct saving *saving, const struct wire_decoded *record)
{
    uint64_t total = wire_find(record, "total")->number;
    const struct wire_field *part = wire_find(record, "part");
    size_t size;

    if (saving->value_got == 0 || total != saving->value_total) {
        end_value(saving);
        saving->value_total = total;
        saving->value_at = lseek(saving->values, 0, SEEK_CUR);
    }
    size = part->size < total - saving->value_got ? part->size
                                                  : (size_t)(total - saving->value_got);
    put_line(saving, part->bytes, size);
    saving->value_got += size;
    if (saving->value_got == total) {
        put(saving, saving->values, "\n", 1);
        saving->value_got = saving->value_total = 0;
    }
}

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

/* Returns whether anything is. */
static bool say_what_is_missing(const struct saving *saving)
{
    if (saving->halves > 0) {
        (void)complain(0, "%zu of the files came in part only", saving->halves);
    }
    if (saving->value_halves > 0) {
        (void)complain(0, "%zu of the values came in part only, and %s left out",
                       saving->value_halves, saving->value_halves == 1 ? "was" : "were");
    }
    if (saving->refused > 0) {
        (void)complain(0, "%zu files were not written: their names are no plain ones",
                       saving->refused);
    }
    return saving->halves + saving->value_halves + saving->refused > 0;
}

/* Returns 0, -EEXIST (the folder), -EIO (it could not be written), or what recording_read
 * gives, with a sentence in `why`. Whatever was read before an error is there.
 * *ret_missing: something else is not, which was said. */
static int save_write(const struct args *args, const char *folder, bool *ret_missing,
                      struct buffer *why)
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
    if (saving.values >= 0) {
        end_value(&saving);
    }
    *ret_missing = say_what_is_missing(&saving);
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
    bool missing = false;
    int error;

    (void)snprintf(folder, sizeof(folder), "%s%s",
                   args->output != NULL ? args->output
                   : slash != NULL      ? slash + 1
                                        : name,
                   args->output != NULL ? "" : ".paddock");
    error = save_write(args, folder, &missing, &why);
    if (error < 0) {
        return complain_why(recording_exit(error), &why);
    }
    (void)puts(folder);
    return missing ? EXIT_NEGATIVE : 0;
}
