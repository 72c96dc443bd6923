/* SPDX-License-Identifier: MIT */
/* How the keeper starts Redis and the pools' supervisors. Runs in the supervisor, on its
 * configuration. */
#include "supervisor/keeper_parts.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/role.h"
#include "supervisor/lifecycle.h"
#include "supervisor/starting.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define WORDS 256 /* of a pool's command line */
#define OVER  9   /* of them ours */

/* What a pool's supervisor is told over what was given to us. */
struct told {
    char words[OVER][LIMIT_PATH + 32];
    size_t count;
};

static void tell(struct told *told, const char *format, ...) printf_like(2, 3);
static void tell(struct told *told, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(told->words[told->count], sizeof(told->words[0]), format, args);
    va_end(args);
    told->count++;
}

static void tell_all(const struct keeper *keeper, const struct unit *unit,
                     struct told *told)
{
    const struct config *common = &keeper->pools->common;
    const struct config *config = pools_find(keeper->pools, unit->name);

    tell(told, "--config=%s", keeper->file);
    tell(told, "--config-fd=%d", STDIN_FILENO);
    tell(told, "--pool=%s", unit->name);
    tell(told, "--ready-fd=%d", ROLE_PEER);
    if (keeper->phase == POOL_STARTING) {
        tell(told, "--hold");
    }
    tell(told, "--runtime-dir=%s/%s", keeper->runtime.path, unit->name);
    tell(told, "--uid-first=%" PRId64,
         common->uid_first + (int64_t)unit->slot * SPAWN_IDS);
    tell(told, "--cgroup=%s",
         keeper->cgroup.version != 0 ? keeper->cgroup.paths[CGROUP_MEMORY] : "none");
    if (config->redis[0] == '\0') {
        tell(told, "--redis=unix:%s/redis.sock", keeper->runtime.path);
    }
}

/* What only a restart changes may be another pool's owner, which keeps that till then. */
static int take_owner(struct keeper *keeper, const struct unit *unit, struct buffer *why)
{
    const struct config *config = pools_find(keeper->pools, unit->name);
    const struct unit *other = keeper_find_owner(keeper, unit->name, config->owner);
    struct given *given = &keeper->given[keeper_place(keeper, unit)];

    if (other != NULL) {
        buffer_printf(why, "owner = %s: pool %s has it until it is started again",
                      config->owner, other->name);
        return -EBUSY;
    }
    (void)snprintf(given->owner, sizeof(given->owner), "%s", config->owner);
    given->drain_s = config->drain_s;
    return 0;
}

static int start_pool(struct keeper *keeper, struct unit *unit, struct buffer *why)
{
    static struct told told;
    const char *argv[1 + WORDS + OVER + 1] = {"paddock-supervisor"};
    size_t count = 1 + command_line_options(keeper->line, argv + 1, WORDS);
    autoclose int binary = -1, ours = -1, theirs = -1;
    size_t place = keeper_place(keeper, unit);
    struct spawn spawn = {.argv = argv,
                          .input = keeper_file_for(keeper, place),
                          .output = -1,
                          .waits = true};
    struct process process = PROCESS_INIT;
    int ends[2], error;

    keeper_read_for(keeper, place);
    error = take_owner(keeper, unit, why);
    if (error == 0) {
        error = spawn_open_own(argv[0], &binary, NULL, why);
    }
    if (error == 0 && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
                                 0, ends) != 0) { /* each word of its own */
        error = -errno;
    }
    if (error < 0) {
        return error;
    }
    ours = ends[0];
    theirs = ends[1];
    told.count = 0;
    tell_all(keeper, unit, &told);
    for (size_t i = 0; i < told.count; i++) {
        argv[count++] = told.words[i];
    }
    spawn.binary = binary;
    spawn.peer = theirs;
    error = spawn_start(&spawn, &process, why);
    if (error == 0) {
        unit_started(unit, process, steal_fd(&ours));
    }
    return error;
}

static void start_unit(struct keeper *keeper, struct unit *unit)
{
    autobuffer struct buffer why = BUFFER_INIT(4096);
    int error =
        unit->kind == UNIT_REDIS
            ? starting_redis_unit(&keeper->pools->common, &keeper->runtime, unit, &why)
            : start_pool(keeper, unit, &why);

    if (error < 0) {
        log_error("unable to start %s: %s", unit_label(unit).text,
                  why.data != NULL ? why.data : strerror(-error));
        if (keeper->phase == POOL_STARTING) {
            keeper_give_up(keeper, ROLE_EXIT_PERMANENT);
        } else {
            lifecycle_handle(unit, NULL, LIFECYCLE_FAILED, 0);
            keeper_start_failed(keeper, unit);
        }
    }
}

void keeper_start_due(struct keeper *keeper)
{
    int64_t now_ms = clock_now_ms();

    for (size_t i = 0; i < PLACES && keeper->phase <= POOL_RUNNING; i++) {
        struct unit *unit = &keeper->units[i];

        if (unit->state == UNIT_OFF && unit->start_ms <= now_ms) {
            start_unit(keeper, unit);
        }
    }
}

int keeper_open_redis(struct keeper *keeper)
{
    return pools_need_redis(keeper->pools)
               ? starting_open_redis_unit(&keeper->pools->common, &keeper->runtime,
                                          &keeper->units[PLACE_REDIS])
               : 0;
}
