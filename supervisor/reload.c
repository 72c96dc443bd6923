/* SPDX-License-Identifier: MIT */
/*
 * Changing the configuration of a pool that runs. Runs in the supervisor, on what the
 * operator wrote. No value is logged: one may be a password.
 */
#include "supervisor/reload.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/role.h"
#include "supervisor/lifecycle.h"
#include "supervisor/linking.h"
#include "supervisor/starting.h"
#include "supervisor/workers.h"

/* ---- what is new ---- */

struct changes {
    bool any, renewal;
};

void reload_put_back(const struct option_row *row, struct config *fresh,
                     const struct config *old)
{
    if (!option_same(row, fresh, old)) {
        log_warning("%s is another one in the new configuration: only a restart changes "
                    "it",
                    row->name);
        option_copy(row, fresh, old);
    }
}

static struct changes compare(struct config *fresh, const struct config *old)
{
    struct changes changes = {0};

    for (size_t i = 0; i < config_table.count; i++) {
        const struct option_row *row = &config_table.rows[i];

        if (option_same(row, fresh, old)) {
            continue;
        }
        if (row->reload == OPTION_AT_START) {
            reload_put_back(row, fresh, old);
            continue;
        }
        log_info("%s is another one in the new configuration", row->name);
        changes.any = true;
        changes.renewal |= row->reload == OPTION_BY_RENEWAL;
    }
    return changes;
}

/* ---- what is done ---- */

/* Their files may be others by now, whatever they are called. */
static bool has_host_modules(const struct config *fresh)
{
    return fresh->host_modules[0] != '\0';
}

/* A zygote has room for the workers that there could be when it was started, and Python's
 * library as it was then: it is made anew where Python is updated. */
static bool will_do(struct pool *pool, const struct config *fresh)
{
    const struct unit *zygote = linking_server(pool);

    return zygote != NULL && zygote->sandboxes >= workers_sandboxes(fresh) &&
           !starting_library_changed(zygote, pool, fresh);
}

static const char *not_now(const struct pool *pool)
{
    return pool->reload != RELOAD_NONE    ? "that is under way"
           : pool->phase == POOL_STARTING ? "the pool is starting"
                                          : NULL;
}

static void put_in_force(struct pool *pool, const struct config *config)
{
    pool->config = *config;
    pool->reloads++;
    pool->look_ms = 0;
    notify_say(&pool->notify, "READY=1");
}

/* Who runs one pool alone reads the file for that one, NULL where it has no name. */
static int read_fresh(const struct command_line *line, struct config *fresh,
                      struct buffer *why)
{
    static struct option_parts parts;
    int code = command_line_read_again(line, line->pool, fresh, &parts, why);

    if (code == ROLE_EXIT_OK && line->pool == NULL && parts.count > 0) {
        buffer_printf(why, "it has [pool %s] now, which takes a restart", parts.names[0]);
        code = ROLE_EXIT_CONFIG;
    }
    return code;
}

void reload(struct pool *pool, const struct command_line *line)
{
    autobuffer struct buffer why = BUFFER_INIT(4096);
    struct config *fresh = &pool->next;
    const char *obstacle = not_now(pool);
    struct changes changes;

    if (pool->phase >= POOL_DRAINING) {
        log_warning("the configuration is not read again: the pool is ending");
        return;
    }
    if (obstacle != NULL) {
        log_info("the configuration is read again after this: %s", obstacle);
        pool->reload_again = true;
        return;
    }
    if (read_fresh(line, fresh, &why) != ROLE_EXIT_OK) {
        log_error("the configuration stays as it was: %s",
                  why.data != NULL ? why.data : "");
        return;
    }
    notify_say(&pool->notify, "RELOADING=1\nMONOTONIC_USEC=%lld",
               (long long)clock_now_us());
    changes = compare(fresh, &pool->config);
    if (changes.renewal || has_host_modules(fresh) || !will_do(pool, fresh)) {
        pool->reload = RELOAD_WANTED;
        log_info("reloading: a zygote of the new configuration is started");
        return;
    }
    put_in_force(pool, fresh);
    log_info("reloaded: %s",
             changes.any ? "the new configuration is in force" : "nothing has changed");
}

void reload_tend(struct pool *pool, const struct command_line *line)
{
    if (pool->reload_again && pool->phase == POOL_RUNNING &&
        pool->reload == RELOAD_NONE) {
        pool->reload_again = false;
        reload(pool, line);
    }
}

void reload_call(struct pool *pool, struct unit *zygote, struct unit *other)
{
    if (pool->reload == RELOAD_WANTED && other->state == UNIT_SPARE) {
        pool->reload = RELOAD_STARTED;
        pool->was_worn = zygote->worn;
        zygote->worn = true;
    }
}

const struct config *reload_config(const struct pool *pool)
{
    return pool->reload == RELOAD_STARTED ? &pool->next : &pool->config;
}

void reload_done(struct pool *pool)
{
    if (pool->reload == RELOAD_STARTED) {
        pool->reload = RELOAD_NONE;
        pool->generation++;
        put_in_force(pool, &pool->next);
        log_open("supervisor", config_log(&pool->config));
        log_info("reloaded: the new configuration is in force");
    }
}

bool reload_failed(struct pool *pool, struct unit *dead, struct unit *other)
{
    if (pool->reload != RELOAD_STARTED) {
        return false;
    }
    pool->reload = RELOAD_NONE;
    notify_say(&pool->notify, "READY=1");
    log_error("the configuration stays as it was: no zygote starts with the new one");
    if (other->state == UNIT_READY) {
        other->worn = pool->was_worn;
        lifecycle_handle(dead, other, LIFECYCLE_UNWANTED, 0);
    }
    return true;
}
