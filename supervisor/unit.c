/* SPDX-License-Identifier: MIT */
/* The life of a child as a record. Runs in the supervisor; makes no system call but to
 * close a socket. */
#include "supervisor/unit.h"

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/role.h"

#include <string.h>
#include <sys/wait.h>

#define SERVED_MS 10000 /* ready for so long: its failures are forgotten */
#define DELAY_MS  100   /* after the first failure; doubles */
#define DELAY_MAX 30000

const char *unit_name(const struct unit *unit)
{
    static const char *const names[] = {"redis-server", "zygote", "relay"};

    return names[unit->kind];
}

void unit_init(struct unit *unit, enum unit_kind kind, uint32_t slot)
{
    *unit = (struct unit){.kind = kind,
                          .slot = slot,
                          .state = UNIT_OFF,
                          .process = PROCESS_INIT,
                          .peer = -1};
}

void unit_started(struct unit *unit, struct process process, int peer)
{
    unit->process = process;
    unit->peer = peer;
    unit->state = UNIT_STARTING;
    unit->worn = false;
}

void unit_ready(struct unit *unit)
{
    unit->state = UNIT_READY;
    unit->ready_ms = clock_now_ms();
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
        log_warning("%s %u died of signal %d (%s)", unit_name(unit), unit->slot,
                    WTERMSIG(status), strsignal(WTERMSIG(status)));
    } else {
        log_warning("%s %u ended with exit code %d", unit_name(unit), unit->slot,
                    WEXITSTATUS(status));
    }
}

void unit_died(struct unit *unit, int status)
{
    int64_t now = clock_now_ms();
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    bool served = unit->state == UNIT_READY && now - unit->ready_ms >= SERVED_MS;

    log_death(unit, status);
    close_fd(&unit->peer);
    unit->state = UNIT_OFF;
    unit->failures = served ? 0 : unit->failures + 1;
    unit->hopeless = code == ROLE_EXIT_CONFIG || code == ROLE_EXIT_PERMANENT;
    unit->start_ms = now + (unit->hopeless ? DELAY_MAX : delay_ms(unit->failures));
}
