/* SPDX-License-Identifier: MIT */
/* Adding up. Runs in the supervisor. */
#include "supervisor/sizing.h"

#include "common/fd.h"
#include "supervisor/workers.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Of a worker beside its program: the relay with a backlog of 4 MB, a ring, the sandbox
 * that waits. Measured: 1 MB when idle. */
#define WORKER_MB 8
/* The one that serves and three former ones, at most. Measured: 39 MB, and 20 each at
 * most of what they do not share. */
#define ZYGOTES_MB 100

int64_t sizing_memory_mb(const char *name)
{
    autofree char *text = NULL;
    const char *line;
    size_t size;
    long long kb;

    if (fd_read_file("/proc/meminfo", KIB(64), &text, &size) < 0) {
        return -1;
    }
    line = strstr(text, name);
    if (line == NULL || sscanf(line + strlen(name), ": %lld", &kb) != 1) {
        return -1;
    }
    return kb / 1024;
}

/* Without Redis. */
static int64_t add_pool(const struct config *config, struct buffer *to)
{
    int64_t workers = workers_most(config);

    buffer_printf(
        to, " %" PRId64 " workers x (%" PRId64 " MB of a job + %d MB) + %d MB of zygotes",
        workers, config->max_memory_mb, WORKER_MB, ZYGOTES_MB);
    return workers * (config->max_memory_mb + WORKER_MB) + ZYGOTES_MB;
}

static int64_t add_each(const struct pools *pools, struct buffer *to)
{
    int64_t sum = 0;

    for (uint32_t i = 0; i < pools->count; i++) {
        int64_t one;

        buffer_printf(to, "\n  pool %s:", pools->each[i].pool);
        one = add_pool(&pools->each[i], to);
        buffer_printf(to, " = %" PRId64 " MB", one);
        sum += one;
    }
    buffer_add_text(to, "\n  together");
    return sum;
}

/* Does any of them have a Redis that is not ours? */
static bool has_other_redis(const struct pools *pools)
{
    bool has = pools->count == 0 && pools->common.redis[0] != '\0';

    for (uint32_t i = 0; i < pools->count; i++) {
        has |= pools->each[i].redis[0] != '\0';
    }
    return has;
}

bool sizing_add_up(const struct pools *pools, struct buffer *to)
{
    const struct config *common = &pools->common;
    bool own_redis =
        pools->count > 0 ? pools_need_redis(pools) : common->redis[0] == '\0';
    int64_t total = sizing_memory_mb("MemTotal"), sum;

    buffer_add_text(to, "memory at most:");
    sum = pools->count > 0 ? add_each(pools, to) : add_pool(common, to);
    if (own_redis) {
        buffer_printf(to, " + %" PRId64 " MB of Redis", common->maxmemory_mb);
        sum += common->maxmemory_mb;
    }
    buffer_printf(to, " = %" PRId64 " MB%s", sum,
                  has_other_redis(pools)
                      ? ", and what another Redis may have where that runs here"
                      : "");
    if (total > 0) {
        buffer_printf(to, "; this machine has %" PRId64 " MB", total);
    }
    buffer_add_char(to, '\n');
    return total <= 0 || sum <= total;
}
