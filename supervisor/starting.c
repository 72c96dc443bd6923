/* SPDX-License-Identifier: MIT */
/*
 * How each of the pool's processes is started: its program, its socket, its first
 * message. Runs in the supervisor, on its configuration; nothing here knows of jobs.
 */
#include "supervisor/starting.h"

#include "common/log.h"
#include "common/role.h"
#include "supervisor/lifecycle.h"
#include "supervisor/redis_server.h"
#include "supervisor/reload.h"
#include "supervisor/setup.h"
#include "supervisor/workers.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

int starting_open_redis_unit(const struct config *config, struct runtime *runtime,
                             struct unit *unit)
{
    autobuffer struct buffer why = BUFFER_INIT(2 * LIMIT_PATH);
    struct process process = PROCESS_INIT;
    int error = runtime_hold_data(runtime, config, &why);

    if (error == 0) {
        error = redis_server_open(config, runtime, &process, &why);
    }
    unit_started(unit, process, -1);
    if (error == -EINTR) {
        return 0; /* the loop ends what has begun */
    }
    if (error < 0) {
        log_error("%s", why.data != NULL ? why.data : "unable to start redis-server");
        return error;
    }
    lifecycle_handle(unit, NULL, LIFECYCLE_READY, 0);
    return 0;
}

int starting_open_redis(struct pool *pool)
{
    struct unit *unit = &pool->units[0];

    if (unit->kind != UNIT_REDIS) {
        (void)snprintf(pool->redis, sizeof(pool->redis), "%s", pool->config.redis);
        return 0;
    }
    (void)snprintf(pool->redis, sizeof(pool->redis), "unix:%s/redis.sock",
                   pool->runtime.path);
    return starting_open_redis_unit(&pool->config, &pool->runtime, unit);
}

int starting_redis_unit(const struct config *config, struct runtime *runtime,
                        struct unit *unit, struct buffer *why)
{
    struct process process = PROCESS_INIT;
    int error = runtime_hold_data(runtime, config, why);

    if (error == 0) {
        close_fd(&unit->words);
        error = redis_server_start(config, runtime, &unit->words, &process, why);
    }
    if (error == 0) {
        unit_started(unit, process, -1);
        lifecycle_handle(unit, NULL, LIFECYCLE_READY, 0);
    }
    return error;
}

void starting_redis_ended(struct unit *unit, int status)
{
    autobuffer struct buffer text = BUFFER_INIT(KIB(64));

    if (unit->words >= 0 && WIFEXITED(status) && WEXITSTATUS(status) != 0) {
        redis_server_add_last_words(unit->words, &text);
        log_error("the private redis-server ended: %s",
                  text.data != NULL ? text.data : "");
    }
    close_fd(&unit->words);
}

static int restart_redis(struct pool *pool, struct unit *unit, struct buffer *why)
{
    return starting_redis_unit(&pool->config, &pool->runtime, unit, why);
}

int starting_open_groups(struct cgroup *cgroup, const char *wanted)
{
    autobuffer struct buffer text = BUFFER_INIT(2 * LIMIT_PATH);
    int error = cgroup_open(cgroup, wanted, &text);

    if (error < 0) {
        log_error("%s", text.data != NULL ? text.data : strerror(-error));
        return error;
    }
    cgroup_say(cgroup, &text);
    log_info("cgroup: %s", text.data != NULL ? text.data : "");
    return 0;
}

/* Starts a program of ours with a socket to it; *ret_peer is our end. */
static int start_program(const struct pool *pool, const char *name, bool locked,
                         struct process *ret, int *ret_peer, struct buffer *why)
{
    const char *const argv[] = {name, NULL};
    autoclose int binary = -1, ours = -1, theirs = -1;
    struct spawn spawn = {.argv = argv, .input = -1, .output = -1, .locked = locked};
    int pair[2], error = spawn_open_own(name, &binary, NULL, why);

    if (error == 0) {
        error = message_pair(pair);
    }
    if (error < 0) {
        return error;
    }
    ours = pair[0];
    theirs = pair[1];
    spawn.binary = binary;
    spawn.peer = theirs;
    spawn.isolation = pool->isolation;
    spawn.uid_first = pool->config.uid_first;
    error = spawn_start(&spawn, ret, why);
    if (error == 0) {
        *ret_peer = steal_fd(&ours);
    }
    return error;
}

/* The archive of Python's library: the configured one, or the one beside our programs. */
static int open_library(const struct config *config, int *ret_fd, char path[LIMIT_PATH],
                        struct buffer *why)
{
    if (config->library[0] == '\0') {
        int error = spawn_open_own(LIBRARY_FILE, ret_fd, path, why);

        if (error < 0) {
            buffer_add_text(why, ": make it with paddock-library");
        }
        return error;
    }
    (void)snprintf(path, LIMIT_PATH, "%s", config->library);
    *ret_fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*ret_fd < 0) {
        buffer_printf(
            why, "unable to read Python's library, %s, which paddock-library makes: %s",
            path, strerror(errno));
        return -ENOENT;
    }
    return 0;
}

bool starting_library_changed(const struct unit *zygote, const struct pool *pool,
                              const struct config *config)
{
    const struct stat *before = &pool->libraries[zygote->slot];
    autobuffer struct buffer why = BUFFER_INIT(4096);
    char path[LIMIT_PATH];
    autoclose int library = -1;
    struct stat now;

    return open_library(config, &library, path, &why) == 0 && fstat(library, &now) == 0 &&
           (now.st_dev != before->st_dev || now.st_ino != before->st_ino ||
            now.st_mtim.tv_sec != before->st_mtim.tv_sec ||
            now.st_mtim.tv_nsec != before->st_mtim.tv_nsec);
}

/* Without groups a zygote does as well as it can. */
static void prepare_groups(struct pool *pool, struct unit *unit,
                           struct message_setup *setup)
{
    autobuffer struct buffer why = BUFFER_INIT(8192);

    unit->groups = setup->groups = setup->group_layers = 0;
    if (pool->cgroup.version == 0) {
        return;
    }
    if (cgroup_make_set(&pool->cgroup, unit->sandboxes, &unit->groups, &why) < 0) {
        log_warning("%s: memory is limited by RLIMIT_DATA alone", why.data);
        return;
    }
    setup->groups = unit->sandboxes + 1;
    setup->group_layers = cgroup_layers(&pool->cgroup);
}

void starting_remove_groups(struct pool *pool, struct unit *unit)
{
    if (unit->groups != 0) {
        cgroup_remove_set(&pool->cgroup, unit->groups, unit->sandboxes);
        unit->groups = 0;
    }
}

void starting_call_off(struct unit *zygote)
{
    loading_close(&zygote->loading);
    zygote->called_off = true;
    process_signal(&zygote->process, SIGKILL);
}

static int start_zygote(struct pool *pool, struct unit *unit, struct buffer *why)
{
    static struct message_setup setup;
    const struct config *config = reload_config(pool);
    struct process process = PROCESS_INIT;
    autoclose int library = -1;
    int peer = -1, fds[2];
    int error = open_library(config, &library, setup.library, why);

    if (error == 0 && fstat(library, &pool->libraries[unit->slot]) != 0) {
        error = -errno;
    }
    if (error == 0) {
        error = loading_open(&unit->loading);
    }
    if (error == 0) {
        error = start_program(pool, "paddock-zygote", true, &process, &peer, why);
    }
    if (error < 0) {
        return error;
    }
    unit_started(unit, process, peer);
    setup_zygote(pool, config, unit->slot, &setup);
    setup.sandboxes = unit->sandboxes = workers_sandboxes(config);
    prepare_groups(pool, unit, &setup);
    decoy_set(&pool->decoy);
    setup.segment = pool->decoy.segment;
    memcpy(setup.cgroup_ns, pool->decoy.cgroup_ns, sizeof(setup.cgroup_ns));
    fds[0] = library;
    fds[1] = unit->loading.words;
    error = message_send(peer, MESSAGE_SETUP, &setup, fds);
    if (error == 0 && setup.groups > 0) {
        error = cgroup_send_set(&pool->cgroup, unit->groups, unit->sandboxes, peer);
    }
    return error;
}

static int start_relay(struct pool *pool, struct unit *unit, struct buffer *why)
{
    struct message_relay relay = {0};
    struct process process = PROCESS_INIT;
    int peer = -1;
    int error = start_program(pool, "paddock-relay", false, &process, &peer, why);

    if (error < 0) {
        return error;
    }
    unit_started(unit, process, peer);
    unit->generation = pool->generation;
    setup_relay(pool, unit->slot, &relay);
    return message_send(peer, MESSAGE_RELAY, &relay, &pool->board_fd);
}

static int start_metrics(struct pool *pool, struct unit *unit, struct buffer *why)
{
    const struct message_metrics metrics = {config_log(&pool->config)};
    struct process process = PROCESS_INIT;
    char path[LIMIT_PATH];
    int fds[2] = {pool->listener, -1}, peer = -1;
    int error = start_program(pool, "paddock-metrics", false, &process, &peer, why);

    if (error < 0) {
        return error;
    }
    unit_started(unit, process, peer);
    runtime_path(&pool->runtime, RUNTIME_SCOREBOARD, path);
    fds[1] = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW); /* it may only read */
    error = fds[1] < 0 ? -errno : message_send(peer, MESSAGE_METRICS, &metrics, fds);
    close_fd(&fds[1]);
    return error;
}

int starting_start(struct pool *pool, struct unit *unit, struct buffer *why)
{
    static int (*const starters[])(struct pool *, struct unit *,
                                   struct buffer *) = {[UNIT_REDIS] = restart_redis,
                                                       [UNIT_ZYGOTE] = start_zygote,
                                                       [UNIT_RELAY] = start_relay,
                                                       [UNIT_METRICS] = start_metrics};

    return starters[unit->kind](pool, unit, why);
}
