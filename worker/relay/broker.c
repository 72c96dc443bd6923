/* SPDX-License-Identifier: MIT */
/*
 * Connections to Redis and its errors. Runs in the relay. Redis is trusted, but not to be
 * there, nor to be in time: after the start nothing here waits for it, though for the
 * resolver where its host is a name.
 */
#include "worker/relay/broker.h"

#include "common/clock.h"
#include "common/log.h"
#include "queue/library.h"
#include "worker/relay/claims.h"
#include "worker/relay/relay.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#define CONNECT_MS   2000  /* for a connection, which the loop does not wait for */
#define LOOK_UP_MS   30000 /* for the system to look up a name, which it does */
#define START_MS     1000  /* the same at the start, where there is nothing else to do */
#define REST_MIN_MS  50
#define REST_MAX_MS  1000
#define REASON_BYTES 512
#define VERSION_MS   3000
#define LOAD_MS      5000

enum reaction {
    REACT_REST,  /* time heals it: ask again later */
    REACT_GO_ON, /* it is a slice's alone, which is dropped: nothing else waits for it */
    REACT_RECONNECT, /* another connection may find a server that will do */
    REACT_RELOAD,    /* the library is missing */
};

struct error_row {
    const char *prefix;
    enum reaction reaction;
    bool passes; /* it says how Redis is; else it is the answer to this one command */
    const char *why;
};

/* No TRYAGAIN: none of our commands names two keys, but where a pool serves several
 * queues, which a Cluster answers with CROSSSLOT. */
static const struct error_row error_rows[] = {
    {"LOADING", REACT_REST, true, "it reads its data"},
    {"BUSY", REACT_REST, true, "a script of somebody else runs"},
    {"MASTERDOWN", REACT_REST, true, "a replica without its master"},
    {"CLUSTERDOWN", REACT_REST, true, "nobody serves the slot"},
    {"OOM", REACT_GO_ON, false, "its memory is full; finishing jobs frees some"},
    {"MISCONF", REACT_REST, true, "it can not save and refuses writes"},
    {"NOREPLICAS", REACT_REST, true, "too few replicas"},
    {"NOPERM", REACT_REST, true, "an ACL; only the operator can help"},
    {"ERR The user executing the script can't", REACT_REST, true,
     "an ACL, within a function"},
    {"ERR ACL failure in script", REACT_REST, true, "an ACL, the same since 7.2"},
    {"ERR The stream has exhausted", REACT_GO_ON, false,
     "the job has its result: another worker has run it"},
    {"READONLY", REACT_RECONNECT, true, "it has become a replica"},
    {"UNBLOCKED", REACT_RECONNECT, true, "it has become a replica while we waited"},
    {"CROSSSLOT", REACT_REST, true,
     "the pool's queues are of several slots: in a Cluster a pool serves one queue"},
    {"MOVED", REACT_RECONNECT, true, "the slot is elsewhere"},
    {"NOAUTH", REACT_RECONNECT, true, "its password was set meanwhile"},
    {"WRONGPASS", REACT_RECONNECT, true, "its password was changed"},
    {"ERR Function not found", REACT_RELOAD, true, "it was restarted empty, or flushed"},
    {"", REACT_REST, false, "not one that is known"},
};

static const struct error_row *error_row(const char *text)
{
    const struct error_row *row = error_rows;

    while (strncmp(text, row->prefix, strlen(row->prefix)) != 0) { /* "" fits all */
        row++;
    }
    return row;
}

static void rest(struct broker_line *line)
{
    int64_t pause = REST_MIN_MS << (line->errors < 5 ? line->errors : 5);

    line->rest_ms = clock_now_ms() + (pause < REST_MAX_MS ? pause : REST_MAX_MS);
}

bool broker_passes(const struct redisReply *reply)
{
    return reply == NULL ||
           (reply->type == REDIS_REPLY_ERROR && error_row(reply->str)->passes);
}

bool broker_accept(struct relay *relay, enum broker_line_name name, const char *what,
                   const struct redisReply *reply)
{
    struct broker *broker = &relay->broker;
    struct broker_line *line = &broker->lines[name];
    const struct error_row *row;

    if (reply == NULL) {
        return false;
    }
    if (reply->type != REDIS_REPLY_ERROR) {
        line->errors = 0;
        line->away = false;
        return true;
    }
    row = error_row(reply->str);
    log_event(complaints_add(&broker->complaints, reply->str, clock_now_ms())
                  ? LOG_WARNING
                  : LOG_DEBUG,
              "unable to %s: Redis says \"%s\" (%s)", what, reply->str, row->why);
    if (row->reaction != REACT_GO_ON) {
        rest(line);
    }
    line->errors++;
    line->away = row->passes;
    line->refused |= row->reaction == REACT_RECONNECT || row->reaction == REACT_RELOAD;
    line->drop |= line->refused;
    if (row->reaction == REACT_RELOAD) {
        broker->reload = true;
        broker->lines[BROKER_COMMANDS].drop = true;
        broker->lines[BROKER_COMMANDS].refused = true;
    }
    return false;
}

static bool is_ready(const struct broker_line *line, int64_t now_ms)
{
    return line->up && !line->drop && redis_is_up(line->redis) && now_ms >= line->rest_ms;
}

bool broker_ready(const struct relay *relay, int64_t now_ms)
{
    return is_ready(&relay->broker.lines[BROKER_COMMANDS], now_ms);
}

bool broker_is_away(const struct relay *relay)
{
    const struct broker_line *line = &relay->broker.lines[BROKER_COMMANDS];

    return !line->up || line->drop || line->away || !redis_is_up(line->redis);
}

bool broker_can_wait(const struct relay *relay, int64_t now_ms)
{
    return is_ready(&relay->broker.lines[BROKER_WAITING], now_ms);
}

int64_t broker_when(const struct relay *relay, int64_t due_ms)
{
    const struct broker_line *line = &relay->broker.lines[BROKER_COMMANDS];

    if (!line->up) {
        return CLOCK_NEVER;
    }
    return due_ms > line->rest_ms ? due_ms : line->rest_ms;
}

struct redis *broker_commands(struct relay *relay)
{
    return relay->broker.lines[BROKER_COMMANDS].redis;
}

void broker_commands_drop(struct relay *relay)
{
    struct broker_line *line = &relay->broker.lines[BROKER_COMMANDS];

    line->drop = line->leave = true;
}

/* ---- coming back ---- */

static const char *const line_names[BROKER_LINES] = {"commands", "waiting"};

/* Leases that ran out while Redis was away are spared for half of one: by then their
 * owners are to be back. */
static int pause_before_retry_ms(const struct broker_line *line)
{
    int pause = redis_retry_ms(line->redis), most = line->relay->setup.lease_ms / 4;

    return pause < most ? pause : most;
}

static void notice_down(struct relay *relay, enum broker_line_name name, int64_t now_ms)
{
    struct broker_line *line = &relay->broker.lines[name];

    line->up = false;
    line->retry_ms = now_ms + pause_before_retry_ms(line);
    if (!redis_lasted(line->redis) && line->errors == 0 &&
        !line->refused) { /* else that was said */
        log_event(line->complained ? LOG_DEBUG : LOG_WARNING,
                  "Redis, or what is before it, cuts connections that it has taken (%s)",
                  line_names[name]);
        line->complained = true;
    }
    if (name == BROKER_WAITING) {
        watch_down(relay);
    } else {
        lease_doubt(relay);
    }
}

static void notice_up(struct relay *relay, enum broker_line_name name)
{
    struct broker_line *line = &relay->broker.lines[name];

    line->up = true;
    relay->board.work.counts.reconnects += line->before && !line->refused;
    line->before = true;
    line->refused = false;
    line->reaching = false;
    line->up_ms = clock_now_ms();
    if (name == BROKER_WAITING) {
        watch_up(relay);
    } else {
        lease_hurry(relay);
        run_redis_is_back(relay);
    }
}

/* That it is there again is said when it lasts. */
static int64_t all_clear_ms(const struct broker_line *line)
{
    return line->up && line->complained ? line->up_ms + REDIS_LASTS_MS : CLOCK_NEVER;
}

static void give_all_clear(struct broker_line *line, int64_t now_ms)
{
    if (now_ms >= all_clear_ms(line)) {
        log_info("connected to Redis again (%s)", line_names[line->name]);
        line->complained = false;
    }
}

/* Errors that time does not mend, but an operator: what the server is, and what it thinks
 * of our password. At the start he is told by the pool's end. */
static bool is_final(int error)
{
    return error == -ENOTSUP || error == -EACCES || error == -EPERM || error == -EINVAL;
}

/* Once each time that it goes, and that it is another thing that it has against us. */
static void complain(struct broker_line *line, int error, const struct buffer *why)
{
    int refusal = is_final(error) ? error : 0;
    bool said = line->complained && line->refusal == refusal;

    log_event(said ? LOG_DEBUG : LOG_WARNING, "Redis %s (%s): %s",
              refusal != 0 ? "will not do, and is asked again" : "is away",
              line_names[line->name], why->data != NULL ? why->data : strerror(-error));
    line->complained = true;
    line->refusal = refusal;
}

static void fail(struct broker_line *line, int error, const struct buffer *why)
{
    line->reaching = false;
    line->drop = true; /* we may be called by its going down */
    line->retry_ms = clock_now_ms() + pause_before_retry_ms(line);
    complain(line, error, why);
}

static void go_on(struct broker_line *line);

static void on_connected(void *context, int error, const struct buffer *why)
{
    if (error < 0) {
        fail(context, error, why);
    } else {
        go_on(context);
    }
}

static void on_checked(void *context, int error, const struct buffer *why)
{
    struct broker_line *line = context;

    line->relay->broker.unchecked = error < 0;
    on_connected(line, error, why);
}

static void on_loaded(void *context, int error, const struct buffer *why)
{
    struct broker_line *line = context;

    line->relay->broker.reload = error < 0;
    on_connected(line, error, why);
}

/* It is logged in: what else there is to do before it is used. */
static void go_on(struct broker_line *line)
{
    struct broker *broker = &line->relay->broker;
    struct buffer none autobuffer = BUFFER_INIT(1);
    int r = 0;

    if (line->name == BROKER_COMMANDS && broker->unchecked) {
        r = redis_check_begin(line->redis, on_checked, line);
    } else if (line->name == BROKER_COMMANDS && broker->reload) {
        r = redis_load_begin(line->redis, line->relay->setup.queues[0].name, on_loaded,
                             line);
    } else {
        notice_up(line->relay, line->name);
    }
    if (r < 0) {
        fail(line, r, &none);
    }
}

/* The system looks up names in its own time, and nobody is served better by another relay
 * that waits for it. */
static void try_again(struct broker_line *line)
{
    struct buffer why autobuffer = BUFFER_INIT(REASON_BYTES);
    bool looks_up = redis_looks_up(line->redis);
    int r;

    if (looks_up) {
        relay_is_there(line->relay, LOOK_UP_MS);
    }
    r = redis_connect_begin(line->redis, CONNECT_MS, on_connected, line, &why);
    if (looks_up) {
        relay_is_there(line->relay, 0);
    }
    line->reaching = r == 0;
    if (r < 0) {
        fail(line, r, &why);
    }
}

/* ---- the library ---- */

static void on_put_back(void *context, const struct redisReply *reply)
{
    (void)broker_accept(context, BROKER_COMMANDS, "load the queue's functions", reply);
}

/* A relay of the version before, which found none or had looked before ours was there,
 * has put its own in the place of ours. It goes on with ours; and so do jobs meanwhile.
 */
void broker_on_version(void *context, const struct redisReply *reply)
{
    struct relay *relay = context;
    struct broker *broker = &relay->broker;

    broker->version_asked = false;
    broker->version_ms = clock_now_ms() + VERSION_MS;
    if (!broker_accept(relay, BROKER_COMMANDS, "ask for the library's version", reply) ||
        reply->type != REDIS_REPLY_INTEGER || reply->integer >= library_version) {
        return;
    }
    log_info("loading the queue's functions: version %d in the place of %lld",
             library_version, reply->integer);
    if (redis_send_text(broker_commands(relay), LOAD_MS, on_put_back, relay, "FUNCTION",
                        "LOAD", "REPLACE", library_text, NULL) < 0) {
        log_debug("unable to ask for it now"); /* the next look is not far */
    }
}

static void tend_library(struct relay *relay, int64_t now_ms)
{
    struct broker *broker = &relay->broker;

    if (!broker->version_asked && now_ms >= broker->version_ms &&
        broker_ready(relay, now_ms)) {
        broker->version_asked = claims_version(relay) == 0;
    }
}

void broker_tend(struct relay *relay, int64_t now_ms)
{
    for (int name = 0; name < BROKER_LINES; name++) {
        struct broker_line *line = &relay->broker.lines[name];

        if (line->drop) {
            (line->leave ? redis_leave : redis_drop)(line->redis);
            line->drop = line->leave = false;
        }
        if (line->up && !redis_is_up(line->redis)) {
            notice_down(relay, name, now_ms);
        }
        if (!line->up && !line->reaching && now_ms >= line->retry_ms) {
            try_again(line);
        }
        give_all_clear(line, now_ms);
    }
    tend_library(relay, now_ms);
}

int64_t broker_deadline(const struct relay *relay)
{
    const struct broker *broker = &relay->broker;
    int64_t now_ms = clock_now_ms();
    int64_t deadline = CLOCK_NEVER;

    for (int name = 0; name < BROKER_LINES; name++) {
        const struct broker_line *line = &broker->lines[name];
        int64_t next =
            line->up || line->reaching ? redis_deadline_ms(line->redis) : line->retry_ms;

        if (line->up && line->rest_ms > now_ms && line->rest_ms < next) {
            next = line->rest_ms;
        }
        if (line->drop || (line->up && !redis_is_up(line->redis))) {
            return 0; /* broker_tend has not seen it yet */
        }
        next = all_clear_ms(line) < next ? all_clear_ms(line) : next;
        deadline = next < deadline ? next : deadline;
    }
    return deadline;
}

/* ---- the start ---- */

static int open_both(struct relay *relay, struct buffer *why)
{
    struct broker *broker = &relay->broker;
    struct redis *commands = broker_commands(relay);
    int r = redis_connect(commands, START_MS, why);

    if (r == 0) {
        r = redis_check_server(commands, why);
    }
    if (r == 0) {
        r = redis_load_functions(commands, relay->setup.queues[0].name, why);
    }
    if (r == 0) {
        broker->unchecked = broker->reload = false;
        r = redis_connect(broker->lines[BROKER_WAITING].redis, START_MS, why);
    }
    return r;
}

/* Waits before the next try. Returns false when the supervisor is gone. */
static bool pause_at_start(struct relay *relay)
{
    struct pollfd peer = {.fd = relay->peer, .events = 0};

    (void)poll(&peer, 1, redis_retry_ms(broker_commands(relay)));
    return (peer.revents & (POLLHUP | POLLERR)) == 0;
}

/* A server that loads its data is there, and will have done so: no patience is lost. */
static int open_patiently(struct relay *relay, int patience_ms, struct buffer *why)
{
    int64_t deadline = clock_now_ms() + patience_ms;
    bool loading = false;
    int r;

    do {
        buffer_reset(why);
        r = open_both(relay, why);
        if (r == 0 || is_final(r)) {
            return r;
        }
        if (r == -EBUSY && !loading) {
            log_warning("waiting for Redis: %s", why->data != NULL ? why->data : "");
        }
        loading = r == -EBUSY;
        redis_drop(broker_commands(relay));
        if (!pause_at_start(relay)) {
            return -EPIPE;
        }
    } while (loading || clock_now_ms() < deadline);
    return r;
}

static int prepare(struct relay *relay, struct buffer *why)
{
    for (int name = 0; name < BROKER_LINES; name++) {
        struct broker_line *line = &relay->broker.lines[name];
        int r = redis_new(relay->setup.redis, &line->redis, why);

        line->relay = relay;
        line->name = name;
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static void log_refusal(int error, const struct buffer *why)
{
    log_error("unable to use Redis: %s",
              why->data != NULL ? why->data : strerror(-error));
}

int broker_open(struct relay *relay, int patience_ms)
{
    struct broker *broker = &relay->broker;
    struct buffer why autobuffer = BUFFER_INIT(REASON_BYTES);
    int r = prepare(relay, &why);

    broker->unchecked = broker->reload = true;
    if (r == 0 && relay->setup.waits != 0) {
        return 0; /* broker_tend connects, now and as often as it takes */
    }
    if (r == 0) {
        r = open_patiently(relay, patience_ms, &why);
    }
    if (r == -EPIPE) {
        return r;
    }
    if (r < 0) {
        log_refusal(r, &why);
        return is_final(r) ? -EINVAL : -EHOSTUNREACH;
    }
    for (int name = 0; name < BROKER_LINES; name++) {
        notice_up(relay, name);
    }
    return 0;
}

void broker_done(struct relay *relay)
{
    for (int name = 0; name < BROKER_LINES; name++) {
        redis_free(relay->broker.lines[name].redis);
        relay->broker.lines[name].redis = NULL;
    }
}
