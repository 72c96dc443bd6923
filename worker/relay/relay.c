/* SPDX-License-Identifier: MIT */
/*
 * paddock-relay. Theory of operation:
 *
 * A relay is the trusted half of one worker. It claims a job from the queue, copies the
 * job's bytes into a memory that only its sandbox sees, has the zygote start that
 * sandbox, forwards what the program records to the job's Stream while it runs, and
 * settles the job: with a verdict, or back into the queue when the fault was ours. It
 * holds the Redis password and is therefore the one process that must never run, parse or
 * interpret anything that a program wrote: the recording passes through as bytes, the
 * claim is one number and a text for people.
 *
 * Single-threaded, one poll() loop over: the supervisor (fd 3), the link to the zygote
 * (while one zygote takes over from another, to both), the doorbell of the running
 * sandbox, its pidfd when it is to die or its zygote is gone, and two connections to
 * Redis. Nothing in the loop waits: each turn looks at what came, then every module tends
 * what time demands, then all that was queued for Redis goes out in one write. A sandbox
 * is always asked for ahead, and a finished job's result travels together with the claim
 * of the next.
 *
 * Who is believed: the supervisor; the zygote on who lives and who died of what; Redis on
 * whose a job is. The sandbox is not.
 *
 * - supervisor gone: the sandbox is killed, the job given back, the relay ends
 * - DRAIN: the running job is finished, the relay ends
 * - zygote gone: the sandbox dies with it; when it is dead its job is given back as lost
 * - zygote renewed: the next sandbox comes from the new one; the one that waits is used,
 *   or given back when its heir is there
 * - Redis away: the job goes on; its result waits; nothing is published until the lease
 *   is known to be ours again
 * - relay gone: the zygote kills its sandboxes; the next relay of the slot gives the job
 *   back
 */
#include "worker/relay/relay.h"

#include "common/fd.h"
#include "common/log.h"
#include "common/role.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>

#define PATIENCE_MS 5000 /* for a Redis that is not there at the start */
#define STOP_MS     1000 /* for a job that is given back because the supervisor is gone */

void relay_break(struct relay *relay, int exit_code)
{
    if (!relay->broken) {
        relay->broken = true;
        relay->exit_code = exit_code;
    }
}

/* ---- the supervisor ---- */

static void stop(struct relay *relay)
{
    if (relay->mode == RELAY_STOPPING) {
        return;
    }
    log_info("stopping: the supervisor has closed its end, or is gone");
    relay->mode = RELAY_STOPPING;
    relay->stop_ms = clock_now_ms() + STOP_MS;
    run_stop(relay);
}

static void on_link(struct relay *relay, struct message *message)
{
    sandbox_link_add(relay, steal_fd(&message->fds[0]));
}

static void on_drain(struct relay *relay, struct message *message)
{
    if (relay->mode == RELAY_SERVING) {
        log_info("draining");
        relay->mode = RELAY_DRAINING;
    }
}

/* A claim that was under way may have brought one job more. */
static void say_relieved(struct relay *relay)
{
    const struct message_relieved relieved = {0};

    if (relay->mode == RELAY_DRAINING && !relay->relieved && !relay->run.claim_asked) {
        relay->relieved =
            message_send(relay->peer, MESSAGE_RELIEVED, &relieved, NULL) == 0;
    }
}

/* What cannot be sent now is asked for again. */
void relay_is_there(struct relay *relay, uint32_t patience_ms)
{
    const struct message_pong pong = {patience_ms};
    int error = message_send(relay->peer, MESSAGE_PONG, &pong, NULL);

    (void)error;
}

static void on_ping(struct relay *relay, struct message *message)
{
    relay_is_there(relay, 0);
}

static void (*const handlers[MESSAGE_COUNT])(struct relay *, struct message *) = {
    [MESSAGE_LINK] = on_link,
    [MESSAGE_PING] = on_ping,
    [MESSAGE_DRAIN] = on_drain,
};

static void service_peer(struct relay *relay)
{
    const uint32_t permitted =
        1u << MESSAGE_LINK | 1u << MESSAGE_PING | 1u << MESSAGE_DRAIN;
    struct message message;
    int r;

    while ((r = message_receive(relay->peer, permitted, &message)) == 1) {
        handlers[message.type](relay, &message);
        message_done(&message);
    }
    if (r == -EAGAIN) {
        return;
    }
    if (r < 0) {
        (void)log_failure(r, "unable to understand the supervisor");
    }
    stop(relay);
}

/* ---- the loop ---- */

enum {
    POLL_PEER,
    POLL_LINKS,
    POLL_DOORBELL = POLL_LINKS + SANDBOX_LINKS,
    POLL_PIDFD,
    POLL_REDIS,
    POLL_COUNT = POLL_REDIS + BROKER_LINES
};

static void fill_redis(const struct relay *relay, struct pollfd *fds)
{
    for (int name = 0; name < BROKER_LINES; name++) {
        const struct broker_line *line = &relay->broker.lines[name];

        fds[name] = (struct pollfd){.fd = -1};
        if (redis_is_up(line->redis)) {
            fds[name].fd = redis_fd(line->redis);
            fds[name].events = redis_events(line->redis);
        }
    }
}

/* poll() skips negative fds. */
static void fill(const struct relay *relay, struct pollfd fds[POLL_COUNT])
{
    const struct sandbox *current = &relay->link.current;
    bool mind_death = run_minds_death(relay);
    bool peered = relay->mode != RELAY_STOPPING;

    fds[POLL_PEER] = (struct pollfd){.fd = peered ? relay->peer : -1, .events = POLLIN};
    for (size_t i = 0; i < SANDBOX_LINKS; i++) {
        fds[POLL_LINKS + i] =
            (struct pollfd){.fd = relay->link.links[i].socket, .events = POLLIN};
    }
    fds[POLL_DOORBELL] = (struct pollfd){
        .fd = forward_listens(relay) ? current->doorbell : -1, .events = POLLIN};
    fds[POLL_PIDFD] =
        (struct pollfd){.fd = mind_death ? current->pidfd : -1, .events = POLLIN};
    fill_redis(relay, fds + POLL_REDIS);
}

static int64_t deadline(const struct relay *relay)
{
    const int64_t deadlines[] = {
        broker_deadline(relay), sandbox_link_deadline(relay), forward_deadline(relay),
        lease_deadline(relay),  bounds_deadline(relay),       watch_deadline(relay),
        board_deadline(relay),  input_deadline(relay),        patience_deadline(relay),
        upkeep_deadline(relay),
    };
    int64_t first = relay->mode == RELAY_STOPPING ? relay->stop_ms : CLOCK_NEVER;

    for (size_t i = 0; i < array_size(deadlines); i++) {
        first = deadlines[i] < first ? deadlines[i] : first;
    }
    return first;
}

static bool heard_doorbell(struct relay *relay, short revents)
{
    eventfd_t rings; /* how often is no matter */

    if ((revents & POLLIN) == 0 ||
        eventfd_read(relay->link.current.doorbell, &rings) != 0) {
        return false;
    }
    forward_hear(relay);
    return true;
}

static void service_redis(struct relay *relay, const struct pollfd *fds)
{
    for (int name = 0; name < BROKER_LINES; name++) {
        redis_service(relay->broker.lines[name].redis,
                      fds != NULL ? fds[name].revents : POLLOUT);
    }
}

/* What came. The doorbell's fd belongs to the sandbox that was current when poll() was
 * called, so it is read before anything can replace that. Returns whether it rang. */
static bool service(struct relay *relay, const struct pollfd fds[POLL_COUNT])
{
    bool rang = heard_doorbell(relay, fds[POLL_DOORBELL].revents);

    if ((fds[POLL_PIDFD].revents & POLLIN) != 0) {
        run_sandbox_dead(relay);
    }
    for (size_t i = 0; i < SANDBOX_LINKS; i++) {
        if (fds[POLL_LINKS + i].revents != 0) {
            sandbox_link_service(relay, &relay->link.links[i]);
        }
    }
    if (fds[POLL_PEER].revents != 0) {
        service_peer(relay);
    }
    service_redis(relay, fds + POLL_REDIS);
    return rang;
}

static void tend(struct relay *relay, bool rang)
{
    int64_t now_ms = clock_now_ms();

    broker_tend(relay, now_ms);
    forward_tend(relay, now_ms, rang);
    lease_tend(relay, now_ms);
    run_tend(relay, now_ms);
    patience_tend(relay, now_ms);
    watch_tend(relay, now_ms);
    input_tend(relay, now_ms);
    upkeep_tend(relay, now_ms);
    board_tend(relay, now_ms);
    service_redis(relay, NULL);
    /* A result is on its way before the next sandbox is asked for. */
    sandbox_link_tend(relay, now_ms);
}

static bool is_over(const struct relay *relay)
{
    if (relay->broken) {
        return true;
    }
    if (relay->mode == RELAY_STOPPING && clock_now_ms() >= relay->stop_ms) {
        return true;
    }
    return relay->mode != RELAY_SERVING && run_is_over(relay) && upkeep_is_over(relay);
}

static void loop(struct relay *relay)
{
    struct pollfd fds[POLL_COUNT];

    while (!is_over(relay)) {
        fill(relay, fds);
        if (poll(fds, POLL_COUNT, clock_poll_ms(deadline(relay), clock_now_ms())) < 0 &&
            errno != EINTR) {
            (void)log_failure(-errno, "unable to wait");
            relay_break(relay, ROLE_EXIT_SYSTEM);
            return;
        }
        tend(relay, service(relay, fds));
        say_relieved(relay);
    }
}

/* ---- set-up, in order ---- */

static int ignore_signals(struct relay *relay)
{
    static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};
    struct sigaction ignore = {.sa_handler = SIG_IGN};

    for (size_t i = 0; i < array_size(ignored); i++) {
        if (sigaction(ignored[i], &ignore, NULL) != 0) {
            (void)log_failure(-errno, "unable to ignore signals");
            return ROLE_EXIT_SYSTEM;
        }
    }
    return ROLE_EXIT_OK;
}

static void terminate_texts(struct message_relay *setup)
{
    setup->redis[sizeof(setup->redis) - 1] = '\0';
    for (size_t i = 0; i < array_size(setup->queues); i++) {
        setup->queues[i].name[sizeof(setup->queues[i].name) - 1] = '\0';
    }
    setup->owner[sizeof(setup->owner) - 1] = '\0';
}

static int receive_setup(struct relay *relay)
{
    static char role[16];
    struct pollfd peer = {.fd = relay->peer, .events = POLLIN};
    struct message message;
    int r;

    if (poll(&peer, 1, 10000) != 1 ||
        message_receive(relay->peer, 1u << MESSAGE_RELAY, &message) != 1) {
        log_error("no set-up came; this program is started by paddock-supervisor");
        return ROLE_EXIT_CONFIG;
    }
    relay->setup = message.payload.RELAY_;
    terminate_texts(&relay->setup);
    queues_init(&relay->queues, relay->setup.queues, relay->setup.queue_count);
    (void)snprintf(role, sizeof(role), "relay-%u", relay->setup.slot);
    log_open(role, relay->setup.log);
    r = board_open(relay, message.fds[0]);
    message_done(&message);
    if (r < 0) {
        (void)log_failure(r, "unable to use the scoreboard");
        return ROLE_EXIT_SYSTEM;
    }
    return ROLE_EXIT_OK;
}

static int open_broker(struct relay *relay)
{
    int r = broker_open(relay, PATIENCE_MS);

    if (r == 0) {
        return ROLE_EXIT_OK;
    }
    return r == -EINVAL ? ROLE_EXIT_CONFIG : ROLE_EXIT_AWAY;
}

static int report_ready(struct relay *relay)
{
    struct message_ready ready = {.version = MESSAGE_VERSION};
    int r = message_send(relay->peer, MESSAGE_READY, &ready, NULL);

    if (r == 0) {
        return ROLE_EXIT_OK;
    }
    if (r != -EPIPE) { /* it is gone, or wants an end: no failure of ours */
        (void)log_failure(r, "unable to report to the supervisor");
    }
    return ROLE_EXIT_SYSTEM;
}

/* Each returns ROLE_EXIT_OK, or the code to end with. */
static int (*const steps[])(struct relay *) = {ignore_signals, receive_setup, open_broker,
                                               report_ready};

static int set_up(struct relay *relay)
{
    int exit_code = ROLE_EXIT_OK;

    for (size_t i = 0; i < array_size(steps) && exit_code == ROLE_EXIT_OK; i++) {
        exit_code = steps[i](relay);
    }
    return exit_code;
}

static void done(struct relay *relay)
{
    broker_done(relay);
    forward_reset(relay);
    settlement_done(&relay->settlement);
    run_done(&relay->run);
    sandbox_link_done(&relay->link);
    board_done(relay);
}

/* ---- the command line ---- */

static int print_usage(FILE *to)
{
    (void)fprintf(to, "usage: paddock-relay --states | --help\n"
                      "Started by paddock-supervisor. --states prints the steps of a "
                      "job's life.\n");
    return to == stdout ? ROLE_EXIT_OK : ROLE_EXIT_USAGE;
}

static int print_states(void)
{
    int error;

    run_state_print();
    error = fd_flush_stdout();
    if (error < 0 && error != -EPIPE) {
        (void)log_failure(error, "unable to write to standard output");
    }
    return error == 0 ? ROLE_EXIT_OK : ROLE_EXIT_SYSTEM;
}

static int answer(const char *word)
{
    if (strcmp(word, "--states") == 0) {
        return print_states();
    }
    return print_usage(strcmp(word, "--help") == 0 ? stdout : stderr);
}

int main(int argc, char **argv)
{
    /* A relay before this one may have left jobs behind. */
    static struct relay relay = {.peer = ROLE_PEER,
                                 .lease = {.recover = "its worker process ended"}};

    if (fd_open_standard() < 0) {
        return ROLE_EXIT_SYSTEM;
    }
    if (argc > 1) {
        return answer(argv[1]);
    }
    log_open("relay", (struct log_manner){LOG_INFO, LOG_TEXT, ""});
    /* It was started by a file descriptor, which older kernels take for its name. */
    (void)prctl(PR_SET_NAME, "paddock-relay");
    sandbox_link_init(&relay.link);
    run_init(&relay.run);
    relay.exit_code = set_up(&relay);
    if (relay.exit_code == ROLE_EXIT_OK) {
        loop(&relay);
    }
    done(&relay);
    return relay.exit_code;
}
