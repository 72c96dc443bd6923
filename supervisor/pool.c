/* SPDX-License-Identifier: MIT */
/*
 * Starting, linking and ending the pool's processes. Runs in the supervisor. Theory of
 * operation:
 *
 * - redis: first; relays find it again by themselves when it is replaced
 * - zygote: gets SETUP, says READY with its layers; without the mandatory ones nothing
 *   runs; when it says WORN it is renewed (succession.h)
 * - relay: gets RELAY, says READY when it is connected; then both get the ends of a LINK
 *
 * Ending goes the other way round: relays (DRAIN, or the end of their socket), then the
 * zygote, then Redis, so that what a relay still has to say reaches Redis. Messages come
 * from our own processes; a malformed one costs its sender its life.
 */
#include "supervisor/pool.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/role.h"
#include "supervisor/layers.h"
#include "supervisor/linking.h"
#include "supervisor/redis_server.h"
#include "supervisor/setup.h"
#include "supervisor/succession.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define STOP_MS 3000 /* from the end of a socket to SIGKILL */

/* The other place of zygotes; NULL in a check. */
static struct unit *other_place(struct pool *pool, const struct unit *zygote)
{
    for (size_t i = 0; i < pool->count; i++) {
        if (pool->units[i].kind == UNIT_ZYGOTE && &pool->units[i] != zygote) {
            return &pool->units[i];
        }
    }
    return NULL;
}

void pool_init(struct pool *pool, bool check)
{
    pool->decoy = (struct decoy)DECOY_INIT;
    if (check) {
        unit_init(&pool->units[pool->count++], UNIT_ZYGOTE, 0);
        return;
    }
    if (pool->config.redis[0] == '\0') {
        unit_init(&pool->units[pool->count++], UNIT_REDIS, 0);
    }
    for (uint32_t place = 0; place < UNIT_ZYGOTES; place++) {
        unit_init(&pool->units[pool->count], UNIT_ZYGOTE, place);
        pool->units[pool->count++].state = place == 0 ? UNIT_OFF : UNIT_SPARE;
    }
    for (uint32_t slot = 0; slot < (uint32_t)pool->config.workers; slot++) {
        unit_init(&pool->units[pool->count++], UNIT_RELAY, slot);
    }
}

static void give_up(struct pool *pool, int exit_code)
{
    if (pool->exit_code == 0) {
        pool->exit_code = exit_code;
    }
    pool_stop(pool);
}

/* ---- starting ---- */

int pool_start_redis(struct pool *pool, int signals)
{
    autobuffer struct buffer why = BUFFER_INIT(1024);
    struct unit *unit = &pool->units[0];
    struct process process = PROCESS_INIT;
    int error;

    if (unit->kind != UNIT_REDIS) {
        (void)snprintf(pool->redis, sizeof(pool->redis), "%s", pool->config.redis);
        return 0;
    }
    (void)snprintf(pool->redis, sizeof(pool->redis), "unix:%s/redis.sock",
                   pool->runtime.path);
    error = redis_server_open(&pool->config, &pool->runtime, signals, &process, &why);
    unit_started(unit, process, -1);
    if (error == -EINTR) {
        return 0; /* the loop ends what has begun */
    }
    if (error < 0) {
        log_error("%s", why.data != NULL ? why.data : "unable to start redis-server");
        return error;
    }
    unit_ready(unit);
    return 0;
}

static int restart_redis(struct pool *pool, struct unit *unit, struct buffer *why)
{
    struct process process = PROCESS_INIT;
    int error = redis_server_start(&pool->config, &pool->runtime, -1, &process, why);

    if (error == 0) {
        unit_started(unit, process, -1);
        unit_ready(unit);
    }
    return error;
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

/* As many sandboxes as can live: each worker's current one and its next, and some that
 * are dying. */
static uint32_t sandboxes(const struct pool *pool)
{
    return 2 * (uint32_t)pool->config.workers + 4;
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
    if (cgroup_make_set(&pool->cgroup, sandboxes(pool), &unit->groups, &why) < 0) {
        log_warning("%s: memory is limited by RLIMIT_DATA alone", why.data);
        return;
    }
    setup->groups = sandboxes(pool) + 1;
    setup->group_layers = cgroup_layers(&pool->cgroup);
}

static void remove_groups(struct pool *pool, struct unit *unit)
{
    if (unit->groups != 0) {
        cgroup_remove_set(&pool->cgroup, unit->groups, sandboxes(pool));
        unit->groups = 0;
    }
}

static int start_zygote(struct pool *pool, struct unit *unit, struct buffer *why)
{
    static struct message_setup setup;
    struct process process = PROCESS_INIT;
    autoclose int library = -1;
    int peer = -1;
    int error = open_library(&pool->config, &library, setup.library, why);

    if (error == 0) {
        error = start_program(pool, "paddock-zygote", true, &process, &peer, why);
    }
    if (error < 0) {
        return error;
    }
    unit_started(unit, process, peer);
    setup_zygote(pool, unit->slot, &setup);
    setup.sandboxes = sandboxes(pool);
    prepare_groups(pool, unit, &setup);
    decoy_set(&pool->decoy);
    setup.segment = pool->decoy.segment;
    memcpy(setup.cgroup_ns, pool->decoy.cgroup_ns, sizeof(setup.cgroup_ns));
    error = message_send(peer, MESSAGE_SETUP, &setup, &library);
    if (error == 0 && setup.groups > 0) {
        error = cgroup_send_set(&pool->cgroup, unit->groups, sandboxes(pool), peer);
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
    setup_relay(pool, unit->slot, &relay);
    return message_send(peer, MESSAGE_RELAY, &relay, NULL);
}

static void start_unit(struct pool *pool, struct unit *unit)
{
    static int (*const starters[])(struct pool *, struct unit *,
                                   struct buffer *) = {[UNIT_REDIS] = restart_redis,
                                                       [UNIT_ZYGOTE] = start_zygote,
                                                       [UNIT_RELAY] = start_relay};
    autobuffer struct buffer why = BUFFER_INIT(2048);
    int error = starters[unit->kind](pool, unit, &why);

    if (error == 0) {
        return;
    }
    log_error("unable to start %s %u: %s", unit_name(unit), unit->slot,
              why.data != NULL ? why.data : strerror(-error));
    if (pool->phase == POOL_STARTING) {
        give_up(pool, ROLE_EXIT_PERMANENT);
        return;
    }
    unit_failed(unit);
}

static void renew(struct pool *pool)
{
    struct unit *zygote = linking_server(pool);

    if (pool->phase == POOL_RUNNING && zygote != NULL) {
        succession_call(zygote, other_place(pool, zygote));
    }
}

void pool_start_due(struct pool *pool)
{
    int64_t now = clock_now_ms();

    renew(pool);
    for (size_t i = 0; i < pool->count && pool->phase <= POOL_RUNNING; i++) {
        if (pool->units[i].state == UNIT_OFF && pool->units[i].start_ms <= now) {
            start_unit(pool, &pool->units[i]);
        }
    }
}

int64_t pool_next_ms(const struct pool *pool)
{
    int64_t next = pool->phase >= POOL_DRAINING ? pool->end_ms : CLOCK_NEVER;

    for (size_t i = 0; i < pool->count && pool->phase <= POOL_RUNNING; i++) {
        const struct unit *unit = &pool->units[i];

        if (unit->state == UNIT_OFF && unit->start_ms < next) {
            next = unit->start_ms;
        }
    }
    return next;
}

/* ---- messages ---- */

static bool has_mandatory_layers(const struct message_ready *ready)
{
    uint32_t missing = LAYERS_MANDATORY & ~ready->layers;

    for (size_t i = 0; i < layer_row_count; i++) {
        if ((missing & layer_rows[i].bit) != 0) {
            log_error("a mandatory layer of the sandbox does not hold: %s",
                      layer_rows[i].name);
        }
    }
    return missing == 0;
}

static void on_zygote_ready(struct pool *pool, struct unit *unit,
                            const struct message_ready *ready)
{
    pool->sandbox = *ready;
    pool->sandbox.layers = decoy_take(&pool->decoy, ready->layers);
    if (has_mandatory_layers(ready)) {
        log_info("zygote ready layers=0x%x landlock=%u modules=%u", pool->sandbox.layers,
                 ready->landlock_abi, ready->modules);
        succession_handle(unit, other_place(pool, unit), SUCCESSION_READY, 0);
    } else if (linking_server(pool) != NULL) {
        process_signal(&unit->process, SIGKILL); /* the one that serves goes on */
    } else {
        give_up(pool, ROLE_EXIT_PERMANENT);
    }
}

static void on_ready(struct pool *pool, struct unit *unit, const struct message *message)
{
    if (unit->kind == UNIT_ZYGOTE) {
        on_zygote_ready(pool, unit, &message->payload.READY_);
    } else {
        unit_ready(unit);
    }
}

static void on_worn(struct pool *pool, struct unit *unit, const struct message *message)
{
    log_info("zygote %u is to be renewed forks=%u", unit->slot,
             message->payload.WORN_.forks);
    succession_handle(unit, other_place(pool, unit), SUCCESSION_WORN, 0);
}

static void on_unlinked(struct pool *pool, struct unit *unit,
                        const struct message *message)
{
    linking_undo(pool, unit, message->payload.UNLINKED_.slot);
}

static void on_load(struct pool *pool, struct unit *unit, const struct message *message)
{
    /* For the scaling that is to come. */
}

static void (*const handlers[MESSAGE_COUNT])(struct pool *, struct unit *,
                                             const struct message *) = {
    [MESSAGE_READY] = on_ready,
    [MESSAGE_WORN] = on_worn,
    [MESSAGE_UNLINKED] = on_unlinked,
    [MESSAGE_LOAD] = on_load,
};

static const uint32_t permitted[] = {
    [UNIT_ZYGOTE] = 1u << MESSAGE_READY | 1u << MESSAGE_WORN | 1u << MESSAGE_UNLINKED,
    [UNIT_RELAY] = 1u << MESSAGE_READY | 1u << MESSAGE_LOAD,
};

static void receive(struct pool *pool, struct unit *unit)
{
    struct message message;
    int result;

    while ((result = message_receive(unit->peer, permitted[unit->kind], &message)) == 1) {
        handlers[message.type](pool, unit, &message);
        message_done(&message);
        if (unit->peer < 0) { /* what it said was the end of it */
            return;
        }
    }
    if (result == -EAGAIN) {
        return;
    }
    if (result < 0) {
        (void)log_failure(result, "%s %u sent nonsense", unit_name(unit), unit->slot);
        process_signal(&unit->process, SIGKILL);
    }
    close_fd(&unit->peer); /* its end: it is dying, or will be told by ours */
}

/* ---- deaths ---- */

/* What a child's last word makes of a pool that ends for it. */
static int pool_code(int status)
{
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;

    return code == ROLE_EXIT_CONFIG || code == ROLE_EXIT_AWAY ? ROLE_EXIT_CONFIG
                                                              : ROLE_EXIT_PERMANENT;
}

static bool is_hopeless(const struct pool *pool, enum unit_kind kind)
{
    bool hopeless = true;

    for (size_t i = 0; i < pool->count; i++) {
        const struct unit *unit = &pool->units[i];
        bool serves = unit->state != UNIT_SPARE && unit->state != UNIT_RETIRING;

        hopeless &= unit->kind != kind || !serves || unit->hopeless;
    }
    return hopeless;
}

/* At the start every failure is final, so that whoever started us sees it. Later those
 * who still run jobs go on, whatever becomes of the others. */
static void on_death(struct pool *pool, struct unit *unit, int status)
{
    enum unit_state before = unit->state;

    linking_forget(pool, unit);
    remove_groups(pool, unit);
    if (pool->phase >= POOL_DRAINING) {
        close_fd(&unit->peer);
        unit->state = UNIT_ENDED;
        return;
    }
    if (unit->kind == UNIT_ZYGOTE) {
        succession_handle(unit, other_place(pool, unit), SUCCESSION_DIED, status);
    } else {
        unit_died(unit, status);
    }
    if (pool->phase == POOL_STARTING && before != UNIT_READY) {
        log_error("%s %u did not start", unit_name(unit), unit->slot);
        give_up(pool, pool_code(status));
    } else if (unit->hopeless && is_hopeless(pool, unit->kind)) {
        log_error("no %s is left that could serve", unit_name(unit));
        give_up(pool, pool_code(status));
    } else if (unit->hopeless) {
        log_error("%s %u is tried again after a while; the others go on", unit_name(unit),
                  unit->slot);
    }
}

void pool_poll(const struct pool *pool, struct pollfd *fds)
{
    for (size_t i = 0; i < pool->count; i++) {
        fds[2 * i] =
            (struct pollfd){.fd = pool->units[i].process.pidfd, .events = POLLIN};
        fds[2 * i + 1] = (struct pollfd){.fd = pool->units[i].peer, .events = POLLIN};
    }
}

/* A zygote that is RETIRING ends with its socket, once nobody has anything there. */
static void end_retired(struct pool *pool)
{
    for (size_t i = 0; i < pool->count; i++) {
        struct unit *unit = &pool->units[i];

        if (unit->state == UNIT_RETIRING && linking_is_free(pool, unit)) {
            close_fd(&unit->peer);
        }
    }
}

static void enforce_end(struct pool *pool);

void pool_service(struct pool *pool, const struct pollfd *fds)
{
    int status;

    for (size_t i = 0; i < pool->count; i++) {
        struct unit *unit = &pool->units[i];

        if (fds[2 * i + 1].revents != 0 && unit->peer >= 0) {
            receive(pool, unit);
        }
        if (fds[2 * i].revents != 0 && process_reap(&unit->process, &status) == 1) {
            on_death(pool, unit, status);
        }
    }
    linking_tend(pool);
    end_retired(pool);
    if (pool->phase == POOL_STARTING && pool_is_ready(pool)) {
        pool->phase = POOL_RUNNING;
    }
    enforce_end(pool);
}

bool pool_is_ready(const struct pool *pool)
{
    for (size_t i = 0; i < pool->count; i++) {
        if (pool->units[i].state != UNIT_READY && pool->units[i].state != UNIT_SPARE) {
            return false;
        }
    }
    return true;
}

bool pool_is_over(const struct pool *pool)
{
    for (size_t i = 0; i < pool->count; i++) {
        if (pool->units[i].process.pid != 0) {
            return false;
        }
    }
    return pool->phase == POOL_STOPPING;
}

/* ---- ending ---- */

static bool any_alive(const struct pool *pool, enum unit_kind kind)
{
    for (size_t i = 0; i < pool->count; i++) {
        if (pool->units[i].kind == kind && pool->units[i].process.pid != 0) {
            return true;
        }
    }
    return false;
}

static void end_kind(struct pool *pool, enum unit_kind kind, int signo)
{
    for (size_t i = 0; i < pool->count; i++) {
        if (pool->units[i].kind == kind) {
            close_fd(&pool->units[i].peer);
            if (signo != 0) {
                process_signal(&pool->units[i].process, signo);
            }
        }
    }
}

/* One kind after the other; each gets the time to end by itself before it is killed. */
static void enforce_end(struct pool *pool)
{
    static const struct {
        enum unit_kind kind;
        int signo;
    } order[] = {{UNIT_RELAY, 0}, {UNIT_ZYGOTE, 0}, {UNIT_REDIS, SIGTERM}};
    bool late = clock_now_ms() >= pool->end_ms;

    if (pool->phase == POOL_DRAINING && (late || !any_alive(pool, UNIT_RELAY))) {
        pool_stop(pool);
    }
    if (pool->phase != POOL_STOPPING) {
        return;
    }
    for (size_t i = 0; i < array_size(order); i++) {
        if (any_alive(pool, order[i].kind)) {
            end_kind(pool, order[i].kind, late ? SIGKILL : order[i].signo);
            return;
        }
    }
}

void pool_drain(struct pool *pool)
{
    const struct message_drain drain = {0};

    if (pool->phase == POOL_STARTING) {
        pool_stop(pool);
        return;
    }
    pool->phase = POOL_DRAINING;
    pool->end_ms = clock_now_ms() + pool->config.drain_s * 1000;
    for (size_t i = 0; i < pool->count; i++) {
        struct unit *unit = &pool->units[i];

        if (unit->kind == UNIT_ZYGOTE && unit->state == UNIT_STARTING) {
            close_fd(&unit->peer); /* no job will need it */
        } else if (unit->kind == UNIT_RELAY && unit->peer >= 0 &&
                   message_send(unit->peer, MESSAGE_DRAIN, &drain, NULL) < 0) {
            close_fd(&unit->peer);
        }
    }
}

void pool_stop(struct pool *pool)
{
    if (pool->phase != POOL_STOPPING) {
        pool->phase = POOL_STOPPING;
        pool->end_ms = clock_now_ms() + STOP_MS;
        enforce_end(pool);
    }
}
