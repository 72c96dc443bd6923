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

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int take(void *context, const char *bytes, size_t size, struct buffer *why)
{
    return export_bytes(context, bytes, size, why);
}

static int trace_write(const struct args *args, const struct export_format *format,
                       FILE *out, struct buffer *note, struct buffer *why)
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
    if (error == 0 || error == -EBADMSG) {
        ended = export_end(export, end.time_us, &torn);
        if (error == 0 && ended < 0) {
            buffer_add(why, torn.data, torn.size);
            error = ended;
        }
    }
    buffer_done(&end.result);
    export_left_out(export, note);
    export_free(export);
    return error;
}

static int trace_to(const struct args *args, const struct export_format *format,
                    FILE *out)
{
    autobuffer struct buffer why = BUFFER_INIT(WHY_MAX), note = BUFFER_INIT(4096);
    int error = trace_write(args, format, out, &note, &why);

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

int trace_command(const struct command *command, struct args *args)
{
    const char *name = args->format != NULL ? args->format : args->json ? "json" : "text";
    const struct export_format *format = export_format_by_name(name);
    autobuffer struct buffer names = BUFFER_INIT(4096);
    FILE *out;
    int code, error;

    if (format == NULL) {
        export_format_names(&names);
        return complain(EXIT_USAGE, "--format takes one of:%s", names.data);
    }
    if (args->output == NULL) {
        return trace_to(args, format, stdout);
    }
    out = fopen(args->output, "we");
    if (out == NULL) {
        return complain(EXIT_OURS, "unable to write %s: %s", args->output,
                        strerror(errno));
    }
    code = trace_to(args, format, out);
    error = ferror(out) != 0 ? EIO : 0; /* which one it was is forgotten by now */
    if (fclose(out) != 0) {
        error = errno;
    }
    if (error != 0) {
        return complain(EXIT_OURS, "unable to write %s: %s", args->output,
                        strerror(error));
    }
    return code;
}
