/* SPDX-License-Identifier: MIT */
/*
 * Which pools there are, and their places. Runs in the supervisor, on what the operator
 * wrote. A place, and with it a pool's ids, is its own until its supervisor is gone.
 */
#include "supervisor/keeper_parts.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/role.h"
#include "supervisor/lifecycle.h"
#include "supervisor/reload.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

/* ---- places ---- */

static bool is_free(const struct keeper *keeper, size_t place)
{
    return keeper->units[place].state == UNIT_SPARE && !keeper->endings[place].drained;
}

/* The place of a pool of that name, or else a free one, or PLACES. */
static size_t place_for(const struct keeper *keeper, const char *name)
{
    size_t found = PLACES;

    for (size_t i = PLACES; i-- > PLACE_POOLS;) {
        if (is_free(keeper, i)) {
            found = i;
        } else if (strcmp(keeper->units[i].name, name) == 0) {
            return i;
        }
    }
    return found;
}

const struct unit *keeper_find_owner(const struct keeper *keeper, const char *pool,
                                     const char *owner)
{
    for (size_t i = PLACE_POOLS; i < PLACES && *owner != '\0'; i++) {
        const struct unit *unit = &keeper->units[i];

        if (unit->process.pid != 0 && strcmp(unit->name, pool) != 0 &&
            strcmp(keeper->given[i].owner, owner) == 0) {
            return unit;
        }
    }
    return NULL;
}

static void want_pool(struct keeper *keeper, const struct config *config, size_t place)
{
    struct unit *unit = &keeper->units[place];

    keeper->endings[place].drained = false;
    if (unit->state == UNIT_SPARE &&
        keeper_find_owner(keeper, config->pool, config->owner) != NULL) {
        return;
    }
    if (unit->state == UNIT_SPARE) {
        if (strcmp(unit->name, config->pool) != 0) {
            keeper_forget(keeper, place);
        }
        unit_init(unit, UNIT_POOL, unit->slot); /* nothing is left of who was there */
        unit->state = UNIT_SPARE;
        keeper_try_file(keeper, place);
    }
    memcpy(unit->name, config->pool, sizeof(unit->name));
    lifecycle_handle(unit, NULL, LIFECYCLE_WANTED, 0);
}

/* What had been taken out and put in again is started once it is over. */
void keeper_want_pools(struct keeper *keeper, bool drained)
{
    for (uint32_t i = 0; i < keeper->pools->count; i++) {
        const struct config *config = &keeper->pools->each[i];
        size_t place = place_for(keeper, config->pool);

        if (place < PLACES && (drained || !keeper->endings[place].drained)) {
            want_pool(keeper, config, place);
        }
    }
    if (pools_need_redis(keeper->pools)) {
        lifecycle_handle(&keeper->units[PLACE_REDIS], NULL, LIFECYCLE_WANTED, 0);
    }
}

/* Does it, or will it at once again? */
static bool serves(const struct unit *unit)
{
    bool starts = unit->state == UNIT_OFF || unit->state == UNIT_STARTING;
    bool has_served = unit->ready_ms != 0 && unit->failures == 0 && !unit->hopeless;

    return unit->state == UNIT_READY || (starts && has_served);
}

static bool runs(const struct unit *unit)
{
    return unit->state == UNIT_READY || unit->state == UNIT_STARTING;
}

/* Is there one of that name that is so? */
static bool is_there(const struct keeper *keeper, const char *name,
                     bool (*is_so)(const struct unit *unit))
{
    for (size_t i = PLACE_POOLS; i < PLACES; i++) {
        if (is_so(&keeper->units[i]) && strcmp(keeper->units[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

void keeper_publish(struct keeper *keeper)
{
    autobuffer struct buffer names = BUFFER_INIT(KIB(1));
    const struct config *first = NULL;
    char redis[LIMIT_PATH + 16];
    int error;

    keeper->serving = 0;
    for (uint32_t i = 0; i < keeper->pools->count; i++) {
        const struct config *config = &keeper->pools->each[i];

        if (is_there(keeper, config->pool, serves)) {
            first = first != NULL ? first : config;
            buffer_printf(&names, "%s%s", keeper->serving++ > 0 ? " " : "", config->pool);
        }
    }
    if (first == NULL) {
        return;
    }
    (void)snprintf(redis, sizeof(redis), "unix:%s/redis.sock", keeper->runtime.path);
    error = runtime_publish(&keeper->runtime, first,
                            first->redis[0] != '\0' ? first->redis : redis, names.data);
    if (error < 0) {
        (void)log_failure(error, "unable to write the pool file in %s",
                          keeper->runtime.path);
    }
}

/* ---- a reload ---- */

/* What is the whole file's is in force until the end. */
static void keep_whole(struct config *fresh, const struct config *old)
{
    for (size_t i = 0; i < config_table.count; i++) {
        if (config_table.rows[i].scope == OPTION_WHOLE) {
            reload_put_back(&config_table.rows[i], fresh, old);
        }
    }
}

/* A pool that runs says so itself: until it is started again it serves what it was
 * started with. */
void keeper_keep_at_start(const struct keeper *keeper, struct config *fresh)
{
    const struct config *old = pools_find(keeper->pools, fresh->pool);

    if (old == NULL || !is_there(keeper, fresh->pool, runs)) {
        return;
    }
    for (size_t i = 0; i < config_table.count; i++) {
        if (config_table.rows[i].reload == OPTION_AT_START) {
            option_copy(&config_table.rows[i], fresh, old);
        }
    }
}

/* It has the new time, or keeps the old one where it cannot do the whole of it. */
static void give_time(struct keeper *keeper, size_t place)
{
    const struct config *config = pools_find(keeper->pools, keeper->units[place].name);
    struct given *given = &keeper->given[place];

    given->drain_s = config->drain_s > given->drain_s ? config->drain_s : given->drain_s;
}

/* A pool that stays is handed the file. One that goes gives up its port, which may be
 * that of a new one. */
static void pass_on(struct keeper *keeper)
{
    for (size_t i = PLACE_POOLS; i < PLACES; i++) {
        struct unit *unit = &keeper->units[i];
        bool stays = pools_find(keeper->pools, unit->name) != NULL;

        if (runs(unit) && stays) {
            give_time(keeper, i);
            keeper->given[i].tried = false;
            keeper_hand_over(keeper, i);
        } else if (stays) {
            keeper_try_file(keeper, i);
            lifecycle_handle(unit, NULL, LIFECYCLE_MENDED, 0);
        } else if (keeper->endings[i].drained) {
            keeper->endings[i].drained = false;
        } else if (unit->state != UNIT_SPARE) {
            log_info("pool %s is not in the new configuration: it is drained",
                     unit->name);
            keeper_forget(keeper, i);
            process_signal(&unit->process, SIGUSR2);
            lifecycle_handle(unit, NULL, LIFECYCLE_UNWANTED, 0);
        }
    }
}

/* What will be in force has to be good, too, not the file alone. */
static int read_fresh(const struct keeper *keeper, struct pools **ret, int *ret_copy,
                      struct buffer *why)
{
    autobuffer struct buffer sentence = BUFFER_INIT(KIB(4));
    int code = keeper_read(keeper->line, ret, ret_copy, why);

    if (code != ROLE_EXIT_OK) {
        return code;
    }
    if ((*ret)->count == 0) {
        buffer_add_text(why, "it has no [pool NAME] any more, which takes a restart");
        return ROLE_EXIT_CONFIG;
    }
    for (uint32_t i = 0; i < (*ret)->count; i++) {
        keeper_keep_at_start(keeper, &(*ret)->each[i]);
    }
    code = pools_check(*ret, &sentence);
    if (code != ROLE_EXIT_OK) {
        buffer_printf(why, "a pool that runs keeps what only a restart changes: %s",
                      sentence.data != NULL ? sentence.data : "");
    }
    return code;
}

/* Whoever waits for another to end is said once. */
static void say_waiting(const struct keeper *keeper)
{
    for (uint32_t i = 0; i < keeper->pools->count; i++) {
        const struct config *config = &keeper->pools->each[i];
        const struct unit *before =
            keeper_find_owner(keeper, config->pool, config->owner);

        if (place_for(keeper, config->pool) == PLACES) {
            log_info("pool %s starts when one that is drained is over: %d is the most "
                     "at a time",
                     config->pool, LIMIT_POOLS);
        } else if (before != NULL) {
            log_info("pool %s starts when pool %s is over: its owner is the same",
                     config->pool, before->name);
        }
    }
}

void keeper_reload(struct keeper *keeper)
{
    autofree struct pools *fresh = NULL;
    autobuffer struct buffer why = BUFFER_INIT(KIB(4));
    autoclose int copy = -1;

    if (keeper->phase != POOL_RUNNING) {
        keeper->reload_again = keeper->phase == POOL_STARTING;
        log_info("the configuration is %s", keeper->reload_again
                                                ? "read again when all have started"
                                                : "not read again: the pools are ending");
        return;
    }
    keeper->reload_again = false;
    if (read_fresh(keeper, &fresh, &copy, &why) != ROLE_EXIT_OK) {
        log_error("the configuration stays as it was: %s",
                  why.data != NULL ? why.data : "");
        return;
    }
    notify_say(&keeper->notify, "RELOADING=1\nMONOTONIC_USEC=%lld",
               (long long)clock_now_us());
    keep_whole(&fresh->common, &keeper->pools->common);
    *keeper->pools = *fresh; /* in its place: the runtime folder's path is borrowed */
    close_fd(&keeper->line->copy);
    keeper->line->copy = steal_fd(&copy);
    keeper->reloads++;
    log_open("supervisor", config_log(&keeper->pools->common));
    pass_on(keeper);
    say_waiting(keeper);
    keeper_want_pools(keeper, true);
    keeper_publish(keeper);
    keeper->reloading = true;
}

/* A pool that has failed once is not waited for. */
static bool is_at_it(const struct unit *unit)
{
    bool starts = unit->state == UNIT_OFF || unit->state == UNIT_STARTING;

    return unit->kind == UNIT_POOL &&
           ((unit->state == UNIT_READY && unit->reloading) ||
            (starts && unit->failures == 0 && !unit->hopeless));
}

void keeper_tend_reload(struct keeper *keeper)
{
    for (size_t i = PLACE_POOLS; i < PLACES && keeper->reloading; i++) {
        if (is_at_it(&keeper->units[i])) {
            return;
        }
    }
    if (keeper->reloading) {
        keeper->reloading = false;
        keeper_say_serving(keeper, true);
    }
}
