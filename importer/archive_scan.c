/* SPDX-License-Identifier: MIT */
/*
 * Checking a ZIP's directory. Runs in the sandbox (and in any program that embeds the
 * importer) on bytes from an attacker: trusts no length, offset or count. Must refuse
 * whatever two readers could understand differently.
 */
#include "importer/archive_scan.h"

#include "common/utf8.h"
#include "importer/archive_name.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define END_SIZE      22 /* end of central directory record, without comment */
#define ENTRY_SIZE    46 /* central directory file header, without its variable part */
#define LOCATOR_SIZE  20 /* zip64 end of central directory locator */
#define LOCAL_SIZE    30 /* local file header, without its variable part */
#define END_MAGIC     0x06054b50u
#define ENTRY_MAGIC   0x02014b50u
#define LOCAL_MAGIC   0x04034b50u
#define LOCATOR_MAGIC 0x07064b50u
#define INFLATE_MAX   1032 /* no deflate stream grows by more (zlib's technical notes) */

enum { STORED = 0, DEFLATED = 8 };
enum { FLAG_ENCRYPTED = 1 << 0, FLAG_SIZES_FOLLOW = 1 << 3, FLAG_MASKED = 1 << 13 };
enum { MADE_ON_UNIX = 3, MADE_ON_DARWIN = 19 };
#define FLAGS_ENCRYPTED (FLAG_ENCRYPTED | FLAG_MASKED)
#define SIZE_ELSEWHERE  0xffffffffu /* in a ZIP64 extra field */

struct span {
    uint64_t from, to; /* of an entry's header and data, in the ZIP */
    size_t member;
};

struct scanner {
    const unsigned char *data;
    size_t size;
    const struct archive_limits *limits;
    struct buffer *why;
    size_t entries;     /* as the end record says */
    size_t directory;   /* offset of the central directory */
    size_t end;         /* offset of the end record */
    uint64_t total;     /* declared inflated bytes so far */
    struct span *spans; /* owned, one per entry */
    struct archive_scan *scan;
};

static uint32_t le16(const unsigned char *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8;
}

static uint32_t le32(const unsigned char *at)
{
    return le16(at) | le16(at + 2) << 16;
}

static int refuse(struct scanner *scanner, const char *format, ...) printf_like(2, 3);
static int refuse(struct scanner *scanner, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    buffer_vprintf(scanner->why, format, args);
    va_end(args);
    return -EINVAL;
}

/* ---- what it is, if no ZIP ---- */

static const struct {
    const char *magic;
    size_t size;
    const char *sentence;
} other_kinds[] = {
    {"PK\3\4", 4, "This ZIP is cut off: its end is missing. Please upload it again."},
    {"\x1f\x8b", 2, "This is a gzip file, not a ZIP. Please make a ZIP."},
    {"Rar!", 4, "This is a RAR file, not a ZIP. Please make a ZIP."},
    {"7z\xbc\xaf", 4, "This is a 7z file, not a ZIP. Please make a ZIP."},
};

static int refuse_kind(struct scanner *scanner)
{
    for (size_t i = 0; i < array_size(other_kinds); i++) {
        if (scanner->size >= other_kinds[i].size &&
            memcmp(scanner->data, other_kinds[i].magic, other_kinds[i].size) == 0) {
            return refuse(scanner, "%s", other_kinds[i].sentence);
        }
    }
    if (utf8_valid((const char *)scanner->data, scanner->size)) {
        return refuse(scanner,
                      "This is a text, not a ZIP. Please put your files into a ZIP.");
    }
    return refuse(scanner, "This is not a ZIP.");
}

/* ---- the end record ---- */

/* Its comment must reach exactly to the end; there must be but one record of which that
 * is true, and none in its comment, where less strict readers would find it first. */
static int find_end(struct scanner *scanner)
{
    size_t lowest =
        scanner->size > END_SIZE + 65535 ? scanner->size - END_SIZE - 65535 : 0;
    size_t found = SIZE_MAX;
    bool stray = false;

    if (scanner->size == 0) {
        return refuse(scanner, "The ZIP is empty: it has no bytes at all.");
    }
    for (size_t at = scanner->size >= END_SIZE ? scanner->size - END_SIZE + 1 : 0;
         at-- > lowest;) {
        size_t left = scanner->size - at;

        if (le32(scanner->data + at) != END_MAGIC) {
            continue;
        }
        if (le16(scanner->data + at + 20) != left - END_SIZE) {
            stray = stray || found == SIZE_MAX; /* below, it is in a member's data */
        } else if (found != SIZE_MAX) {
            stray = true;
        } else {
            found = at;
        }
    }
    if (found != SIZE_MAX && stray) {
        return refuse(scanner, "The ZIP hides a second ZIP in its comment.");
    }
    if (stray) {
        return refuse(scanner, "The ZIP is damaged, or has other bytes behind its end.");
    }
    if (found == SIZE_MAX) {
        return refuse_kind(scanner);
    }
    scanner->end = found;
    return 0;
}

/* Is there the record in front of the end that leads to zip64's own end? */
static bool has_locator(const struct scanner *scanner)
{
    return scanner->end >= LOCATOR_SIZE &&
           le32(scanner->data + scanner->end - LOCATOR_SIZE) == LOCATOR_MAGIC;
}

static int read_end(struct scanner *scanner)
{
    const unsigned char *end = scanner->data + scanner->end;
    uint32_t here = le16(end + 8), all = le16(end + 10), size = le32(end + 12),
             offset = le32(end + 16);

    if (le16(end + 4) != 0 || le16(end + 6) != 0 || here != all) {
        return refuse(scanner,
                      "The ZIP is one part of several. Please make it in one piece.");
    }
    if (all == 0xffff || size == 0xffffffff || offset == 0xffffffff ||
        has_locator(scanner)) {
        return refuse(scanner, "The ZIP is of the kind for very large files (zip64), "
                               "which is not read here.");
    }
    if (all > scanner->limits->entries) {
        return refuse(scanner, "The ZIP holds %u files; at most %zu are allowed.", all,
                      scanner->limits->entries);
    }
    if ((uint64_t)offset + size != scanner->end) {
        return refuse(scanner, "The ZIP is damaged, or has other bytes in front of it.");
    }
    if ((uint64_t)all * ENTRY_SIZE > size) {
        return refuse(scanner, "The ZIP is damaged: its list of files is too short.");
    }
    scanner->entries = all;
    scanner->directory = offset;
    return 0;
}

/* ---- names ---- */

/* As it stands in a sentence, which is one line. */
static void show_name(const char *name, size_t size, char to[128])
{
    (void)utf8_copy_clean(to, 128, name, size);
    for (char *c = to; *c != '\0'; c++) {
        *c = *c == '\n' || *c == '\t' ? '?' : *c;
    }
}

/* Takes the raw name into a member: backslashes of Windows become slashes, a slash at the
 * end means a folder. */
static int take_name(struct scanner *scanner, const unsigned char *raw, size_t size,
                     struct archive_member *member)
{
    char *name, shown[128];
    const char *problem;

    if (size > scanner->limits->name) {
        show_name((const char *)raw, size < 40 ? size : 40, shown);
        return refuse(
            scanner,
            "\"%s...\" in the ZIP has a name of %zu bytes; at most %zu are allowed.",
            shown, size, scanner->limits->name);
    }
    name = calloc(1, size + 1);
    if (name == NULL) {
        return -ENOMEM;
    }
    member->name = name;
    for (size_t i = 0; i < size; i++) {
        name[i] = (char)(raw[i] == '\\' ? '/' : raw[i]);
    }
    member->is_folder = size > 0 && name[size - 1] == '/';
    size -= member->is_folder;
    problem = archive_name_problem(scanner->limits, name, size);
    name[size] = '\0';
    if (problem != NULL) {
        show_name(name, size, shown);
        return refuse(scanner, "\"%s\" in the ZIP %s.", shown, problem);
    }
    return 0;
}

/* ---- entries ---- */

struct raw_entry {
    const unsigned char *at;
    uint32_t flags, method, crc, packed, declared, name_size, extra_size, comment_size,
        offset, mode;
};

static void read_entry(const unsigned char *at, struct raw_entry *ret)
{
    *ret = (struct raw_entry){
        .at = at,
        .flags = le16(at + 8),
        .method = le16(at + 10),
        .crc = le32(at + 16),
        .packed = le32(at + 20),
        .declared = le32(at + 24),
        .name_size = le16(at + 28),
        .extra_size = le16(at + 30),
        .comment_size = le16(at + 32),
        .offset = le32(at + 42),
        .mode =
            at[5] == MADE_ON_UNIX || at[5] == MADE_ON_DARWIN ? le32(at + 38) >> 16 : 0,
    };
}

static bool is_plain(const struct raw_entry *entry)
{
    uint32_t type = entry->mode & S_IFMT;

    return type == 0 || type == S_IFREG || type == S_IFDIR;
}

/* Do the extra fields, each with an id, a size and as many bytes, fill their place? Zeros
 * behind them are what Android's tools align data with. */
static bool are_extras_sound(const unsigned char *at, size_t size)
{
    while (size >= 4) {
        size_t one = 4 + le16(at + 2);

        if (one > size) {
            return false;
        }
        at += one;
        size -= one;
    }
    for (size_t i = 0; i < size; i++) {
        if (at[i] != 0) {
            return false;
        }
    }
    return true;
}

/* Why an entry is not acceptable whatever its name, or NULL. */
static const char *bad_entry(const struct archive_limits *limits,
                             const struct raw_entry *entry,
                             const struct archive_member *member)
{
    const struct {
        bool bad;
        const char *problem;
    } rules[] = {
        {(entry->flags & FLAGS_ENCRYPTED) != 0, "is encrypted"},
        {entry->method != STORED && entry->method != DEFLATED,
         "is packed in a way that is not read here (only the usual one is)"},
        {!is_plain(entry), "is a link or a device, not a file"},
        {entry->declared == SIZE_ELSEWHERE || entry->packed == SIZE_ELSEWHERE,
         "is of the kind for very large files (zip64), which is not read here"},
        {!are_extras_sound(entry->at + ENTRY_SIZE + entry->name_size, entry->extra_size),
         "is damaged: its extra fields cannot be read"},
        {member->is_folder && entry->declared != 0,
         "is a folder with contents of its own"},
        {entry->declared > limits->member, "is too large"},
        {entry->method == STORED && entry->packed != entry->declared,
         "is damaged: its sizes differ"},
        {(uint64_t)entry->declared > (uint64_t)entry->packed * INFLATE_MAX + INFLATE_MAX,
         "is damaged: its size cannot be right"},
        {entry->declared > 1 << 20 &&
             entry->declared / ((uint64_t)entry->packed + 1) > limits->ratio,
         "unpacks to far more than its size in the ZIP"},
    };

    for (size_t i = 0; i < array_size(rules); i++) {
        if (rules[i].bad) {
            return rules[i].problem;
        }
    }
    return NULL;
}

/* A checksum or size of the local header: a writer that does not know it yet leaves it at
 * 0. */
static bool tells_the_same(uint32_t local, uint32_t listed, uint32_t flags)
{
    return local == listed || (local == 0 && (flags & FLAG_SIZES_FOLLOW) != 0);
}

static bool is_same_entry(const unsigned char *local, const struct raw_entry *entry)
{
    uint32_t flags = le16(local + 6);

    return le16(local + 26) == entry->name_size &&
           memcmp(local + LOCAL_SIZE, entry->at + ENTRY_SIZE, entry->name_size) == 0 &&
           le16(local + 8) == entry->method && (flags & FLAGS_ENCRYPTED) == 0 &&
           tells_the_same(le32(local + 14), entry->crc, flags) &&
           (le32(local + 18) == SIZE_ELSEWHERE ||
            tells_the_same(le32(local + 18), entry->packed, flags)) &&
           (le32(local + 22) == SIZE_ELSEWHERE ||
            tells_the_same(le32(local + 22), entry->declared, flags)) &&
           are_extras_sound(local + LOCAL_SIZE + entry->name_size, le16(local + 28));
}

/* The local header must tell the same story. Its name and place are what other readers go
 * by. */
static int check_local(struct scanner *scanner, const struct raw_entry *entry,
                       const struct archive_member *member, struct span *ret)
{
    const unsigned char *local = scanner->data + entry->offset;
    uint64_t data;

    if ((uint64_t)entry->offset + LOCAL_SIZE > scanner->directory ||
        le32(local) != LOCAL_MAGIC) {
        return refuse(scanner,
                      "\"%s\" in the ZIP is damaged: it is not where the list says.",
                      member->name);
    }
    data = (uint64_t)entry->offset + LOCAL_SIZE + le16(local + 26) + le16(local + 28);
    if (data + entry->packed > scanner->directory || !is_same_entry(local, entry)) {
        return refuse(scanner,
                      "\"%s\" in the ZIP is damaged: its two descriptions differ.",
                      member->name);
    }
    *ret = (struct span){.from = entry->offset,
                         .to = data + entry->packed,
                         .member = (size_t)(member - scanner->scan->members)};
    return 0;
}

static int check_entry(struct scanner *scanner, size_t index,
                       const struct raw_entry *entry)
{
    struct archive_member *member = &scanner->scan->members[scanner->scan->count++];
    const char *problem;
    int error = take_name(scanner, entry->at + ENTRY_SIZE, entry->name_size, member);

    if (error < 0) {
        return error;
    }
    problem = bad_entry(scanner->limits, entry, member);
    if (problem != NULL) {
        return refuse(scanner, "\"%s\" in the ZIP %s.", member->name, problem);
    }
    scanner->total += entry->declared;
    if (scanner->total > scanner->limits->total) {
        return refuse(scanner,
                      "The ZIP unpacks to more than the %zu MB that are allowed.",
                      scanner->limits->total >> 20);
    }
    member->declared = entry->declared;
    member->crc = entry->crc;
    member->modified = le32(entry->at + 12);
    member->is_deflated = entry->method == DEFLATED;
    error = check_local(scanner, entry, member, &scanner->spans[index]);
    if (error == 0) {
        member->packed_size = entry->packed;
        member->packed = scanner->data + scanner->spans[index].to - entry->packed;
    }
    return error;
}

static int check_entries(struct scanner *scanner)
{
    size_t at = scanner->directory;

    for (size_t i = 0; i < scanner->entries; i++) {
        struct raw_entry entry;
        int error;

        if (scanner->end - at < ENTRY_SIZE || le32(scanner->data + at) != ENTRY_MAGIC) {
            return refuse(scanner,
                          "The ZIP is damaged: its list of files cannot be read.");
        }
        read_entry(scanner->data + at, &entry);
        if ((uint64_t)entry.name_size + entry.extra_size + entry.comment_size >
            scanner->end - at - ENTRY_SIZE) {
            return refuse(scanner,
                          "The ZIP is damaged: its list of files cannot be read.");
        }
        error = check_entry(scanner, i, &entry);
        if (error < 0) {
            return error;
        }
        at += ENTRY_SIZE + entry.name_size + entry.extra_size + entry.comment_size;
    }
    return at == scanner->end
               ? 0
               : refuse(scanner, "The ZIP is damaged: its list of files is too long.");
}

/* ---- all entries together ---- */

static int compare_spans(const void *a, const void *b)
{
    const struct span *one = a, *two = b;

    return (one->from > two->from) - (one->from < two->from);
}

static int check_overlaps(struct scanner *scanner)
{
    qsort(scanner->spans, scanner->entries, sizeof(*scanner->spans), compare_spans);
    for (size_t i = 1; i < scanner->entries; i++) {
        const struct span *one = &scanner->spans[i - 1], *two = &scanner->spans[i];

        if (two->from < one->to) {
            return refuse(scanner,
                          "\"%s\" and \"%s\" overlap in the ZIP: it is damaged, or made "
                          "to be a trap.",
                          scanner->scan->members[one->member].name,
                          scanner->scan->members[two->member].name);
        }
    }
    return 0;
}

static int compare_members(const void *a, const void *b)
{
    const struct archive_member *one = a, *two = b;

    return strcmp(one->name, two->name);
}

/* Does a member lie in a folder of the name that the file at `index` has? Names with the
 * same beginning stand right behind it, some with a byte below '/' in that place first.
 */
static bool is_also_folder(const struct archive_scan *scan, size_t index)
{
    const char *name = scan->members[index].name;
    size_t size = strlen(name);

    if (scan->members[index].is_folder) {
        return false;
    }
    for (size_t i = index + 1;
         i < scan->count && strncmp(scan->members[i].name, name, size) == 0; i++) {
        if (scan->members[i].name[size] == '/') {
            return true;
        }
    }
    return false;
}

/* After sorting, twins are neighbours. */
static int check_twins(struct scanner *scanner)
{
    const struct archive_scan *scan = scanner->scan;

    for (size_t i = 0; i < scan->count; i++) {
        const char *name = scan->members[i].name;

        if (i > 0 && strcmp(scan->members[i - 1].name, name) == 0) {
            return refuse(scanner, "\"%s\" is in the ZIP twice.", name);
        }
        if (is_also_folder(scan, i)) {
            return refuse(scanner, "\"%s\" is both a file and a folder in the ZIP.",
                          name);
        }
    }
    return 0;
}

static void drop_ignored(struct archive_scan *scan)
{
    size_t kept = 0;

    for (size_t i = 0; i < scan->count; i++) {
        if (archive_name_is_ignored(scan->members[i].name)) {
            free(scan->members[i].name);
        } else {
            scan->members[kept++] = scan->members[i];
        }
    }
    scan->count = kept;
}

static int allocate(struct scanner *scanner)
{
    scanner->spans = calloc(scanner->entries + 1, sizeof(*scanner->spans));
    scanner->scan->members =
        calloc(scanner->entries + 1, sizeof(*scanner->scan->members));
    return scanner->spans != NULL && scanner->scan->members != NULL ? 0 : -ENOMEM;
}

static int sort(struct scanner *scanner)
{
    struct archive_scan *scan = scanner->scan;

    qsort(scan->members, scan->count, sizeof(*scan->members), compare_members);
    return 0;
}

int archive_scan(const unsigned char *data, size_t size,
                 const struct archive_limits *limits, struct archive_scan *ret,
                 struct buffer *why)
{
    static int (*const steps[])(struct scanner *) = {
        find_end, read_end, allocate, check_entries, check_overlaps, sort, check_twins};
    struct scanner scanner = {
        .data = data, .size = size, .limits = limits, .why = why, .scan = ret};
    int error = 0;

    *ret = (struct archive_scan){0};
    if (size > limits->bytes) {
        return refuse(&scanner, "The ZIP has %zu bytes; at most %zu are allowed.", size,
                      limits->bytes);
    }
    for (size_t i = 0; i < array_size(steps) && error == 0; i++) {
        error = steps[i](&scanner);
    }
    free(scanner.spans);
    if (error < 0) {
        archive_scan_done(ret);
        return error;
    }
    drop_ignored(ret);
    return 0;
}

void archive_scan_done(struct archive_scan *scan)
{
    for (size_t i = 0; i < scan->count; i++) {
        free(scan->members[i].name);
    }
    free(scan->members);
    *scan = (struct archive_scan){0};
}
