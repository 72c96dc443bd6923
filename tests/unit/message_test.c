/* SPDX-License-Identifier: MIT */
/*
 * Messages between processes: each type travels with its fds; what has the wrong size,
 * the wrong number of fds or no permission is refused, and its fds do not stay open. Run
 * by ctest, over socket pairs of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "common/message.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define EVERYTHING UINT32_MAX
#define bit(type)  (1u << (type))

static const struct {
    const char *name;
    size_t size;
    int fds;
} rows[MESSAGE_COUNT] = {
#define ROW(id, payload, fds) [MESSAGE_##id] = {#id, sizeof(payload), fds},
    MESSAGES(ROW)
#undef ROW
};

static int ends[2];
static int spare[LIMIT_FDS + 1]; /* fds to send */

static int setup(void **state)
{
    for (size_t i = 0; i < array_size(spare); i++) {
        spare[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    return message_pair(ends);
}

static int teardown(void **state)
{
    for (size_t i = 0; i < array_size(spare); i++) {
        close_fd(&spare[i]);
    }
    close_fd(&ends[0]);
    close_fd(&ends[1]);
    return 0;
}

static int count_fds(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int count = 0;

    assert_non_null(folder);
    while (readdir(folder) != NULL) {
        count++;
    }
    assert_int_equal(closedir(folder), 0);
    return count;
}

static void every_type_travels(void **state)
{
    union message_payload payload;
    struct message message;

    memset(&payload, 'p', sizeof(payload));
    for (int type = 1; type < MESSAGE_COUNT; type++) {
        struct stat sent, received;
        int before = count_fds();

        assert_string_equal(message_type_name((enum message_type)type), rows[type].name);
        assert_int_equal(message_send(ends[0], (enum message_type)type, &payload, spare),
                         0);
        assert_int_equal(message_receive(ends[1], bit(type), &message), 1);
        assert_int_equal(message.type, type);
        assert_memory_equal(&message.payload, &payload, rows[type].size);
        assert_int_equal(count_fds(), before + rows[type].fds);
        for (int i = 0; i < LIMIT_FDS; i++) {
            if (i >= rows[type].fds) {
                assert_int_equal(message.fds[i], -1);
                continue;
            }
            assert_true((fcntl(message.fds[i], F_GETFD) & FD_CLOEXEC) != 0);
            assert_int_equal(fstat(message.fds[i], &received), 0);
            assert_int_equal(fstat(spare[i], &sent), 0);
            assert_int_equal(sent.st_ino, received.st_ino);
        }
        message_done(&message);
        message_done(&message); /* twice is harmless */
        assert_int_equal(count_fds(), before);
    }
    assert_string_equal(message_type_name(MESSAGE_NONE), "?");
    assert_string_equal(message_type_name(MESSAGE_COUNT), "?");
}

static void what_is_not_permitted_is_refused(void **state)
{
    union message_payload payload;
    struct message message;

    memset(&payload, 0, sizeof(payload));
    for (int type = 1; type < MESSAGE_COUNT; type++) {
        int before = count_fds();

        assert_int_equal(message_send(ends[0], (enum message_type)type, &payload, spare),
                         0);
        assert_int_equal(message_receive(ends[1], EVERYTHING & ~bit(type), &message),
                         -EBADMSG);
        assert_int_equal(message.type, MESSAGE_NONE);
        assert_int_equal(count_fds(), before);
    }
}

static void fds_are_taken(void **state)
{
    const struct message_link link = {.slot = 3};
    struct message message;
    autoclose int mine = -1;

    assert_int_equal(message_send(ends[0], MESSAGE_LINK, &link, spare), 0);
    assert_int_equal(message_receive(ends[1], EVERYTHING, &message), 1);
    mine = steal_fd(&message.fds[0]);
    message_done(&message);
    assert_true(fcntl(mine, F_GETFD) >= 0);
}

/* From the lowest number on that is free. */
static void forbid_fds(struct rlimit *ret_before)
{
    int lowest = dup(0);
    struct rlimit none;

    assert_true(lowest >= 0);
    assert_int_equal(close(lowest), 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, ret_before), 0);
    none = (struct rlimit){(rlim_t)lowest, ret_before->rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
}

static void fds_for_which_there_is_no_room(void **state)
{
    const struct message_forked forked = {.sandbox = 7};
    const struct message_request request = {.sandbox = 8};
    struct rlimit before;
    struct message message;
    int count = count_fds(), results[2];
    uint64_t numbers[2];

    assert_int_equal(message_send(ends[0], MESSAGE_FORKED, &forked, spare), 0);
    assert_int_equal(message_send(ends[0], MESSAGE_REQUEST, &request, spare), 0);
    forbid_fds(&before);
    results[0] = message_receive(ends[1], EVERYTHING, &message);
    numbers[0] = message.payload.FORKED_.sandbox;
    results[1] = message_receive(ends[1], EVERYTHING, &message);
    numbers[1] = message.payload.REQUEST_.sandbox;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(results[0], -EMFILE);
    assert_int_equal(results[1], -EMFILE);
    assert_int_equal(message.type, MESSAGE_REQUEST);
    assert_int_equal(numbers[0], 7);
    assert_int_equal(numbers[1], 8);
    assert_int_equal(count_fds(), count);
}

/* A packet as no peer of the same build sends it. */
struct packet {
    uint16_t type, flags;
    uint32_t length;
    char payload[32000];
};

static void send_packet(struct packet *packet, size_t size, int fds)
{
    union {
        char bytes[CMSG_SPACE(sizeof(spare))];
        struct cmsghdr aligned;
    } control = {0};
    struct iovec part = {packet, size};
    struct msghdr envelope = {.msg_iov = &part, .msg_iovlen = 1};

    if (fds > 0) {
        envelope.msg_control = control.bytes;
        envelope.msg_controllen = CMSG_SPACE((size_t)fds * sizeof(int));
        control.aligned.cmsg_level = SOL_SOCKET;
        control.aligned.cmsg_type = SCM_RIGHTS;
        control.aligned.cmsg_len = CMSG_LEN((size_t)fds * sizeof(int));
        memcpy(CMSG_DATA(&control.aligned), spare, (size_t)fds * sizeof(int));
    }
    assert_int_equal(sendmsg(ends[0], &envelope, 0), size);
}

/* clang-format off */
static const struct {
    const char *name;
    int type;
    unsigned flags;
    int more_length, more_size; /* than the row says */
    int fds;
    int result;
} packets[] = {
    {"as it should be", MESSAGE_LINK, 0, 0, 0, 1, 1},
    {"no fd", MESSAGE_LINK, 0, 0, 0, 0, -EBADMSG},
    {"two fds", MESSAGE_LINK, 0, 0, 0, 2, -EBADMSG},
    {"five fds", MESSAGE_LINK, 0, 0, 0, 5, -EBADMSG},
    {"three fds", MESSAGE_REQUEST, 0, 0, 0, 3, 1},
    {"four fds", MESSAGE_REQUEST, 0, 0, 0, 4, -EBADMSG},
    {"five fds where three belong", MESSAGE_REQUEST, 0, 0, 0, 5, -EBADMSG},
    {"an fd where none belongs", MESSAGE_START, 0, 0, 0, 1, -EBADMSG},
    {"flags", MESSAGE_START, 1, 0, 0, 0, -EBADMSG},
    {"length too small", MESSAGE_START, 0, -1, 0, 0, -EBADMSG},
    {"length too large", MESSAGE_START, 0, 1, 0, 0, -EBADMSG},
    {"packet too short", MESSAGE_START, 0, 0, -1, 0, -EBADMSG},
    {"packet too long", MESSAGE_START, 0, 0, 1, 0, -EBADMSG},
    {"both too short", MESSAGE_START, 0, -8, -8, 0, -EBADMSG},
    {"both too long", MESSAGE_START, 0, 8, 8, 0, -EBADMSG},
    {"longer than any message", MESSAGE_SETUP, 0, 0, 10000, 0, -EBADMSG},
    {"type 0", MESSAGE_NONE, 0, 0, 0, 0, -EBADMSG},
    {"type beyond the last", MESSAGE_COUNT, 0, 0, 0, 0, -EBADMSG},
    {"type beyond the bits of the set", 33, 0, 0, 0, 0, -EBADMSG},
    {"the largest type", 65535, 0, 0, 0, 1, -EBADMSG},
};
/* clang-format on */

static void hostile_packets(void **state)
{
    static struct packet packet;

    for (size_t i = 0; i < array_size(packets); i++) {
        int before = count_fds();
        size_t size =
            packets[i].type < MESSAGE_COUNT ? rows[packets[i].type].size : sizeof(int);
        struct message message;
        int result;

        packet.type = (uint16_t)packets[i].type;
        packet.flags = (uint16_t)packets[i].flags;
        packet.length = (uint32_t)((int)size + packets[i].more_length);
        send_packet(&packet, 8 + (size_t)((int)size + packets[i].more_size),
                    packets[i].fds);
        result = message_receive(ends[1], EVERYTHING, &message);
        if (result != packets[i].result) {
            fail_msg("%s: %d", packets[i].name, result);
        }
        message_done(&message);
        if (count_fds() != before) {
            fail_msg("%s: fds stay open", packets[i].name);
        }
    }
}

static void shorter_than_a_header(void **state)
{
    static struct packet packet = {.type = MESSAGE_DRAIN};
    struct message message;

    for (size_t size = 1; size < 8; size++) {
        int before = count_fds();

        send_packet(&packet, size, (int)size % 5);
        assert_int_equal(message_receive(ends[1], EVERYTHING, &message), -EBADMSG);
        assert_int_equal(count_fds(), before);
    }
}

static void ends_of_a_connection(void **state)
{
    const struct message_drain drain = {0};
    struct message message;

    assert_int_equal(message_receive(ends[1], EVERYTHING, &message), -EAGAIN);
    assert_int_equal(message_send(ends[0], MESSAGE_DRAIN, &drain, NULL), 0);
    close_fd(&ends[0]);
    assert_int_equal(message_receive(ends[1], EVERYTHING, &message), 1);
    assert_int_equal(message_receive(ends[1], EVERYTHING, &message), 0);
    assert_int_equal(message_send(ends[1], MESSAGE_DRAIN, &drain, NULL), -EPIPE);
}

static void a_peer_that_does_not_read(void **state)
{
    const struct message_drain drain = {0};
    int result = 0;

    for (int i = 0; i < 100000 && result == 0; i++) {
        result = message_send(ends[0], MESSAGE_DRAIN, &drain, NULL);
    }
    assert_int_equal(result, -EAGAIN);
}

#define with_pair(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_pair(every_type_travels),   with_pair(what_is_not_permitted_is_refused),
        with_pair(fds_are_taken),        with_pair(fds_for_which_there_is_no_room),
        with_pair(hostile_packets),      with_pair(shorter_than_a_header),
        with_pair(ends_of_a_connection), with_pair(a_peer_that_does_not_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
