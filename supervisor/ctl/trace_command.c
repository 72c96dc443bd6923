/* SPDX-License-Identifier: MIT */
/*
 * `paddock trace`. Runs in the `paddock` command: joins where a recording comes from with
 * the form that it is to have. Both ends may be a hostile program's: neither is believed
 * here.
 */
#include "supervisor/ctl/trace_command.h"

#include "supervisor/ctl/complain.h"
#include "supervisor/ctl/export.h"
#include "supervisor/ctl/recording.h"
#include "supervisor/ctl/spool.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int take(void *context, const char *bytes, size_t size, struct buffer *why)
{
    return export_bytes(context, bytes, size, why);
}

static int trace_write(const struct args *args, const struct export_format *format,
                       FILE *out, bool *ret_began, struct buffer *note,
                       struct buffer *why)
{
    struct export *export = export_new(format, out);
    autobuffer struct buffer torn = BUFFER_INIT(KIB(4));
    struct recording_end end = RECORDING_END_INIT;
    int error, ended;

    if (export == NULL) {
        buffer_add_text(why, "there is not enough memory");
        return -ENOMEM;
    }
    error = recording_read(args, take, export, &end, why);
    *ret_began = export_began(export);
    if (error == 0 || error == -EBADMSG || *ret_began) {
        ended = export_end(export, end.time_us, &torn);
        if (error == 0 && ended < 0) {
            buffer_add(why, torn.data, torn.size);
            error = ended;
        }
    }
    recording_say_dropped(&end.result);
    buffer_done(&end.result);
    export_left_out(export, note);
    export_free(export);
    return error;
}

/* *ret_began: there was a record at least. */
static int trace_to(const struct args *args, const struct export_format *format,
                    FILE *out, bool *ret_began)
{
    autobuffer struct buffer why = BUFFER_INIT(WHY_MAX), note = BUFFER_INIT(4096);
    int error = trace_write(args, format, out, ret_began, &note, &why);

    if (note.size > 0) {
        (void)complain_why(0, &note);
    }
    if (error == 0 || (error == -EIO && ferror(out) != 0)) {
        return 0; /* what could not be written is said where `out` ends */
    }
    if (fflush(out) != 0) {
        return 0;
    }
    return complain_why(recording_exit(error), &why);
}

static bool is_same_file(const char *path, const struct stat *other)
{
    struct stat named;

    return stat(path, &named) == 0 && named.st_dev == other->st_dev &&
           named.st_ino == other->st_ino;
}

static bool is_own_recording(const struct args *args)
{
    struct stat recording;

    return stat(args->words[0], &recording) == 0 &&
           is_same_file(args->output, &recording);
}

/* What is no recording leaves the file as it is, and so does one that cannot be read to
 * its end where it is that file. */
static int trace_to_file(const struct args *args, const struct export_format *format)
{
    FILE *spool = spool_new(args->output);
    int error = spool == NULL ? -errno : 0, code = 0;
    bool began = false;

    if (spool != NULL) {
        code = trace_to(args, format, spool, &began);
        if (began && (code == 0 || !is_own_recording(args))) {
            error = spool_write(spool, args->output);
        }
        (void)fclose(spool);
    }
    return error == 0 ? code
                      : complain(EXIT_OURS, "unable to write %s: %s", args->output,
                                 strerror(-error));
}

/* /dev/stdout, where what was written before must stay. */
static bool is_standard_output(const char *path)
{
    struct stat open;

    return fstat(STDOUT_FILENO, &open) == 0 && is_same_file(path, &open);
}

int trace_command(const struct command *command, struct args *args)
{
    const char *name = args->format != NULL ? args->format : args->json ? "json" : "text";
    const struct export_format *format = export_format_by_name(name);
    autobuffer struct buffer names = BUFFER_INIT(4096);
    bool began;

    if (format == NULL) {
        export_format_names(&names);
        return complain(EXIT_USAGE, "--format takes one of:%s", names.data);
    }
    return args->output == NULL || is_standard_output(args->output)
               ? trace_to(args, format, stdout, &began)
               : trace_to_file(args, format);
}
