/* SPDX-License-Identifier: MIT */
/*
 * The table of a job's fields, its limits, and the inbox. The relay fills inboxes, the
 * sandbox reads them (and is told nothing there that it could not know); the command and
 * the Functions library check fields before a job exists.
 */
#include "common/job.h"

#include "common/fd.h"
#include "common/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define LIMIT_AT(member) (int)offsetof(struct job_limits, member)

const struct job_field job_fields[] = {
    {"entry", JOB_FIELD_TEXT, 0, LIMIT_ENTRY, "", "", "ENTRY",
     "what to run: module, module:function, or a path in the ZIP", -1},
    {"argv", JOB_FIELD_TEXT, 0, LIMIT_ARGV, "", "", "LINES",
     "arguments of the program, one per line", -1},
    {"stdin", JOB_FIELD_BYTES, 0, LIMIT_STDIN, "", "", "TEXT",
     "what input() and sys.stdin read", -1},
    {"host", JOB_FIELD_TEXT, 0, LIMIT_HOST, "", "", "TEXT",
     "what the pool's host modules, such as a simulator, are told of this job", -1},
    {"live_input", JOB_FIELD_NUMBER, 0, 1, "0", "", "[=0|1]",
     "1: after stdin it waits for what is sent while it runs", LIMIT_AT(live_input)},
    {"source", JOB_FIELD_CHOICE, 0, 0, "zip", "zip py", "KIND",
     "what was uploaded: a ZIP, or one bare .py whose name is entry", -1},
    {"trace", JOB_FIELD_CHOICE, 0, 0, "off", "off calls lines steps", "LEVEL",
     "what to record of the program's own functions", LIMIT_AT(trace)},
    {"encoding", JOB_FIELD_CHOICE, 0, 0, "binary", "binary json", "FORM",
     "json: the recording is lines of JSON; with trace off or calls", LIMIT_AT(encoding)},
    {"tabs", JOB_FIELD_CHOICE, 0, 0, "strict", "strict 8", "HOW",
     "8: sources that mix tabs and spaces are read as Python 2 read them",
     LIMIT_AT(tabs)},
    {"tenant", JOB_FIELD_NAME, 1, 64, "default", "", "NAME",
     "whose job it is: tenants get their turns fairly", -1},
    {"priority", JOB_FIELD_CHOICE, 0, 0, "normal", "interactive normal batch", "CLASS",
     "how often its jobs have their turn while others wait: 16, 4 and 1 times in 21", -1},
    {"replace", JOB_FIELD_NUMBER, 0, 1, "0", "", "[=0|1]",
     "1: cancels the jobs of its tenant that still wait, 200 at most", -1},
    {"meta", JOB_FIELD_TEXT, 0, 4096, "", "", "TEXT",
     "kept with the job and returned as it is", -1},
    {"cpu_ms", JOB_FIELD_NUMBER, 10, 600000, "5000", "", "MS",
     "computing time, of all its threads", LIMIT_AT(cpu_ms)},
    {"wall_ms", JOB_FIELD_NUMBER, 10, 3600000, "10000", "", "MS",
     "time from start to end", LIMIT_AT(wall_ms)},
    {"memory_mb", JOB_FIELD_NUMBER, 16, 65536, "256", "", "MB", "memory",
     LIMIT_AT(memory_mb)},
    {"output_kb", JOB_FIELD_NUMBER, 1, 1048576, "1024", "", "KB", "what it may print",
     LIMIT_AT(output_kb)},
    {"recording_kb", JOB_FIELD_NUMBER, 64, 1048576, "2048", "", "KB",
     "trace kept in full; beyond it the last 64 KB", LIMIT_AT(recording_kb)},
    {"delay_ms", JOB_FIELD_NUMBER, 0, 604800000, "0", "", "MS",
     "not before so long from now", -1},
    {"max_wait_s", JOB_FIELD_NUMBER, 1, 604800, "600", "", "S",
     "expires when it waited so long", -1},
    {"keep_s", JOB_FIELD_NUMBER, 1, 2592000, "3600", "", "S",
     "how long its result is kept", -1},
};
const size_t job_field_count = array_size(job_fields);

const char *const job_trace_names[] = {"off", "calls", "lines", "steps", NULL};

const struct job_field *job_field_by_name(const char *name)
{
    for (size_t i = 0; i < job_field_count; i++) {
        if (strcmp(job_fields[i].name, name) == 0) {
            return &job_fields[i];
        }
    }
    return NULL;
}

bool job_field_is_switch(const struct job_field *field)
{
    return field->type == JOB_FIELD_NUMBER && field->min == 0 && field->max == 1;
}

/* ---- checks, one per type ---- */

static int parse_number(const char *value, size_t size, int64_t *ret)
{
    int64_t number = 0;

    if (size == 0 || size > 18) {
        return -EINVAL;
    }
    for (size_t i = 0; i < size; i++) {
        if (value[i] < '0' || value[i] > '9') {
            return -EINVAL;
        }
        number = number * 10 + (value[i] - '0');
    }
    *ret = number;
    return 0;
}

static bool check_text(const struct job_field *field, const char *value, size_t size)
{
    return size <= (size_t)field->max && memchr(value, '\0', size) == NULL;
}

static bool check_bytes(const struct job_field *field, const char *value, size_t size)
{
    return size <= (size_t)field->max;
}

static bool check_number(const struct job_field *field, const char *value, size_t size)
{
    int64_t number;

    return parse_number(value, size, &number) == 0 && number >= field->min &&
           number <= field->max;
}

/* Is `value` one of the words of `choices`? Returns its index, or -1. */
static int choice_index(const char *choices, const char *value, size_t size)
{
    int index = 0;

    while (*choices != '\0') {
        size_t length = strcspn(choices, " ");

        if (length == size && memcmp(choices, value, size) == 0) {
            return index;
        }
        choices += length + (choices[length] == ' ');
        index++;
    }
    return -1;
}

static bool check_choice(const struct job_field *field, const char *value, size_t size)
{
    return size > 0 && choice_index(field->choices, value, size) >= 0;
}

static bool check_name(const struct job_field *field, const char *value, size_t size)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:-";

    for (size_t i = 0; i < size; i++) {
        if (value[i] == '\0' || strchr(allowed, value[i]) == NULL) {
            return false;
        }
    }
    return size >= (size_t)field->min && size <= (size_t)field->max;
}

static void say_text(const struct job_field *field, struct buffer *why)
{
    buffer_printf(why, "a text of at most %lld bytes", (long long)field->max);
}

static void say_number(const struct job_field *field, struct buffer *why)
{
    buffer_printf(why, "a whole number from %lld to %lld", (long long)field->min,
                  (long long)field->max);
}

static void say_choice(const struct job_field *field, struct buffer *why)
{
    buffer_printf(why, "one of: %s", field->choices);
}

static void say_name(const struct job_field *field, struct buffer *why)
{
    buffer_printf(why, "a name of at most %lld letters, digits and _.:-",
                  (long long)field->max);
}

static const struct {
    bool (*check)(const struct job_field *field, const char *value, size_t size);
    void (*say)(const struct job_field *field, struct buffer *why);
} types[] = {
    [JOB_FIELD_TEXT] = {check_text, say_text},
    [JOB_FIELD_BYTES] = {check_bytes, say_text},
    [JOB_FIELD_NUMBER] = {check_number, say_number},
    [JOB_FIELD_CHOICE] = {check_choice, say_choice},
    [JOB_FIELD_NAME] = {check_name, say_name},
};

int job_field_check(const struct job_field *field, const char *value, size_t size,
                    struct buffer *why)
{
    if (types[field->type].check(field, value, size)) {
        return 0;
    }
    if (why != NULL) {
        buffer_printf(why, "%s takes ", field->name);
        job_field_say(field, why);
    }
    return -EINVAL;
}

void job_field_say(const struct job_field *field, struct buffer *to)
{
    types[field->type].say(field, to);
}

/* ---- limits ---- */

int job_limits_set(struct job_limits *limits, const char *name, const char *value)
{
    const struct job_field *field = job_field_by_name(name);
    int64_t number;

    if (field == NULL || field->offset < 0) {
        return 0;
    }
    if (job_field_check(field, value, strlen(value), NULL) < 0) {
        return -EINVAL;
    }
    if (field->type == JOB_FIELD_CHOICE) {
        number = choice_index(field->choices, value, strlen(value));
    } else if (parse_number(value, strlen(value), &number) < 0) {
        return -EINVAL;
    }
    memcpy((char *)limits + field->offset, &number, sizeof(number));
    return 0;
}

void job_limits_agree(struct job_limits *limits)
{
    if (limits->encoding == JOB_ENCODING_JSON && limits->trace > JOB_TRACE_CALLS) {
        limits->trace = JOB_TRACE_CALLS;
    }
}

struct job_limits job_limits_default(void)
{
    struct job_limits limits = {0};

    for (size_t i = 0; i < job_field_count; i++) {
        if (job_limits_set(&limits, job_fields[i].name, job_fields[i].initial) < 0) {
            abort(); /* a default outside its own range is a bug in the table */
        }
    }
    return limits;
}

/* ---- the inbox ---- */

int job_inbox_create(int *ret_fd)
{
    int fd = memfd_create("paddock-inbox", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0) {
        return -errno;
    }
    *ret_fd = fd;
    return 0;
}

static int write_parts(int fd, const struct job_part_bytes parts[JOB_PART_COUNT])
{
    for (int i = 0; i < JOB_PART_COUNT; i++) {
        int error = fd_write_full(fd, parts[i].bytes, parts[i].size);

        if (error < 0) {
            return error;
        }
    }
    return 0;
}

int job_inbox_fill(int fd, uint32_t attempt, const struct job_limits *limits,
                   const struct job_part_bytes parts[JOB_PART_COUNT])
{
    struct job_inbox inbox = {
        .magic = JOB_INBOX_MAGIC, .attempt = attempt, .limits = *limits};
    uint64_t offset = sizeof(inbox);
    int error;

    for (int i = 0; i < JOB_PART_COUNT; i++) {
        inbox.parts[i].offset = offset;
        inbox.parts[i].size = parts[i].size;
        if (parts[i].size > JOB_INBOX_MAX - offset) {
            return -E2BIG;
        }
        offset += parts[i].size;
    }
    error = fd_write_full(fd, &inbox, sizeof(inbox));
    if (error == 0) {
        error = write_parts(fd, parts);
    }
    if (error == 0 &&
        fcntl(fd, F_ADD_SEALS,
              F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0) {
        error = -errno;
    }
    return error;
}

int job_inbox_map(int fd, const struct job_inbox **ret)
{
    /* Longer than the file is now: what is beyond its end may be read once it is filled.
     */
    void *mapping = mmap(NULL, JOB_INBOX_MAX, PROT_READ, MAP_PRIVATE, fd, 0);

    if (mapping == MAP_FAILED) {
        return -errno;
    }
    *ret = mapping;
    return 0;
}

struct job_part_bytes job_inbox_part(const struct job_inbox *inbox, enum job_part part)
{
    return (struct job_part_bytes){(const char *)inbox + inbox->parts[part].offset,
                                   inbox->parts[part].size};
}
