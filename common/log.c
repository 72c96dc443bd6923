/* SPDX-License-Identifier: MIT */
/*
 * The log. Called from main-level code of every process; the text may hold what a client
 * or a program chose, so it is cleaned on its way out.
 */
#include "common/log.h"

#include "common/buffer.h"
#include "common/limits.h"
#include "common/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct {
    const char *role;
    struct log_manner manner;
} state = {"paddock", {LOG_INFO, LOG_TEXT, ""}};

static const char *const names[] = {"error", "warning", "info", "debug"};

void log_open(const char *role, struct log_manner manner)
{
    state.role = role;
    state.manner = manner;
}

/* ---- as text ---- */

static void add_text(struct buffer *line, enum log_level level, const char *message)
{
    char clean[LIMIT_LOG_LINE];
    size_t size = utf8_copy_clean(clean, sizeof(clean), message, strlen(message));

    for (size_t i = 0; i < size; i++) {
        if (clean[i] == '\n') {
            clean[i] = ' ';
        }
    }
    buffer_printf(line, "%s %s%s%s[%d] ", names[level], state.manner.pool,
                  state.manner.pool[0] != '\0' ? "/" : "", state.role, (int)getpid());
    buffer_add(line, clean, size);
}

/* ---- as JSON ---- */

/* What people name may look like a number. */
static const char *const texts[] = {"job", "queue", "tenant"};

#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyz_"

static bool is_number(const char *name, size_t name_size, const char *value, size_t size)
{
    for (size_t i = 0; i < array_size(texts); i++) {
        if (strlen(texts[i]) == name_size && memcmp(texts[i], name, name_size) == 0) {
            return false;
        }
    }
    return size > 0 && size < 16 && strspn(value, "0123456789") >= size &&
           (size == 1 || value[0] != '0');
}

static void add_fact(struct buffer *line, const char *word, size_t size)
{
    size_t name = strspn(word, NAME_CHARACTERS);
    const char *value = word + name + 1;

    if (name == 0 || name >= size || word[name] != '=') {
        return;
    }
    buffer_printf(line, ",\"%.*s\":", (int)name, word);
    if (is_number(word, name, value, size - name - 1)) {
        buffer_add(line, value, size - name - 1);
    } else {
        buffer_add_json_string(line, value, size - name - 1);
    }
}

static void add_facts(struct buffer *line, const char *message)
{
    bool ends = false;

    while (!ends && *message != '\0') {
        size_t size = strcspn(message, " ");

        ends = size > 0 && message[size - 1] == ':';
        add_fact(line, message, size - (ends ? 1 : 0));
        message += size + strspn(message + size, " ");
    }
}

static void add_time(struct buffer *line)
{
    struct timespec now;
    struct tm parts;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &parts);
    buffer_printf(line, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ", parts.tm_year + 1900,
                  parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min,
                  parts.tm_sec, now.tv_nsec / 1000000);
}

static void add_json(struct buffer *line, enum log_level level, const char *message)
{
    buffer_add_text(line, "{\"time\":\"");
    add_time(line);
    buffer_printf(line, "\",\"level\":\"%s\"", names[level]);
    if (state.manner.pool[0] != '\0') {
        buffer_printf(line, ",\"pool\":\"%s\"", state.manner.pool);
    }
    buffer_printf(line, ",\"role\":\"%s\",\"pid\":%d,\"message\":", state.role,
                  (int)getpid());
    buffer_add_json_string(line, message, strlen(message));
    add_facts(line, message);
    buffer_add_char(line, '}');
}

/* ---- either ---- */

static void (*const writers[])(struct buffer *line, enum log_level level,
                               const char *message) = {
    [LOG_TEXT] = add_text,
    [LOG_JSON] = add_json,
};

/* One write per line, so that lines of several processes do not mix. */
static void write_line(enum log_level level, const char *message)
{
    char bytes[16 * LIMIT_LOG_LINE]; /* JSON has much of it twice, and escapes it */
    struct buffer line = BUFFER_OVER(bytes);

    writers[state.manner.format](&line, level, message);
    buffer_add_char(&line, '\n');
    if (write(STDERR_FILENO, line.data, line.size) < 0) {
        return; /* nobody is left to be told */
    }
}

void log_event(enum log_level level, const char *format, ...)
{
    char message[LIMIT_LOG_LINE];
    va_list args;

    if (level > state.manner.most) {
        return;
    }
    va_start(args, format);
    (void)vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    write_line(level, message);
}

int log_failure(int error, const char *format, ...)
{
    char message[LIMIT_LOG_LINE];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    log_error("%s: %s", message, strerror(-error));
    return error;
}
