/* SPDX-License-Identifier: MIT */
/*
 * The options of a pool. Runs in the supervisor at start-up, on what the operator wrote;
 * nothing here knows of jobs.
 */
#include "supervisor/config.h"

#include "common/fd.h"
#include "common/text.h"
#include "supervisor/listening.h"
#include "supervisor/runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define AT(member) offsetof(struct config, member)

/* What students import (counted in their programs), and what a large pure-Python package
 * needs of the standard library. The rest of
 * the standard library is imported from the library's archive when it is wanted, but for
 * extension modules, which can only be loaded before the lock. */
static const char preload[] = "time math os random sys json re collections functools "
                              "itertools datetime heapq copy enum "
                              "decimal fractions statistics string threading logging "
                              "queue dataclasses typing abc contextlib io "
                              "traceback types operator bisect cmath textwrap pprint "
                              "unittest argparse csv struct zlib gzip bz2 "
                              "base64 binascii hashlib hmac secrets uuid colorsys array "
                              "weakref warnings inspect ast tokenize "
                              "keyword numbers calendar locale zoneinfo shutil tempfile "
                              "glob fnmatch pathlib pickle codecs "
                              "unicodedata signal resource subprocess socket select "
                              "concurrent.futures.thread zipfile timeit cProfile html "
                              "urllib.parse xml.etree.ElementTree configparser graphlib "
                              "difflib ipaddress platform pkgutil runpy "
                              "importlib.resources importlib.metadata importlib.util "
                              "encodings.latin_1 encodings.cp1252 "
                              "encodings.utf_8_sig encodings.idna encodings.utf_16 "
                              "encodings.ascii _strptime opcode dis "
                              "multiprocessing _multiprocessing contextvars _sqlite3 "
                              "audioop mmap termios";

static const struct option_row rows[] = {
    {"pool", "redis", OPTION_ADDRESS, AT(redis), 0, 1023, "", NULL, OPTION_AT_START,
     OPTION_EACH, "",
     "Where the queue is. Empty: the supervisor starts a private redis-server"},
    {"pool", "redis_web", OPTION_ADDRESS, AT(redis_web), 0, 1023, "", NULL,
     OPTION_AT_START, OPTION_EACH, "",
     "The same Redis with the user as whom commands of this machine submit, follow and "
     "cancel jobs. Empty: the pool's own"},
    {"pool", "redis_operator", OPTION_ADDRESS, AT(redis_operator), 0, 1023, "", NULL,
     OPTION_AT_START, OPTION_EACH, "", "Likewise for top, pause, resume and dead"},
    {"pool", "queue", OPTION_QUEUES, AT(queue), 1, CONFIG_QUEUES, "default", NULL,
     OPTION_AT_START, OPTION_EACH, "",
     "Names of the queues that are served, each with its weight: of exercises:3 "
     "competition:1, while jobs wait in both, three are begun of the first for each of "
     "the second, and where only one of them has any, all workers are its own"},
    {"pool", "workers", OPTION_NUMBER, AT(workers), 1, LIMIT_WORKERS, "2", NULL,
     OPTION_AT_ONCE, OPTION_EACH, "",
     "How many workers there are at least; each runs one job at a time"},
    {"pool", "max_workers", OPTION_NUMBER, AT(max_workers), 0, LIMIT_WORKERS, "0", NULL,
     OPTION_AT_ONCE, OPTION_EACH, "",
     "How many there are at most, where jobs wait. 0: as many as workers"},
    {"pool", "scale_up_ms", OPTION_NUMBER, AT(scale_up_ms), 10, 600000, "500", NULL,
     OPTION_AT_ONCE, OPTION_EACH, "ms",
     "A job that has waited so long asks for more workers"},
    {"pool", "scale_down_s", OPTION_NUMBER, AT(scale_down_s), 1, 86400, "30", NULL,
     OPTION_AT_ONCE, OPTION_EACH, "seconds",
     "Workers that are not needed for so long end, one after the other"},
    {"pool", "spare_memory_mb", OPTION_NUMBER, AT(spare_memory_mb), 0, 1048576, "256",
     NULL, OPTION_AT_ONCE, OPTION_EACH, "MB",
     "With less of the machine's memory available there are no more workers, and with "
     "less than half of it fewer. 0: whatever there is"},
    {"pool", "runtime_dir", OPTION_PATH, AT(runtime_dir), 0, LIMIT_PATH - 64, "", NULL,
     OPTION_AT_START, OPTION_WHOLE, "",
     "Folder of the sockets. Empty: $XDG_RUNTIME_DIR/paddock, /run/paddock as root, else "
     "/tmp/paddock-UID"},
    {"pool", "data_dir", OPTION_FOLDER, AT(data_dir), 0, LIMIT_PATH - 64, "", NULL,
     OPTION_AT_START, OPTION_WHOLE, "",
     "Folder in which the private redis-server keeps its queue. Empty: in memory only"},
    {"pool", "owner", OPTION_TEXT, AT(owner), 0, 96, "", NULL, OPTION_AT_START,
     OPTION_APART, "",
     "Name of this pool among those that serve the queue, and of no other: pools of one "
     "name take each other's jobs. Empty: the host's name, the queue's and a number "
     "that is kept in runtime_dir, for the next pool there after one that was killed"},
    {"pool", "metrics", OPTION_TEXT, AT(metrics), 0, 255, "", NULL, OPTION_AT_START,
     OPTION_APART, "",
     "HOST:PORT on which figures for Prometheus and the pool's health are told over "
     "HTTP, "
     "to whoever can reach it. Empty: nowhere"},
    {"pool", "log_level", OPTION_CHOICE, AT(log_level), 0, 0, "info",
     "error warning info debug", OPTION_BY_RENEWAL, OPTION_EACH, "",
     "Least level of what is logged"},
    {"pool", "log_format", OPTION_CHOICE, AT(log_format), 0, 0, "text", "text json",
     OPTION_BY_RENEWAL, OPTION_EACH, "",
     "How it is logged: a line of text each, or a JSON object with its facts"},
    {"pool", "drain_s", OPTION_NUMBER, AT(drain_s), 0, 3600, "30", NULL, OPTION_AT_ONCE,
     OPTION_EACH, "seconds",
     "How long running jobs may take after SIGTERM; what is not done then is given back"},
    {"pool", "lease_ms", OPTION_NUMBER, AT(lease_ms), 1000, 60000, "10000", NULL,
     OPTION_BY_RENEWAL, OPTION_EACH, "ms",
     "After so long without a sign a worker's job is given to another"},
    {"pool", "max_deliveries", OPTION_NUMBER, AT(max_deliveries), 1, 10, "3", NULL,
     OPTION_BY_RENEWAL, OPTION_EACH, "", "A job that was lost so often is dead"},
    {"limits", "max_cpu_ms", OPTION_NUMBER, AT(max_cpu_ms), 10, 600000, "60000", NULL,
     OPTION_BY_RENEWAL, OPTION_EACH, "ms", "Most computing time that a job may ask for"},
    {"limits", "max_wall_ms", OPTION_NUMBER, AT(max_wall_ms), 10, 3600000, "300000", NULL,
     OPTION_BY_RENEWAL, OPTION_EACH, "ms", "Longest time that a job may ask for"},
    {"limits", "max_memory_mb", OPTION_NUMBER, AT(max_memory_mb), 16, 65536, "512", NULL,
     OPTION_BY_RENEWAL, OPTION_EACH, "MB", "Most memory that a job may ask for"},
    {"limits", "max_output_kb", OPTION_NUMBER, AT(max_output_kb), 1, 1048576, "10240",
     NULL, OPTION_BY_RENEWAL, OPTION_EACH, "KB", "Most output that a job may ask for"},
    {"limits", "max_recording_kb", OPTION_NUMBER, AT(max_recording_kb), 64, 1048576,
     "10240", NULL, OPTION_BY_RENEWAL, OPTION_EACH, "KB",
     "Largest trace that a job may ask for"},
    {"limits", "max_zip_mb", OPTION_NUMBER, AT(max_zip_mb), 1, 50, "10", NULL,
     OPTION_BY_RENEWAL, OPTION_EACH, "MB", "Largest ZIP"},
    {"sandbox", "preload", OPTION_TEXT, AT(preload), 0, 8000, preload, NULL,
     OPTION_BY_RENEWAL, OPTION_EACH, "",
     "Modules that are imported before any program is there, separated by spaces; "
     "an extension module that is not among them cannot be imported later"},
    {"sandbox", "host_modules", OPTION_MODULES, AT(host_modules), 0, CONFIG_HOST_MODULES,
     "", NULL, OPTION_BY_RENEWAL, OPTION_EACH, "",
     "Modules of yours that programs import, as those of a simulator, loaded before any "
     "program is there, in this order, separated by spaces. They are trusted. Each "
     "reload loads them anew"},
    {"sandbox", "host_path", OPTION_FOLDERS, AT(host_path), 0, CONFIG_HOST_PATH, "", NULL,
     OPTION_BY_RENEWAL, OPTION_EACH, "",
     "Folders in which host modules are looked for first; nobody but root and the user "
     "who starts the pool may be able to write to them. Empty: only where Python looks"},
    {"sandbox", "library", OPTION_FILE, AT(library), 0, LIMIT_PATH - 1, "", NULL,
     OPTION_BY_RENEWAL, OPTION_EACH, "",
     "Archive of Python's library, made by paddock-library, from which programs import "
     "what is not preloaded. "
     "Empty: python-library.zip beside paddock-zygote"},
    {"sandbox", "isolation", OPTION_CHOICE, AT(isolation), 0, 0, "auto",
     "auto range single none", OPTION_AT_START, OPTION_EACH, "",
     "Namespaces: range (65,536 ids, as root), single (one id, as a user), none; auto "
     "takes the best "
     "that there is"},
    {"sandbox", "cgroup", OPTION_PATH, AT(cgroup), 1, LIMIT_PATH - 64, "auto",
     "auto none", OPTION_AT_START, OPTION_WHOLE, "",
     "Control groups for what sandboxes hold of memory: auto, where they are granted; "
     "none; "
     "or the path of a group to make them in, of v2 or of v1's memory, without which the "
     "pool does not start"},
    {"sandbox", "uid_first", OPTION_NUMBER, AT(uid_first), 65536, 4294836224,
     "1879048192", NULL, OPTION_AT_START, OPTION_WHOLE, "",
     "First of the 65,536 host ids that sandboxes are mapped to; nothing else may use "
     "them"},
    {"sandbox", "hash_seed", OPTION_NUMBER, AT(hash_seed), 0, 4294967295, "random",
     "random", OPTION_BY_RENEWAL, OPTION_EACH, "",
     "What Python's hashes, and with them the order of sets, begin with: with a number "
     "they are the same in every job, for grading; with random they differ from zygote "
     "to zygote"},
    {"sandbox", "zygote_forks", OPTION_NUMBER, AT(zygote_forks), 0, 1000000000, "10000",
     NULL, OPTION_BY_RENEWAL, OPTION_EACH, "",
     "After so many sandboxes the zygote that they are forked from is renewed, and with "
     "it the layout of their memory; running jobs go on. 0: never"},
    {"sandbox", "allow_ctypes", OPTION_FLAG, AT(allow_ctypes), 0, 0, "no", NULL,
     OPTION_BY_RENEWAL, OPTION_EACH, "",
     "Let programs import ctypes: for testing the sandbox"},
    {"redis", "maxmemory_mb", OPTION_NUMBER, AT(maxmemory_mb), 16, 1048576, "512", NULL,
     OPTION_AT_START, OPTION_WHOLE, "MB", "Memory of the private redis-server"},
};

const struct option_table config_table = {rows, array_size(rows)};

static void default_runtime_dir(struct config *config)
{
    const char *user = getenv("XDG_RUNTIME_DIR");

    if (user != NULL && *user == '/' && strlen(user) < sizeof(config->runtime_dir) - 64) {
        (void)snprintf(config->runtime_dir, sizeof(config->runtime_dir), "%s/paddock",
                       user);
    } else if (geteuid() == 0) {
        (void)snprintf(config->runtime_dir, sizeof(config->runtime_dir), "/run/paddock");
    } else {
        (void)snprintf(config->runtime_dir, sizeof(config->runtime_dir),
                       "/tmp/paddock-%u", geteuid());
    }
}

struct log_manner config_log(const struct config *config)
{
    struct log_manner manner = {(uint32_t)config->log_level, (uint32_t)config->log_format,
                                ""};

    (void)snprintf(manner.pool, sizeof(manner.pool), "%s", config->pool);
    return manner;
}

void config_complete(struct config *config)
{
    if (config->runtime_dir[0] == '\0') {
        default_runtime_dir(config);
    }
}

/* It is read by each pool, and by every reload: a pipe would be empty the second time,
 * and a FIFO may never have a writer. */
static int read_regular(const char *path, char **ret_text, size_t *ret_size,
                        struct buffer *why)
{
    autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat status;
    int error = fd < 0 || fstat(fd, &status) != 0 ? -errno : 0;

    if (error == -ENXIO || (error == 0 && !S_ISREG(status.st_mode))) {
        buffer_printf(why, "%s: is no regular file, and it is read more than once",
                      text_quote(path).text);
        return -EINVAL;
    }
    if (error == 0) {
        error = fd_read_all(fd, MIB(1), ret_text, ret_size);
    }
    if (error < 0) {
        buffer_printf(why, "%s: %s", text_quote(path).text, strerror(-error));
        return -EINVAL;
    }
    return 0;
}

int config_copy(const char *path, int *ret_fd, struct buffer *why)
{
    autofree char *text = NULL;
    autoclose int fd = -1;
    size_t size;
    int error = read_regular(path, &text, &size, why);

    if (error < 0) {
        return error;
    }
    error = fd_memfd_sealed("paddock-config", size, &fd);
    error = error == 0 ? fd_write_full(fd, text, size) : error;
    if (error < 0) {
        buffer_printf(why, "%s: it cannot be kept: %s", text_quote(path).text,
                      strerror(-error));
        return error;
    }
    *ret_fd = steal_fd(&fd);
    return 0;
}

int config_read(struct config *config, const char *path, int copy, const char *pool,
                struct option_parts *parts, struct buffer *why)
{
    autofree char *text = NULL;
    char place[32];
    size_t size;
    int error;

    (void)snprintf(place, sizeof(place), "/proc/self/fd/%d", copy);
    error = read_regular(copy >= 0 ? place : path, &text, &size, why);

    if (error < 0) {
        return error;
    }
    *parts =
        (struct option_parts){.kind = "pool", .taken = RUNTIME_FILES, .wanted = pool};
    error = option_parse(&config_table, config, path, text, size, parts, why);
    if (error == 0 && pool != NULL && !option_has_part(parts, pool)) {
        buffer_printf(why, "%s: there is no section [pool %s]", text_quote(path).text,
                      pool);
        return -EINVAL;
    }
    (void)snprintf(config->pool, sizeof(config->pool), "%s", pool != NULL ? pool : "");
    return error;
}

/* Of the first of two options that stands in the file. */
static void say_line(const char *file, const struct option_parts *parts,
                     const char *first, const char *second, struct buffer *why)
{
    uint32_t line = parts->lines[option_find(&config_table, first) - rows];

    line = line != 0 ? line : parts->lines[option_find(&config_table, second) - rows];
    if (line != 0) {
        buffer_printf(why, "%s:%" PRIu32 ": ", text_quote(file).text, line);
    }
}

int config_check_redis(const struct config *config, const char *file,
                       const struct option_parts *parts, struct buffer *why)
{
    static const char *const names[] = {"data_dir", "maxmemory_mb"};
    static struct config usual;

    option_defaults(&config_table, &usual);
    for (size_t i = 0; i < array_size(names); i++) {
        if (!option_same(option_find(&config_table, names[i]), config, &usual)) {
            say_line(file, parts, names[i], "redis", why);
            buffer_printf(why,
                          "%s is for a Redis that Paddock starts itself, and redis names "
                          "another one",
                          names[i]);
            return -EINVAL;
        }
    }
    return 0;
}

/* What is the same for all of several pools: each may have what another lacks. */
static bool is_shared(const struct config *config, const struct option_parts *parts)
{
    return parts->count > 0 && config->pool[0] == '\0';
}

/* Users of a Redis that Paddock starts itself: it has none. Of several pools one that has
 * such a Redis may have got them from all. */
static int check_users(const struct config *config, const char *file,
                       const struct option_parts *parts, struct buffer *why)
{
    static const char *const names[] = {"redis_web", "redis_operator"};
    const char *values[] = {config->redis_web, config->redis_operator};

    if (config->redis[0] != '\0' || is_shared(config, parts)) {
        return 0;
    }
    for (size_t i = 0; i < array_size(names); i++) {
        if (values[i][0] != '\0') {
            say_line(file, parts, names[i], "redis", why);
            buffer_printf(why, "%s is for the Redis that redis names, and that is empty",
                          names[i]);
            return -EINVAL;
        }
    }
    return 0;
}

static int check_metrics(const struct config *config, const char *file,
                         const struct option_parts *parts, struct buffer *why)
{
    autobuffer struct buffer sentence = BUFFER_INIT(1024);

    if (config->metrics[0] != '\0' && listening_check(config->metrics, &sentence) < 0) {
        say_line(file, parts, "metrics", "metrics", why);
        buffer_printf(why, "%s", sentence.data != NULL ? sentence.data : "");
        return -EINVAL;
    }
    return 0;
}

/* The private Redis listens in the runtime folder. */
static int check_socket(const struct config *config, const char *file,
                        const struct option_parts *parts, struct buffer *why)
{
    size_t most = sizeof(((struct sockaddr_un *)NULL)->sun_path) - sizeof("/redis.sock");

    if (config->redis[0] == '\0' && !is_shared(config, parts) &&
        strlen(config->runtime_dir) > most) {
        say_line(file, parts, "runtime_dir", "runtime_dir", why);
        buffer_printf(why,
                      "runtime_dir = %s: its sockets would have names that are too long: "
                      "it may be %zu bytes long",
                      text_quote(config->runtime_dir).text, most);
        return -EINVAL;
    }
    return 0;
}

int config_check(const struct config *config, const char *file,
                 const struct option_parts *parts, struct buffer *why)
{
    bool is_alone =
        parts->count == 0; /* of several, another one may have a private one */

    if (config->redis[0] != '\0' && is_alone &&
        config_check_redis(config, file, parts, why) < 0) {
        return -EINVAL;
    }
    if (check_users(config, file, parts, why) < 0) {
        return -EINVAL;
    }
    if (config->max_workers != 0 && config->max_workers < config->workers) {
        say_line(file, parts, "max_workers", "workers", why);
        buffer_printf(why, "max_workers (%" PRId64 ") is less than workers (%" PRId64 ")",
                      config->max_workers, config->workers);
        return -EINVAL;
    }
    return check_socket(config, file, parts, why) < 0
               ? -EINVAL
               : check_metrics(config, file, parts, why);
}
