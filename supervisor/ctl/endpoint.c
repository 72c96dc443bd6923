/* SPDX-License-Identifier: MIT */
/* Finding or starting a pool. Runs in the `paddock` command, as the user. Must leave no
 * process and no file of an own pool behind, however the command ends: all its files are
 * the supervisor's, in a folder that this makes, and it stops and takes them away when
 * our end of its socket is closed, if only by our death. */
#include "supervisor/ctl/endpoint.h"

#include "common/fd.h"
#include "common/limits.h"
#include "common/option.h"
#include "common/random.h"
#include "common/text.h"
#include "common/verdict.h"
#include "queue/keys.h"
#include "supervisor/ctl/interrupt.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CONNECT_MS 3000
#define START_MS   30000

void endpoint_program(const char *name, char *to, size_t room)
{
    /* In the build tree all stand in one folder; installed, they do not. */
    static const char *const folders[] = {".", "../sbin", "../libexec/paddock"};
    char here[LIMIT_PATH] = "";
    ssize_t size = readlink("/proc/self/exe", here, sizeof(here) - 1);
    char *slash;

    here[size > 0 ? size : 0] = '\0';
    slash = strrchr(here, '/');
    for (size_t i = 0; i < array_size(folders); i++) {
        (void)snprintf(to, room, "%.*s/%s/%s", slash != NULL ? (int)(slash - here) : 0,
                       here, folders[i], name);
        if (access(to, X_OK) == 0) {
            return;
        }
    }
}

/* ---- a pool that runs ---- */

/* Copies the value of a line NAME=VALUE of the pool file. */
static void take_line(const char *text, const char *name, char *to, size_t room)
{
    size_t length = strlen(name);

    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, length) == 0 && line[length] == '=') {
            (void)snprintf(to, room, "%.*s", (int)strcspn(line + length + 1, "\n"),
                           line + length + 1);
        }
    }
}

struct pool_file {
    char redis[1100];
    char queue[LIMIT_QUEUE + 2];                /* one that is too long shows as such */
    char as_web[1100], as_operator[1100];       /* for commands; "": the same */
    char pools[LIMIT_POOLS * (LIMIT_POOL + 1)]; /* names, where several run */
    char folder[LIMIT_PATH];                    /* that it lies in */
};

/* A pool file of somebody else could name any Redis: only our own and root's are
 * believed. Returns 0, -ENOENT, -EACCES (it is not for us), -EPERM (not believed) or
 * -EBADMSG (it is no such file). */
static int read_pool_file(const char *folder, struct pool_file *ret)
{
    char path[LIMIT_PATH + 8];
    autofree char *text = NULL;
    struct stat status;
    size_t size;
    int error;

    (void)snprintf(path, sizeof(path), "%s/pool", folder);
    if (lstat(path, &status) != 0) {
        return errno == EACCES ? -EACCES : -ENOENT;
    }
    if (status.st_uid != geteuid() && status.st_uid != 0) {
        return -EPERM;
    }
    error = fd_read_file(path, 8192, &text, &size);
    if (error < 0) {
        return error == -EACCES ? -EACCES : -ENOENT;
    }
    take_line(text, "redis", ret->redis, sizeof(ret->redis));
    take_line(text, "web", ret->as_web, sizeof(ret->as_web));
    take_line(text, "operator", ret->as_operator, sizeof(ret->as_operator));
    take_line(text, "queue", ret->queue, sizeof(ret->queue));
    take_line(text, "pools", ret->pools, sizeof(ret->pools));
    (void)snprintf(ret->folder, sizeof(ret->folder), "%s", folder);
    return ret->redis[0] != '\0' ? 0 : -EBADMSG;
}

static int refuse_pool(int error, const char *folder, struct buffer *why)
{
    if (error == -EBADMSG) {
        buffer_printf(why,
                      "%s/pool: no line begins with redis= and an address, and a file "
                      "pool holds such lines alone, without a section or blanks",
                      folder);
        return error;
    }
    if (error == -EACCES) {
        buffer_printf(why, "%s: this user may not use the pool there", folder);
    } else if (error == -EPERM) {
        buffer_printf(why, "%s: the pool there is another user's, and not believed",
                      folder);
    } else {
        buffer_add_text(why, "no pool runs here");
    }
    buffer_add_text(why, "; start one with `paddock up`, or name a Redis with --redis");
    return error;
}

/* A pool of that name, in the folder of all of them. */
static int find_named(const char *folder, const char *name, struct pool_file *ret,
                      struct buffer *why)
{
    struct pool_file all = {.pools = ""};
    char one[LIMIT_PATH];
    int error;

    if (!option_part_valid(name)) {
        buffer_printf(why, "--pool %s: takes at most %d letters, digits, _ and -", name,
                      LIMIT_POOL);
        return -EINVAL;
    }
    if (snprintf(one, sizeof(one), "%s/%s", folder, name) >= (int)sizeof(one)) {
        return -ENAMETOOLONG;
    }
    error = read_pool_file(one, ret);
    if (error == -ENOENT && read_pool_file(folder, &all) == 0) {
        if (text_has_word(all.pools, name, strlen(name))) {
            buffer_printf(why, "--pool %s: it is configured in %s, and does not run now",
                          name, folder);
            return error;
        }
        buffer_printf(why, "--pool %s: there is none of that name in %s", name, folder);
        buffer_printf(why, all.pools[0] != '\0' ? "; there are: %s" : "%s", all.pools);
        return -ENOENT;
    }
    return error == 0 ? 0 : refuse_pool(error, one, why);
}

/* Of several folders the first that has a pool for us; otherwise what is told is why not
 * in the first that seems to have one. */
static int find_folder(const struct args *args, struct pool_file *ret, struct buffer *why)
{
    char own[64], users[LIMIT_PATH];
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    const char *folders[] = {users, "/run/paddock", own};
    const char *refused = NULL;
    int reason = -ENOENT;

    if (args->runtime_dir != NULL) {
        reason = read_pool_file(args->runtime_dir, ret);
        return reason == 0 ? 0 : refuse_pool(reason, args->runtime_dir, why);
    }
    (void)snprintf(users, sizeof(users), "%s/paddock", runtime != NULL ? runtime : "");
    (void)snprintf(own, sizeof(own), "/tmp/paddock-%u", geteuid());
    for (size_t i = 0; i < array_size(folders); i++) {
        int error = read_pool_file(folders[i], ret);

        if (error == 0) {
            return 0;
        }
        if (reason == -ENOENT) {
            reason = error;
            refused = folders[i];
        }
    }
    return refuse_pool(reason, refused, why);
}

static int find_pool(const struct args *args, struct pool_file *ret, struct buffer *why)
{
    struct pool_file all = {.queue = ""};
    int error;

    if (args->pool == NULL) {
        return find_folder(args, ret, why);
    }
    if (args->runtime_dir != NULL) {
        return find_named(args->runtime_dir, args->pool, ret, why);
    }
    error = find_folder(args, &all, why);
    return error == 0 ? find_named(all.folder, args->pool, ret, why) : error;
}

static int connect_to(const char *address, struct redis **ret, struct buffer *why)
{
    int error = redis_new(address, ret, why);

    if (error == 0) {
        error = redis_connect(*ret, CONNECT_MS, why);
    }
    if (error == 0) {
        error = redis_check_server(*ret, why);
    }
    return error;
}

int endpoint_find_folder(const struct args *args, char folder[LIMIT_PATH],
                         struct buffer *why)
{
    struct pool_file pool = {.queue = ""};
    int error = find_pool(args, &pool, why);

    if (error == 0 && pool.pools[0] != '\0') {
        buffer_printf(why, "several pools run in %s: name one of them with --pool: %s",
                      pool.folder, pool.pools);
        return -ENOENT;
    }
    (void)snprintf(folder, LIMIT_PATH, "%s", pool.folder);
    return error;
}

/* As whom the command does its work. */
static const char *choose_address(const struct args *args, const struct pool_file *pool)
{
    const char *own = args->operates ? pool->as_operator : pool->as_web;

    if (args->redis != NULL) {
        return args->redis;
    }
    return own[0] != '\0' ? own : pool->redis;
}

int endpoint_check_queue(const char *name, struct buffer *why)
{
    if (!queue_name_valid(name)) {
        buffer_printf(why, "--queue %s: takes at most %d letters, digits and _.-", name,
                      LIMIT_QUEUE);
        return -EINVAL;
    }
    return 0;
}

int endpoint_find(const struct args *args, struct endpoint *ret, struct buffer *why)
{
    struct pool_file pool = {.queue = "default"};
    const char *queue = args->queue != NULL ? args->queue : pool.queue;
    int error = endpoint_check_queue(queue, why);

    if (error == 0 && args->redis == NULL) {
        error = find_pool(args, &pool, why);
        error = error == 0 ? endpoint_check_queue(queue, why) : error; /* the file's */
    }
    if (error < 0) {
        return error;
    }
    (void)snprintf(ret->queue, sizeof(ret->queue), "%.*s", LIMIT_QUEUE, queue);
    return connect_to(choose_address(args, &pool), &ret->redis, why);
}

/* ---- an own pool ---- */

/* A folder that is not there yet: the supervisor makes it, and removes what it made. */
static int name_folder(char *folder, size_t room)
{
    const char *top = getenv("TMPDIR");
    char name[RANDOM_NAME];
    int error = random_name(name);

    /* Short enough for the path of a socket in it. */
    top = top != NULL && *top == '/' && strlen(top) < 64 ? top : "/tmp";
    (void)snprintf(folder, room, "%s/paddock-run-%.16s", top, error == 0 ? name : "");
    return error;
}

static void reset_signals(void)
{
    sigset_t none;

    (void)sigemptyset(&none);
    (void)sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void run_supervisor(const char *folder, const char *program, int ready)
{
    char fd[16], runtime[128];
    char *argv[] = {(char *)(uintptr_t) "paddock-supervisor",
                    (char *)(uintptr_t) "--ready-fd",
                    fd,
                    (char *)(uintptr_t) "--queue=run",
                    (char *)(uintptr_t) "--workers=1",
                    (char *)(uintptr_t) "--log-level=warning",
                    runtime,
                    NULL};

    (void)snprintf(fd, sizeof(fd), "%d", ready);
    (void)snprintf(runtime, sizeof(runtime), "--runtime-dir=%s", folder);
    /* Of its own session: Ctrl-C is ours, and cancels the job rather than the pool. */
    (void)setsid();
    reset_signals();
    if (fd_set_cloexec(ready, 0) == 0) {
        (void)execv(program, argv);
    }
    (void)dprintf(STDERR_FILENO, "paddock: unable to run %s: %s\n", program,
                  strerror(errno));
    _exit(127);
}

static int start_supervisor(struct endpoint *endpoint, const char *folder,
                            struct buffer *why)
{
    char program[LIMIT_PATH + 64];
    autoclose int theirs = -1;
    int ends[2];

    endpoint_program("paddock-supervisor", program, sizeof(program));
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        return -errno;
    }
    endpoint->ready = ends[0];
    theirs = ends[1];
    endpoint->supervisor = fork();
    if (endpoint->supervisor == 0) {
        run_supervisor(folder, program, theirs);
    }
    if (endpoint->supervisor < 0) {
        endpoint->supervisor = 0;
        buffer_printf(why, "unable to start a pool: %s", strerror(errno));
        return -errno;
    }
    return 0;
}

static int wait_ready(struct endpoint *endpoint, int interrupts, struct buffer *why)
{
    struct pollfd fds[] = {{.fd = endpoint->ready, .events = POLLIN},
                           {.fd = interrupts, .events = POLLIN}};
    bool woken = poll(fds, array_size(fds), START_MS) > 0;
    char word[8] = "";

    if (woken && fds[1].revents != 0) {
        buffer_add_text(why, verdict_row(VERDICT_CANCELLED)->happened);
        return -EINTR;
    }
    if (woken && read(endpoint->ready, word, 6) == 6) {
        return 0;
    }
    buffer_add_text(why, "the pool did not start; its reasons stand above");
    return -ECHILD;
}

int endpoint_embed(struct endpoint *ret, struct buffer *why)
{
    autoclose int interrupts = interrupt_watch();
    char folder[96], address[128];
    int error = interrupts < 0 ? interrupts : name_folder(folder, sizeof(folder));

    if (error == 0) {
        error = start_supervisor(ret, folder, why);
    }
    if (error == 0) {
        error = wait_ready(ret, interrupts, why);
    }
    if (error < 0) {
        return error;
    }
    (void)snprintf(ret->queue, sizeof(ret->queue), "run");
    (void)snprintf(address, sizeof(address), "unix:%s/redis.sock", folder);
    return connect_to(address, &ret->redis, why);
}

int endpoint_connect_again(const struct endpoint *endpoint, struct redis **ret,
                           struct buffer *why)
{
    int error = redis_new_like(endpoint->redis, ret);

    return error < 0 ? error : redis_connect(*ret, CONNECT_MS, why);
}

void endpoint_done(struct endpoint *endpoint)
{
    redis_free(endpoint->redis);
    endpoint->redis = NULL;
    close_fd(&endpoint->ready);
    if (endpoint->supervisor > 0) {
        int status;

        while (waitpid(endpoint->supervisor, &status, 0) < 0 && errno == EINTR) {
        }
        endpoint->supervisor = 0;
    }
}
