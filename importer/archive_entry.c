/* SPDX-License-Identifier: MIT */
/*
 * Where a program starts. Runs in the sandbox on the names of a checked archive and on
 * the job's field `entry`, both of a client's making. What it says when there is no entry
 * is read by students.
 */
#include "importer/archive.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const usual[] = {"robot.py", "user/robot.py", "main.py",
                                    "__main__.py"};

static bool ends_with(const char *text, const char *end)
{
    size_t size = strlen(text), length = strlen(end);

    return size >= length && strcmp(text + size - length, end) == 0;
}

/* A file that runs as __main__; its folder is the import root. */
static int take_file(const char *member, struct archive_entry *ret)
{
    const char *slash = strrchr(member, '/');

    (void)snprintf(ret->member, sizeof(ret->member), "%s", member);
    (void)snprintf(ret->folder, sizeof(ret->folder), "%.*s",
                   slash != NULL ? (int)(slash - member) : 0, member);
    return 0;
}

/* ---- no entry: what was found ---- */

/* The .py file nearest to the top; NULL if there is none. */
static const char *likely(const struct archive *archive)
{
    const char *best = NULL;
    size_t best_depth = SIZE_MAX;

    for (size_t i = 0; i < archive_count(archive); i++) {
        const char *name = archive_name(archive, i);
        size_t depth = 0;

        for (const char *c = name; *c != '\0'; c++) {
            depth += *c == '/';
        }
        if (ends_with(name, ".py") && depth < best_depth) {
            best = name;
            best_depth = depth;
        }
    }
    return best;
}

static int refuse_usual(const struct archive *archive, struct buffer *why)
{
    const char *found = likely(archive);

    if (found != NULL) {
        buffer_printf(why, "There is no robot.py. I found %s: is that it?", found);
    } else if (archive_count(archive) > 0 &&
               ends_with(archive_name(archive, 0), ".zip")) {
        buffer_printf(
            why, "There is no robot.py, but another ZIP, %s: please upload that one.",
            archive_name(archive, 0));
    } else {
        buffer_printf(why, "There is no robot.py, nor any other Python file.");
    }
    return -ENOENT;
}

/* ---- the job's field ---- */

static bool is_path(const char *entry)
{
    return strchr(entry, '/') != NULL || ends_with(entry, ".py");
}

/* With or without the top folder. */
static int find_path(struct archive *archive, const char *entry,
                     struct archive_entry *ret, struct buffer *why)
{
    autofree char *top = archive_top_folder(archive);
    size_t size = top != NULL ? strlen(top) : 0;
    bool is_within = archive_find(archive, entry) >= 0;

    archive_strip(archive);
    if (is_within && size > 0) {
        entry += size + 1;
    }
    if (archive_find(archive, entry) >= 0) {
        return take_file(entry, ret);
    }
    buffer_printf(why, "There is no file %s in the ZIP.", entry);
    return -ENOENT;
}

/* Is there such a module in a folder ("" is the top)? */
static bool has_module(const struct archive *archive, const char *folder,
                       const char *module)
{
    char path[1200];
    size_t above =
        (size_t)snprintf(path, 600, "%s%s", folder, *folder != '\0' ? "/" : "");
    size_t size = above + (size_t)snprintf(path + above, 510, "%s", module);

    for (char *c = path + above; *c != '\0'; c++) {
        *c = *c == '.' ? '/' : *c;
    }
    if (archive_is_directory(archive, path)) {
        return true;
    }
    (void)snprintf(path + size, sizeof(path) - size, ".py");
    return archive_find(archive, path) >= 0;
}

/* First without the top folder, whose name is seldom meant to be one. */
static bool take_module(struct archive *archive, const char *module)
{
    autofree char *top = archive_top_folder(archive);

    if (top != NULL && !has_module(archive, top, module) &&
        has_module(archive, "", module)) {
        return true;
    }
    archive_strip(archive);
    return has_module(archive, "", module);
}

static int find_module(struct archive *archive, const char *entry,
                       struct archive_entry *ret, struct buffer *why)
{
    const char *colon = strchr(entry, ':');
    size_t size = colon != NULL ? (size_t)(colon - entry) : strlen(entry);

    (void)snprintf(ret->module, sizeof(ret->module), "%.*s",
                   (int)(size < 500 ? size : 500), entry);
    if (colon != NULL) {
        (void)snprintf(ret->function, sizeof(ret->function), "%s", colon + 1);
    }
    if (ret->module[0] == '\0' || (colon != NULL && colon[1] == '\0')) {
        buffer_printf(why, "\"%s\" is no entry: write module or module:function.", entry);
        return -ENOENT;
    }
    if (take_module(archive, ret->module)) {
        return 0;
    }
    buffer_printf(why, "There is no module %s in the ZIP.", ret->module);
    return -ENOENT;
}

int archive_find_entry(struct archive *archive, const char *entry,
                       struct archive_entry *ret, struct buffer *why)
{
    memset(ret, 0, sizeof(*ret));
    if (*entry != '\0') {
        return is_path(entry) ? find_path(archive, entry, ret, why)
                              : find_module(archive, entry, ret, why);
    }
    archive_strip(archive);
    for (size_t i = 0; i < array_size(usual); i++) {
        if (archive_find(archive, usual[i]) >= 0) {
            return take_file(usual[i], ret);
        }
    }
    return refuse_usual(archive, why);
}
