/* SPDX-License-Identifier: MIT */
/*
 * Settling a job with the queue. Runs in the relay. The result is composed here; when it
 * may become final is decided by the Functions library, by the job's token. Must never
 * settle a job before its last slice was sent.
 */
#include "worker/relay/settle.h"

#include "common/log.h"
#include "common/utf8.h"
#include "common/wire.h"
#include "worker/relay/claims.h"
#include "worker/relay/relay.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define REFUSALS_MAX 8 /* of this very job; then the lease is left to run out */

#define TEXT_OF(number) #number
#define TEXT(number)    TEXT_OF(number)
#define SETTLE_VERSIONS "paddock " PADDOCK_VERSION ", recording " TEXT(WIRE_VERSION)

void settlement_done(struct settlement *settlement)
{
    for (int i = 0; i < settlement->argc; i++) {
        free(settlement->argv[i]);
    }
    *settlement = (struct settlement){0};
}

/* ---- composing ---- */

static void begin(struct relay *relay, const char *function, enum verdict verdict)
{
    settlement_done(&relay->settlement);
    relay->settlement.function = function;
    relay->settlement.verdict = verdict;
    relay->settlement.wall_ms = -1;
}

/* Without memory for its own words a relay can do nothing sensible: the job is lost with
 * it, and run again. */
static void put(struct settlement *settlement, int at, const char *text)
{
    char *copy = strdup(text);

    if (copy == NULL || at == (int)array_size(settlement->argv)) {
        abort();
    }
    free(settlement->argv[at]);
    settlement->argv[at] = copy;
}

static void add(struct relay *relay, const char *text)
{
    put(&relay->settlement, relay->settlement.argc++, text);
}

static void add_field(struct relay *relay, const char *name, const char *value)
{
    if (value[0] != '\0') {
        add(relay, name);
        add(relay, value);
    }
}

static void add_number(struct relay *relay, const char *name, int64_t value)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "%" PRId64, value);
    add_field(relay, name, text);
}

/* Returns it, which is as old as the settlement. */
static const char *add_sentence(struct relay *relay, enum verdict verdict,
                                const struct verdict_facts *facts)
{
    struct buffer sentence autobuffer = BUFFER_INIT(KIB(16));

    verdict_sentence(verdict, facts, &sentence);
    if (sentence.size == 0) {
        return "";
    }
    add_field(relay, "sentence", sentence.data);
    return relay->settlement.argv[relay->settlement.argc - 1];
}

/* The figures of a limit that was met are the limit's own: "over its 5 s", not 5.003. */
static struct verdict_facts facts_of(const struct judge_case *facts,
                                     const struct judgement *judged, int64_t wall_ms,
                                     const char *report)
{
    const struct job_limits *limits = facts->limits;
    int64_t cpu_ms = facts->exited->cpu_us / 1000;

    return (struct verdict_facts){
        .exit_code = judged->exit_code,
        .cpu_ms = judged->verdict == VERDICT_CPU_LIMIT ? limits->cpu_ms : cpu_ms,
        .wall_ms = judged->verdict == VERDICT_WALL_LIMIT ? limits->wall_ms : wall_ms,
        .memory_mb = limits->memory_mb,
        .output_kb = limits->output_kb,
        .signal = judged->signal,
        .call = judged->call,
        .report = report,
    };
}

/* Verdicts whose sentence names the line that the program was on. */
static const enum verdict at_a_line[] = {
    VERDICT_CPU_LIMIT,
    VERDICT_WALL_LIMIT,
    VERDICT_MEMORY_LIMIT,
    VERDICT_OUTPUT_LIMIT,
};

static bool is_at_a_line(enum verdict verdict)
{
    for (size_t i = 0; i < array_size(at_a_line); i++) {
        if (at_a_line[i] == verdict) {
            return true;
        }
    }
    return false;
}

static void tell_where(const struct relay *relay, enum verdict verdict, char *to,
                       size_t size)
{
    autobuffer struct buffer file = BUFFER_INIT(KIB(1));
    struct ring_where where;

    if (is_at_a_line(verdict) && ring_reader_where(&relay->link.current.ring, &where)) {
        buffer_add_visible(&file, where.file, strlen(where.file));
        (void)snprintf(to, size, "%s, line %" PRIu32, file.data != NULL ? file.data : "?",
                       where.line);
    }
}

/* What nobody knows is missing (docs/PROTOCOL.md). */
static void add_usage(struct relay *relay, const struct message_exited *exited)
{
    if (exited->cpu_us >= 0) {
        add_number(relay, "cpu_ms", exited->cpu_us / 1000);
        add_number(relay, "max_rss_kb", exited->max_rss_kb);
        add_number(relay, "shared_kb", exited->shared_kb);
        add_number(relay, "memory_kb", exited->memory_kb);
    }
}

static const char *add_judged(struct relay *relay, const struct judge_case *facts,
                              const struct judgement *judged)
{
    int64_t wall_ms = relay->settlement.wall_ms;
    struct verdict_facts figures;
    char report[LIMIT_REPORT + 1] = "", where[KIB(1)] = "";
    const char *sentence;

    if (facts->claim != NULL) {
        (void)utf8_copy_clean(report, sizeof(report), facts->claim->report,
                              facts->claim->report_size);
    }
    figures = facts_of(facts, judged, wall_ms, report);
    tell_where(relay, judged->verdict, where, sizeof(where));
    figures.where = where;
    add_field(relay, "verdict", verdict_row(judged->verdict)->name);
    sentence = add_sentence(relay, judged->verdict, &figures);
    add_field(relay, "detail", judged->detail);
    add_number(relay, "exit_code", judged->exit_code);
    add_number(relay, "signal", judged->signal);
    add_field(relay, "call", judged->call);
    add_field(relay, "where", where);
    add_number(relay, "wall_ms", wall_ms);
    add_usage(relay, facts->exited);
    add_field(relay, "claim", report);
    add_number(relay, "frames_dropped", (int64_t)relay->forward.dropped);
    relay->settlement.dropped_at = relay->settlement.argc - 1;
    add_field(relay, "versions", SETTLE_VERSIONS);
    return sentence;
}

/* ---- deciding ---- */

/* All that became of it in one line. `facts`: further ones, each behind a blank; `text`:
 * may be the program's own words. */
static void tell(const struct relay *relay, enum log_level level, const char *what,
                 const char *facts, const char *text)
{
    const struct claims_job *job = &relay->run.job;

    log_event(level,
              "queue=%s job=%s attempt=%" PRIu32 " %s tenant=%s queue_ms=%" PRId64
              "%s%s%s",
              job->queue, job->id, job->attempt, what, job->tenant, job->queue_ms, facts,
              *text != '\0' ? ": " : "", text);
}

static void tell_verdict(const struct relay *relay, enum verdict verdict,
                         const char *facts, const char *text)
{
    char what[64];

    (void)snprintf(what, sizeof(what), "verdict=%s", verdict_row(verdict)->name);
    tell(relay, verdict == VERDICT_FAULT ? LOG_WARNING : LOG_INFO, what, facts, text);
}

static void add_detail(struct buffer *text, const char *detail)
{
    if (detail[0] != '\0') {
        buffer_printf(text, " (%s)", detail);
    }
}

static void tell_judged(const struct relay *relay, const struct judgement *judged,
                        const char *sentence)
{
    struct buffer facts autobuffer = BUFFER_INIT(KIB(1)),
                        text autobuffer = BUFFER_INIT(KIB(20));

    buffer_printf(&facts,
                  " wall_ms=%" PRId64 " cpu_ms=%" PRId64 " exit_code=%d signal=%d",
                  relay->settlement.wall_ms, relay->settlement.cpu_ms, judged->exit_code,
                  judged->signal);
    if (judged->call[0] != '\0') {
        buffer_printf(&facts, " call=%s", judged->call);
    }
    buffer_add_text(&text, sentence);
    add_detail(&text, judged->detail);
    tell_verdict(relay, judged->verdict, facts.data, text.data != NULL ? text.data : "");
}

void settle_lost(struct relay *relay, const char *detail)
{
    begin(relay, "paddock_lost", VERDICT_NONE);
    add(relay, detail);
}

void settle_give_back(struct relay *relay)
{
    begin(relay, "paddock_requeue", VERDICT_NONE);
}

void settle_verdict(struct relay *relay, enum verdict verdict, const char *report)
{
    const struct verdict_facts figures = {.call = "", .report = report};

    begin(relay, "paddock_finish", verdict);
    add_field(relay, "verdict", verdict_row(verdict)->name);
    tell_verdict(relay, verdict, " without a run",
                 add_sentence(relay, verdict, &figures));
    add_number(relay, "exit_code", verdict_row(verdict)->exit_code);
    add_field(relay, "versions", SETTLE_VERSIONS);
}

void settle_judged(struct relay *relay, const struct judge_case *facts)
{
    int64_t cpu_ms = facts->exited->cpu_us >= 0 ? facts->exited->cpu_us / 1000 : 0;
    struct judgement judged;

    judge(facts, &judged);
    if (judged.verdict == VERDICT_FAULT) {
        settle_lost(relay, judged.detail);
        return;
    }
    begin(relay, "paddock_finish", judged.verdict);
    relay->settlement.cpu_ms = cpu_ms;
    relay->settlement.wall_ms = bounds_wall_us(relay, clock_now_us()) / 1000;
    tell_judged(relay, &judged, add_judged(relay, facts, &judged));
}

/* ---- what becomes of an attempt without a verdict ---- */

/* The words of the queue by which its job is final; by others it runs again. */
static const struct {
    const char *answer;
    enum verdict verdict;
} ends[] = {
    {"dead", VERDICT_FAULT},
    {"cancelled", VERDICT_CANCELLED},
};

static enum verdict end_of(const char *answer)
{
    for (size_t i = 0; i < array_size(ends); i++) {
        if (strcmp(answer, ends[i].answer) == 0) {
            return ends[i].verdict;
        }
    }
    return VERDICT_NONE;
}

/* Why the attempt was lost; NULL: it was not. */
static const char *loss_of(const struct settlement *settlement)
{
    bool is_lost = settlement->verdict == VERDICT_NONE && settlement->function != NULL &&
                   settlement->argc > 0;

    return is_lost ? settlement->argv[0] : NULL;
}

static void tell_loss(const struct relay *relay)
{
    const struct claims_job *job = &relay->run.job;
    const char *loss = loss_of(&relay->settlement);

    if (loss != NULL) {
        log_warning("queue=%s job=%s attempt=%" PRIu32 " lost: %s", job->queue, job->id,
                    job->attempt, loss);
    }
}

static void tell_end(const struct relay *relay, enum verdict verdict)
{
    const struct verdict_facts figures = {.call = "", .report = ""};
    const char *loss = loss_of(&relay->settlement);
    struct buffer text autobuffer = BUFFER_INIT(KIB(4));

    verdict_sentence(verdict, &figures, &text);
    add_detail(&text, loss != NULL ? loss : "");
    tell_verdict(relay, verdict, "", text.data != NULL ? text.data : "");
}

/* Says and counts it, by the queue's answer; "" where that was not heard. */
static void note_handed_back(struct relay *relay, const char *answer)
{
    struct settlement *settlement = &relay->settlement;
    struct scoreboard_counts *counts = &relay->board.work.counts;
    enum verdict verdict = end_of(answer);

    if (settlement->verdict != VERDICT_NONE) {
        return; /* it was said when it was decided */
    }
    *(loss_of(settlement) != NULL ? &counts->lost : &counts->given_back) += 1;
    if (verdict != VERDICT_NONE) {
        tell_end(relay, verdict);
    } else if (loss_of(settlement) != NULL) {
        tell_loss(relay);
    } else {
        tell(relay, LOG_INFO, "given back", "", "");
    }
    settlement->verdict = verdict;
}

/* ---- sending ---- */

/* The last slices may have been refused since the result was composed. */
static void count_dropped(struct relay *relay)
{
    struct settlement *settlement = &relay->settlement;
    char text[24];

    if (settlement->dropped_at > 0) {
        (void)snprintf(text, sizeof(text), "%" PRIu64, relay->forward.dropped);
        put(settlement, settlement->dropped_at, text);
    }
}

void settle_tend(struct relay *relay, int64_t now_ms)
{
    struct settlement *settlement = &relay->settlement;

    if (settlement->function == NULL || settlement->asked || relay->lease.doubted ||
        !broker_ready(relay, now_ms) || !forward_all_settled(relay)) {
        return;
    }
    count_dropped(relay);
    settlement->asked = claims_settle(relay, settlement->function, settlement->argc,
                                      (const char *const *)settlement->argv) == 0;
    if (settlement->asked) {
        run_claim(relay, now_ms); /* the next job, in the same write */
    }
}

static void taken(struct relay *relay)
{
    if (relay->settlement.unsure) {
        note_handed_back(relay, "");
        board_count_end(relay);
    } else {
        tell_loss(relay);
        lease_note_taken(relay, clock_now_ms());
    }
}

bool settle_taken(struct relay *relay)
{
    const struct settlement *settlement = &relay->settlement;

    if (settlement->unsure && settlement->verdict == VERDICT_NONE) {
        relay->lease.doubted = false; /* only of a job that is ours */
        settle_tend(relay, clock_now_ms());
        return false;
    }
    taken(relay);
    return true;
}

static void taken_up(struct relay *relay, const char *answer)
{
    note_handed_back(relay, answer);
    board_count_end(relay);
}

static void done(struct relay *relay, const char *answer)
{
    bool stale = strcmp(answer, "stale") == 0;

    log_event(stale ? LOG_WARNING : LOG_DEBUG, "job=%s %s: %s", relay->run.job.id,
              relay->settlement.function, answer);
    if (stale) {
        taken(relay);
    } else {
        taken_up(relay, answer);
    }
    settlement_done(&relay->settlement);
    run_settled(relay);
}

void settle_on_answer(void *context, const struct redisReply *reply)
{
    struct relay *relay = context;
    struct settlement *settlement = &relay->settlement;

    if (settlement->function == NULL) {
        return; /* of a job that was taken from us meanwhile */
    }
    settlement->asked = false;
    settlement->unsure |= reply == NULL;
    if (broker_accept(relay, BROKER_COMMANDS, "settle a job", reply)) {
        board_taken(relay);
        done(relay, reply->type == REDIS_REPLY_STATUS || reply->type == REDIS_REPLY_STRING
                        ? reply->str
                        : "an answer that is not known");
        return;
    }
    settlement->refused += !broker_passes(reply);
    if (settlement->refused == REFUSALS_MAX) {
        tell_loss(relay);
        log_error("job=%s can not be settled; its lease is left to run out",
                  relay->run.job.id);
        settlement_done(settlement);
        run_settled(relay);
    }
}
