/* SPDX-License-Identifier: MIT */
/*
 * paddock-zygote. Theory of operation:
 *
 * The supervisor starts this program inside namespaces of its own, where it is process 1.
 * It starts Python once, imports what programs may import, and then locks itself: from
 * there on it sees no file and no network, and keeps no power but to change ids and to
 * kill. For each REQUEST of a relay it forks a sandbox, which locks itself further and
 * waits for its job. The zygote never sees a job: the ZIP and the recording are memory
 * that relay and sandbox share. What it knows is what a parent knows: who lives, who died
 * of what, how much CPU it took; that is the evidence in EXITED.
 *
 * Single-threaded, one poll() loop over: the supervisor (fd 3), a signalfd (SIGCHLD, and
 * one real-time signal for CPU timers), the listener for forbidden calls, and the links
 * to the relays. It holds no secret, because every sandbox can read all that it was
 * forked from. It trusts the supervisor and, for their own slot, the relays. When the
 * supervisor is gone it ends, and with it (as process 1) every sandbox.
 */
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/message.h"
#include "common/namespace.h"
#include "common/role.h"
#include "worker/sandbox/groups.h"
#include "worker/sandbox/guest.h"
#include "worker/sandbox/host_loading.h"
#include "worker/sandbox/interpreter.h"
#include "worker/sandbox/links.h"
#include "worker/sandbox/lockdown.h"
#include "worker/sandbox/policy.h"
#include "worker/sandbox/rlimits.h"
#include "worker/sandbox/selftest.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { POLL_PEER, POLL_SIGNALS, POLL_LISTENER, POLL_LINKS };

struct zygote {
    int signals;
    struct message_setup setup;
    int library; /* of Python; closed when it is mapped */
    struct interpreter interpreter;
    struct lockdown lockdown;
    struct children children;
    struct links links;
    bool worn; /* the supervisor knows that we have forked as often as we may */
};

/* ---- set-up, in order ---- */

static int receive_setup(struct zygote *zygote)
{
    struct pollfd peer = {.fd = ROLE_PEER, .events = POLLIN};
    struct message message;

    if (poll(&peer, 1, 10000) != 1 ||
        message_receive(ROLE_PEER, 1u << MESSAGE_SETUP, &message) != 1) {
        log_error("no set-up came; this program is started by paddock-supervisor");
        return -EPROTO;
    }
    zygote->setup = message.payload.SETUP_;
    log_open("zygote", zygote->setup.log);
    zygote->setup.preload[sizeof(zygote->setup.preload) - 1] = '\0';
    zygote->setup.host_modules[sizeof(zygote->setup.host_modules) - 1] = '\0';
    zygote->setup.host_path[sizeof(zygote->setup.host_path) - 1] = '\0';
    zygote->setup.library[sizeof(zygote->setup.library) - 1] = '\0';
    zygote->library = steal_fd(&message.fds[0]);
    host_loading_open(steal_fd(&message.fds[1]));
    return 0;
}

static int receive_groups(struct zygote *zygote)
{
    return groups_receive(&zygote->children.groups, &zygote->setup, ROLE_PEER);
}

static int watch_signals(struct zygote *zygote)
{
    sigset_t set;

    zygote->children.timer_signal = SIGRTMIN;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGCHLD);
    (void)sigaddset(&set, SIGRTMIN);
    (void)sigaddset(&set, SIGINT); /* the supervisor alone says when to end */
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGPIPE);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0) {
        return -errno;
    }
    zygote->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return zygote->signals >= 0 ? 0 : -errno;
}

static int start_interpreter(struct zygote *zygote)
{
    int error = interpreter_start(&zygote->setup, zygote->library, &zygote->interpreter);

    close_fd(&zygote->library);
    host_loading_close();
    if (error < 0) {
        return error;
    }
    /* What a first program has Python make for good is made before there are children.
     * What it prints stays in the pipe that stands for a program's input and output. */
    guest_rehearse();
    return interpreter_settle(&zygote->interpreter);
}

/* Once for all sandboxes: what a preloaded module, or the rehearsal, has set. */
static int reset_signals(struct zygote *zygote)
{
    const struct sigaction usual = {.sa_handler = SIG_DFL};

    for (int signo = 1; signo < NSIG; signo++) {
        if (signo != SIGINT && signo != SIGPIPE && signo != SIGXFSZ) { /* Python's own */
            (void)sigaction(signo, &usual, NULL); /* KILL, STOP and two of glibc refuse */
        }
    }
    return 0;
}

static int lock(struct zygote *zygote)
{
    return lockdown_zygote(&zygote->setup, &zygote->lockdown);
}

static int prepare_children(struct zygote *zygote)
{
    zygote->children.settings = (struct sandbox_settings){
        .isolation = (enum isolation)zygote->setup.isolation,
        .uid_first = zygote->setup.uid_first,
        .uid_count = zygote->setup.uid_count,
        .sandboxes = zygote->setup.sandboxes,
        .memory_mb = zygote->setup.memory_mb,
        .data_pages = zygote->interpreter.data_pages,
        .total_pages = zygote->interpreter.total_pages,
    };
    links_init(&zygote->links, &zygote->children, ROLE_PEER);
    return 0;
}

static int report_ready(struct zygote *zygote)
{
    struct message_ready ready = {
        .version = MESSAGE_VERSION,
        .granted = selftest_granted(&zygote->children, &zygote->lockdown),
        .landlock_abi = zygote->lockdown.landlock_abi,
        .modules = zygote->interpreter.modules,
    };
    int error = selftest_run(&zygote->children, &zygote->lockdown, zygote->signals,
                             &ready.layers);

    close_fd(&zygote->lockdown.outside);
    return error < 0 ? error : message_send(ROLE_PEER, MESSAGE_READY, &ready, NULL);
}

static const struct {
    const char *what;
    int (*step)(struct zygote *);
} steps[] = {
    {"receive the set-up", receive_setup},
    {"receive control groups", receive_groups},
    {"watch signals", watch_signals},
    {"start Python", start_interpreter},
    {"reset signals", reset_signals},
    {"lock the zygote", lock},
    {"prepare for sandboxes", prepare_children},
    {"test its sandboxes", report_ready},
};

static int set_up(struct zygote *zygote)
{
    for (size_t i = 0; i < array_size(steps); i++) {
        int error = steps[i].step(zygote);

        if (error == -EPIPE || error == -ENOPKG) {
            return error; /* the supervisor is gone, and with it who wants to know; or
                             what is wrong has been said */
        }
        if (error < 0) {
            return log_failure(error, "unable to %s", steps[i].what);
        }
    }
    return 0;
}

/* ---- the loop ---- */

static void on_signals(struct zygote *zygote)
{
    children_hear(&zygote->children, zygote->signals);
    links_reap(&zygote->links);
}

/* From here on a successor is made ready; until it is, we go on. */
static void tell_worn(struct zygote *zygote)
{
    const struct message_worn worn = {.forks = zygote->children.forks};
    uint32_t most = zygote->setup.forks;

    if (!zygote->worn && most != 0 && worn.forks >= most) {
        zygote->worn = message_send(ROLE_PEER, MESSAGE_WORN, &worn, NULL) == 0;
    }
}

static void on_link(struct zygote *zygote, struct message *message)
{
    uint32_t slot = message->payload.LINK_.slot;

    if (slot < LIMIT_WORKERS) {
        links_replace(&zygote->links, slot, steal_fd(&message->fds[0]));
    }
}

/* What cannot be sent now is asked for again. */
static void on_ping(struct zygote *zygote, struct message *message)
{
    const struct message_pong pong = {0};
    int error = message_send(ROLE_PEER, MESSAGE_PONG, &pong, NULL);

    (void)error;
}

static void (*const handlers[MESSAGE_COUNT])(struct zygote *, struct message *) = {
    [MESSAGE_LINK] = on_link,
    [MESSAGE_PING] = on_ping,
};

/* Returns 0, or -EPIPE when the supervisor is gone. */
static int on_peer(struct zygote *zygote)
{
    const uint32_t permitted = 1u << MESSAGE_LINK | 1u << MESSAGE_PING;
    struct message message;
    int result;

    while ((result = message_receive(ROLE_PEER, permitted, &message)) == 1) {
        handlers[message.type](zygote, &message);
        message_done(&message);
    }
    return result == -EAGAIN ? 0 : -EPIPE;
}

/* How long poll() may wait. */
static int kills_due(struct zygote *zygote)
{
    int64_t now_ms = clock_now_ms();

    return clock_poll_ms(children_tend(&zygote->children, now_ms), now_ms);
}

static int loop(struct zygote *zygote)
{
    struct pollfd fds[POLL_LINKS + LIMIT_WORKERS];
    uint32_t slots[LIMIT_WORKERS];

    for (;;) {
        size_t links = links_poll(&zygote->links, fds + POLL_LINKS, slots);

        fds[POLL_PEER] = (struct pollfd){
            .fd = ROLE_PEER,
            .events = links_owe(&zygote->links) ? POLLIN | POLLOUT : POLLIN};
        fds[POLL_SIGNALS] = (struct pollfd){.fd = zygote->signals, .events = POLLIN};
        fds[POLL_LISTENER] =
            (struct pollfd){.fd = zygote->lockdown.listener, .events = POLLIN};
        if (poll(fds, POLL_LINKS + links, kills_due(zygote)) < 0 && errno != EINTR) {
            return log_failure(-errno, "unable to wait");
        }
        if ((fds[POLL_LISTENER].revents & POLLIN) != 0) {
            children_forbid(&zygote->children, zygote->lockdown.listener);
        }
        if (fds[POLL_SIGNALS].revents != 0) {
            on_signals(zygote);
        }
        if ((fds[POLL_PEER].revents & POLLOUT) != 0) {
            links_settle(&zygote->links);
        }
        if ((fds[POLL_PEER].revents & ~POLLOUT) != 0 && on_peer(zygote) < 0) {
            return 0;
        }
        for (size_t i = 0; i < links; i++) {
            if (fds[POLL_LINKS + i].revents != 0 &&
                zygote->links.slots[slots[i]].socket >= 0) {
                links_service(&zygote->links, slots[i]);
            }
        }
        tell_worn(zygote);
    }
}

/* ---- the command line ---- */

static int print_policy(void)
{
    struct buffer text = BUFFER_INIT(MIB(1));
    int error;

    policy_print(&text);
    rlimits_print(&text);
    groups_print(&text);
    lockdown_print(&text);
    namespace_print(&text);
    (void)fputs(text.data != NULL ? text.data : "", stdout);
    buffer_done(&text);
    error = fd_flush_stdout();
    if (error < 0 && error != -EPIPE) {
        (void)log_failure(error, "unable to write to standard output");
    }
    return error == 0 ? ROLE_EXIT_OK : ROLE_EXIT_SYSTEM;
}

static int print_usage(FILE *to)
{
    (void)fprintf(
        to, "usage: paddock-zygote --policy | --help\n"
            "Started by paddock-supervisor. --policy prints the sandbox's tables.\n");
    return to == stdout ? ROLE_EXIT_OK : ROLE_EXIT_USAGE;
}

int main(int argc, char **argv)
{
    static struct zygote zygote;
    int error;

    if (fd_open_standard() < 0) {
        return ROLE_EXIT_SYSTEM;
    }
    if (argc > 1) {
        if (strcmp(argv[1], "--policy") == 0) {
            return print_policy();
        }
        return print_usage(strcmp(argv[1], "--help") == 0 ? stdout : stderr);
    }
    log_open("zygote", (struct log_manner){LOG_INFO, LOG_TEXT, ""});
    /* Both fail for nobody. It was started by a file descriptor, which older kernels take
     * for its name. */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)prctl(PR_SET_NAME, "paddock-zygote");
    error = set_up(&zygote);
    if (error == 0) {
        error = loop(&zygote);
        children_end(&zygote.children);
    }
    _exit(error == -ENOPKG ? ROLE_EXIT_CONFIG
          : error < 0      ? ROLE_EXIT_SYSTEM
                           : ROLE_EXIT_OK); /* Python is not to be finished here */
}
