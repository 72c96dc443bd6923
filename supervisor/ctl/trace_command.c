/* SPDX-License-Identifier: MIT */
/*
 * `paddock trace`. Runs in the `paddock` command: joins where a recording comes from with
 * the form that it is to have. Both ends may be a hostile program's: neither is believed
 * here.
 */
#include "supervisor/ctl/trace_command.h"

#include "queue/keys.h"
#include "supervisor/ctl/recording.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static int take(void *context, const char *bytes, size_t size, struct buffer *why)
{
    return export_bytes(context, bytes, size, why);
}

static int read_job(const struct args *args, struct export *export, struct buffer *why)
{
    struct endpoint endpoint = ENDPOINT_INIT;
    int error = endpoint_find(args, &endpoint, why);

    if (error < 0) {
        error = -ENOTCONN;
    } else {
        error = recording_read_job(&endpoint, args->words[0], take, export, why);
    }
    endpoint_done(&endpoint);
    return error;
}

/* A name that exists is a file; any other is a job's, if it can be one. */
static int read_any(const struct args *args, struct export *export, struct buffer *why)
{
    const char *name = args->words[0];
    struct stat status;
    int error;

    if (strcmp(name, "-") != 0 && stat(name, &status) != 0) {
        if (queue_id_valid(name)) {
            return read_job(args, export, why);
        }
        buffer_printf(why, "there is no file %s, and no job can have this id", name);
        return -EINVAL;
    }
    error = recording_read_file(name, take, export, why);
    return error == 0 || error == -EBADMSG || error == -EIO ? error : -EINVAL;
}

int trace_write(const struct args *args, const struct export_format *format, FILE *out,
                struct buffer *note, struct buffer *why)
{
    struct export *export = export_new(format, out);
    autobuffer struct buffer torn = BUFFER_INIT(KIB(4));
    int error, end;

    if (export == NULL) {
        buffer_add_text(why, "there is not enough memory");
        return -ENOMEM;
    }
    error = read_any(args, export, why);
    if (error == 0 || error == -EBADMSG) {
        end = export_end(export, &torn);
        if (error == 0 && end < 0) {
            buffer_add(why, torn.data, torn.size);
            error = end;
        }
    }
    export_left_out(export, note);
    export_free(export);
    return error;
}
