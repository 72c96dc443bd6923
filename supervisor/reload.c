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
#include "supervisor/starting.h"
#include "supervisor/succession.h"
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

/* One that starts and would serve next was started for what was in force. */
static bool heir_has_room(struct pool *pool, const struct config *fresh)
{
    const struct unit *heir = succession_heir(pool->units, pool->count);

    return heir == NULL || heir->state != UNIT_STARTING || workers_have_room(heir, fresh);
}

/* A zygote has room for the workers that there could be when it was started, and Python's
 * library as it was then: it is made anew where Python is updated. */
static bool will_do(struct pool *pool, const struct config *fresh)
{
    const struct unit *zygote = succession_server(pool->units, pool->count);

    return zygote != NULL && workers_have_room(zygote, fresh) &&
           heir_has_room(pool, fresh) && !starting_library_changed(zygote, pool, fresh);
}

static void put_in_force(struct pool *pool, const struct config *config, bool any)
{
    pool->config = *config;
    pool->reloads++;
    pool->look_ms = 0;
    if (any || pool->reload_news == NULL) {
        pool->reload_news =
            any ? "the new configuration is in force" : "nothing has changed";
    }
}

/* What concerns the supervisor alone waits for no zygote. */
static void put_in_force_at_once(struct pool *pool)
{
    pool->former = pool->config;
    for (size_t i = 0; i < config_table.count; i++) {
        if (config_table.rows[i].reload == OPTION_AT_ONCE) {
            option_copy(&config_table.rows[i], &pool->config, &pool->next);
        }
    }
    pool->look_ms = 0;
}

/* Nothing of it is in force any more. */
static void end_reload(struct pool *pool)
{
    pool->reload = RELOAD_NONE;
    pool->config = pool->former;
    pool->look_ms = 0;
}

/* What is not running is tried again at once: what is wrong may have been mended. */
static void try_all_again(struct pool *pool)
{
    for (size_t i = 0; i < pool->count; i++) {
        lifecycle_handle(&pool->units[i], NULL, LIFECYCLE_MENDED, 0);
    }
}

static void call_off_heir(struct pool *pool)
{
    struct unit *heir = succession_heir(pool->units, pool->count);

    if (heir != NULL) {
        starting_call_off(heir);
        lifecycle_handle(heir, NULL, LIFECYCLE_UNWANTED, 0);
    }
}

static void call_off_reload(struct pool *pool)
{
    if (pool->reload == RELOAD_NONE) {
        return;
    }
    if (pool->reload == RELOAD_CALLED) {
        call_off_heir(pool);
    }
    end_reload(pool);
    log_info("the reload that is under way is called off: there is a newer one");
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

bool reload(struct pool *pool, const struct command_line *line)
{
    static struct config fresh;
    autobuffer struct buffer why = BUFFER_INIT(4096);
    struct changes changes;

    if (pool->phase >= POOL_DRAINING) {
        log_warning("the configuration is not read again: the pool is ending");
        return false;
    }
    if (pool->phase == POOL_STARTING) {
        log_info("the configuration is read again after this: the pool is starting");
        pool->reload_again = true;
        return true;
    }
    if (read_fresh(line, &fresh, &why) != ROLE_EXIT_OK) {
        log_error("the configuration stays as it was: %s",
                  why.data != NULL ? why.data : "");
        return false;
    }
    notify_say(&pool->notify, "RELOADING=1\nMONOTONIC_USEC=%lld",
               (long long)clock_now_us());
    call_off_reload(pool);
    try_all_again(pool);
    changes = compare(&fresh, &pool->config);
    if (changes.renewal || has_host_modules(&fresh) || !will_do(pool, &fresh)) {
        pool->reload = RELOAD_WANTED;
        pool->reload_waits = false;
        pool->next = fresh;
        put_in_force_at_once(pool);
        return true;
    }
    put_in_force(pool, &fresh, changes.any);
    return true;
}

/* As they are told only now that they are to claim no more. */
static bool is_former_claiming(const struct pool *pool)
{
    for (size_t i = 0; i < pool->count; i++) {
        const struct unit *unit = &pool->units[i];

        if (unit->kind == UNIT_RELAY && unit->generation != pool->generation &&
            (unit->state == UNIT_READY || unit->state == UNIT_RETIRING) &&
            !unit->relieved) {
            return true;
        }
    }
    return false;
}

bool reload_is_over(const struct pool *pool)
{
    return pool->reload == RELOAD_NONE && !pool->reload_again &&
           pool->reload_news == NULL;
}

/* Not while news are to come, nor where it is said that it stops. */
static void say_ready(const struct pool *pool)
{
    if (pool->reload == RELOAD_NONE && pool->reload_news == NULL &&
        pool->phase < POOL_DRAINING) {
        notify_say(&pool->notify, "READY=1");
    }
}

void reload_tend(struct pool *pool, const struct command_line *line)
{
    if (pool->phase >= POOL_DRAINING) {
        pool->reload_news = NULL;
    }
    if (pool->reload_news != NULL && !is_former_claiming(pool)) {
        log_info("reloaded: %s", pool->reload_news);
        pool->reload_news = NULL;
        say_ready(pool);
    }
    if (pool->reload_again && pool->phase == POOL_RUNNING) {
        pool->reload_again = false;
        (void)reload(pool, line);
    }
}

/* A place is about to be free: whoever was called off in it is dying. */
static bool is_called_off(const struct pool *pool)
{
    for (size_t i = 0; i < pool->count; i++) {
        if (pool->units[i].state == UNIT_RETIRING && pool->units[i].called_off) {
            return true;
        }
    }
    return false;
}

static void say_waits(struct pool *pool)
{
    if (!pool->reload_waits && !is_called_off(pool)) {
        pool->reload_waits = true;
        log_info("reloading: jobs run in %d former zygotes; a zygote of the new "
                 "configuration is started when one of these is over",
                 UNIT_ZYGOTES - 1);
    }
}

void reload_call(struct pool *pool)
{
    if (pool->reload != RELOAD_WANTED) {
        return;
    }
    call_off_heir(pool);
    if (succession_call(pool->units, pool->count) != NULL) {
        pool->reload = RELOAD_CALLED;
    } else {
        say_waits(pool);
    }
}

const struct config *reload_config(const struct pool *pool)
{
    return pool->reload == RELOAD_CALLED ? &pool->next : &pool->config;
}

void reload_started(const struct pool *pool)
{
    if (pool->reload == RELOAD_CALLED) {
        log_info("reloading: a zygote of the new configuration is started");
    }
}

void reload_done(struct pool *pool)
{
    if (pool->reload == RELOAD_CALLED) {
        pool->reload = RELOAD_NONE;
        pool->generation++;
        put_in_force(pool, &pool->next, true);
        log_open("supervisor", config_log(&pool->config));
    }
}

bool reload_failed(struct pool *pool, struct unit *heir)
{
    if (pool->reload != RELOAD_CALLED) {
        return false;
    }
    end_reload(pool);
    say_ready(pool);
    log_error("the configuration stays as it was: no zygote starts with the new one");
    lifecycle_handle(heir, NULL, LIFECYCLE_UNWANTED, 0);
    return true;
}
