/* SPDX-License-Identifier: MIT */
/*
 * paddock-supervisor. Theory of operation:
 *
 * It reads its configuration, takes the runtime folder, starts the pool's processes, and
 * then only waits: one poll() over a signalfd, the pidfds and sockets of its children,
 * and a socket to whoever started it (--ready-fd), if anybody wants to know. It holds no
 * Python, speaks to no Redis, and never sees a byte of a job, so nothing that a program
 * does can reach it.
 *
 * SIGTERM and SIGINT drain; a second one stops, and so does SIGQUIT. SIGHUP reads the
 * configuration again, or, of one of several pools, its keeper hands over what he has
 * read (MESSAGE_RELOAD). When --ready-fd comes to its end, it stops at once. When it is
 * killed itself, its children die with it.
 */
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/role.h"
#include "common/secret.h"
#include "supervisor/board.h"
#include "supervisor/command_line.h"
#include "supervisor/health.h"
#include "supervisor/keeper.h"
#include "supervisor/kernel.h"
#include "supervisor/layers.h"
#include "supervisor/listening.h"
#include "supervisor/pool.h"
#include "supervisor/reload.h"
#include "supervisor/signals.h"
#include "supervisor/starting.h"
#include "supervisor/workers.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* ---- set-up, in order ---- */

static const char *const isolation_names[] = {
    [ISOLATION_RANGE] = "namespaces, 65536 ids",
    [ISOLATION_SINGLE] = "namespaces, one id: sandboxes are kept apart by seccomp alone",
    [ISOLATION_ROOT] = "no namespaces, ids of its own for each sandbox",
    [ISOLATION_NONE] = "no namespaces and one id: seccomp, Landlock and limits alone",
};

static int choose_isolation(struct pool *pool)
{
    static const enum isolation forced[] = {
        [CONFIG_RANGE] = ISOLATION_RANGE,
        [CONFIG_SINGLE] = ISOLATION_SINGLE,
    };
    autobuffer struct buffer why = BUFFER_INIT(1024);

    if (pool->config.isolation == CONFIG_RANGE && geteuid() != 0) {
        log_error("isolation = range: only root can map 65,536 ids");
        return -EPERM;
    }
    if (pool->config.isolation == CONFIG_AUTO) {
        pool->isolation = spawn_best_isolation(pool->config.uid_first, &why);
    } else if (pool->config.isolation == CONFIG_NONE) {
        pool->isolation = geteuid() == 0 ? ISOLATION_ROOT : ISOLATION_NONE;
    } else {
        pool->isolation = forced[pool->config.isolation];
    }
    log_event(pool->isolation == ISOLATION_RANGE ? LOG_INFO : LOG_WARNING,
              "isolation: %s%s%s", isolation_names[pool->isolation],
              why.size > 0 ? ": " : "", why.size > 0 ? why.data : "");
    return 0;
}

/* The zygote holds some files for each sandbox that can be alive. */
static bool group_files_fit(const struct pool *pool)
{
    rlim_t files =
        128 + (rlim_t)GROUP_FDS * (2 * (rlim_t)workers_most(&pool->config) + 8);
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_max < files) {
        log_warning("no control groups: the limit on open files (ulimit -n) is %llu, and "
                    "they need %llu with so many workers",
                    (unsigned long long)limit.rlim_max, (unsigned long long)files);
        return false;
    }
    if (limit.rlim_cur < files) {
        limit.rlim_cur = files;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    return true;
}

static int choose_groups(struct pool *pool)
{
    return starting_open_groups(&pool->cgroup,
                                group_files_fit(pool) ? pool->config.cgroup : "none");
}

static int open_runtime(struct pool *pool)
{
    autobuffer struct buffer why = BUFFER_INIT(4096);
    int error = runtime_open(&pool->runtime, &pool->config, &why);

    if (error == 0) {
        runtime_sweep(&pool->runtime, NULL);
        runtime_owner(&pool->runtime, &pool->config, pool->owner);
        error = board_open(pool, &why);
    }
    if (error < 0) {
        log_error("%s", why.data != NULL ? why.data : strerror(-error));
    }
    return error;
}

/* Of several pools: another one, which is not in the file any more, may be about to give
 * the port up; not where all of them start. */
#define PORT_MS   2000
#define PORT_STEP 20

static int open_port(struct pool *pool, int64_t end_ms, struct buffer *why)
{
    int error = listening_open(pool->config.metrics, &pool->listener, why);

    while (error == -EADDRINUSE && clock_now_ms() < end_ms) {
        (void)poll(NULL, 0, PORT_STEP);
        buffer_reset(why);
        error = listening_open(pool->config.metrics, &pool->listener, why);
    }
    return error;
}

static int open_listener(struct pool *pool, const struct command_line *line)
{
    bool is_added = line->pool != NULL && line->ready_fd >= 0 && !line->hold;
    autobuffer struct buffer why = BUFFER_INIT(1024);
    int error = 0;

    if (pool->config.metrics[0] != '\0') {
        error = open_port(pool, is_added ? clock_now_ms() + PORT_MS : 0, &why);
    }
    if (error < 0) {
        log_error("%s", why.data != NULL ? why.data : strerror(-error));
        board_close(pool);
        runtime_close(&pool->runtime);
    }
    return error;
}

/* ---- the loop ---- */

enum { POLL_SIGNALS, POLL_STARTER, POLL_UNITS };

/* What the loop turns about. */
struct watch {
    struct pool *pool;
    struct command_line *line;
    bool reloading;  /* whoever started us is told when that is over, and whether */
    int64_t number;  /* of which one; 0: it has none */
    uint32_t before; /* this many that are in force have become more */
};

static void end_now(void *context)
{
    struct pool *pool = ((struct watch *)context)->pool;

    log_info("stopping: running jobs are given back");
    notify_say(&pool->notify, "STOPPING=1\nSTATUS=stopping");
    pool_stop(pool);
}

/* However often it is said. */
static void drain(void *context)
{
    const struct watch *watch = context;
    struct pool *pool = watch->pool;

    if (pool->phase < POOL_DRAINING) {
        log_info("draining: running jobs may end, within %lld s",
                 (long long)pool->config.drain_s);
        notify_draining(&pool->notify, pool->config.drain_s * 1000);
        command_line_say(watch->line, COMMAND_LINE_DRAINING, 0);
        pool_drain(pool);
    }
}

static void drain_for_good(void *context)
{
    drain(context);
    pool_give_port(((struct watch *)context)->pool);
}

static void end(void *context)
{
    const struct watch *watch = context;

    (watch->pool->phase < POOL_DRAINING ? drain : end_now)(context);
}

/* A bad one leaves that which is under way as it is; a good one calls it off. */
static void begin_reload(struct watch *watch, int64_t number)
{
    const struct pool *pool = watch->pool;
    uint32_t before = pool->reloads;

    if (!reload(watch->pool, watch->line)) {
        command_line_say(watch->line,
                         pool->phase >= POOL_DRAINING ? COMMAND_LINE_ENDING
                                                      : COMMAND_LINE_KEPT,
                         number);
        return;
    }
    if (watch->reloading) {
        command_line_say(watch->line,
                         before != watch->before ? COMMAND_LINE_RELOADED
                                                 : COMMAND_LINE_KEPT,
                         watch->number);
    }
    watch->reloading = true;
    watch->number = number;
    watch->before = before;
}

static void read_again(void *context)
{
    struct watch *watch = context;

    if (watch->line->kept) {
        log_warning(
            "the configuration is not read again: SIGHUP is for process %d, which "
            "keeps all pools",
            (int)getppid());
    } else {
        begin_reload(watch, 0);
    }
}

/* One that is under way when the pool begins to end is over, too: nobody knows whether it
 * was good. */
static void tell_reloaded(struct watch *watch)
{
    const struct pool *pool = watch->pool;
    bool over = reload_is_over(pool);
    bool ends = pool->phase >= POOL_DRAINING;

    if (watch->reloading && (over || ends)) {
        watch->reloading = false;
        command_line_say(watch->line,
                         pool->reloads != watch->before ? COMMAND_LINE_RELOADED
                         : over                         ? COMMAND_LINE_KEPT
                                                        : COMMAND_LINE_UNDONE,
                         watch->number);
    }
}

static const struct signal_row signal_rows[] = {
    {SIGTERM, end},
    {SIGINT, end},
    {SIGQUIT, end_now},
    {SIGHUP, read_again},
    {SIGUSR1, drain},
    {SIGUSR2, drain_for_good},
    {SIGPIPE, signals_pass_over},
};

static void on_starter(struct pool *pool, struct command_line *line)
{
    close_fd(&line->ready_fd);
    pool_stop(pool);
}

/* Of one who says nothing it is the end. */
static void hear_starter(struct watch *watch)
{
    int64_t number;
    int heard;

    if (watch->pool->held && command_line_hear_go(watch->line)) {
        watch->pool->held = false;
        return;
    }
    heard = watch->pool->held ? 0 : command_line_hear_reload(watch->line, &number);
    if (heard == 1) {
        begin_reload(watch, number);
    } else if (heard == -EMFILE) {
        log_error(
            "the configuration stays as it was: the limit on open files (ulimit -n) "
            "leaves no room for it");
        command_line_say(watch->line, COMMAND_LINE_KEPT, number);
    } else {
        on_starter(watch->pool, watch->line);
    }
}

/* Says once that the pool is up, to the runtime folder and to whoever asked. */
static void announce(struct pool *pool, struct command_line *line)
{
    int error = runtime_publish(&pool->runtime, &pool->config, pool->redis, NULL);

    if (error < 0) {
        (void)log_failure(error, "unable to write the pool file in %s",
                          pool->runtime.path);
    }
    log_info("pool ready queue=%s workers=%lld", pool->config.queue,
             (long long)pool->config.workers);
    if (command_line_say_ready(line) < 0) {
        on_starter(pool, line);
    }
    workers_say(pool, "READY=1\n");
}

/* A fraction of a second, or as long as the zygote waits for what does not end. */
#define CHECK_S 15

static void mind_the_end(struct pool *pool, struct command_line *line)
{
    if (clock_now_ms() >= line->end_ms) {
        line->end_ms = CLOCK_NEVER;
        log_error("the check was given up after %d s, in which the zygote said nothing",
                  CHECK_S);
        pool_stop(pool);
    }
}

/* How long poll() may wait. */
static int next_due(const struct watch *watch)
{
    const struct pool *pool = watch->pool;
    const int64_t due[] = {pool_next_ms(pool), notify_next_ms(&pool->notify),
                           watch->line->alive_ms, watch->line->end_ms};

    return clock_poll_ms(clock_first_ms(due, array_size(due)), clock_now_ms());
}

/* Once, when all are READY. */
static void on_running(struct watch *watch)
{
    if (watch->line->check) {
        watch->line->end_ms = CLOCK_NEVER;
        pool_stop(watch->pool);
    } else {
        announce(watch->pool, watch->line);
    }
}

static void loop(struct pool *pool, struct command_line *line, int signals)
{
    static struct pollfd fds[POLL_UNITS + 2 * POOL_UNITS];
    struct watch watch = {.pool = pool, .line = line};
    bool announced = false;

    while (!pool_is_over(pool)) {
        notify_tend(&pool->notify, clock_now_ms());
        command_line_say_alive(line, clock_now_ms());
        pool_start_due(pool);
        fds[POLL_SIGNALS] = (struct pollfd){.fd = signals, .events = POLLIN};
        fds[POLL_STARTER] = (struct pollfd){.fd = line->ready_fd, .events = POLLIN};
        pool_poll(pool, fds + POLL_UNITS);
        if (poll(fds, POLL_UNITS + 2 * pool->count, next_due(&watch)) < 0) {
            if (errno !=
                EINTR) { /* there are no handlers, but SIGSTOP and SIGCONT do it */
                (void)log_failure(-errno, "unable to wait");
                pool->exit_code = ROLE_EXIT_SYSTEM;
                return;
            }
            continue;
        }
        if (fds[POLL_SIGNALS].revents != 0) {
            signals_service(signals, signal_rows, array_size(signal_rows), &watch);
        }
        if (fds[POLL_STARTER].revents != 0) {
            hear_starter(&watch);
        }
        pool_service(pool, fds + POLL_UNITS);
        if (!announced && pool->phase == POOL_RUNNING) {
            announced = true;
            on_running(&watch);
        }
        reload_tend(pool, line);
        tell_reloaded(&watch);
        mind_the_end(pool, line);
    }
}

/* The zygote attacks its own sandboxes before it says that it is ready: that is the
 * check. */
static int run_check(struct pool *pool, struct command_line *line)
{
    autobuffer struct buffer text = BUFFER_INIT(KIB(64));
    autoclose int signals = -1;
    bool whole;

    if (signals_open(signal_rows, array_size(signal_rows), &signals) < 0) {
        return ROLE_EXIT_SYSTEM;
    }
    if (choose_isolation(pool) < 0 || choose_groups(pool) < 0) {
        return ROLE_EXIT_CONFIG;
    }
    pool_init(pool, true);
    line->end_ms = clock_now_ms() + CHECK_S * 1000;
    loop(pool, line, signals);
    whole = layers_print(&pool->sandbox, &pool->cgroup, line->json, &text) &&
            pool->sandbox.version != 0;
    cgroup_close(&pool->cgroup);
    (void)fputs(text.data != NULL ? text.data : "", stdout);
    return whole ? ROLE_EXIT_OK : ROLE_EXIT_PERMANENT;
}

static int run(struct pool *pool, struct command_line *line)
{
    autoclose int signals = -1;
    int error = signals_open(signal_rows, array_size(signal_rows), &signals);

    if (error == 0) {
        error = open_runtime(pool);
    }
    if (error == 0) {
        error = open_listener(pool, line);
    }
    if (error < 0) {
        return ROLE_EXIT_CONFIG;
    }
    notify_open(&pool->notify);
    pool_init(pool, false);
    pool->held = line->hold;
    error = choose_isolation(pool);
    if (error == 0) {
        error = choose_groups(pool);
    }
    if (error == 0) {
        error = starting_open_redis(pool);
    }
    if (error < 0) {
        pool->exit_code = ROLE_EXIT_CONFIG;
        pool_stop(pool);
    }
    loop(pool, line, signals);
    cgroup_close(&pool->cgroup);
    close_fd(&pool->listener);
    board_close(pool);
    runtime_close(&pool->runtime);
    notify_close(&pool->notify);
    return pool->exit_code;
}

/* Whoever ignores SIGCHLD hands that down, and is never told how a child ended. */
static void take_back_children(void)
{
    const struct sigaction usual = {.sa_handler = SIG_DFL};

    (void)sigaction(SIGCHLD, &usual, NULL);
}

/* One of several pools says it in their log, as far as it could be read how. */
static int refuse(const struct command_line *line, const struct config *config, int code,
                  const struct buffer *why)
{
    struct log_manner manner = config_log(config);

    if (line->pool == NULL || line->ready_fd < 0) {
        return command_line_complain(code, why);
    }
    (void)snprintf(manner.pool, sizeof(manner.pool), "%s", line->pool);
    log_open("supervisor", manner);
    log_error("%s", why->data != NULL ? why->data : "");
    return code;
}

int main(int argc, char **argv)
{
    static struct pool pool = {.board_fd = -1,
                               .listener = -1,
                               .runtime = RUNTIME_INIT,
                               .notify = NOTIFY_INIT,
                               .cgroup = CGROUP_INIT};
    autobuffer struct buffer why = BUFFER_INIT(4096);
    struct command_line line = COMMAND_LINE_INIT;
    int code;

    take_back_children();
    code = fd_open_standard();
    code = code == 0 ? secret_hide_argv(argc, argv) : code;
    if (code < 0) {
        (void)log_failure(code, "unable to open stdin, stdout and stderr");
        return ROLE_EXIT_SYSTEM;
    }
    code = command_line_read(&line, argc, argv, &pool.config, &why);
    if (code != ROLE_EXIT_OK) {
        return refuse(&line, &pool.config, code, &why);
    }
    if (line.instead != NULL) {
        return command_line_finish(line.instead(&line));
    }
    if (line.check && pool.config.log_level == LOG_INFO) {
        pool.config.log_level = LOG_WARNING; /* the answer is what was asked for */
    }
    log_open("supervisor", config_log(&pool.config));
    if (line.parts.count > 0 && line.pool == NULL && !line.check) {
        return keeper_run(&line);
    }
    if (kernel_try(pool.config.max_memory_mb, workers_most(&pool.config)) < 0) {
        return ROLE_EXIT_PERMANENT;
    }
    return line.check ? command_line_finish(run_check(&pool, &line)) : run(&pool, &line);
}
