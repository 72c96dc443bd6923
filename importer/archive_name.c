/* SPDX-License-Identifier: MIT */
/*
 * Which names of members are acceptable. Runs in the sandbox (and in any program that
 * embeds the importer) on bytes from an attacker. Must refuse whatever could lead out of
 * a root, or be read in two ways.
 */
#include "importer/archive_name.h"

#include "common/utf8.h"

#include <string.h>

/* Why a component of a path is not acceptable, or NULL. */
static const char *bad_component(const char *text, size_t size)
{
    if (size == 0) {
        return "has an empty part in its name";
    }
    if ((size == 1 && text[0] == '.') || (size == 2 && memcmp(text, "..", 2) == 0)) {
        return "has . or .. in its name";
    }
    return NULL;
}

static const char *bad_bytes(const char *name, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f) {
            return "has a control character in its name";
        }
    }
    if (!utf8_valid(name, size)) {
        return "has a name that is not UTF-8: give it one of plain letters";
    }
    if (name[0] == '/') {
        return "has an absolute name";
    }
    if (size >= 2 && name[1] == ':') {
        return "has a drive letter in its name";
    }
    return NULL;
}

const char *archive_name_problem(const struct archive_limits *limits, const char *name,
                                 size_t size)
{
    const char *problem = size > 0 ? bad_bytes(name, size) : "has no name";
    size_t depth = 0;

    for (size_t from = 0, at = 0; problem == NULL && at <= size; at++) {
        if (at == size || name[at] == '/') {
            problem = bad_component(name + from, at - from);
            depth += at < size;
            from = at + 1;
        }
    }
    if (problem == NULL && depth > limits->depth) {
        problem = "lies in too many folders";
    }
    return problem;
}

bool archive_name_is_ignored(const char *name)
{
    static const char *const folders[] = {"__MACOSX", ".git", "__pycache__"};
    const char *slash = strrchr(name, '/');
    const char *last = slash != NULL ? slash + 1 : name;

    if (strncmp(last, "._", 2) == 0 || strcmp(last, ".DS_Store") == 0) {
        return true;
    }
    for (const char *part = name; part != NULL; part = strchr(part, '/')) {
        part += *part == '/';
        for (size_t i = 0; i < array_size(folders); i++) {
            size_t size = strlen(folders[i]);

            if (strncmp(part, folders[i], size) == 0 &&
                (part[size] == '/' || part[size] == '\0')) {
                return true;
            }
        }
    }
    return false;
}
