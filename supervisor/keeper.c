/* SPDX-License-Identifier: MIT */
/*
 * The keeper of several pools. Runs as the supervisor that was started, on its
 * configuration; it trusts its children, which are supervisors, as itself. Theory of
 * operation:
 *
 * - it holds what there is once: the runtime folder, the private Redis, the group that
 *   the pools' control groups are made in, the word to the service manager
 * - a pool has one of LIMIT_POOLS places, from which its ids follow; it is READY when its
 *   supervisor says so over the socket that is its --ready-fd, and says there, too, that
 *   it is alive; when that socket is closed it stops, and it is killed if we are
 * - at the start no pool takes a job before all are READY: one that cannot start ends all
 * - a pool that dies is started again, by unit.h's rules; one that ends by itself, since
 *   somebody has drained it, is left to the next reload
 * - Redis comes first and goes last
 */
#include "supervisor/keeper.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/role.h"
#include "supervisor/health.h"
#include "supervisor/keeper_parts.h"
#include "supervisor/lifecycle.h"
#include "supervisor/signals.h"
#include "supervisor/starting.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define STOP_MS 10000 /* for a pool beyond its own times, and for Redis */

enum { POLL_SIGNALS, POLL_STARTER, POLL_UNITS };

static bool any_alive(const struct keeper *keeper, enum unit_kind kind)
{
    return units_are_alive(keeper->units, PLACES, kind);
}

static void signal_pools(const struct keeper *keeper, int signo)
{
    for (size_t i = PLACE_POOLS; i < PLACES; i++) {
        process_signal(&keeper->units[i].process, signo);
    }
}

/* ---- ending ---- */

static void stop(struct keeper *keeper)
{
    if (keeper->phase != POOL_STOPPING) {
        keeper->phase = POOL_STOPPING;
        keeper->end_ms = clock_now_ms() + STOP_MS;
        signal_pools(keeper, SIGQUIT);
    }
}

void keeper_give_up(struct keeper *keeper, int code)
{
    keeper->exit_code = keeper->exit_code == 0 ? code : keeper->exit_code;
    stop(keeper);
}

/* Of those that are there, be they in the file or not. */
static int64_t longest_drain_ms(const struct keeper *keeper)
{
    int64_t longest_s = 0;

    for (size_t i = PLACE_POOLS; i < PLACES; i++) {
        int64_t drain_s = keeper->given[i].drain_s;

        if (keeper->units[i].process.pid != 0 && drain_s > longest_s) {
            longest_s = drain_s;
        }
    }
    return longest_s * 1000;
}

static void end_now(void *context)
{
    struct keeper *keeper = context;

    log_info("stopping: running jobs are given back");
    notify_say(&keeper->notify, "STOPPING=1\nSTATUS=stopping");
    stop(keeper);
}

static void drain(void *context)
{
    struct keeper *keeper = context;

    if (keeper->phase == POOL_STARTING) {
        stop(keeper);
    } else if (keeper->phase < POOL_DRAINING) {
        log_info("draining: running jobs may end, each pool's within its own time");
        notify_draining(&keeper->notify, longest_drain_ms(keeper));
        keeper->phase = POOL_DRAINING;
        keeper->end_ms = clock_now_ms() + longest_drain_ms(keeper) + STOP_MS;
        signal_pools(keeper, SIGUSR1);
    }
}

/* What a pool itself does by that is nothing beyond draining but to give up its port. */
static void drain_for_good(void *context)
{
    drain(context);
    signal_pools(context, SIGUSR2);
}

static void end(void *context)
{
    const struct keeper *keeper = context;

    (keeper->phase < POOL_DRAINING ? drain : end_now)(context);
}

static void kill_pools(struct keeper *keeper)
{
    for (size_t i = PLACE_POOLS; i < PLACES; i++) {
        if (keeper->units[i].process.pid != 0) {
            log_error("%s has not ended in its time: it is killed",
                      unit_label(&keeper->units[i]).text);
        }
    }
    signal_pools(keeper, SIGKILL);
    keeper->end_ms = CLOCK_NEVER;
}

/* Pools, then Redis; by force what takes too long. */
static void enforce_end(struct keeper *keeper)
{
    bool late = clock_now_ms() >= keeper->end_ms;

    if (keeper->phase < POOL_DRAINING) {
        return;
    }
    if (any_alive(keeper, UNIT_POOL)) {
        if (late) {
            kill_pools(keeper);
        }
        return;
    }
    if (!keeper->redis_ends) {
        keeper->phase = POOL_STOPPING;
        keeper->redis_ends = true;
        keeper->end_ms = clock_now_ms() + STOP_MS;
        process_signal(&keeper->units[PLACE_REDIS].process, SIGTERM);
    } else if (late) {
        process_signal(&keeper->units[PLACE_REDIS].process, SIGKILL);
    }
}

static bool is_over(const struct keeper *keeper)
{
    return keeper->phase == POOL_STOPPING && !any_alive(keeper, UNIT_POOL) &&
           !any_alive(keeper, UNIT_REDIS);
}

/* ---- what they say, and how they end ---- */

void keeper_say_serving(const struct keeper *keeper, bool ready)
{
    uint32_t all = keeper->pools->count;
    char of_all[16] = "";

    if (keeper->serving < all) {
        (void)snprintf(of_all, sizeof(of_all), " of %u", all);
    }
    notify_say(&keeper->notify, "%sSTATUS=serving %u%s pools", ready ? "READY=1\n" : "",
               keeper->serving, of_all);
}

/* A pool begins or ceases to serve. */
static void publish_change(struct keeper *keeper)
{
    uint32_t before = keeper->serving;

    keeper_publish(keeper);
    if (keeper->serving != before && !keeper->reloading) {
        keeper_say_serving(keeper, false);
    }
}

/* It may serve another queue or Redis than the one before it, which died. */
static void on_ready(struct keeper *keeper, struct unit *unit)
{
    lifecycle_handle(unit, NULL, LIFECYCLE_READY, 0);
    keeper_prove_file(keeper, keeper_place(keeper, unit));
    if (keeper->phase == POOL_RUNNING) {
        publish_change(keeper);
    }
}

static void take_words(struct keeper *keeper, struct unit *unit)
{
    size_t place = keeper_place(keeper, unit);
    char word[256];
    ssize_t size;

    while ((size = recv(unit->peer, word, sizeof(word) - 1, MSG_DONTWAIT)) > 0) {
        word[size] = '\0'; /* each comes alone */
        unit->silent_ms = 0;
        if (unit->state == UNIT_STARTING && strcmp(word, COMMAND_LINE_READY "\n") == 0) {
            on_ready(keeper, unit);
        }
        keeper->endings[place].draining |= strcmp(word, COMMAND_LINE_DRAINING "\n") == 0;
        keeper_take_answer(keeper, place, word);
    }
    if (size == 0) {
        close_fd(&unit->peer);
    }
}

/* All of them are up: jobs may be taken. One that is gone by now is started again, and is
 * not held then. */
static void let_go(const struct keeper *keeper)
{
    static const char word[] = COMMAND_LINE_GO "\n";

    for (size_t i = PLACE_POOLS; i < PLACES; i++) {
        (void)send(keeper->units[i].peer, word, strlen(word), MSG_NOSIGNAL);
    }
}

/* At the start every failure is final, so that whoever started us sees it. */
static void on_failed_start(struct keeper *keeper, struct unit *unit, int status)
{
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : ROLE_EXIT_PERMANENT;

    unit_say_not_started(unit, status);
    lifecycle_handle(unit, NULL, LIFECYCLE_ENDED, status);
    keeper_give_up(keeper, code != 0 ? code : ROLE_EXIT_PERMANENT);
}

void keeper_start_failed(struct keeper *keeper, struct unit *unit)
{
    if (unit->kind == UNIT_POOL && unit->state == UNIT_OFF &&
        keeper_doubt_file(keeper, keeper_place(keeper, unit))) {
        unit->start_ms = 0; /* what comes after that waits for as long as ever */
        unit->hopeless = false;
    } else if (unit->state == UNIT_OFF) {
        int64_t wait_ms = unit->start_ms - clock_now_ms();

        log_info("%s is tried again in %.1f s", unit_label(unit).text,
                 wait_ms > 0 ? (double)wait_ms / 1000 : 0);
    }
    if (keeper->phase == POOL_RUNNING) {
        publish_change(keeper);
    }
}

/* Has any a supervisor, or will it have one? What does not start any more is tried again:
 * only the start of all ends with it. */
static bool any_left(const struct keeper *keeper)
{
    for (size_t i = PLACE_POOLS; i < PLACES; i++) {
        enum unit_state state = keeper->units[i].state;

        if (state != UNIT_SPARE && state != UNIT_ENDED) {
            return true;
        }
    }
    return false;
}

/* What has come since it began to be drained it cannot have read: it may have been gone
 * before it could say so. */
static void on_drained(struct keeper *keeper, struct unit *unit, int status)
{
    size_t place = keeper_place(keeper, unit);
    bool again = keeper->endings[place].again || unit->reloading;

    log_info("%s was drained: %s", unit_label(unit).text,
             again ? "it is started again, as a reload has come since"
                   : "a reload starts it again");
    keeper->endings[place].drained = !again;
    lifecycle_handle(unit, NULL, LIFECYCLE_UNWANTED, 0);
    lifecycle_handle(unit, NULL, LIFECYCLE_DIED, status);
}

static void take_death(struct keeper *keeper, struct unit *unit, int status)
{
    bool drains = keeper->endings[keeper_place(keeper, unit)].draining;
    bool ended = unit->kind == UNIT_POOL &&
                 ((WIFEXITED(status) && WEXITSTATUS(status) == 0) || drains);

    if (keeper->phase >= POOL_DRAINING) {
        lifecycle_handle(unit, NULL, LIFECYCLE_ENDED, status);
    } else if (keeper->phase == POOL_STARTING && unit->state != UNIT_READY) {
        on_failed_start(keeper, unit, status);
    } else if (ended && unit->state != UNIT_RETIRING) {
        on_drained(keeper, unit, status);
    } else {
        lifecycle_handle(unit, NULL, LIFECYCLE_DIED, status);
    }
}

static void on_death(struct keeper *keeper, struct unit *unit, int status)
{
    size_t place = keeper_place(keeper, unit);
    bool started = unit->state != UNIT_STARTING;

    starting_redis_ended(unit, status);
    take_death(keeper, unit, status);
    keeper_lose(keeper, place);
    if (!started) {
        keeper_start_failed(keeper, unit);
    }
    keeper->endings[place].draining = keeper->endings[place].again = false;
    if (keeper->phase == POOL_RUNNING) {
        keeper_want_pools(keeper, false); /* it may have been waited for */
        publish_change(keeper);
    }
    if (keeper->phase == POOL_RUNNING && !any_left(keeper)) {
        keeper_give_up(keeper, ROLE_EXIT_OK);
    }
}

static void mind_health(struct keeper *keeper)
{
    int64_t now_ms = clock_now_ms(), passed_ms;

    if (now_ms < keeper->asked_ms + HEALTH_ASK_MS) {
        return;
    }
    passed_ms = health_counts_ms(keeper->asked_ms, now_ms);
    keeper->asked_ms = now_ms;
    for (size_t i = PLACE_POOLS; i < PLACES; i++) {
        health_look_at(&keeper->units[i], passed_ms);
    }
}

/* ---- the loop ---- */

static void reload(void *context)
{
    keeper_reload(context);
}

static const struct signal_row signal_rows[] = {
    {SIGTERM, end},
    {SIGINT, end},
    {SIGQUIT, end_now},
    {SIGHUP, reload},
    {SIGUSR1, drain},
    {SIGUSR2, drain_for_good},
    {SIGPIPE, signals_pass_over},
};

static void service(struct keeper *keeper, const struct pollfd *fds)
{
    int status;

    for (size_t i = 0; i < PLACES; i++) {
        struct unit *unit = &keeper->units[i];

        if (fds[2 * i + 1].revents != 0 && unit->peer >= 0) {
            take_words(keeper, unit);
        }
        if (fds[2 * i].revents != 0 && process_reap(&unit->process, &status) == 1) {
            on_death(keeper, unit, status);
        }
    }
    if (keeper->phase == POOL_RUNNING) {
        mind_health(keeper);
        keeper_want_pools(keeper, false);
        keeper_tend_reload(keeper);
    }
    enforce_end(keeper);
}

static void announce(struct keeper *keeper)
{
    keeper_publish(keeper);
    keeper->phase = POOL_RUNNING;
    let_go(keeper);
    keeper->asked_ms = clock_now_ms();
    log_info("pools ready count=%u", keeper->pools->count);
    keeper_say_serving(keeper, true);
    if (command_line_say_ready(keeper->line) < 0) {
        stop(keeper);
    }
}

static int next_due(const struct keeper *keeper)
{
    bool runs = keeper->phase == POOL_RUNNING, ends = keeper->phase >= POOL_DRAINING;
    const int64_t due[] = {
        notify_next_ms(&keeper->notify),
        ends ? keeper->end_ms : units_start_ms(keeper->units, PLACES),
        runs ? keeper->asked_ms + HEALTH_ASK_MS : CLOCK_NEVER,
        keeper->line->alive_ms,
    };

    return clock_poll_ms(clock_first_ms(due, array_size(due)), clock_now_ms());
}

static void set_fds(const struct keeper *keeper, struct pollfd *fds)
{
    fds[POLL_SIGNALS] = (struct pollfd){.fd = keeper->signals, .events = POLLIN};
    fds[POLL_STARTER] = (struct pollfd){.fd = keeper->line->ready_fd, .events = POLLIN};
    units_poll(keeper->units, PLACES, fds + POLL_UNITS);
}

static void loop(struct keeper *keeper)
{
    struct pollfd fds[POLL_UNITS + 2 * PLACES];

    while (!is_over(keeper)) {
        notify_tend(&keeper->notify, clock_now_ms());
        command_line_say_alive(keeper->line, clock_now_ms());
        keeper_start_due(keeper);
        set_fds(keeper, fds);
        if (poll(fds, array_size(fds), next_due(keeper)) < 0) {
            continue; /* SIGSTOP and SIGCONT do it, though there are no handlers */
        }
        if (fds[POLL_SIGNALS].revents != 0) {
            signals_service(keeper->signals, signal_rows, array_size(signal_rows),
                            keeper);
        }
        if (fds[POLL_STARTER].revents != 0) {
            close_fd(&keeper->line->ready_fd);
            stop(keeper);
        }
        service(keeper, fds + POLL_UNITS);
        if (keeper->phase == POOL_STARTING && units_are_ready(keeper->units, PLACES)) {
            announce(keeper);
        }
        if (keeper->phase == POOL_RUNNING && keeper->reload_again) {
            keeper_reload(keeper);
        }
    }
}

/* ---- set-up, in order ---- */

/* By the name that was given: a link may be another file's at the next reload. Pools have
 * no working folder. */
static int name_file(struct keeper *keeper, struct buffer *why)
{
    const char *name = keeper->line->config_file;
    autofree char *here = *name != '/' ? getcwd(NULL, 0) : NULL;
    int length = snprintf(keeper->file, sizeof(keeper->file), "%s%s%s",
                          here != NULL ? here : "", *name != '/' ? "/" : "", name);

    if ((*name != '/' && here == NULL) || (size_t)length >= sizeof(keeper->file)) {
        buffer_printf(why, "%s: its folder has no name, or too long a one", name);
        return ROLE_EXIT_CONFIG;
    }
    return ROLE_EXIT_OK;
}

static int open_all(struct keeper *keeper, struct buffer *why)
{
    int code = keeper_read(keeper->line, &keeper->pools, &keeper->line->copy, why);

    code = code == ROLE_EXIT_OK ? name_file(keeper, why) : code;
    if (code != ROLE_EXIT_OK) {
        return code;
    }
    if (signals_open(signal_rows, array_size(signal_rows), &keeper->signals) < 0) {
        buffer_add_text(why, "unable to wait for signals");
        return ROLE_EXIT_SYSTEM;
    }
    if (runtime_open(&keeper->runtime, &keeper->pools->common, why) < 0) {
        return ROLE_EXIT_CONFIG;
    }
    runtime_sweep(&keeper->runtime, &keeper->line->parts);
    return ROLE_EXIT_OK;
}

static void close_all(struct keeper *keeper)
{
    cgroup_close(&keeper->cgroup);
    if (keeper->runtime.lock >= 0) {
        runtime_sweep(&keeper->runtime, NULL);
    }
    runtime_close(&keeper->runtime);
    notify_close(&keeper->notify);
    close_fd(&keeper->signals);
    close_fd(&keeper->line->copy);
    for (size_t i = 0; i < PLACES; i++) {
        keeper_forget(keeper, i);
    }
    free(keeper->pools);
}

int keeper_run(struct command_line *line)
{
    static struct keeper keeper = {.runtime = RUNTIME_INIT,
                                   .notify = NOTIFY_INIT,
                                   .cgroup = CGROUP_INIT,
                                   .signals = -1};
    autobuffer struct buffer why = BUFFER_INIT(4096);
    int code;

    keeper.line = line;
    for (size_t i = 0; i < PLACES; i++) {
        unit_init(&keeper.units[i], i == PLACE_REDIS ? UNIT_REDIS : UNIT_POOL,
                  i == PLACE_REDIS ? 0 : (uint32_t)(i - PLACE_POOLS));
        keeper.units[i].state = UNIT_SPARE;
        keeper.given[i].proved = keeper.given[i].trial = -1;
        for (size_t j = 0; j < KEEPER_HANDED; j++) {
            keeper.given[i].handed[j].copy = -1;
        }
    }
    code = open_all(&keeper, &why);
    if (code != ROLE_EXIT_OK) {
        log_error("%s", why.data != NULL ? why.data : "");
        close_all(&keeper);
        return code;
    }
    notify_open(&keeper.notify);
    if (starting_open_groups(&keeper.cgroup, keeper.pools->common.cgroup) < 0 ||
        keeper_open_redis(&keeper) < 0) {
        keeper_give_up(&keeper, ROLE_EXIT_CONFIG);
    } else {
        keeper_want_pools(&keeper, false);
    }
    loop(&keeper);
    code = keeper.exit_code;
    close_all(&keeper);
    return code;
}
