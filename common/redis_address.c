/* SPDX-License-Identifier: MIT */
/* Addresses of Redis. Runs at start-up of the supervisor, the relay and the command, on
 * what the operator wrote. */
#include "common/redis_address.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int refuse(struct buffer *why, const char *sentence)
{
    if (why != NULL) {
        buffer_printf(
            why,
            "%s; write unix:/PATH, HOST:PORT or redis://[USER:PASSWORD@]HOST[:PORT][/DB]",
            sentence);
    }
    return -EINVAL;
}

/* Copies `size` bytes of `from`; false if they do not fit. */
static bool copy(char *to, size_t room, const char *from, size_t size)
{
    if (size >= room) {
        return false;
    }
    memcpy(to, from, size);
    to[size] = '\0';
    return true;
}

static bool is_number(const char *text, size_t size, long least, long most)
{
    long number = 0;

    if (size == 0 || size > 5) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        number = number * 10 + (text[i] - '0');
    }
    return number >= least && number <= most;
}

static int parse_unix(const char *path, struct redis_address *ret, struct buffer *why)
{
    ret->is_unix = true;
    if (*path != '/' || !copy(ret->host, 108, path, strlen(path))) {
        return refuse(why,
                      "the path of a Unix socket is absolute and has at most 107 bytes");
    }
    return 0;
}

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *found = c != '\0' ? strchr(digits, c | 0x20) : NULL;

    return found != NULL ? (int)(found - digits) : -1;
}

/* In a URL "%40" is "@": so a password can hold what the URL itself is made of. */
static void percent_decode(char *text)
{
    char *to = text;

    for (const char *from = text; *from != '\0'; from++) {
        bool coded = *from == '%' && hex_digit(from[1]) >= 0 && hex_digit(from[2]) >= 0;

        *to++ = coded ? (char)(hex_digit(from[1]) * 16 + hex_digit(from[2])) : *from;
        from += coded ? 2 : 0;
    }
    *to = '\0';
}

/* USER:PASSWORD, or PASSWORD behind a colon alone. */
static int parse_login(const char *text, size_t size, struct redis_address *ret,
                       struct buffer *why)
{
    const char *colon = memchr(text, ':', size);

    if (colon == NULL ||
        !copy(ret->user, sizeof(ret->user), text, (size_t)(colon - text)) ||
        !copy(ret->password, sizeof(ret->password), colon + 1,
              size - (size_t)(colon + 1 - text))) {
        return refuse(why, "a login is USER:PASSWORD@");
    }
    percent_decode(ret->user);
    percent_decode(ret->password);
    return 0;
}

static int parse_host(const char *text, size_t size, struct redis_address *ret,
                      struct buffer *why)
{
    const char *bracket = memrchr(text, ']', size); /* of an IPv6 address, with colons */
    size_t skip = bracket != NULL ? (size_t)(bracket - text) : 0;
    const char *colon = memrchr(text + skip, ':', size - skip);
    size_t host = colon != NULL ? (size_t)(colon - text) : size;

    memcpy(ret->port, "6379", 5);
    if (colon != NULL) {
        size_t port = size - host - 1;

        if (!is_number(colon + 1, port, 1, 65535) ||
            !copy(ret->port, sizeof(ret->port), colon + 1, port)) {
            return refuse(why, "a port is a number from 1 to 65535");
        }
    }
    if (host >= 2 && text[0] == '[' && text[host - 1] == ']') {
        text++;
        host -= 2;
    }
    if (memchr(text, '[', host) != NULL || memchr(text, ']', host) != NULL) {
        return refuse(why, "an IPv6 address stands in [ and ]");
    }
    if (host == 0 || !copy(ret->host, sizeof(ret->host), text, host)) {
        return refuse(why, "there is no host");
    }
    return 0;
}

static int parse_url(const char *text, struct redis_address *ret, struct buffer *why)
{
    const char *at = strrchr(text, '@');
    const char *slash;
    int error = 0;

    if (at != NULL) {
        error = parse_login(text, (size_t)(at - text), ret, why);
        text = at + 1;
    }
    if (error < 0) {
        return error;
    }
    slash = strchr(text, '/');
    if (slash != NULL && slash[1] != '\0') {
        if (!is_number(slash + 1, strlen(slash + 1), 0, 9999)) {
            return refuse(why, "a database is a number");
        }
        (void)copy(ret->database, sizeof(ret->database), slash + 1, strlen(slash + 1));
    }
    return parse_host(text, slash != NULL ? (size_t)(slash - text) : strlen(text), ret,
                      why);
}

static const struct {
    const char *scheme;
    int (*parse)(const char *text, struct redis_address *ret, struct buffer *why);
} schemes[] = {{"unix:", parse_unix}, {"redis://", parse_url}};

int redis_address_parse(const char *text, struct redis_address *ret, struct buffer *why)
{
    *ret = (struct redis_address){0};
    for (size_t i = 0; i < array_size(schemes); i++) {
        size_t length = strlen(schemes[i].scheme);

        if (strncmp(text, schemes[i].scheme, length) == 0) {
            return schemes[i].parse(text + length, ret, why);
        }
    }
    if (strstr(text, "://") != NULL) {
        return refuse(why, "the address of Redis is of a kind that is not known");
    }
    return parse_host(text, strlen(text), ret, why);
}

void redis_address_print(const struct redis_address *address, struct buffer *to)
{
    if (address->is_unix) {
        buffer_printf(to, "unix:%s", address->host);
    } else if (strchr(address->host, ':') != NULL) {
        buffer_printf(to, "[%s]:%s", address->host, address->port);
    } else {
        buffer_printf(to, "%s:%s", address->host, address->port);
    }
}
