/* SPDX-License-Identifier: MIT */
/*
 * Calls to the queue and the reading of a claim. Runs in the relay. Field values come
 * from clients: their ranges were checked by the library, and are checked again here
 * before they become a limit. Must never look into the job's bytes.
 */
#include "worker/relay/claims.h"

#include "common/log.h"
#include "common/number.h"
#include "queue/keys.h"
#include "worker/relay/relay.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define FETCH_MS     15000 /* a large ZIP over a slow line */
#define ARGUMENTS    48
#define PAUSE_MIN_MS 20

struct number {
    char text[24];
};

static struct number number(int64_t value)
{
    struct number number;

    (void)snprintf(number.text, sizeof(number.text), "%" PRId64, value);
    return number;
}

/* ---- sending ---- */

/* A call goes to queues in an order. */
struct route {
    uint32_t count;
    const char *names[LIMIT_QUEUES];
};

static struct route route_to(const char *name)
{
    return (struct route){1, {name}};
}

static struct route route_to_all(const struct relay *relay)
{
    const struct queues *queues = &relay->queues;
    struct route route = {0};

    for (uint32_t i = 0; i < queues->count; i++) {
        route.names[route.count++] = queues->shares[queues->asked[i]].name;
    }
    return route;
}

/* FCALL (or FCALL_RO) FUNCTION KEYS P:open... ARGUMENT..., to a NULL. */
static int call(struct relay *relay, redis_answer *answer, void *context,
                const struct route *route, const char *how, const char *function, ...)
    __attribute__((sentinel));

static int call(struct relay *relay, redis_answer *answer, void *context,
                const struct route *route, const char *how, const char *function, ...)
{
    struct queue_key keys[LIMIT_QUEUES];
    struct number count = number(route->count);
    const char *argv[ARGUMENTS] = {how, function, count.text};
    int argc = 3;
    va_list args;

    for (uint32_t i = 0; i < route->count; i++) {
        keys[i] = queue_key(route->names[i], "open", "");
        argv[argc++] = keys[i].text;
    }
    va_start(args, function);
    while (argc < ARGUMENTS && (argv[argc] = va_arg(args, const char *)) != NULL) {
        argc++;
    }
    va_end(args);
    return redis_send(broker_commands(relay), CLAIMS_COMMAND_MS, answer, context, argc,
                      argv, NULL);
}

int claims_claim(struct relay *relay)
{
    struct route route;

    queues_order(&relay->queues);
    route = route_to_all(relay);
    return call(relay, run_on_claim, relay, &route, "FCALL", "paddock_claim",
                relay->setup.owner, number(relay->setup.lease_ms).text,
                number(relay->setup.max_deliveries).text, "idle_ms", NULL);
}

size_t claims_most_bytes(const struct relay *relay)
{
    size_t most = MIB(relay->setup.zip_mb);

    return most < LIMIT_ZIP ? most : LIMIT_ZIP;
}

int claims_fetch(struct relay *relay)
{
    struct queue_key key = queue_key(relay->run.job.queue, "zip:", relay->run.job.id);

    /* From the first byte to the last that may come, and one more. */
    return redis_send_text(broker_commands(relay), FETCH_MS, fetch_on_code, relay,
                           "GETRANGE", key.text, "0",
                           number((int64_t)claims_most_bytes(relay)).text, NULL);
}

int claims_look_for_code(struct relay *relay)
{
    struct queue_key key = queue_key(relay->run.job.queue, "zip:", relay->run.job.id);

    return redis_send_text(broker_commands(relay), CLAIMS_COMMAND_MS, fetch_on_look,
                           relay, "EXISTS", key.text, NULL);
}

int claims_beat(struct relay *relay)
{
    const struct claims_job *job = &relay->run.job;
    struct route route = route_to(job->queue);
    struct stream_id last = relay->forward.last_taken;
    struct stream_id_text slice = {""}; /* none yet */

    if (last.ms != 0) {
        slice = stream_id_text(last);
    }
    return call(relay, lease_on_beat, relay, &route, "FCALL", "paddock_beat", job->id,
                job->token, number(relay->setup.lease_ms).text,
                relay->lease.doubted ? slice.text : NULL,
                number((int64_t)relay->input.fed).text,
                number(input_sum(&relay->input)).text, NULL);
}

/* One mark for each of the keys. */
static void write_heard(const struct relay *relay, char *to, size_t size)
{
    const struct queues *queues = &relay->queues;
    size_t used = 0;

    for (uint32_t i = 0; i < queues->count && used < size; i++) {
        used += (size_t)snprintf(to + used, size - used, "%" PRIu64 " ",
                                 relay->upkeep.heard[queues->asked[i]]);
    }
}

int claims_tend(struct relay *relay, const char *word)
{
    const char *owner = relay->setup.owner;
    struct route route = route_to_all(relay);
    char pool[sizeof(relay->setup.owner)], heard[sizeof(struct number) * LIMIT_QUEUES];

    (void)snprintf(pool, sizeof(pool), "%.*s", (int)lease_pool_length(owner), owner);
    write_heard(relay, heard, sizeof(heard));
    return call(relay, upkeep_on_answer, relay, &route, "FCALL", "paddock_tend",
                number(relay->setup.lease_ms).text, word, pool, heard, NULL);
}

int claims_recover(struct relay *relay)
{
    struct route route = route_to_all(relay);

    return call(relay, lease_on_recovered, relay, &route, "FCALL", "paddock_recover",
                relay->setup.owner, relay->lease.recover, NULL);
}

int claims_settle(struct relay *relay, const char *function, int argc,
                  const char *const *argv)
{
    struct queue_key key = queue_key(relay->run.job.queue, "open", "");
    const char *all[ARGUMENTS] = {"FCALL",  function,          "1",
                                  key.text, relay->run.job.id, relay->run.job.token};

    if (argc > ARGUMENTS - 6) {
        return -E2BIG;
    }
    memcpy(all + 6, argv, (size_t)argc * sizeof(*argv));
    return redis_send(broker_commands(relay), CLAIMS_COMMAND_MS, settle_on_answer, relay,
                      6 + argc, all, NULL);
}

int claims_depth(struct relay *relay, uint32_t queue)
{
    struct route route = route_to(relay->queues.shares[queue].name);

    return call(relay, board_on_depth, board_question(relay, queue), &route, "FCALL_RO",
                "paddock_depth", NULL);
}

int claims_memory(struct relay *relay)
{
    return redis_send_text(broker_commands(relay), CLAIMS_COMMAND_MS, board_on_memory,
                           relay, "INFO", "memory", NULL);
}

int claims_conf(struct relay *relay, uint32_t queue)
{
    struct queue_key key = queue_key(relay->queues.shares[queue].name, "conf", "");

    /* Where one of these is 0, none gets in (docs/PROTOCOL.md). */
    return redis_send_text(broker_commands(relay), CLAIMS_COMMAND_MS, board_on_conf,
                           board_question(relay, queue), "HMGET", key.text, "max_jobs",
                           "max_tenant_jobs", "max_mb", "max_zip_mb", NULL);
}

int claims_version(struct relay *relay)
{
    struct route route = route_to(relay->queues.shares[0].name);

    return call(relay, broker_on_version, relay, &route, "FCALL_RO", "paddock_version",
                NULL);
}

int claims_read_input(struct relay *relay, uint64_t offset, size_t most,
                      redis_answer *answer)
{
    struct route route = route_to(relay->run.job.queue);

    return call(relay, answer, relay, &route, "FCALL_RO", "paddock_input_from",
                relay->run.job.id, number((int64_t)offset).text,
                number((int64_t)most).text, NULL);
}

void claims_wake_another(struct relay *relay, uint32_t queue)
{
    struct queue_key key = queue_key(relay->queues.shares[queue].name, "wake", "");

    if (redis_send_text(broker_commands(relay), CLAIMS_COMMAND_MS, NULL, relay, "LPUSH",
                        key.text, "1", NULL) < 0) {
        log_debug(
            "a wake-up is lost"); /* idle relays look by themselves every few seconds */
    }
}

/* ---- reading ---- */

static bool is_text(const struct redisReply *reply)
{
    return reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS;
}

void claims_job_done(struct claims_job *job)
{
    for (int part = 0; part < JOB_PART_COUNT; part++) {
        free(job->parts[part].bytes);
    }
    *job = (struct claims_job){0};
}

/* Which fields travel to the sandbox as they are. */
static const struct {
    const char *field;
    enum job_part part;
    size_t maximum;
} part_rows[] = {
    {"entry", JOB_PART_ENTRY, LIMIT_ENTRY}, {"argv", JOB_PART_ARGV, LIMIT_ARGV},
    {"stdin", JOB_PART_STDIN, LIMIT_STDIN}, {"source", JOB_PART_SOURCE, 8},
    {"host", JOB_PART_HOST, LIMIT_HOST},
};

static int keep_part(struct claims_job *job, const char *name,
                     const struct redisReply *value)
{
    for (size_t i = 0; i < array_size(part_rows); i++) {
        enum job_part part = part_rows[i].part;

        if (strcmp(part_rows[i].field, name) != 0) {
            continue;
        }
        if (value->len > part_rows[i].maximum || job->parts[part].bytes != NULL) {
            return -EPROTO;
        }
        job->parts[part].bytes = malloc(value->len + 1);
        if (job->parts[part].bytes == NULL) {
            return -ENOMEM;
        }
        memcpy(job->parts[part].bytes, value->str, value->len);
        job->parts[part].size = value->len;
    }
    return 0;
}

/* One that does not fit, or has a NUL, would be another's if it were cut. */
static int keep_text(char *to, size_t room, const struct redisReply *value)
{
    if (value->len == 0 || value->len >= room || strlen(value->str) != value->len) {
        return -EPROTO;
    }
    memcpy(to, value->str, value->len + 1);
    return 0;
}

static int keep_queue(struct claims_job *job, const struct redisReply *value)
{
    return keep_text(job->queue, sizeof(job->queue), value);
}

static int keep_id(struct claims_job *job, const struct redisReply *value)
{
    return keep_text(job->id, sizeof(job->id), value);
}

static int keep_token(struct claims_job *job, const struct redisReply *value)
{
    return keep_text(job->token, sizeof(job->token), value);
}

/* The queue knows whose job it is; here it is only shown. */
static int keep_tenant(struct claims_job *job, const struct redisReply *value)
{
    return keep_text(job->tenant, sizeof(job->tenant), value);
}

static int keep_attempt(struct claims_job *job, const struct redisReply *value)
{
    int64_t attempt;

    if (number_parse(value->str, 1, UINT32_MAX, &attempt) < 0) {
        return -EPROTO;
    }
    job->attempt = (uint32_t)attempt;
    return 0;
}

static int keep_queue_ms(struct claims_job *job, const struct redisReply *value)
{
    return number_parse(value->str, 0, INT64_MAX, &job->queue_ms) < 0 ? -EPROTO : 0;
}

static int keep_after(struct claims_job *job, const struct redisReply *value)
{
    return stream_read_id(value->str, &job->after) ? 0 : -EPROTO;
}

static int keep_waiting(struct claims_job *job, const struct redisReply *value)
{
    job->others_wait = strcmp(value->str, "0") != 0;
    return 0;
}

static const struct {
    const char *name;
    int (*keep)(struct claims_job *job, const struct redisReply *value);
} answer_rows[] = {
    {"id", keep_id},           {"token", keep_token},       {"tenant", keep_tenant},
    {"attempt", keep_attempt}, {"queue_ms", keep_queue_ms}, {"waiting", keep_waiting},
    {"queue", keep_queue},     {"after", keep_after},
};

static int keep_field(struct claims_job *job, const char *name,
                      const struct redisReply *value)
{
    for (size_t i = 0; i < array_size(answer_rows); i++) {
        if (strcmp(name, answer_rows[i].name) == 0) {
            return answer_rows[i].keep(job, value);
        }
    }
    if (job_limits_set(&job->limits, name, value->str) < 0) {
        return -EPROTO;
    }
    return keep_part(job, name, value);
}

static void cap(int64_t *value, int64_t maximum)
{
    if (maximum > 0 && *value > maximum) {
        *value = maximum;
    }
}

static void cap_limits(struct job_limits *limits, const struct message_relay *setup)
{
    cap(&limits->cpu_ms, setup->max_cpu_ms);
    cap(&limits->wall_ms, setup->max_wall_ms);
    cap(&limits->memory_mb, setup->max_memory_mb);
    cap(&limits->output_kb, setup->max_output_kb);
    cap(&limits->recording_kb, setup->max_recording_kb);
    job_limits_agree(limits);
}

static int keep_pair(struct claims_job *job, const char *name,
                     const struct redisReply *from)
{
    struct redisReply value = *from;
    struct number text;

    if (value.type == REDIS_REPLY_INTEGER) {
        text = number(value.integer);
        value.type = REDIS_REPLY_STRING;
        value.str = text.text;
        value.len = strlen(text.text);
    }
    return is_text(&value) ? keep_field(job, name, &value) : -EPROTO;
}

static void note_unclear(struct claims_job *job, const char *name)
{
    if (job->unclear[0] == '\0') {
        (void)snprintf(job->unclear, sizeof(job->unclear), "%s", name);
    }
}

/* Who knows a job's id and token can say what is wrong with the rest of it. */
static int read_pairs(const struct redisReply *reply, struct claims_job *job)
{
    for (size_t i = 0; i + 1 < reply->elements; i += 2) {
        const struct redisReply *name = reply->element[i];
        int r =
            is_text(name) ? keep_pair(job, name->str, reply->element[i + 1]) : -EBADMSG;

        if (r == -EPROTO) {
            note_unclear(job, name->str);
        } else if (r < 0) {
            return r;
        }
    }
    if (job->attempt == 0) {
        note_unclear(job, "attempt");
    }
    return queue_id_valid(job->id) && job->token[0] != '\0' ? 0 : -EPROTO;
}

bool claims_read_depth(const struct redisReply *reply, struct claims_depth *ret)
{
    uint64_t *const figures[] = {&ret->waiting, &ret->running, &ret->oldest_ms,
                                 &ret->delayed, &ret->dead,    &ret->paused};

    *ret = (struct claims_depth){0};
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 3) {
        return false;
    }
    for (size_t i = 0; i < reply->elements && i < array_size(figures); i++) {
        if (reply->element[i]->type != REDIS_REPLY_INTEGER ||
            reply->element[i]->integer < 0) {
            return false;
        }
        *figures[i] = (uint64_t)reply->element[i]->integer;
    }
    return true;
}

static bool read_info(const struct redisReply *reply, const char *name, uint64_t *ret)
{
    char text[24];
    int64_t number;

    redis_info_value(reply->str, name, text, sizeof(text));
    if (number_parse(text, 0, INT64_MAX, &number) < 0) {
        return false;
    }
    *ret = (uint64_t)number;
    return true;
}

bool claims_read_memory(const struct redisReply *reply, uint64_t *ret_used,
                        uint64_t *ret_most)
{
    return reply->type == REDIS_REPLY_STRING &&
           read_info(reply, "used_memory", ret_used) &&
           read_info(reply, "maxmemory", ret_most);
}

bool claims_conf_is_closed(const struct redisReply *reply)
{
    bool closed = false;

    for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i < reply->elements; i++) {
        const struct redisReply *value = reply->element[i];
        int64_t zero;

        closed |= is_text(value) && number_parse(value->str, 0, 0, &zero) == 0;
    }
    return closed;
}

int64_t claims_pause_ms(int64_t idle_ms, int64_t most_ms)
{
    if (idle_ms <= 0 || idle_ms > most_ms) {
        return most_ms;
    }
    return idle_ms > PAUSE_MIN_MS ? idle_ms : PAUSE_MIN_MS;
}

const struct redisReply *claims_find(const struct redisReply *reply, const char *name)
{
    for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i + 1 < reply->elements;
         i += 2) {
        if (is_text(reply->element[i]) && strcmp(reply->element[i]->str, name) == 0) {
            return reply->element[i + 1];
        }
    }
    return NULL;
}

int64_t claims_idle_ms(const struct redisReply *reply)
{
    const struct redisReply *found = claims_find(reply, "idle_ms");
    int64_t idle_ms;

    if (found == NULL || !is_text(found) ||
        number_parse(found->str, 1, INT64_MAX, &idle_ms) < 0) {
        return 0;
    }
    return idle_ms;
}

int claims_read(const struct relay *relay, const struct redisReply *reply,
                struct claims_job *ret)
{
    int r;

    if (reply->type != REDIS_REPLY_ARRAY) {
        return reply->type == REDIS_REPLY_NIL ? 0 : -EPROTO;
    }
    if (reply->elements == 0 || claims_idle_ms(reply) > 0) {
        return 0;
    }
    *ret = (struct claims_job){.limits = job_limits_default(), .queue_ms = -1};
    /* Where one alone was asked it is not said; nor by the version before, which asks the
     * first alone. */
    (void)snprintf(ret->queue, sizeof(ret->queue), "%s",
                   relay->queues.shares[relay->queues.asked[0]].name);
    r = read_pairs(reply, ret);
    r = r == 0 && queues_find(&relay->queues, ret->queue) == QUEUES_NONE ? -EPROTO : r;
    if (r < 0) {
        claims_job_done(ret);
        return r;
    }
    cap_limits(&ret->limits, &relay->setup);
    return 1;
}
