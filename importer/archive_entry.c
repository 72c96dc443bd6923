/* SPDX-License-Identifier: MIT */
/*
 * Where a program starts. Runs in the sandbox on the names of a checked archive and on
 * the job's field `entry`, both of a client's making. What it says when there is no entry
 * is read by students.
 */
#include "importer/archive.h"

#include "common/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const usual[] = {"robot.py", "user/robot.py", "main.py",
                                    "__main__.py"};

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

static bool is_source(const char *name)
{
    return text_ends_with_any_case(name, ".py") ||
           text_ends_with_any_case(name, ".py.txt");
}

static bool is_zip(const char *name)
{
    return text_ends_with_any_case(name, ".zip");
}

/* How far a member is from being the entry: the nearest to the top comes first, there one
 * whose name is a usual one but for its ending and capital letters, then one that could
 * be imported as it is. */
static size_t unlikeliness(const char *name)
{
    const char *slash = strrchr(name, '/');
    const char *base = slash != NULL ? slash + 1 : name;
    bool is_usual =
        strncasecmp(base, "robot.", 6) == 0 || strncasecmp(base, "main.", 5) == 0;
    size_t depth = 0;

    for (const char *c = name; *c != '\0'; c++) {
        depth += *c == '/';
    }
    return depth * 4 + (is_usual ? 0 : 2) + (text_ends_with(name, ".py") ? 0 : 1);
}

/* The likeliest member of a kind; NULL if there is none. */
static const char *likeliest(const struct archive *archive,
                             bool (*is_kind)(const char *name))
{
    const char *best = NULL;

    for (size_t i = 0; i < archive_count(archive); i++) {
        const char *name = archive_name(archive, i);

        if (is_kind(name) && (best == NULL || unlikeliness(name) < unlikeliness(best))) {
            best = name;
        }
    }
    return best;
}

static int refuse_usual(const struct archive *archive, struct buffer *why)
{
    const char *source = likeliest(archive, is_source);
    const char *zip = likeliest(archive, is_zip);

    if (source != NULL) {
        buffer_printf(why, "There is no robot.py. I found %s: is that it?", source);
    } else if (zip != NULL) {
        buffer_printf(
            why, "There is no robot.py, but another ZIP, %s: please upload that one.",
            zip);
    } else {
        buffer_printf(why, "There is no robot.py, nor any other Python file.");
    }
    return -ENOENT;
}

/* ---- the job's field ---- */

static bool is_path(const char *entry)
{
    return strchr(entry, '/') != NULL || text_ends_with(entry, ".py");
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

enum found {
    FOUND_NOTHING,
    FOUND_FILE,    /* MODULE.py */
    FOUND_PACKAGE, /* a folder */
};

#define MODULE_MAX 480                /* leaves room for ".__main__" and "/__init__.py" */
#define SOURCE_MAX (256 + MODULE_MAX) /* with a top folder in front */

/* Is there a member PATH END? */
static bool has_file(const struct archive *archive, const char *path, const char *end)
{
    char name[SOURCE_MAX + 32];

    (void)snprintf(name, sizeof(name), "%s%s", path, end);
    return archive_find(archive, name) >= 0;
}

/* What an import of the module would find with a folder ("" is the top) on the path, and
 * its path without an ending. */
static enum found find_source(const struct archive *archive, const char *folder,
                              const char *module, char path[SOURCE_MAX])
{
    int above = snprintf(path, 256, "%.254s%s", folder, *folder != '\0' ? "/" : "");

    (void)snprintf(path + above, MODULE_MAX, "%s", module);
    for (char *c = path + above; *c != '\0'; c++) {
        *c = *c == '.' ? '/' : *c;
    }
    if (!has_file(archive, path, "/__init__.py") && has_file(archive, path, ".py")) {
        return FOUND_FILE;
    }
    return archive_is_directory(archive, path) ? FOUND_PACKAGE : FOUND_NOTHING;
}

/* As `python -m MODULE`: a package runs by its __main__. */
static int take_module(const struct archive *archive, enum found found, const char *path,
                       struct archive_entry *ret, struct buffer *why)
{
    size_t size = strlen(ret->module);

    if (found == FOUND_FILE) {
        (void)snprintf(ret->member, sizeof(ret->member), "%.500s.py", path);
        return 0;
    }
    if (!has_file(archive, path, "/__main__.py")) {
        buffer_printf(why,
                      "%s is a package without a __main__.py, so it does not run by "
                      "itself: write the module in it, or %s:function.",
                      ret->module, ret->module);
        return -ENOENT;
    }
    (void)snprintf(ret->module + size, sizeof(ret->module) - size, ".__main__");
    (void)snprintf(ret->member, sizeof(ret->member), "%.490s/__main__.py", path);
    return 0;
}

/* First without the top folder, whose name is seldom meant to be one. */
static enum found find_in_zip(struct archive *archive, const char *module,
                              char path[SOURCE_MAX])
{
    autofree char *top = archive_top_folder(archive);
    bool is_meant = top != NULL &&
                    find_source(archive, "", module, path) != FOUND_NOTHING &&
                    find_source(archive, top, module, path) == FOUND_NOTHING;

    if (!is_meant) {
        archive_strip(archive);
    }
    return find_source(archive, "", module, path);
}

static int find_module(struct archive *archive, const char *entry,
                       struct archive_entry *ret, struct buffer *why)
{
    const char *colon = strchr(entry, ':');
    size_t size = colon != NULL ? (size_t)(colon - entry) : strlen(entry);
    char path[SOURCE_MAX];
    enum found found;

    (void)snprintf(ret->module, sizeof(ret->module), "%.*s",
                   (int)(size < MODULE_MAX ? size : MODULE_MAX), entry);
    if (colon != NULL) {
        (void)snprintf(ret->function, sizeof(ret->function), "%s", colon + 1);
    }
    if (ret->module[0] == '\0' || (colon != NULL && colon[1] == '\0')) {
        buffer_printf(why, "\"%s\" is no entry: write module or module:function.", entry);
        return -ENOENT;
    }
    found = find_in_zip(archive, ret->module, path);
    if (found == FOUND_NOTHING) {
        buffer_printf(why, "There is no module %s in the ZIP.", ret->module);
        return -ENOENT;
    }
    return colon != NULL ? 0 : take_module(archive, found, path, ret, why);
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
