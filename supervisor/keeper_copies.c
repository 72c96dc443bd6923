/* SPDX-License-Identifier: MIT */
/*
 * Which copy of the configuration each pool has. Runs in the supervisor that keeps them,
 * on what the operator wrote; what they answer it trusts as itself. Nobody but us reads
 * the file: it may be another one a moment later, which nobody has asked to read. Each
 * reload has a number, so that no answer is taken for that to another.
 */
#include "supervisor/keeper_parts.h"

#include "common/message.h"
#include "common/number.h"
#include "common/role.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* ---- reading it ---- */

int keeper_read(const struct command_line *line, struct pools **ret, int *ret_copy,
                struct buffer *why)
{
    struct command_line copied = *line;
    autoclose int copy = -1;
    int code;

    if (config_copy(line->config_file, &copy, why) < 0) {
        return ROLE_EXIT_CONFIG;
    }
    copied.copy = copy;
    code = pools_read(&copied, ret, why);
    if (code == ROLE_EXIT_OK) {
        *ret_copy = steal_fd(&copy);
    }
    return code;
}

int keeper_file_for(const struct keeper *keeper, size_t place)
{
    const struct given *given = &keeper->given[place];

    return given->trial >= 0    ? given->trial
           : given->proved >= 0 ? given->proved
                                : keeper->line->copy;
}

void keeper_read_for(struct keeper *keeper, size_t place)
{
    static struct config fresh;
    autobuffer struct buffer why = BUFFER_INIT(KIB(4));
    struct command_line line = *keeper->line;
    const char *name = keeper->units[place].name;

    line.copy = keeper_file_for(keeper, place);
    for (uint32_t i = 0; i < keeper->pools->count; i++) {
        struct config *config = &keeper->pools->each[i];

        if (strcmp(config->pool, name) == 0 &&
            command_line_read_again(&line, name, &fresh, NULL, &why) == ROLE_EXIT_OK) {
            keeper_keep_at_start(keeper, &fresh);
            *config = fresh;
        }
    }
}

/* ---- starting it with it ---- */

static int copy_ours(const struct keeper *keeper)
{
    return fcntl(keeper->line->copy, F_DUPFD_CLOEXEC, ROLE_PEER + 1);
}

void keeper_try_file(struct keeper *keeper, size_t place)
{
    struct given *given = &keeper->given[place];

    close_fd(&given->trial);
    given->trial = copy_ours(keeper);
    given->tried = false;
    given->behind = false;
}

void keeper_prove_file(struct keeper *keeper, size_t place)
{
    struct given *given = &keeper->given[place];

    if (given->trial >= 0) {
        close_fd(&given->proved);
        given->proved = steal_fd(&given->trial);
    }
    given->tried = false;
}

/* Once each: if neither starts, the reason may be another, and they take turns. */
bool keeper_doubt_file(struct keeper *keeper, size_t place)
{
    struct given *given = &keeper->given[place];
    bool was_tried = given->tried;

    if (given->trial >= 0 && given->proved >= 0) {
        log_warning("%s is started with the configuration that was in force there: with "
                    "the new one it did not start",
                    unit_label(&keeper->units[place]).text);
        close_fd(&given->trial);
        given->tried = given->behind = true;
        return true;
    }
    if (given->behind) {
        keeper_try_file(keeper, place);
        given->tried = was_tried;
        return !was_tried;
    }
    return false;
}

/* ---- handing it over ---- */

static void look_whether_over(struct keeper *keeper, size_t place)
{
    const struct given *given = &keeper->given[place];

    keeper->units[place].reloading = given->behind || given->handed[0].copy >= 0;
}

static int hand(struct keeper *keeper, size_t place, struct handed *to)
{
    const struct message_reload reload = {keeper->reloads};
    autoclose int copy = copy_ours(keeper);
    int error = copy < 0 ? -errno : 0;

    if (error == 0) {
        error = message_send(keeper->units[place].peer, MESSAGE_RELOAD, &reload, &copy);
    }
    if (error == 0) {
        *to = (struct handed){keeper->reloads, steal_fd(&copy)};
    }
    return error;
}

/* What cannot be done now is tried again at its next word, one of which is ALIVE. */
void keeper_hand_over(struct keeper *keeper, size_t place)
{
    struct given *given = &keeper->given[place];

    given->behind = true;
    for (size_t i = 0; i < KEEPER_HANDED && given->behind; i++) {
        if (given->handed[i].copy < 0) {
            given->behind = hand(keeper, place, &given->handed[i]) < 0;
            break;
        }
    }
    look_whether_over(keeper, place);
}

/* The older one first. */
static void drop(struct given *given, size_t at)
{
    close_fd(&given->handed[at].copy);
    for (size_t i = at; i + 1 < KEEPER_HANDED; i++) {
        given->handed[i] = given->handed[i + 1];
        given->handed[i + 1].copy = -1;
    }
}

void keeper_lose(struct keeper *keeper, size_t place)
{
    struct given *given = &keeper->given[place];
    struct ending *ending = &keeper->endings[place];

    given->behind =
        given->behind || given->handed[0].copy >= 0 || ending->undone || ending->again;
    ending->undone = false;
    for (size_t i = 0; i < KEEPER_HANDED; i++) {
        close_fd(&given->handed[i].copy);
    }
    look_whether_over(keeper, place);
}

void keeper_forget(struct keeper *keeper, size_t place)
{
    struct given *given = &keeper->given[place];

    keeper_lose(keeper, place);
    close_fd(&given->proved);
    close_fd(&given->trial);
    given->behind = false;
    look_whether_over(keeper, place);
}

/* What a pool may answer. */
static const struct answer {
    const char *word;
    bool in_force, ends, undone;
} answers[] = {
    {.word = COMMAND_LINE_RELOADED, .in_force = true},
    {.word = COMMAND_LINE_KEPT},
    {.word = COMMAND_LINE_ENDING, .ends = true},
    {.word = COMMAND_LINE_UNDONE, .undone = true},
};

/* The answer that it is, with the number behind it, or NULL. */
static const struct answer *find_answer(const char *word, int64_t *ret_number)
{
    for (size_t i = 0; i < array_size(answers); i++) {
        size_t size = strlen(answers[i].word);
        char number[32];

        if (strncmp(word, answers[i].word, size) == 0 && word[size] == ' ') {
            (void)snprintf(number, sizeof(number), "%.*s",
                           (int)strcspn(word + size + 1, "\n"), word + size + 1);
            return number_parse(number, 1, INT64_MAX, ret_number) == 0 ? &answers[i]
                                                                       : NULL;
        }
    }
    return NULL;
}

static void take_answer(struct given *given, const struct answer *answer, int64_t number)
{
    for (size_t i = 0; i < KEEPER_HANDED; i++) {
        struct handed *handed = &given->handed[i];

        if (handed->copy >= 0 && handed->number == number) {
            if (answer->in_force) {
                close_fd(&given->proved);
                given->proved = steal_fd(&handed->copy);
            }
            drop(given, i);
            return;
        }
    }
}

void keeper_take_answer(struct keeper *keeper, size_t place, const char *word)
{
    int64_t number;
    const struct answer *answer = find_answer(word, &number);

    if (answer != NULL) {
        take_answer(&keeper->given[place], answer, number);
        keeper->endings[place].again |= answer->ends;
        keeper->endings[place].undone |= answer->undone;
        keeper_read_for(keeper, place);
    }
    if (keeper->given[place].behind) {
        keeper_hand_over(keeper, place);
    }
    look_whether_over(keeper, place);
}
