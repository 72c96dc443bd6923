/* SPDX-License-Identifier: MIT */
/*
 * Looking after queues. Runs in the relay, for all of its pool. What is to be done, and
 * when next, the Functions library says.
 */
#include "worker/relay/upkeep.h"

#include "common/log.h"
#include "common/number.h"
#include "common/text.h"
#include "queue/keys.h"
#include "worker/relay/claims.h"
#include "worker/relay/relay.h"

#include <inttypes.h>
#include <string.h>

#define MOST_MS  1000
#define ID_SHOWN 256 /* of one that is none */

static bool is_leaving(const struct relay *relay)
{
    return relay->mode != RELAY_SERVING && run_is_over(relay);
}

/* ---- what is still to be said ---- */

enum untold_word {
    UNTOLD_QUEUE,
    UNTOLD_JOB,
    UNTOLD_NUMBER,
    UNTOLD_VERDICT,
    UNTOLD_TENANT,
    UNTOLD_DETAIL,
    UNTOLD_WORDS
};

/* What somebody wrote there himself may be anything. Of no tenant the number is how many
 * there were more than are named; else it is the attempt. */
static bool read_words(struct redisReply *const *words, const char **ret,
                       int64_t *ret_number)
{
    for (int i = 0; i < UNTOLD_WORDS; i++) {
        if (words[i]->type != REDIS_REPLY_STRING) {
            return false;
        }
        ret[i] = words[i]->str;
    }
    return queue_name_valid(ret[UNTOLD_QUEUE]) &&
           number_parse(ret[UNTOLD_NUMBER], 0, INT64_MAX, ret_number) == 0;
}

/* An id that is none is taken for no other, and ends no fact: what no id has is escaped.
 */
static void show_id(const struct redisReply *id, struct buffer *to)
{
    size_t size = id->len < ID_SHOWN ? id->len : ID_SHOWN;

    for (size_t i = 0; i < size;) {
        size_t plain = text_name_length(id->str + i, "_-");

        if (plain > 0) {
            plain = plain < size - i ? plain : size - i;
            buffer_add(to, id->str + i, plain);
            i += plain;
        } else {
            buffer_printf(to, "\\x%02x", (unsigned char)id->str[i++]);
        }
    }
    buffer_add_text(to, size < id->len ? "..." : "");
}

static void tell_more(struct relay *relay, const char *const *words, int64_t number,
                      enum verdict verdict)
{
    if (verdict == VERDICT_NONE) {
        relay->board.work.counts.lost += (uint64_t)number;
        log_warning("queue=%s count=%" PRId64 " lost: %s", words[UNTOLD_QUEUE], number,
                    words[UNTOLD_DETAIL]);
    } else {
        relay->board.work.counts.verdicts[verdict] += (uint64_t)number;
        log_warning("queue=%s count=%" PRId64 " verdict=%s: %s", words[UNTOLD_QUEUE],
                    number, words[UNTOLD_VERDICT], words[UNTOLD_DETAIL]);
    }
}

static void tell_lost(struct relay *relay, const char *const *words, int64_t attempt)
{
    relay->board.work.counts.lost++;
    log_warning("queue=%s job=%s attempt=%" PRId64 " lost: %s", words[UNTOLD_QUEUE],
                words[UNTOLD_JOB], attempt, words[UNTOLD_DETAIL]);
}

/* It ended in the queue, and counts as one of this slot, but is none that it ran. A
 * program that had begun ends with a fault when its last attempt was lost. */
static void tell_ended(struct relay *relay, const char *const *words, int64_t attempt,
                       enum verdict verdict)
{
    const struct verdict_facts figures = {.call = "", .report = ""};
    struct buffer sentence autobuffer = BUFFER_INIT(KIB(4));

    relay->board.work.counts.verdicts[verdict]++;
    relay->board.work.counts.lost += verdict == VERDICT_FAULT && attempt > 0;
    verdict_sentence(verdict, &figures, &sentence);
    log_event(verdict == VERDICT_FAULT ? LOG_WARNING : LOG_INFO,
              "queue=%s job=%s attempt=%" PRId64 " verdict=%s tenant=%s: %s (%s)",
              words[UNTOLD_QUEUE], words[UNTOLD_JOB], attempt, words[UNTOLD_VERDICT],
              words[UNTOLD_TENANT], sentence.data != NULL ? sentence.data : "",
              words[UNTOLD_DETAIL]);
}

/* Of one queue. */
static void tell_untold(struct relay *relay, const struct redisReply *list,
                        const char *queue)
{
    const char *words[UNTOLD_WORDS];
    int64_t number;

    for (size_t i = 0;
         list->type == REDIS_REPLY_ARRAY && i + UNTOLD_WORDS <= list->elements;
         i += UNTOLD_WORDS) {
        struct buffer id autobuffer = BUFFER_INIT(KIB(4));
        enum verdict verdict;

        if (!read_words(list->element + i, words, &number) ||
            strcmp(words[UNTOLD_QUEUE], queue) != 0) {
            continue;
        }
        show_id(list->element[i + UNTOLD_JOB], &id);
        words[UNTOLD_JOB] = id.data != NULL ? id.data : "";
        verdict = verdict_by_name(words[UNTOLD_VERDICT]);
        if (words[UNTOLD_JOB][0] == '\0' && words[UNTOLD_TENANT][0] == '\0') {
            tell_more(relay, words, number, verdict);
        } else if (verdict == VERDICT_NONE) {
            tell_lost(relay, words, number);
        } else {
            tell_ended(relay, words, number, verdict);
        }
    }
}

/* Whether it is for us to tell what a queue gave with that mark: another relay that asked
 * meanwhile has been given the same. */
static bool hear(struct relay *relay, uint32_t queue, int64_t mark)
{
    unsigned long long heard = relay->upkeep.heard[queue];

    return atomic_compare_exchange_strong(&relay->board.scoreboard->queues[queue].heard,
                                          &heard, (unsigned long long)mark);
}

/* {queue, mark ...} */
static void hear_all(struct relay *relay, const struct redisReply *marks,
                     const struct redisReply *untold)
{
    for (size_t i = 0; marks->type == REDIS_REPLY_ARRAY && i + 1 < marks->elements;
         i += 2) {
        const struct redisReply *name = marks->element[i], *text = marks->element[i + 1];
        uint32_t queue = QUEUES_NONE;
        int64_t mark;

        if (name->type == REDIS_REPLY_STRING && text->type == REDIS_REPLY_STRING &&
            number_parse(text->str, 1, INT64_MAX, &mark) == 0) {
            queue = queues_find(&relay->queues, name->str);
        }
        if (queue != QUEUES_NONE && hear(relay, queue, mark)) {
            tell_untold(relay, untold, name->str);
            relay->upkeep.owes = true;
        }
    }
}

/* ---- in turn ---- */

void upkeep_on_answer(void *context, const struct redisReply *reply)
{
    struct relay *relay = context;
    struct upkeep *upkeep = &relay->upkeep;
    bool accepted = broker_accept(relay, BROKER_COMMANDS, "look after the queue", reply);
    const struct redisReply *untold = accepted ? claims_find(reply, "untold") : NULL;
    const struct redisReply *marks = accepted ? claims_find(reply, "marks") : NULL;

    upkeep->asked = false;
    upkeep->owes = upkeep->owes && !accepted && !is_leaving(relay);
    upkeep->due_ms =
        clock_now_ms() +
        (accepted ? claims_pause_ms(claims_idle_ms(reply), MOST_MS) : MOST_MS);
    if (untold != NULL && marks != NULL) {
        hear_all(relay, marks, untold);
    }
}

/* Who leaves asks for nothing more, but says once what he has heard. */
static bool is_due(const struct relay *relay, int64_t now_ms)
{
    const struct upkeep *upkeep = &relay->upkeep;

    if (upkeep->asked) {
        return false;
    }
    return is_leaving(relay) ? upkeep->owes
                             : relay->board.asker && now_ms >= upkeep->due_ms;
}

void upkeep_tend(struct relay *relay, int64_t now_ms)
{
    struct upkeep *upkeep = &relay->upkeep;

    if (is_due(relay, now_ms) && broker_ready(relay, now_ms)) {
        for (uint32_t i = 0; i < relay->queues.count; i++) {
            upkeep->heard[i] = atomic_load(&relay->board.scoreboard->queues[i].heard);
        }
        upkeep->asked = claims_tend(relay, is_leaving(relay) ? "heard" : "ends") == 0;
    }
}

bool upkeep_is_over(const struct relay *relay)
{
    return !relay->upkeep.asked && (!relay->upkeep.owes || broker_is_away(relay));
}

int64_t upkeep_deadline(const struct relay *relay)
{
    const struct upkeep *upkeep = &relay->upkeep;

    if (upkeep->asked || !(is_leaving(relay) ? upkeep->owes : relay->board.asker)) {
        return CLOCK_NEVER;
    }
    return broker_when(relay, is_leaving(relay) ? 0 : upkeep->due_ms);
}
