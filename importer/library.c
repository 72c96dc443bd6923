/* SPDX-License-Identifier: MIT */
/*
 * Opening the library archive. Runs in the zygote before its lock (and in whatever else
 * embeds the importer); the file is the operator's and trusted, but it may be old, cut
 * off or something else.
 */
#include <Python.h>

#include "importer/library.h"

#include "common/limits.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define STAMP  "paddock-library"
#define FORMAT "2"

/* It is ours: only what a damaged file could break is limited. */
static const struct archive_limits library_limits = {
    .bytes = MIB(1024),
    .entries = 65534, /* what a ZIP that is no zip64 can say */
    .name = 255,
    .depth = 32,
    .member = MIB(128),
    .total = SIZE_MAX,
    .ratio = SIZE_MAX,
};

/* The lines of a stamp are "key value". */
static void take_line(struct library *library, const char **fields, char *line)
{
    static const char *const keys[] = {"format ", "python ", "magic "};
    size_t used = strlen(library->added);

    for (size_t i = 0; i < array_size(keys); i++) {
        if (strncmp(line, keys[i], strlen(keys[i])) == 0) {
            fields[i] = line + strlen(keys[i]);
        }
    }
    if (strncmp(line, "add ", 4) == 0) {
        (void)snprintf(library->added + used, sizeof(library->added) - used, "%s",
                       line + 3);
    }
}

static int check_stamp(struct library *library, char *text, struct buffer *why)
{
    const char *fields[] = {"", "", ""};
    char magic[16];

    for (char *line = strtok_r(text, "\n", &text); line != NULL;
         line = strtok_r(NULL, "\n", &text)) {
        take_line(library, fields, line);
    }
    (void)snprintf(magic, sizeof(magic), "%lx", (unsigned long)PyImport_GetMagicNumber());
    if (strcmp(fields[0], FORMAT) != 0) {
        buffer_printf(why, "it has the format \"%s\", and this program reads \"%s\"",
                      fields[0], FORMAT);
        return -EINVAL;
    }
    if (strcmp(fields[1], Py_GetVersion()) != 0 || strcmp(fields[2], magic) != 0) {
        buffer_printf(why, "it was made for Python %s, and this is Python %s", fields[1],
                      Py_GetVersion());
        return -EINVAL;
    }
    return 0;
}

static int read_stamp(struct library *library, struct buffer *why)
{
    ssize_t index = archive_find(library->archive, STAMP);
    autofree char *text = NULL;
    size_t size;
    int error;

    if (index < 0) {
        buffer_add_text(why, "it is a ZIP, but no library of Python");
        return -EINVAL;
    }
    error = archive_read(library->archive, (size_t)index, &text, &size, why);
    return error < 0 ? error : check_stamp(library, text, why);
}

/* The archive's sentences are for students, whose ZIPs are uploaded: the first of them
 * says what is wrong with any file. */
static void refuse_archive(const struct buffer *sentences, struct buffer *why)
{
    const char *text = sentences->data != NULL ? sentences->data : "";
    const char *end = strstr(text, ". ");
    size_t size = end != NULL ? (size_t)(end - text) : strlen(text);

    if (size > 0 && text[size - 1] == '.') {
        size--;
    }
    buffer_printf(why, "it is no library of Python, or a damaged one (\"%.*s\")",
                  (int)size, text);
}

int library_open(const void *data, size_t size, struct library *ret, struct buffer *why)
{
    autobuffer struct buffer sentences = BUFFER_INIT(1024);
    int error;

    memset(ret, 0, sizeof(*ret));
    error = archive_open(data, size, &library_limits, &ret->archive, &sentences);
    if (error < 0) {
        refuse_archive(&sentences, why);
        return error;
    }
    error = read_stamp(ret, why);
    if (error < 0) {
        archive_free(ret->archive);
        ret->archive = NULL;
    }
    return error;
}
