/* SPDX-License-Identifier: MIT */
/* Reading what is to be run. Runs in the `paddock` command as the user, on the user's
 * files. */
#include "supervisor/ctl/pack.h"

#include "common/fd.h"
#include "common/limits.h"
#include "common/text.h"
#include "supervisor/ctl/complain.h"
#include "supervisor/ctl/input.h"
#include "supervisor/ctl/zip_writer.h"

#include <errno.h>
#include <fts.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PACK_MAX MIB(50)

/* What is no part of a program, and often large. */
static const char *const left_out[] = {".git",      "__pycache__",  ".venv",
                                       "venv",      "node_modules", "__MACOSX",
                                       ".DS_Store", ".mypy_cache",  ".pytest_cache"};

static int refuse(struct buffer *why, int error, const char *path, const char *reason)
{
    buffer_printf(why, "%s: %s", path, reason);
    return error;
}

/* ---- folders ---- */

static bool is_left_out(const char *name)
{
    for (size_t i = 0; i < array_size(left_out); i++) {
        if (strcmp(name, left_out[i]) == 0) {
            return true;
        }
    }
    return strncmp(name, "._", 2) == 0;
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static int add_file(struct zip_writer *zip, const FTSENT *entry, size_t base,
                    struct buffer *why)
{
    autofree char *bytes = NULL;
    size_t size = 0;
    int error = fd_read_file(entry->fts_accpath, PACK_MAX, &bytes, &size);

    if (error < 0) {
        return refuse(why, error, entry->fts_path, strerror(-error));
    }
    zip_writer_add(zip, entry->fts_path + base, bytes, size);
    if (buffer_error(&zip->data) < 0 || zip->count > 65000) {
        return refuse(why, -EFBIG, entry->fts_path,
                      "with it the folder is too large to be sent");
    }
    return 0;
}

/* One entry of the walk. Symbolic links are left out: they may lead anywhere. That is
 * said, because a program may miss what is behind one. */
static int visit(FTS *walk, FTSENT *entry, struct zip_writer *zip, size_t base,
                 struct buffer *why)
{
    switch (entry->fts_info) {
    case FTS_D:
        if (entry->fts_level > 0 && is_left_out(entry->fts_name)) {
            (void)fts_set(walk, entry, FTS_SKIP);
        }
        return 0;
    case FTS_F: return is_left_out(entry->fts_name) ? 0 : add_file(zip, entry, base, why);
    case FTS_SL:
    case FTS_SLNONE:
        (void)complain(0, "%s: symbolic links are left out", entry->fts_path);
        return 0;
    case FTS_DNR:
    case FTS_ERR:
    case FTS_NS:
        return refuse(why, -entry->fts_errno, entry->fts_path,
                      strerror(entry->fts_errno));
    default: return 0;
    }
}

static int read_folder(const char *path, struct pack *ret, struct buffer *why)
{
    char *const roots[] = {(char *)(uintptr_t)path, NULL};
    struct zip_writer zip = ZIP_WRITER_INIT(PACK_MAX);
    FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, by_name);
    size_t base = strlen(path) + (path[strlen(path) - 1] != '/');
    int error = walk != NULL ? 0 : -errno;
    FTSENT *entry;

    while (error == 0 && (entry = fts_read(walk)) != NULL) {
        error = visit(walk, entry, &zip, base, why);
    }
    if (walk != NULL) {
        (void)fts_close(walk);
    }
    if (error == 0 && zip.count == 0) {
        error = refuse(why, -ENOENT, path, "there is no file in this folder");
    }
    if (error == 0) {
        error = zip_writer_finish(&zip, &ret->bytes, &ret->size);
    }
    zip_writer_done(&zip);
    return error;
}

/* ---- files ---- */

static const char *reason_of(int error)
{
    return error == -EFBIG ? "is larger than 50 MB" : strerror(-error);
}

static int read_input(struct pack *ret, struct buffer *why)
{
    int error;

    input_announce();
    error = fd_read_all(STDIN_FILENO, PACK_MAX, &ret->bytes, &ret->size);
    if (error < 0) {
        return refuse(why, error, ret->name, reason_of(error));
    }
    if (ret->size < 2 || memcmp(ret->bytes, "PK", 2) != 0) {
        ret->is_source = true;
        (void)snprintf(ret->entry, sizeof(ret->entry), "main.py");
    }
    return 0;
}

static int read_file(const char *path, struct pack *ret, struct buffer *why)
{
    const char *slash = strrchr(path, '/');
    int error = fd_read_file(path, PACK_MAX, &ret->bytes, &ret->size);

    if (error < 0) {
        return refuse(why, error, path, reason_of(error));
    }
    if (text_ends_with(path, ".py")) {
        ret->is_source = true;
        (void)snprintf(ret->entry, sizeof(ret->entry), "%s",
                       slash != NULL ? slash + 1 : path);
    }
    return 0;
}

int pack_wrap(struct pack *pack)
{
    struct zip_writer zip = ZIP_WRITER_INIT(PACK_MAX);
    char *bytes = NULL;
    size_t size;
    int error;

    zip_writer_add(&zip, pack->entry, pack->bytes, pack->size);
    error = zip_writer_finish(&zip, &bytes, &size);
    zip_writer_done(&zip);
    if (error == 0) {
        free(pack->bytes);
        pack->bytes = bytes;
        pack->size = size;
        pack->is_source = false;
    }
    return error;
}

int pack_read(const char *path, struct pack *ret, struct buffer *why)
{
    struct stat status;

    *ret = (struct pack){.name = path};
    if (strcmp(path, "-") == 0) {
        ret->name = "standard input";
        return read_input(ret, why);
    }
    if (stat(path, &status) != 0) {
        return refuse(why, -errno, path, strerror(errno));
    }
    if (S_ISDIR(status.st_mode)) {
        return read_folder(path, ret, why);
    }
    return S_ISREG(status.st_mode) || S_ISFIFO(status.st_mode)
               ? read_file(path, ret, why)
               : refuse(why, -EINVAL, path, "is neither a file nor a folder");
}

void pack_done(struct pack *pack)
{
    free(pack->bytes);
    *pack = (struct pack){0};
}
