/* SPDX-License-Identifier: MIT */
/* The life of a child as a record. Runs in the supervisor; makes no system call but to
 * close a socket. */
#include "supervisor/unit.h"

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/role.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define SERVED_MS    10000 /* ready for so long: its deaths are forgotten */
#define DELAY_MS     100   /* after the first failure; doubles */
#define DELAY_MAX    30000
#define READY_DEATHS 3 /* more do not count of one that had been ready: 400 ms */

const char *unit_kind_name(enum unit_kind kind)
{
    static const char *const names[] = {"redis-server", "zygote", "relay", "metrics",
                                        "pool"};

    return names[kind];
}

struct unit_label unit_label(const struct unit *unit)
{
    struct unit_label label;

    if (unit->name[0] != '\0') {
        (void)snprintf(label.text, sizeof(label.text), "%s %s",
                       unit_kind_name(unit->kind), unit->name);
    } else {
        (void)snprintf(label.text, sizeof(label.text), "%s %u",
                       unit_kind_name(unit->kind), unit->slot);
    }
    return label;
}

void units_poll(const struct unit *units, size_t count, struct pollfd *fds)
{
    for (size_t i = 0; i < count; i++) {
        fds[2 * i] = (struct pollfd){.fd = units[i].process.pidfd, .events = POLLIN};
        fds[2 * i + 1] = (struct pollfd){.fd = units[i].peer, .events = POLLIN};
    }
}

bool units_are_ready(const struct unit *units, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (units[i].state == UNIT_OFF || units[i].state == UNIT_STARTING) {
            return false;
        }
    }
    return true;
}

bool units_are_alive(const struct unit *units, size_t count, enum unit_kind kind)
{
    for (size_t i = 0; i < count; i++) {
        if (units[i].kind == kind && units[i].process.pid != 0) {
            return true;
        }
    }
    return false;
}

int64_t units_start_ms(const struct unit *units, size_t count)
{
    int64_t next_ms = CLOCK_NEVER;

    for (size_t i = 0; i < count; i++) {
        if (units[i].state == UNIT_OFF && units[i].start_ms < next_ms) {
            next_ms = units[i].start_ms;
        }
    }
    return next_ms;
}

void unit_init(struct unit *unit, enum unit_kind kind, uint32_t slot)
{
    *unit = (struct unit){.kind = kind,
                          .slot = slot,
                          .state = UNIT_OFF,
                          .process = PROCESS_INIT,
                          .loading = LOADING_INIT,
                          .peer = -1,
                          .words = -1};
}

void unit_started(struct unit *unit, struct process process, int peer)
{
    unit->process = process;
    unit->peer = peer;
    unit->state = UNIT_STARTING;
    unit->silent_ms = 0;
    unit->worn = unit->called_off = unit->relieved = false;
}

void unit_ready(struct unit *unit)
{
    unit->state = UNIT_READY;
    unit->ready_ms = unit->answered_ms = clock_now_ms();
    unit->failures = 0;
    unit->silent_ms = 0;
    unit->hopeless = false;
}

static int64_t delay_ms(unsigned failures)
{
    int64_t delay = DELAY_MS;

    for (unsigned i = 1; i < failures && delay < DELAY_MAX; i++) {
        delay *= 2;
    }
    return failures == 0 ? 0 : delay < DELAY_MAX ? delay : DELAY_MAX;
}

void unit_failed(struct unit *unit)
{
    unit->failures++;
    unit->start_ms = clock_now_ms() + delay_ms(unit->failures);
}

static void log_death(const struct unit *unit, int status)
{
    if (WIFSIGNALED(status)) {
        log_warning("%s died of signal %d (%s)", unit_label(unit).text, WTERMSIG(status),
                    strsignal(WTERMSIG(status)));
    } else {
        log_warning("%s ended with exit code %d", unit_label(unit).text,
                    WEXITSTATUS(status));
    }
}

void unit_say_not_started(const struct unit *unit, int status)
{
    bool has_said_why = WIFEXITED(status) && WEXITSTATUS(status) != ROLE_EXIT_OK;

    log_event(has_said_why ? LOG_INFO : LOG_ERROR, "%s did not start",
              unit_label(unit).text);
}

/* Whoever had been ready is likely to be so again, and jobs wait for it: what counts is
 * that it is not started all the time, so its delay began when it was ready. */
static int64_t next_start(struct unit *unit, int64_t now)
{
    if (unit->state != UNIT_READY) {
        return now + delay_ms(++unit->failures);
    }
    unit->deaths = unit->deaths < READY_DEATHS ? unit->deaths + 1 : READY_DEATHS;
    if (now - unit->ready_ms >= SERVED_MS) {
        unit->deaths = 0;
    }
    return unit->ready_ms + delay_ms(unit->deaths);
}

void unit_died(struct unit *unit, int status)
{
    int64_t now = clock_now_ms();
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;

    log_death(unit, status);
    close_fd(&unit->peer);
    unit->hopeless = code == ROLE_EXIT_CONFIG || code == ROLE_EXIT_PERMANENT;
    unit->start_ms = next_start(unit, now);
    unit->start_ms = unit->hopeless ? now + DELAY_MAX : unit->start_ms;
    unit->state = UNIT_OFF;
}
