/* SPDX-License-Identifier: MIT */
/*
 * Archives in memory. Runs in the sandbox, on a ZIP from an attacker that archive_scan.c
 * has found sound, and libzip too: what one of them refuses is refused. Members are
 * inflated straight from the ZIP's bytes, into as many bytes as its directory says and no
 * more, because a directory can lie about what its data becomes.
 */
#include "importer/archive.h"

#include "common/limits.h"
#include "importer/archive_scan.h"

#include <errno.h>
#include <libdeflate.h>
#include <stdio.h>
#include <string.h>
#include <zip.h>

struct archive {
    struct archive_scan scan;
    struct archive_limits limits;
    zip_t *zip;                               /* owned; NULL for a bare source */
    struct libdeflate_decompressor *inflater; /* owned; made when it is first wanted */
};

const struct archive_limits archive_limits_default = {
    .bytes = LIMIT_ZIP,
    .entries = 10000,
    .name = 255,
    .depth = 32,
    .member = MIB(16),
    .total = MIB(128),
    .ratio = 200,
};

/* ---- the top folder ---- */

char *archive_top_folder(const struct archive *archive)
{
    const struct archive_scan *scan = &archive->scan;
    const char *first, *slash;
    size_t size;

    if (scan->count == 0) {
        return NULL;
    }
    first = scan->members[0].name;
    slash = strchr(first, '/');
    size = slash != NULL ? (size_t)(slash - first) : strlen(first);
    for (size_t i = 0; i < scan->count; i++) {
        const struct archive_member *member = &scan->members[i];
        bool is_it = member->is_folder && strlen(member->name) == size;

        if (strncmp(member->name, first, size) != 0 ||
            (!is_it && member->name[size] != '/') ||
            strcmp(member->name + size, "/__init__.py") == 0) {
            return NULL;
        }
    }
    return strndup(first, size);
}

void archive_strip(struct archive *archive)
{
    struct archive_scan *scan = &archive->scan;
    autofree char *top = archive_top_folder(archive);
    size_t kept = 0, size;

    if (top == NULL) {
        return;
    }
    size = strlen(top) + 1;
    for (size_t i = 0; i < scan->count; i++) {
        struct archive_member member = scan->members[i];

        if (strlen(member.name) < size) {
            free(member.name); /* the folder's own entry */
            continue;
        }
        memmove(member.name, member.name + size, strlen(member.name) - size + 1);
        scan->members[kept++] = member;
    }
    scan->count = kept;
}

/* ---- opening ---- */

/* Without ZIP_CHECKCONS: libzip 1.7 takes it amiss that a writer which did not know sizes
 * or checksum yet has put some of them into a local header, and zeros for the others, as
 * Info-ZIP does into a pipe, libarchive, and macOS. archive_scan.c compares each of them.
 */
static int open_libzip(struct archive *archive, const void *data, size_t size,
                       struct buffer *why)
{
    zip_error_t error;
    zip_source_t *source;

    zip_error_init(&error);
    source = zip_source_buffer_create(data, size, 0, &error);
    if (source != NULL) {
        archive->zip = zip_open_from_source(source, ZIP_RDONLY, &error);
    }
    if (archive->zip == NULL) {
        zip_source_free(source);
        buffer_add_text(why, "The ZIP is damaged.");
        zip_error_fini(&error);
        return -EINVAL;
    }
    zip_error_fini(&error);
    return 0;
}

int archive_open(const void *data, size_t size, const struct archive_limits *limits,
                 struct archive **ret, struct buffer *why)
{
    struct archive *archive = calloc(1, sizeof(*archive));
    int error;

    if (archive == NULL) {
        return -ENOMEM;
    }
    archive->limits = *limits;
    error = archive_scan(data, size, limits, &archive->scan, why);
    if (error == 0 && archive->scan.count == 0) {
        buffer_add_text(why, "The ZIP holds no file.");
        error = -EINVAL;
    }
    if (error == 0) {
        error = open_libzip(archive, data, size, why);
    }
    if (error < 0) {
        archive_free(archive);
        return error;
    }
    *ret = archive;
    return 0;
}

int archive_open_source(const char *name, const void *data, size_t size,
                        const struct archive_limits *limits, struct archive **ret,
                        struct buffer *why)
{
    struct archive *archive;

    if (size > limits->member) {
        buffer_printf(why, "\"%s\" has %zu bytes; at most %zu are allowed.", name, size,
                      limits->member);
        return -EINVAL;
    }
    archive = calloc(1, sizeof(*archive));
    if (archive == NULL) {
        return -ENOMEM;
    }
    archive->limits = *limits;
    archive->scan.members = calloc(1, sizeof(*archive->scan.members));
    if (archive->scan.members == NULL ||
        (archive->scan.members->name = strdup(name)) == NULL) {
        archive_free(archive);
        return -ENOMEM;
    }
    archive->scan.members->packed = data;
    archive->scan.members->packed_size = archive->scan.members->declared = size;
    archive->scan.count = 1;
    *ret = archive;
    return 0;
}

void archive_free(struct archive *archive)
{
    if (archive == NULL) {
        return;
    }
    if (archive->zip != NULL) {
        zip_discard(archive->zip);
    }
    libdeflate_free_decompressor(archive->inflater);
    archive_scan_done(&archive->scan);
    free(archive);
}

/* ---- looking ---- */

size_t archive_count(const struct archive *archive)
{
    return archive->scan.count;
}

const char *archive_name(const struct archive *archive, size_t index)
{
    return archive->scan.members[index].name;
}

/* The first member whose name is not below `name` in byte order. */
static size_t lower_bound(const struct archive *archive, const char *name)
{
    size_t low = 0, high = archive->scan.count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcmp(archive->scan.members[middle].name, name) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

ssize_t archive_find(const struct archive *archive, const char *name)
{
    size_t at = lower_bound(archive, name);

    if (at < archive->scan.count && strcmp(archive->scan.members[at].name, name) == 0 &&
        !archive->scan.members[at].is_folder) {
        return (ssize_t)at;
    }
    return -1;
}

bool archive_is_directory(const struct archive *archive, const char *name)
{
    char below[512];
    size_t size = strlen(name), at;

    if (size == 0) {
        return true;
    }
    if (size + 2 > sizeof(below)) {
        return false;
    }
    at = lower_bound(archive, name);
    if (at < archive->scan.count && strcmp(archive->scan.members[at].name, name) == 0) {
        return archive->scan.members[at].is_folder;
    }
    memcpy(below, name, size);
    memcpy(below + size, "/", 2);
    at = lower_bound(archive, below);
    return at < archive->scan.count &&
           strncmp(archive->scan.members[at].name, below, size + 1) == 0;
}

size_t archive_size(const struct archive *archive, size_t index)
{
    return archive->scan.members[index].declared;
}

time_t archive_modified(const struct archive *archive, size_t index)
{
    uint32_t stamp = archive->scan.members[index].modified;
    struct tm local = {
        .tm_year = (int)(stamp >> 25) + 80,
        .tm_mon = (int)(stamp >> 21 & 15) - 1,
        .tm_mday = (int)(stamp >> 16 & 31),
        .tm_hour = (int)(stamp >> 11 & 31),
        .tm_min = (int)(stamp >> 5 & 63),
        .tm_sec = (int)(stamp & 31) * 2,
        .tm_isdst = -1,
    };

    return stamp != 0 ? mktime(&local) : 0;
}

/* Moves past the folder `name` of `size` bytes: its own entry, and all members below it,
 * which stand together, though not always right behind that entry. */
static size_t skip_folder(const struct archive *archive, size_t at, size_t size)
{
    const char *name = archive->scan.members[at].name;

    while (at < archive->scan.count &&
           strncmp(archive->scan.members[at].name, name, size + 1) == 0) {
        at++;
    }
    return at;
}

static bool has_members(const struct archive *archive, const char *folder)
{
    char below[512];
    size_t at;

    (void)snprintf(below, sizeof(below), "%s/", folder);
    at = lower_bound(archive, below);
    return at < archive->scan.count &&
           strncmp(archive->scan.members[at].name, below, strlen(below)) == 0;
}

bool archive_walk(const struct archive *archive, const char *folder,
                  struct archive_walk *walk)
{
    size_t above = strlen(folder) + (*folder != '\0');
    char prefix[512];

    (void)snprintf(prefix, sizeof(prefix), "%s%s", folder, above > 0 ? "/" : "");
    if (walk->next == 0) {
        walk->next = lower_bound(archive, prefix);
    }
    while (walk->next < archive->scan.count) {
        const struct archive_member *member = &archive->scan.members[walk->next];
        size_t size;

        if (strncmp(member->name, prefix, above) != 0) {
            return false;
        }
        walk->name = member->name + above;
        size = walk->size = strcspn(walk->name, "/");
        walk->is_folder = member->is_folder || walk->name[size] == '/';
        if (walk->name[size] == '/') {
            walk->next = skip_folder(archive, walk->next, above + size);
            return true;
        }
        walk->next++;
        if (!member->is_folder || !has_members(archive, member->name)) {
            return true;
        }
        /* A folder's own entry: it is told when its members come. */
    }
    return false;
}

/* ---- reading ---- */

static int refuse(const struct archive *archive, size_t index, const char *problem,
                  struct buffer *why)
{
    buffer_printf(why, "\"%s\" in the ZIP %s.", archive_name(archive, index), problem);
    return -EINVAL;
}

/* Into exactly as many bytes as are declared, from exactly those that are there. */
static int inflate(struct archive *archive, size_t index, char *to, struct buffer *why)
{
    const struct archive_member *member = &archive->scan.members[index];
    size_t used = 0;

    if (archive->inflater == NULL) {
        archive->inflater = libdeflate_alloc_decompressor();
    }
    if (archive->inflater == NULL) {
        return -ENOMEM;
    }
    switch (libdeflate_deflate_decompress_ex(archive->inflater, member->packed,
                                             member->packed_size, to, member->declared,
                                             &used, NULL)) {
    case LIBDEFLATE_SUCCESS: break;
    case LIBDEFLATE_BAD_DATA:
        return refuse(archive, index, "is damaged: it cannot be unpacked", why);
    default:
        return refuse(archive, index,
                      "is damaged: it does not have the size that it claims", why);
    }
    return used == member->packed_size
               ? 0
               : refuse(archive, index, "is damaged: it ends before its place does", why);
}

int archive_read_to(struct archive *archive, size_t index, char *to, struct buffer *why)
{
    const struct archive_member *member = &archive->scan.members[index];
    int error = 0;

    if (member->is_deflated) {
        error = inflate(archive, index, to, why);
    } else if (member->declared > 0) {
        memcpy(to, member->packed, member->declared);
    }
    if (error == 0 && archive->zip != NULL &&
        libdeflate_crc32(0, to, member->declared) != member->crc) {
        return refuse(archive, index, "is damaged: its checksum is wrong", why);
    }
    return error;
}

int archive_read(struct archive *archive, size_t index, char **ret, size_t *ret_size,
                 struct buffer *why)
{
    size_t declared = archive->scan.members[index].declared;
    autofree char *bytes = malloc(declared + 1);
    int error = bytes != NULL ? archive_read_to(archive, index, bytes, why) : -ENOMEM;

    if (error < 0) {
        return error;
    }
    bytes[declared] = '\0';
    *ret = steal_ptr(bytes);
    *ret_size = declared;
    return 0;
}
