/* SPDX-License-Identifier: MIT */
/*
 * paddock-metrics. Theory of operation:
 *
 * It tells Prometheus, and whoever wants to know whether the pool is well, what stands in
 * the scoreboard. The supervisor starts it and gives it two fds: a socket that listens,
 * and the scoreboard, which it maps to be read. That is all that it has: it gives up its
 * user and every right that it can before the first request, so that whoever finds a
 * hole in it reads figures. HTTP is libmicrohttpd's, in a thread of its own; the main
 * thread waits for the supervisor's end.
 *
 * GET /metrics: text for Prometheus. GET /health: 200 and "ok", or 503 and why not.
 */
#include "common/clock.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/message.h"
#include "common/role.h"
#include "common/scoreboard.h"
#include "supervisor/metrics/exposition.h"

#include <errno.h>
#include <grp.h>
#include <microhttpd.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define CONNECTIONS 128
#define OF_ONE      8 /* address: who holds his open shuts out nobody else */
#define TIMEOUT_S   10
#define ANSWER_MAX  MIB(1)
#define NOBODY      65534

/* ---- pages ---- */

struct page {
    const char *path, *type;
    unsigned (*write)(const struct scoreboard *board, struct buffer *to);
};

static unsigned write_metrics(const struct scoreboard *board, struct buffer *to)
{
    exposition_metrics(board, clock_now_ms(), to);
    return MHD_HTTP_OK;
}

static unsigned write_health(const struct scoreboard *board, struct buffer *to)
{
    return exposition_health(board, clock_now_ms(), to) ? MHD_HTTP_OK
                                                        : MHD_HTTP_SERVICE_UNAVAILABLE;
}

static unsigned write_index(const struct scoreboard *board, struct buffer *to)
{
    buffer_add_text(to, "/metrics: for Prometheus\n/health: 200 where a job would run\n");
    return MHD_HTTP_OK;
}

static const struct page pages[] = {
    {"/metrics", "text/plain; version=0.0.4; charset=utf-8", write_metrics},
    {"/health", "text/plain; charset=utf-8", write_health},
    {"/", "text/plain; charset=utf-8", write_index},
};

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status,
                              const char *type, struct buffer *text)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(
        text->size, text->data != NULL ? text->data : (void *)(uintptr_t) "",
        MHD_RESPMEM_MUST_COPY);
    enum MHD_Result result;

    if (response == NULL) {
        return MHD_NO;
    }
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED) {
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    }
    result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result refuse(struct MHD_Connection *connection, unsigned status,
                              const char *sentence)
{
    autobuffer struct buffer text = BUFFER_INIT(256);

    buffer_printf(&text, "%s\n", sentence);
    return answer(connection, status, "text/plain; charset=utf-8", &text);
}

static bool is_get(const char *method)
{
    return strcmp(method, MHD_HTTP_METHOD_GET) == 0 ||
           strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
}

/* Called once when the head of a request is there, and again with its body. */
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection,
                                  const char *url, const char *method,
                                  const char *version, const char *body, size_t *size,
                                  void **request)
{
    const struct scoreboard *board = context;
    autobuffer struct buffer text = BUFFER_INIT(ANSWER_MAX);

    if (!is_get(method)) {
        return refuse(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD");
    }
    if (*request == NULL) {
        *request = context;
        return MHD_YES;
    }
    for (size_t i = 0; i < array_size(pages); i++) {
        if (strcmp(url, pages[i].path) == 0) {
            unsigned status = pages[i].write(board, &text);

            return answer(connection, status, pages[i].type, &text);
        }
    }
    return refuse(connection, MHD_HTTP_NOT_FOUND, "there are /metrics and /health");
}

/* ---- set-up ---- */

static int receive_setup(struct message *message)
{
    struct pollfd peer = {.fd = ROLE_PEER, .events = POLLIN};

    if (poll(&peer, 1, 10000) == 1 &&
        message_receive(ROLE_PEER, 1u << MESSAGE_METRICS, message) == 1) {
        log_open("metrics", message->payload.METRICS_.log);
        return ROLE_EXIT_OK;
    }
    log_error("no set-up came; this program is started by paddock-supervisor");
    return ROLE_EXIT_CONFIG;
}

/* Once the thread is there nothing more is needed of the machine. */
static int give_up_rights(void)
{
    static const struct {
        int resource;
        rlim_t most;
    } limits[] = {
        {RLIMIT_CORE, 0},
        {RLIMIT_NPROC, 0},
        {RLIMIT_NOFILE, CONNECTIONS + 32},
    };

    for (size_t i = 0; i < array_size(limits); i++) {
        const struct rlimit limit = {limits[i].most, limits[i].most};

        if (setrlimit((__rlimit_resource_t)limits[i].resource, &limit) != 0) {
            return -errno;
        }
    }
    if (geteuid() == 0 &&
        (setgroups(0, NULL) != 0 || setresgid(NOBODY, NOBODY, NOBODY) != 0 ||
         setresuid(NOBODY, NOBODY, NOBODY) != 0)) {
        return -errno;
    }
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
                   prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0
               ? 0
               : -errno;
}

static struct MHD_Daemon *serve(int listener, struct scoreboard *board)
{
    return MHD_start_daemon(
        MHD_USE_POLL_INTERNAL_THREAD, 0, NULL, NULL, on_request, board,
        MHD_OPTION_LISTEN_SOCKET, listener, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)CONNECTIONS, MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned)OF_ONE,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)TIMEOUT_S, MHD_OPTION_END);
}

static void wait_for_end(void)
{
    struct pollfd peer = {.fd = ROLE_PEER, .events = POLLIN};

    while (poll(&peer, 1, -1) < 0 && errno == EINTR) {
    }
}

static int run(struct message *setup)
{
    const struct message_ready ready = {.version = MESSAGE_VERSION};
    struct scoreboard *board = NULL;
    struct MHD_Daemon *daemon = NULL;
    int error = scoreboard_map(setup->fds[1], false, &board);

    if (error == 0) {
        daemon = serve(setup->fds[0], board);
        error = daemon == NULL ? -EIO : give_up_rights();
    }
    if (error == 0) {
        error = message_send(ROLE_PEER, MESSAGE_READY, &ready, NULL);
    }
    if (error < 0) {
        (void)log_failure(error, "unable to serve figures");
        return ROLE_EXIT_SYSTEM;
    }
    wait_for_end();
    return ROLE_EXIT_OK; /* what is under way is not waited for */
}

int main(int argc, char **argv)
{
    struct message setup;
    int code;

    if (fd_open_standard() < 0) {
        return ROLE_EXIT_SYSTEM;
    }
    if (argc > 1) {
        (void)fprintf(stderr, "usage: paddock-metrics\nStarted by paddock-supervisor.\n");
        return strcmp(argv[1], "--help") == 0 ? ROLE_EXIT_OK : ROLE_EXIT_USAGE;
    }
    log_open("metrics", (struct log_manner){LOG_INFO, LOG_TEXT, ""});
    (void)prctl(PR_SET_NAME, "paddock-metrics");
    code = receive_setup(&setup);
    return code == ROLE_EXIT_OK ? run(&setup) : code;
}
