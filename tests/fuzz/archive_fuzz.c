/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: a ZIP from an attacker is opened under small limits, every member read,
 * looked up and tried as an entry. What is given out must keep to the limits, and what is
 * refused must say why. Run by libFuzzer.
 */
#include "importer/archive.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct archive_limits limits = {
    .bytes = 1 << 16,
    .entries = 64,
    .name = 100,
    .depth = 8,
    .member = 1 << 16,
    .total = 1 << 18,
    .ratio = 200,
};

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void check_name(const char *name)
{
    size_t size = strlen(name);

    require(size > 0 && size <= limits.name && name[0] != '/' && name[size - 1] != '/');
    require(strstr(name, "//") == NULL && strstr(name, "/../") == NULL &&
            strncmp(name, "../", 3) != 0 && strchr(name, '\\') == NULL);
}

static size_t read_member(struct archive *archive, size_t index)
{
    autobuffer struct buffer why = BUFFER_INIT(1024);
    char *bytes;
    size_t size;

    if (archive_read(archive, index, &bytes, &size, &why) < 0) {
        require(why.size > 0);
        return 0;
    }
    require(size <= limits.member && bytes[size] == '\0');
    free(bytes);
    return size;
}

static void check_members(struct archive *archive)
{
    size_t total = 0;

    require(archive_count(archive) <= limits.entries);
    for (size_t i = 0; i < archive_count(archive); i++) {
        const char *name = archive_name(archive, i);
        ssize_t found = archive_find(archive, name);

        check_name(name);
        require(i == 0 || strcmp(archive_name(archive, i - 1), name) < 0);
        require(found == (ssize_t)i ||
                (found < 0 && archive_is_directory(archive, name)));
        require(found < 0 || !archive_is_directory(archive, name));
        total += read_member(archive, i);
    }
    require(total <= limits.total);
}

static void check_entry(struct archive *archive, const char *text)
{
    autobuffer struct buffer why = BUFFER_INIT(4096);
    struct archive_entry entry;

    if (archive_find_entry(archive, text, &entry, &why) < 0) {
        require(why.size > 0);
    } else {
        /* Either it is called in its module, or it runs. */
        require((entry.member[0] != '\0') != (entry.function[0] != '\0'));
        require(entry.function[0] == '\0' || entry.module[0] != '\0');
        require(entry.member[0] == '\0' || archive_find(archive, entry.member) >= 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    autobuffer struct buffer why = BUFFER_INIT(4096);
    struct archive *archive = NULL;
    char tail[64] = "";

    if (archive_open(data, size, &limits, &archive, &why) < 0) {
        require(why.size > 0 && archive == NULL);
        return 0;
    }
    check_members(archive);
    memcpy(tail, data, size < sizeof(tail) - 1 ? size : sizeof(tail) - 1);
    check_entry(archive, "");
    check_entry(archive, tail);
    for (size_t i = 0; i < archive_count(archive); i++) {
        autofree char *name = strdup(archive_name(archive, i)); /* a top folder goes */

        require(name != NULL);
        check_entry(archive, name);
    }
    archive_free(archive);
    return 0;
}
