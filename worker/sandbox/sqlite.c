/* SPDX-License-Identifier: MIT */
/*
 * Preparing SQLite. Runs in the zygote, on the library that Python's module has loaded,
 * which is not linked: a pool may do without. What it installs runs in sandboxes.
 *
 * Sources: https://www.sqlite.org/c3ref/auto_extension.html, .../c3ref/vfs.html,
 * https://www.sqlite.org/tempfiles.html
 */
#include "worker/sandbox/sqlite.h"

#include "common/cleanup.h"

#include <dlfcn.h>
#include <errno.h>
#include <sqlite3.h>
#include <stddef.h>
#include <sys/random.h>

#define LIBRARY "libsqlite3.so.0"

static struct {
    int (*auto_extension)(void (*)(void));
    sqlite3_vfs *(*vfs_find)(const char *);
    void (*randomness)(int, void *);
    int (*exec)(sqlite3 *, const char *, int (*)(void *, int, char **, char **), void *,
                char **);
} sqlite;

static const struct {
    const char *name;
    void *place; /* of the function's pointer */
} functions[] = {
    {"sqlite3_auto_extension", &sqlite.auto_extension},
    {"sqlite3_vfs_find", &sqlite.vfs_find},
    {"sqlite3_randomness", &sqlite.randomness},
    {"sqlite3_exec", &sqlite.exec},
};

/* As sqlite3_vfs.xRandomness: how many bytes it got. */
static int random_bytes(sqlite3_vfs *vfs, int count, char *bytes)
{
    ssize_t got = getrandom(bytes, (size_t)count, 0);

    return got > 0 ? (int)got : 0;
}

/* As an extension, for every connection that is opened. */
static int keep_in_memory(sqlite3 *connection, char **why,
                          const struct sqlite3_api_routines *api)
{
    return sqlite.exec(connection, "PRAGMA temp_store = MEMORY", NULL, NULL, NULL);
}

static int find_functions(void *library)
{
    for (size_t i = 0; i < array_size(functions); i++) {
        *(void **)functions[i].place = dlsym(library, functions[i].name);
        if (*(void **)functions[i].place == NULL) {
            return -ENOSYS;
        }
    }
    return 0;
}

int sqlite_prepare(void)
{
    void *library = dlopen(LIBRARY, RTLD_LAZY | RTLD_NOLOAD); /* stays as it is */
    sqlite3_vfs *vfs;

    if (library == NULL) {
        return 0;
    }
    if (find_functions(library) < 0 ||
        sqlite.auto_extension((void (*)(void))keep_in_memory) != SQLITE_OK) {
        return -ENOSYS;
    }
    vfs = sqlite.vfs_find(NULL);
    if (vfs != NULL) {
        vfs->xRandomness = random_bytes;
    }
    sqlite.randomness(0, NULL); /* forgets what it drew before: each sandbox seeds anew */
    return 0;
}
