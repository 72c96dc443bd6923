/* SPDX-License-Identifier: MIT */
/*
 * What systemd is told. Runs in the supervisor; trusts its environment, which is whoever
 * started it.
 */
#include "supervisor/notify.h"

#include "common/clock.h"
#include "common/limits.h"
#include "common/number.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* For a manager who has not heard the last ones yet. */
#define PATIENCE_S 3

/* A path, or a name of the abstract kind behind an @. */
static int open_socket(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const struct timeval patience = {.tv_sec = PATIENCE_S};
    size_t size = strlen(name);
    autoclose int fd = -1;

    if ((name[0] != '/' && name[0] != '@') || size >= sizeof(address.sun_path)) {
        return -1;
    }
    memcpy(address.sun_path, name, size);
    if (name[0] == '@') {
        address.sun_path[0] = '\0';
    }
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) != 0 ||
        connect(fd, (const struct sockaddr *)&address,
                (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size)) != 0) {
        return -1;
    }
    return steal_fd(&fd);
}

/* Half of what the manager waits, as sd_watchdog_enabled(3) advises. */
static int64_t watchdog_ms(void)
{
    const char *microseconds = getenv("WATCHDOG_USEC"), *whose = getenv("WATCHDOG_PID");
    int64_t us, pid = getpid();

    if (microseconds == NULL || number_parse(microseconds, 1, INT64_MAX, &us) < 0 ||
        (whose != NULL &&
         (number_parse(whose, 1, INT64_MAX, &pid) < 0 || pid != getpid()))) {
        return 0;
    }
    return us / 2000 > 0 ? us / 2000 : 1;
}

void notify_open(struct notify *notify)
{
    const char *name = getenv("NOTIFY_SOCKET");

    notify->socket = name != NULL ? open_socket(name) : -1;
    notify->watchdog_ms = notify->socket >= 0 ? watchdog_ms() : 0;
    (void)unsetenv("NOTIFY_SOCKET");
    (void)unsetenv("WATCHDOG_USEC");
    (void)unsetenv("WATCHDOG_PID");
}

void notify_close(struct notify *notify)
{
    close_fd(&notify->socket);
}

/* What is only to be read, or comes again, waits for nobody. */
static int flags_of(const char *text)
{
    static const char *const unimportant[] = {"STATUS=", "WATCHDOG="};
    int flags = MSG_NOSIGNAL;

    for (size_t i = 0; i < array_size(unimportant); i++) {
        if (strncmp(text, unimportant[i], strlen(unimportant[i])) == 0) {
            flags |= MSG_DONTWAIT;
        }
    }
    return flags;
}

void notify_say(const struct notify *notify, const char *format, ...)
{
    char text[LIMIT_LOG_LINE];
    va_list args;
    int size;

    if (notify->socket < 0) {
        return;
    }
    va_start(args, format);
    size = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (size > 0 && (size_t)size < sizeof(text)) {
        (void)send(notify->socket, text, (size_t)size, flags_of(text));
    }
}

#define AFTER_JOBS_MS 30000

void notify_draining(const struct notify *notify, int64_t jobs_ms)
{
    notify_say(notify, "STOPPING=1\nSTATUS=draining\nEXTEND_TIMEOUT_USEC=%" PRId64,
               (jobs_ms + AFTER_JOBS_MS) * 1000);
}

void notify_tend(struct notify *notify, int64_t now_ms)
{
    if (notify->watchdog_ms > 0 && now_ms >= notify->next_ms) {
        notify->next_ms = now_ms + notify->watchdog_ms;
        notify_say(notify, "WATCHDOG=1");
    }
}

int64_t notify_next_ms(const struct notify *notify)
{
    return notify->watchdog_ms > 0 ? notify->next_ms : CLOCK_NEVER;
}
