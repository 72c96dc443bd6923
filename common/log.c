/* SPDX-License-Identifier: MIT */
/*
 * The log. Called from main-level code of every process; the text may hold what a client
 * or a program chose, so it is cleaned on its way out.
 */
#include "common/log.h"

#include "common/buffer.h"
#include "common/limits.h"
#include "common/utf8.h"

#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct {
    const char *role;
    struct log_manner manner;
    unsigned long long lost; /* lines, since the last one that was written */
} state = {"paddock", {LOG_INFO, LOG_TEXT, ""}, 0};

static const char *const names[] = {"error", "warning", "info", "debug"};

void log_open(const char *role, struct log_manner manner)
{
    state.role = role;
    state.manner = manner;
}

/* ---- as text ---- */

/* Appends the character at `bytes`, escaped where it would not be seen as what it is;
 * returns how many bytes it took. A backslash is left alone: some have been escaped
 * before. */
static size_t add_seen(struct buffer *line, const char *bytes, size_t size)
{
    unsigned char first = (unsigned char)bytes[0];
    int length = utf8_sequence(bytes, size);

    if (first == '\n' || first == '\t') {
        buffer_add_text(line, first == '\n' ? "\\n" : "\\t");
    } else if (length <= 0 || first < 0x20 || first == 0x7f) {
        buffer_printf(line, "\\x%02x", first);
    } else if (utf8_moves(bytes, (size_t)length) || utf8_hides(bytes, (size_t)length)) {
        buffer_printf(line, "\\u%04x", utf8_decode(bytes, (size_t)length));
    } else {
        buffer_add(line, bytes, (size_t)length);
    }
    return length > 0 ? (size_t)length : 1;
}

static void add_text(struct buffer *line, enum log_level level, const char *message)
{
    size_t size = strlen(message);

    buffer_printf(line, "%s %s%s%s[%d] ", names[level], state.manner.pool,
                  state.manner.pool[0] != '\0' ? "/" : "", state.role, (int)getpid());
    for (size_t i = 0; i < size;) {
        i += add_seen(line, message + i, size - i);
    }
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

/* What nobody sees is seen as its escape by who reads the text, too. */
static void add_string(struct buffer *line, const char *text, size_t size)
{
    char shown[4 * LIMIT_LOG_LINE];
    struct buffer buffer = BUFFER_OVER(shown);

    for (size_t i = 0; i < size;) {
        int length = utf8_sequence(text + i, size - i);
        size_t takes = length > 0 ? (size_t)length : 1;

        if (length > 0 && utf8_hides(text + i, takes)) {
            (void)add_seen(&buffer, text + i, takes);
        } else {
            buffer_add(&buffer, text + i, takes);
        }
        i += takes;
    }
    buffer_add_json_string(line, shown, buffer.size);
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
        add_string(line, value, size - name - 1);
    }
}

/* A tenant's own name may end in a colon: facts go on behind it where one follows. */
static bool is_last_fact(const char *word, size_t size)
{
    const char *next = word + size + strspn(word + size, " ");
    bool is_tenant = strncmp(word, "tenant=", strlen("tenant=")) == 0;

    return size > 0 && word[size - 1] == ':' &&
           !(is_tenant && next[strspn(next, NAME_CHARACTERS)] == '=');
}

static void add_facts(struct buffer *line, const char *message)
{
    bool ends = false;

    while (!ends && *message != '\0') {
        size_t size = strcspn(message, " ");

        ends = is_last_fact(message, size);
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
    add_string(line, message, strlen(message));
    add_facts(line, message);
    buffer_add_char(line, '}');
}

/* ---- either ---- */

static void (*const writers[])(struct buffer *line, enum log_level level,
                               const char *message) = {
    [LOG_TEXT] = add_text,
    [LOG_JSON] = add_json,
};

/* Returns whether it fits. */
static bool write_whole(enum log_level level, const char *message)
{
    char bytes[PIPE_BUF];
    struct buffer line = BUFFER_OVER(bytes);

    writers[state.manner.format](&line, level, message);
    buffer_add_char(&line, '\n');
    if (buffer_error(&line) == 0) {
        ssize_t written = write(STDERR_FILENO, line.data, line.size);

        (void)written; /* or nobody is left to be told */
    }
    return buffer_error(&line) == 0;
}

/* One write per line, of what a pipe takes at once or not at all (pipe(7), PIPE_BUF): so
 * lines of several processes do not mix, and a pipe that has any room is not waited for.
 * Escaped, and in JSON much of it twice, a message may be longer: it is cut. */
static void put_line(enum log_level level, const char *message)
{
    char cut[LIMIT_LOG_LINE];
    size_t size = strlen(message);

    while (!write_whole(level, message) && size > 0) {
        size = utf8_whole(message, size * 3 / 4);
        memmove(cut, message, size);
        cut[size] = '\0';
        message = cut;
    }
}

#define PATIENCE_MS 10 /* before the first line that is left out */

/* Who reads the log and stands still is not waited for: a relay that did would give no
 * sign of life, and a supervisor would replace nobody. */
static bool is_read(void)
{
    struct pollfd log = {.fd = STDERR_FILENO, .events = POLLOUT};

    return poll(&log, 1, state.lost == 0 ? PATIENCE_MS : 0) != 0;
}

static void write_line(enum log_level level, const char *message)
{
    if (!is_read()) {
        state.lost++;
        return;
    }
    if (state.lost > 0) {
        char words[96];

        (void)snprintf(words, sizeof(words),
                       "%llu lines of the log are lost: nobody has read it", state.lost);
        state.lost = 0;
        put_line(LOG_WARNING, words);
        if (!is_read()) { /* that was all the room */
            state.lost++;
            return;
        }
    }
    put_line(level, message);
}

void log_event(enum log_level level, const char *format, ...)
{
    char message[LIMIT_LOG_LINE];
    va_list args;

    if (level > state.manner.most) {
        return;
    }
    va_start(args, format);
    if (vsnprintf(message, sizeof(message), format, args) >= (int)sizeof(message)) {
        message[utf8_whole(message, sizeof(message) - 1)] = '\0';
    }
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
