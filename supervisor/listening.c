/* SPDX-License-Identifier: MIT */
/* Opening a port for a child. Runs in the supervisor, which serves nobody itself. */
#include "supervisor/listening.h"

#include "common/number.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 16

struct place {
    char host[256], port[8];
};

static int refuse(const char *address, struct buffer *why)
{
    buffer_printf(why,
                  "metrics %s: takes HOST:PORT, for example 127.0.0.1:9464 or [::1]:9464",
                  address);
    return -EINVAL;
}

static int split(const char *address, struct place *ret, struct buffer *why)
{
    const char *colon = strrchr(address, ':');
    bool bracketed = *address == '[';
    size_t length = colon != NULL ? (size_t)(colon - address) : 0;
    int64_t port;

    if (bracketed && length > 2 && address[length - 1] == ']') {
        address++;
        length -= 2;
    } else if (bracketed || memchr(address, ':', length) != NULL) {
        return refuse(address, why);
    }
    if (length == 0 || length >= sizeof(ret->host) ||
        number_parse(colon + 1, 1, 65535, &port) < 0) {
        return refuse(address, why);
    }
    (void)snprintf(ret->host, sizeof(ret->host), "%.*s", (int)length, address);
    (void)snprintf(ret->port, sizeof(ret->port), "%d", (int)port);
    return 0;
}

int listening_check(const char *address, struct buffer *why)
{
    struct place place;

    return split(address, &place, why);
}

static int listen_at(const struct addrinfo *at, int *ret_fd)
{
    autoclose int fd =
        socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const int on = 1;

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        bind(fd, at->ai_addr, at->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
        return -errno;
    }
    *ret_fd = steal_fd(&fd);
    return 0;
}

/* `flags`: AI_NUMERICHOST where nobody is to be asked for a name, as he may not answer.
 */
static int find(const struct place *place, int flags, struct addrinfo **ret)
{
    const struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV | flags,
                                   .ai_socktype = SOCK_STREAM};

    return getaddrinfo(place->host, place->port, &hints, ret);
}

/* Of IPv6 that is all of IPv4, too. */
static bool is_everywhere(const struct addrinfo *at)
{
    const void *address = at->ai_addr;
    const struct sockaddr_in *four = address;
    const struct sockaddr_in6 *six = address;

    return at->ai_family == AF_INET6 ? IN6_IS_ADDR_UNSPECIFIED(&six->sin6_addr)
                                     : four->sin_addr.s_addr == INADDR_ANY;
}

/* Whether one takes what the other would listen at, both at one port. NULL: a name, which
 * may be any address. */
static bool takes(const struct addrinfo *one, const struct addrinfo *other)
{
    if (one == NULL || other == NULL) {
        return one != NULL && is_everywhere(one) && one->ai_family == AF_INET6;
    }
    return (one->ai_addrlen == other->ai_addrlen &&
            memcmp(one->ai_addr, other->ai_addr, one->ai_addrlen) == 0) ||
           (is_everywhere(one) &&
            (one->ai_family == AF_INET6 || other->ai_family == AF_INET));
}

bool listening_clash(const char *one, const char *other)
{
    autobuffer struct buffer unused = BUFFER_INIT(1024);
    struct addrinfo *first = NULL, *second = NULL;
    struct place places[2];
    bool clash = false;

    if (split(one, &places[0], &unused) == 0 && split(other, &places[1], &unused) == 0 &&
        strcmp(places[0].port, places[1].port) == 0) {
        (void)find(&places[0], AI_NUMERICHOST, &first); /* else it is a name */
        (void)find(&places[1], AI_NUMERICHOST, &second);
        clash = strcasecmp(places[0].host, places[1].host) == 0 || takes(first, second) ||
                takes(second, first);
    }
    if (first != NULL) {
        freeaddrinfo(first);
    }
    if (second != NULL) {
        freeaddrinfo(second);
    }
    return clash;
}

int listening_open(const char *address, int *ret_fd, struct buffer *why)
{
    struct addrinfo *found = NULL;
    struct place place;
    int error = split(address, &place, why);

    if (error < 0) {
        return error;
    }
    error = find(&place, 0, &found);
    if (error != 0) {
        buffer_printf(why, "metrics %s: %s", address, gai_strerror(error));
        return -EADDRNOTAVAIL;
    }
    error = listen_at(found, ret_fd);
    freeaddrinfo(found);
    if (error < 0) {
        buffer_printf(why, "metrics %s: %s", address, strerror(-error));
    }
    return error;
}
