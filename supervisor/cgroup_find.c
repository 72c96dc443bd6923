/* SPDX-License-Identifier: MIT */
/*
 * Finding the hierarchies of control groups. Runs in the supervisor, on two files of the
 * kernel's. Must cope with a container, which sees a part of a hierarchy as its root.
 *
 * Sources: proc_pid_mountinfo(5), cgroups(7).
 */
#include "supervisor/cgroup_find.h"

#include "common/fd.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

const char *const cgroup_controller_names[CGROUP_CONTROLLERS] = {"memory", "pids"};

/* One of the words between commas or at the line's end? */
static bool has_word(const char *list, const char *word)
{
    size_t length = strlen(word);

    for (const char *at = list; at != NULL; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, word, length) == 0 && strchr(",\n", at[length]) != NULL) {
            return true;
        }
    }
    return false;
}

/* The place among ours that a mount or a line with these controllers is about, or NULL.
 */
static struct cgroup_place *place_of(struct cgroup_places *places, bool unified,
                                     const char *controllers, int controller)
{
    if (unified) {
        return controller == CGROUP_MEMORY ? &places->v2 : NULL;
    }
    return has_word(controllers, cgroup_controller_names[controller])
               ? &places->v1[controller]
               : NULL;
}

/* ---- mounts ---- */

struct mount_line {
    char root[LIMIT_PATH], point[LIMIT_PATH], type[32], options[512];
};

static bool read_mount(const char *line, struct mount_line *ret)
{
    const char *rest = strstr(line, " - ");
    const char *end = strchrnul(line, '\n');

    return rest != NULL && rest < end &&
           sscanf(line, "%*d %*d %*s %4095s %4095s", ret->root, ret->point) == 2 &&
           sscanf(rest, " - %31s %*s %511s", ret->type, ret->options) == 2;
}

/* Until the own groups are known, `own` holds what the mount shows as its root. */
static void take_mount(const struct mount_line *mount, struct cgroup_places *places)
{
    bool unified = strcmp(mount->type, "cgroup2") == 0;

    if (!unified && strcmp(mount->type, "cgroup") != 0) {
        return;
    }
    for (int i = 0; i < CGROUP_CONTROLLERS; i++) {
        struct cgroup_place *place = place_of(places, unified, mount->options, i);

        if (place != NULL && place->mount[0] == '\0') {
            (void)snprintf(place->mount, sizeof(place->mount), "%s", mount->point);
            (void)snprintf(place->own, sizeof(place->own), "%s", mount->root);
        }
    }
}

static void take_mounts(const char *text, struct cgroup_places *places)
{
    static struct mount_line mount;

    for (const char *line = text; *line != '\0';) {
        const char *next = strchrnul(line, '\n');

        if (read_mount(line, &mount)) {
            take_mount(&mount, places);
        }
        line = *next == '\n' ? next + 1 : next;
    }
}

/* ---- our own groups ---- */

/* The mount shows what is below `own`, its root: the path of our group goes on from
 * there, or is not to be seen. */
static void resolve(struct cgroup_place *place, const char *path, size_t length)
{
    char root[LIMIT_PATH], whole[2 * LIMIT_PATH];
    size_t skip;

    (void)snprintf(root, sizeof(root), "%s",
                   strcmp(place->own, "/") == 0 ? "" : place->own);
    skip = strlen(root);
    place->own[0] = '\0';
    if (length < skip || strncmp(path, root, skip) != 0 ||
        (path[skip] != '/' && length != skip)) {
        return;
    }
    path += skip;
    length -= skip;
    length -= length == 1; /* "/" alone */
    (void)snprintf(whole, sizeof(whole), "%s%.*s", place->mount, (int)length, path);
    if (strlen(whole) < sizeof(place->own)) {
        (void)strncpy(place->own, whole, sizeof(place->own) - 1);
    }
}

/* A line is NUMBER:CONTROLLERS:PATH. */
static void take_own(const char *line, size_t length, bool seen[CGROUP_CONTROLLERS + 1],
                     struct cgroup_places *places)
{
    const char *controllers = memchr(line, ':', length);
    const char *path =
        controllers != NULL
            ? memchr(controllers + 1, ':', length - (size_t)(controllers + 1 - line))
            : NULL;
    char list[512];
    bool unified;

    if (path == NULL) {
        return;
    }
    (void)snprintf(list, sizeof(list), "%.*s\n", (int)(path - controllers - 1),
                   controllers + 1);
    unified = list[0] == '\n';
    for (int i = 0; i < CGROUP_CONTROLLERS; i++) {
        struct cgroup_place *place = place_of(places, unified, list, i);
        bool *done = &seen[unified ? CGROUP_CONTROLLERS : i];

        if (place != NULL && place->mount[0] != '\0' && !*done) {
            *done = true;
            resolve(place, path + 1, length - (size_t)(path + 1 - line));
        }
    }
}

void cgroup_find_in(const char *mountinfo, const char *own, struct cgroup_places *ret)
{
    bool seen[CGROUP_CONTROLLERS + 1] = {false};

    *ret = (struct cgroup_places){0};
    take_mounts(mountinfo, ret);
    for (const char *line = own; *line != '\0';) {
        size_t length = strcspn(line, "\n");

        take_own(line, length, seen, ret);
        line += length + (line[length] == '\n');
    }
    for (int i = 0; i <= CGROUP_CONTROLLERS; i++) {
        struct cgroup_place *place = i == CGROUP_CONTROLLERS ? &ret->v2 : &ret->v1[i];

        if (!seen[i]) { /* nothing was said of it */
            place->own[0] = '\0';
        }
    }
}

int cgroup_find(struct cgroup_places *ret)
{
    autofree char *mounts = NULL, *own = NULL;
    size_t size;
    int error = fd_read_file("/proc/self/mountinfo", MIB(4), &mounts, &size);

    if (error == 0) {
        error = fd_read_file("/proc/self/cgroup", KIB(64), &own, &size);
    }
    if (error == 0) {
        cgroup_find_in(mounts, own, ret);
    }
    return error;
}
