/* SPDX-License-Identifier: MIT */
/*
 * Slices of the recording. Runs in the relay. The ring is written by a hostile process:
 * bytes are copied out of it and never looked at. Must never wait for Redis; when Redis
 * is slow or away, the ring fills up and the program waits, for which it is not charged.
 * Cutting the stream instead would leave it undecodable, so that happens only where Redis
 * refuses a slice for good: when its memory is full, waiting would keep the job from the
 * end that frees some.
 *
 * Pace: the first record after a quiet time rings the doorbell and is sent at once. Then
 * there are pauses in which the bell is not listened to: a writer can not make us spin.
 * They are short while the ring fills fast (it must not stand) and longer for a trickle,
 * and for a bell that rings in vain.
 *
 * Slices have ids that count on from what the claim has told: Redis takes each once, and
 * in their order alone. So what stands on the way of a connection that was given up does
 * not come in between, or once more. Where that leaves it unclear what there is (a
 * connection was lost, or Redis has something behind one) it is asked before anything
 * else is sent. What is not there and cannot get there any more, as something of ours is
 * behind it, is a gap; where it is somebody else's, a relay's that has lost the job, the
 * rest goes behind that.
 */
#include "worker/relay/forward.h"

#include "common/chunk.h"
#include "common/clock.h"
#include "worker/relay/relay.h"
#include "worker/relay/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAUSE_MIN_MS 5
#define PAUSE_MAX_MS 50 /* also: the ring is looked at that often, bell or not */
#define LOOK_BYTES   KIB(128)
#define FAST_BYTES   (RING_DATA / 4)

/* How much may wait: while Redis answers, little; while it is away, so much that an
 * ordinary job can go on to its end. The rest of BACKLOG_MAX is for what a dead sandbox
 * leaves in its ring. */
#define BACKLOG_UP   MIB(1)
#define BACKLOG_MAX  MIB(4)
#define BACKLOG_DOWN (BACKLOG_MAX - RING_DATA - CHUNK_TAIL_MAX - RING_WILL)

/* ---- the backlog ---- */

static void append(struct forward *forward, const void *bytes, size_t size)
{
    struct forward_slice *slice = NULL;

    if (size <= BACKLOG_MAX - forward->bytes) {
        slice = malloc(sizeof(*slice) + size);
    }
    if (slice == NULL) {
        forward->dropped++;
        return;
    }
    *slice = (struct forward_slice){.size = size};
    memcpy(slice->bytes, bytes, size);
    *(forward->first != NULL ? &forward->last->next : &forward->first) = slice;
    forward->last = slice;
    forward->unsent = forward->unsent != NULL ? forward->unsent : slice;
    forward->bytes += size;
}

static void pop(struct forward *forward)
{
    struct forward_slice *slice = forward->first;

    forward->first = slice->next;
    forward->last = slice->next != NULL ? forward->last : NULL;
    forward->unsent = forward->unsent == slice ? slice->next : forward->unsent;
    forward->bytes -= slice->size;
    free(slice);
}

/* ---- out of the ring ---- */

static bool may_take(const struct relay *relay, int64_t now_ms)
{
    const struct forward *forward = &relay->forward;
    bool flows = broker_ready(relay, now_ms) && lease_holds(relay, now_ms);

    return forward->bytes < (flows ? BACKLOG_UP : BACKLOG_DOWN);
}

/* Returns the number of bytes that were there. */
static size_t take(struct relay *relay)
{
    static unsigned char slice[RING_DATA];
    struct forward *forward = &relay->forward;
    ssize_t size;

    if (forward->hostile) {
        return 0;
    }
    size = ring_reader_take(&relay->link.current.ring, slice);
    if (size < 0) {
        forward->hostile = true;
        return 0;
    }
    if (size > 0) {
        forward->taken += (uint64_t)size;
        append(forward, slice, (size_t)size);
    }
    return (size_t)size;
}

static void account_block(struct relay *relay, bool taking)
{
    struct forward *forward = &relay->forward;
    ssize_t waiting = taking ? 0 : ring_reader_waiting(&relay->link.current.ring);
    bool full = waiting > (ssize_t)(RING_DATA - LIMIT_RECORD);

    if (full && forward->blocked_since_us == 0) {
        forward->blocked_since_us = clock_now_us();
    }
    if (!full && forward->blocked_since_us != 0) {
        forward->blocked_us += clock_now_us() - forward->blocked_since_us;
        forward->blocked_since_us = 0;
    }
}

/* After this the writer rings for its next record, or has already written one (then it is
 * true). */
static bool fall_asleep(struct relay *relay)
{
    struct forward *forward = &relay->forward;
    struct ring_reader *ring = &relay->link.current.ring;

    ring_reader_sleep(ring, true);
    if (ring_reader_waiting(ring) != 0) {
        ring_reader_sleep(ring, false);
        return true;
    }
    forward->sleeping = true;
    forward->pause_ms = forward->vain ? forward->pause_ms : 0;
    return false;
}

static int next_pause(int last_ms, size_t taken)
{
    int pause = taken >= FAST_BYTES ? PAUSE_MIN_MS : last_ms * 2;

    if (pause < PAUSE_MIN_MS) {
        return PAUSE_MIN_MS;
    }
    return pause < PAUSE_MAX_MS ? pause : PAUSE_MAX_MS;
}

/* `rang`: because the bell did, and not because it is time. */
static void look(struct relay *relay, int64_t now_ms, bool rang)
{
    struct forward *forward = &relay->forward;
    bool taking = may_take(relay, now_ms);
    size_t taken = 0;

    if (forward->sleeping) {
        ring_reader_sleep(&relay->link.current.ring, false);
        forward->sleeping = false;
    }
    account_block(relay, taking);
    if (taking) {
        taken = take(relay);
        forward->vain = taken == 0 && (rang || forward->vain);
        if (taken == 0 && (forward->hostile || (!rang && !fall_asleep(relay)))) {
            forward->look_ms = now_ms + PAUSE_MAX_MS;
            return;
        }
    }
    forward->pause_ms = next_pause(forward->pause_ms, taken);
    forward->look_ms = now_ms + forward->pause_ms;
}

/* ---- into the Stream ---- */

/* Nothing gets before what Redis has: of the refused ones that are followed by it, there
 * is a gap. */
static void drop_refused(struct forward *forward)
{
    for (; forward->refused > 0; forward->refused--) {
        forward->dropped++;
        pop(forward);
    }
}

static void note_refusal(struct forward *forward, const struct redisReply *reply)
{
    if (broker_passes(reply)) {
        forward->refused++;
        return;
    }
    drop_refused(forward);
    forward->dropped++;
    pop(forward);
}

/* Where there is no such Stream any more, there is no such job either, as it seems: a
 * beat says so, before somebody enqueues another by the same id. */
static void note_taken(struct relay *relay, const struct redisReply *reply)
{
    struct forward *forward = &relay->forward;

    drop_refused(forward);
    if (reply->type == REDIS_REPLY_STRING) {
        (void)stream_read_id(reply->str, &forward->seen);
        forward->last_taken = forward->seen;
    } else {
        forward->dropped++;
        lease_hurry(relay);
    }
    pop(forward);
}

static void on_published(void *context, const struct redisReply *reply)
{
    struct relay *relay = context;
    struct forward *forward = &relay->forward;

    if (forward->strays > 0) {
        forward->strays--;
        return;
    }
    forward->in_flight--;
    if (reply == NULL) {
        forward->unclear = true;
    } else if (stream_is_behind(reply)) {
        forward->unclear = forward->behind = true;
    } else {
        bool taken =
            broker_accept(relay, BROKER_COMMANDS, "publish the recording", reply);

        if (forward->unclear) {
            return; /* whose answer it is will be seen by what Redis has */
        }
        if (taken) {
            note_taken(relay, reply);
        } else {
            note_refusal(forward, reply);
        }
    }
}

/* ---- what Redis has ---- */

/* By their ids; those of Redis's own by how many there are. */
static void note_found(struct forward *forward, struct forward_slice **next,
                       struct stream_id id)
{
    struct forward_slice *slice = *next;

    while (slice != forward->unsent && slice->id.ms != 0 &&
           stream_compare(slice->id, id) < 0) {
        slice = slice->next;
    }
    if (slice != forward->unsent &&
        (slice->id.ms == 0 || stream_compare(slice->id, id) == 0)) {
        slice->id = id;
        slice->found = true;
        slice = slice->next;
    }
    *next = slice;
}

/* Those up to the last that was found: the others among them are gaps. */
static void settle_found(struct forward *forward)
{
    const struct forward_slice *last = NULL;

    for (const struct forward_slice *slice = forward->first; slice != forward->unsent;
         slice = slice->next) {
        last = slice->found ? slice : last;
    }
    forward->any_found |= last != NULL;
    while (last != NULL) {
        struct forward_slice *slice = forward->first;

        if (slice->found) {
            forward->last_taken = slice->id;
        } else {
            forward->dropped++;
        }
        last = slice == last ? NULL : last;
        pop(forward);
    }
}

static void forget_ids(struct forward *forward)
{
    for (struct forward_slice *slice = forward->first; slice != NULL;
         slice = slice->next) {
        slice->id = (struct stream_id){0};
    }
}

/* What is left keeps its ids, unless something that Redis has stands behind
 * these: then it has others, behind all that were ever given. */
static void give_anew(struct forward *forward)
{
    const struct forward_slice *first = forward->first;
    struct stream_id top = forward->seen;
    bool has_id = first != NULL && first->id.ms != 0;

    if (forward->given.ms == 0 || (has_id && stream_compare(top, first->id) >= 0)) {
        forward->given = stream_compare(top, forward->given) > 0 ? top : forward->given;
        forget_ids(forward);
    } else if (forward->behind && !forward->any_found) {
        forward->given = (struct stream_id){0}; /* Redis alone knows where it is */
        forget_ids(forward);
    }
}

static void settle(struct relay *relay, const struct redisReply *reply)
{
    struct forward *forward = &relay->forward;
    struct forward_slice *next = forward->first;
    struct stream_id id;

    for (size_t i = 0; i < reply->elements; i++) {
        id = (struct stream_id){0};
        if (stream_read_slice(reply->element[i], relay->run.job.attempt, &id)) {
            note_found(forward, &next, id);
        }
        forward->seen = id.ms != 0 ? id : forward->seen;
    }
    settle_found(forward);
    if (reply->elements < forward->asking || forward->first == forward->unsent) {
        give_anew(forward);
        forward->unsent = forward->first;
        forward->refused = 0;
        forward->unclear = forward->behind = forward->any_found = false;
    }
}

static void on_found(void *context, const struct redisReply *reply)
{
    struct relay *relay = context;
    struct forward *forward = &relay->forward;

    if (forward->strays > 0) {
        forward->strays--;
        return;
    }
    /* Where what stands there is no Stream, it has none of them: they are offered again,
     * and refused as they are. Of another error that is not known. */
    if (broker_accept(relay, BROKER_COMMANDS, "look at the recording", reply) ||
        stream_is_none(reply)) {
        settle(relay, reply);
    }
    forward->asking = 0;
}

/* They come with what is in them: no more of it than a slow way brings in its time, and
 * one at least. */
static void ask(struct relay *relay)
{
    struct forward *forward = &relay->forward;
    size_t most = 0, bytes = 0;

    for (const struct forward_slice *slice = forward->first; slice != forward->unsent;
         slice = slice->next) {
        bytes += slice->size;
        most += bytes <= LOOK_BYTES;
    }
    most = most > 0 ? most : 1;
    if (stream_find(relay, forward->seen, most, on_found) == 0) {
        forward->asking = most;
    }
}

/* Returns 0, or a negative errno when the connection is down. */
static int send_slice(struct relay *relay)
{
    struct scoreboard_counts *counts = &relay->board.work.counts;
    struct forward *forward = &relay->forward;
    struct forward_slice *slice = forward->unsent;
    int error;

    if (slice->id.ms == 0 && forward->given.ms != 0) {
        forward->given.number++;
        slice->id = forward->given;
    }
    error = stream_publish(relay, slice->id, slice->bytes, slice->size, on_published);
    if (error == 0) {
        counts->slices++;
        counts->slice_bytes += slice->size;
        forward->unsent = slice->next;
        forward->in_flight++;
    }
    return error;
}

static void send_slices(struct relay *relay)
{
    struct forward *forward = &relay->forward;

    if (forward->unclear) {
        if (forward->asking == 0 && forward->in_flight == 0) {
            ask(relay);
        }
        return;
    }
    if (forward->refused > 0 && forward->in_flight == 0) {
        forward->unsent = forward->first;
        forward->refused = 0;
    }
    while (forward->refused == 0 && forward->unsent != NULL && send_slice(relay) == 0) {
    }
}

/* ---- what run.c sees ---- */

void forward_begin(struct relay *relay)
{
    struct forward *forward = &relay->forward;

    forward->active = true;
    forward->given = forward->seen = relay->run.job.after;
    forward->sleeping = true;
    forward->look_ms = clock_now_ms() + PAUSE_MAX_MS;
    ring_reader_sleep(&relay->link.current.ring, true);
}

void forward_drain(struct relay *relay)
{
    static unsigned char tail[CHUNK_TAIL_MAX + RING_WILL];
    const struct ring_shared *shared = relay->link.current.ring.shared;
    struct forward *forward = &relay->forward;
    size_t size = 0;

    if (!forward->active) {
        return;
    }
    account_block(relay, true);
    while (take(relay) > 0) { /* at most twice: nobody writes any more */
    }
    if (!forward->hostile) {
        size = chunk_tail(shared, tail);
        size += chunk_will(shared, tail + size);
    }
    if (size > 0) {
        append(forward, tail, size);
    }
    forward->active = false;
    forward->sleeping = false;
}

void forward_reset(struct relay *relay)
{
    struct forward *forward = &relay->forward;
    size_t strays = forward->strays + forward->in_flight + (forward->asking > 0);

    while (forward->first != NULL) {
        pop(forward);
    }
    relay->board.work.counts.slices_dropped += forward->dropped;
    *forward = (struct forward){.strays = strays};
}

void forward_tend(struct relay *relay, int64_t now_ms, bool rang)
{
    struct forward *forward = &relay->forward;

    bool woken = rang && forward->sleeping;

    if (forward->active && (woken || now_ms >= forward->look_ms)) {
        look(relay, now_ms, woken);
    }
    if (forward->first != NULL && broker_ready(relay, now_ms) &&
        lease_holds(relay, now_ms)) {
        send_slices(relay);
    }
}

int64_t forward_deadline(const struct relay *relay)
{
    return relay->forward.active ? relay->forward.look_ms : CLOCK_NEVER;
}

bool forward_listens(const struct relay *relay)
{
    return relay->forward.active && relay->forward.sleeping;
}

bool forward_all_settled(const struct relay *relay)
{
    return relay->forward.first == NULL && relay->forward.in_flight == 0;
}

int64_t forward_blocked_us(const struct relay *relay, int64_t now_us)
{
    const struct forward *forward = &relay->forward;
    int64_t since = forward->blocked_since_us;

    return forward->blocked_us + (since != 0 ? now_us - since : 0);
}

void forward_hear(struct relay *relay)
{
    relay->forward.rang = true;
}

bool forward_has_begun(const struct relay *relay)
{
    return relay->forward.rang || relay->forward.taken > 0;
}

/* More than what the recorder writes for any program: output, and its error on stderr,
 * byte by byte, each in a record of its own, which count for an eighth of what is
 * written; the trace; the tables; waits for input; and, beside these, errors, chunks and
 * the end. */
bool forward_over_total(const struct relay *relay)
{
    const struct job_limits *limits = &relay->run.job.limits;
    uint64_t output = ((uint64_t)limits->output_kb << 10) + LIMIT_TOLD;
    uint64_t trace = (uint64_t)limits->recording_kb << 10;

    return relay->forward.taken >
           8 * output + trace + LIMIT_TABLES + LIMIT_WAITS + KIB(512);
}
