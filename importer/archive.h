/* SPDX-License-Identifier: MIT */
/*
 * A ZIP in memory, hostile until proven otherwise: the archive's directory is checked as
 * a whole before a byte is inflated, and every cap is on bytes that were actually
 * inflated, never on declared sizes. On libzip and libdeflate, without Python, so that it
 * can be fuzzed alone.
 *
 * A single bare source is an archive too, of one member.
 */
#pragma once

#include "common/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

struct archive;

/* One table, archive.c; the defaults are those of a class of students. */
struct archive_limits {
    size_t bytes; /* of the ZIP itself */
    size_t entries;
    size_t name;   /* bytes of a member's name */
    size_t depth;  /* folders above a member */
    size_t member; /* inflated bytes of one member */
    size_t total;  /* inflated bytes of all members; each has as many as it claims, or is
                      refused */
    size_t ratio;  /* inflated : deflated, of members over 1 MiB */
};

extern const struct archive_limits archive_limits_default;

/* Opens `size` bytes (borrowed: they must live as long as the archive). __MACOSX/, ._*,
 * .git/ are left out, as is __pycache__/; backslashes of Windows are slashes. Names are
 * bytes, as on a disk of Linux: two that look alike, such as the composed and the
 * decomposed form of a letter, are two. Returns 0
 * and *ret (freed by archive_free), or -EINVAL with a student's sentence in `why` that
 * names the member and the reason, or -ENOMEM. */
int archive_open(const void *data, size_t size, const struct archive_limits *limits,
                 struct archive **ret, struct buffer *why) must_check;
/* An archive of one member `name` with these bytes (borrowed). */
int archive_open_source(const char *name, const void *data, size_t size,
                        const struct archive_limits *limits, struct archive **ret,
                        struct buffer *why) must_check;
void archive_free(struct archive *archive);

/* Members in byte order of their names: "robot.py", "user/robot.py". Directories are
 * implied by their members' names; explicit directory entries without members count as
 * directories too. */
size_t archive_count(const struct archive *archive);
const char *archive_name(const struct archive *archive, size_t index);
/* Returns the index, or -1. */
ssize_t archive_find(const struct archive *archive, const char *name);
bool archive_is_directory(const struct archive *archive, const char *name);

/* Of the member at `index`: bytes when inflated, as it claims; when it was last changed,
 * which a ZIP says in local time and in steps of two seconds (0 for a bare source). */
size_t archive_size(const struct archive *archive, size_t index);
time_t archive_modified(const struct archive *archive, size_t index);

/* What lies directly in a folder ("" is the top), in byte order. Start with a walk of
 * zeros; returns false when there is no more. */
struct archive_walk {
    const char *name; /* borrowed, `size` bytes, no NUL behind them */
    size_t size;
    bool is_folder;
    size_t next; /* not for the caller */
};
bool archive_walk(const struct archive *archive, const char *folder,
                  struct archive_walk *walk);

/* The one folder that all members lie in, as in what GitHub packs; NULL if there is none.
 * A package is no such folder. Owned by the caller. */
char *archive_top_folder(const struct archive *archive);
/* Takes it off all names; does nothing where there is none. Not once it is mounted. */
void archive_strip(struct archive *archive);

/* Inflates a member into `to`, archive_size() bytes of the caller's: CRC checked, size as
 * declared or it is refused. Returns 0, -EINVAL with a sentence in `why`, or -ENOMEM; on
 * error the bytes are undefined. One thread at a time. */
int archive_read_to(struct archive *archive, size_t index, char *to,
                    struct buffer *why) must_check;
/* The same into fresh memory (*ret, owned by the caller, with a NUL behind it that is not
 * counted). */
int archive_read(struct archive *archive, size_t index, char **ret, size_t *ret_size,
                 struct buffer *why) must_check;

/* ---- where a program starts (docs/PROTOCOL.md has the order) ---- */

struct archive_entry {
    char member[512];   /* what runs as __main__: "user/robot.py"; "" for a function */
    char module[512];   /* of `member`, as `python -m` would have it, "" for a path; of
                           the function, to be imported under its own name */
    char function[256]; /* to be called without arguments; "" for none */
    char folder[512];   /* import root within the archive: "user", or "" */
};

/* `entry` is the job's field: "", "module", "module:function", or a member's path (a
 * copy, not archive_name()'s own). A top folder is stripped, unless the entry is a module
 * that it belongs to the name of. Returns 0, or -ENOENT with a student's sentence in
 * `why` that says what was looked for and what was found. */
int archive_find_entry(struct archive *archive, const char *entry,
                       struct archive_entry *ret, struct buffer *why) must_check;
