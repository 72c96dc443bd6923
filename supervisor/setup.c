/* SPDX-License-Identifier: MIT */
/*
 * What the pool's processes are told when they start. Runs in the supervisor, on its
 * configuration alone.
 */
#include "supervisor/setup.h"

#include <stdio.h>

/* No id is in two places: the sandboxes of several zygotes are alive at once. */
void setup_zygote(const struct pool *pool, const struct config *config, uint32_t place,
                  struct message_setup *setup)
{
    setup->isolation = pool->isolation;
    setup->uid_first = pool->isolation == ISOLATION_RANGE  ? 1000
                       : pool->isolation == ISOLATION_ROOT ? (uint32_t)config->uid_first
                                                           : 0;
    setup->uid_count = 2 * LIMIT_WORKERS + 8;
    setup->uid_first += setup->uid_first != 0 ? place * setup->uid_count : 0;
    setup->forks = (uint32_t)config->zygote_forks;
    setup->memory_mb = (uint32_t)config->max_memory_mb;
    setup->log = config_log(config);
    setup->hash_seed = config->hash_seed;
    setup->allow_ctypes = config->allow_ctypes != 0;
    (void)snprintf(setup->preload, sizeof(setup->preload), "%s", config->preload);
    (void)snprintf(setup->host_modules, sizeof(setup->host_modules), "%s",
                   config->host_modules);
    (void)snprintf(setup->host_path, sizeof(setup->host_path), "%s", config->host_path);
}

void setup_relay(const struct pool *pool, uint32_t slot, struct message_relay *relay)
{
    const struct config *config = &pool->config;

    relay->slot = slot;
    relay->log = config_log(config);
    relay->lease_ms = (uint32_t)config->lease_ms;
    relay->max_deliveries = (uint32_t)config->max_deliveries;
    relay->waits = pool->phase != POOL_STARTING;
    relay->zip_mb = (uint32_t)config->max_zip_mb;
    relay->max_cpu_ms = config->max_cpu_ms;
    relay->max_wall_ms = config->max_wall_ms;
    relay->max_memory_mb = config->max_memory_mb;
    relay->max_output_kb = config->max_output_kb;
    relay->max_recording_kb = config->max_recording_kb;
    (void)snprintf(relay->redis, sizeof(relay->redis), "%.1023s", pool->redis);
    relay->queue_count = share_read(config->queue, relay->queues);
    (void)snprintf(relay->owner, sizeof(relay->owner), "%.96s.%u", pool->owner, slot);
}
