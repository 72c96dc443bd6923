/* SPDX-License-Identifier: MIT */
/* The supervisor's configuration: one table (config.c), from which parsing, help and the
 * sample file follow. */
#pragma once

#include "common/limits.h"
#include "common/log.h"
#include "common/option.h"

#include <stdint.h>

/* Bytes of the longest list of queues that share_parse takes, with one space between two.
 */
#define CONFIG_QUEUES (LIMIT_QUEUES * (LIMIT_QUEUE + 5) - 1)

/* Bytes of the options of host modules. */
#define CONFIG_HOST_MODULES 1000
#define CONFIG_HOST_PATH    2000

struct config {
    char pool[LIMIT_POOL + 1]; /* whose [pool NAME] went over the rest; "": nobody's */
    /* [pool] */
    char redis[1024], redis_web[1024], redis_operator[1024];
    char queue[CONFIG_QUEUES + 1];
    char owner[97];
    char runtime_dir[LIMIT_PATH];
    char data_dir[LIMIT_PATH];
    char metrics[256];
    int64_t workers, max_workers, scale_up_ms, scale_down_s, spare_memory_mb;
    int64_t log_level, log_format, drain_s, lease_ms, max_deliveries;
    /* [limits] */
    int64_t max_cpu_ms, max_wall_ms, max_memory_mb, max_output_kb, max_recording_kb,
        max_zip_mb;
    /* [sandbox] */
    char library[LIMIT_PATH];
    char preload[8001];
    char host_modules[CONFIG_HOST_MODULES + 1], host_path[CONFIG_HOST_PATH + 1];
    char cgroup[LIMIT_PATH];
    int64_t isolation, uid_first, allow_ctypes;
    int64_t hash_seed; /* -1: random */
    int64_t zygote_forks;
    /* [redis] */
    int64_t maxmemory_mb;
};

extern const struct option_table config_table;

/* What `isolation = ` can be, in the order of its choices. */
enum config_isolation { CONFIG_AUTO, CONFIG_RANGE, CONFIG_SINGLE, CONFIG_NONE };

/* How the pool's processes log. */
struct log_manner config_log(const struct config *config);

/* The default that depends on the machine and the user: runtime_dir. */
void config_complete(struct config *config);

/* Copies a regular file into memory of its size: for config_read, and for other
 * supervisors. Returns 0 and an fd that is the caller's, or a negative errno with a
 * sentence in `why`; waits for nothing. */
int config_copy(const char *path, int *ret_fd, struct buffer *why) must_check;
/* Reads a regular file over the defaults, or, where `copy` is not -1, a copy of it: that
 * of a pool of the name `pool`, or what is the same for all of its pools (NULL). `parts`
 * gets the names of all. Returns 0, or -EINVAL with "file:line: sentence" in `why`; waits
 * for nothing. */
int config_read(struct config *config, const char *path, int copy, const char *pool,
                struct option_parts *parts, struct buffer *why) must_check;

/* What no single option shows, of one pool. Returns 0, or -EINVAL with a sentence in
 * `why` that names the options, behind "file:line: " where one of them stands in the
 * file. */
int config_check(const struct config *config, const char *file,
                 const struct option_parts *parts, struct buffer *why) must_check;
/* The same of what is for a private Redis, where there is none. */
int config_check_redis(const struct config *config, const char *file,
                       const struct option_parts *parts, struct buffer *why) must_check;
