/* SPDX-License-Identifier: MIT */
/*
 * Messages between Paddock's own processes, over SOCK_SEQPACKET socketpairs: one packet
 * is one message, a fixed header and a fixed structure, with file descriptors beside it
 * where its row says so. Both ends are the same build. Each receiver has a permit table:
 * what it accepts from that peer; anything else is -EBADMSG and ends the connection. No
 * message ever comes from a sandbox.
 *
 * Who sends what (S supervisor, Z zygote, R relay, M metrics):
 *
 *   S>Z  SETUP    +fds of Python's library, and for what host modules print: once,
 *                 first: what to preload, how to lock down
 *   S>Z  GROUP    +fds of a control group's files: as many as SETUP said, right
 *                 after it
 *   Z>S  LOADING  a host module is being loaded; at the end none is
 *                 (supervisor/loading.h)
 *   Z>S  READY    locked; layers in force
 *   S>R  RELAY    +fd of the scoreboard: once, first: which Redis and queue, who
 *                 it is
 *   R>S  READY    connected to Redis, library loaded
 *   Z>S  WORN     it has forked as often as it may: to be renewed
 *   S>Z  LINK     +fd: a socket to the relay of `slot`; replaces the one before
 *   S>R  LINK     +fd: the other end; ask this zygote from now on
 *   Z>S  UNLINKED once for each LINK: it is closed, and its sandboxes are reaped
 *   S>Z  PING     every few seconds, to relays, too: does its loop turn?
 *   Z>S  PONG     it does; so do relays; who owes it for too long is replaced
 *                 (supervisor/health.h)
 *   S>R  DRAIN    finish the running job, claim no other, exit
 *   R>S  RELIEVED after DRAIN: no claim is under way any more
 *   Z>R  LINKED   first on a link: every sandbox of the slot's former link is
 *                 reaped
 *   S>M  METRICS  +fd of a socket that listens, and of the scoreboard, to be read:
 *                 once
 *   M>S  READY    serves
 *   R>Z  REQUEST  +ring, inbox, doorbell: fork a sandbox ahead of its job
 *   Z>R  FORKED   +pidfd: it exists and locks itself
 *   R>Z  START    its job begins: arm the CPU timer, set its group's limit
 *   R>Z  KILL     end it, for this cause
 *   Z>R  EXITED   reaped, with the evidence
 *   S>S  RELOAD   +fd of a copy of the configuration: from the one that keeps
 *                 several pools; the answer is a line (supervisor/command_line.h)
 *
 * EOF means that the peer is gone: a zygote kills the slot's sandboxes, a relay stops its
 * sandbox and gives back its lease, everybody exits when the supervisor is gone.
 */
#pragma once

#include "common/limits.h"
#include "common/log.h"
#include "common/share.h"
#include "common/verdict.h"

#include <stdint.h>
#include <sys/types.h>

#define MESSAGE_VERSION 16 /* bumped with any change below */

/* A control group as the zygote gets it: its files, opened by the supervisor, because
 * nothing in a sandbox's world has a path to them. Where the kernel has no such file it
 * is /dev/null: written to in vain, and read as empty. */
enum group_fd {
    GROUP_JOIN,       /* "0": the writer moves in */
    GROUP_JOIN_PIDS,  /* the same, where tasks are counted in a hierarchy of their own */
    GROUP_LIMIT,      /* bytes of memory */
    GROUP_LIMIT_SWAP, /* bytes of memory and swap, where that is one figure */
    GROUP_KILLS,      /* how many were killed for want of memory, by whatever limit */
    GROUP_HITS,       /* how often this group's own limit was met */
    GROUP_PEAK,       /* most bytes */
    GROUP_FDS,
};

/* identifier, payload structure, fds */
#define MESSAGES(M)                                                                      \
    M(SETUP, struct message_setup, 2)                                                    \
    M(GROUP, struct message_group, GROUP_FDS)                                            \
    M(RELAY, struct message_relay, 1)                                                    \
    M(LOADING, struct message_loading, 0)                                                \
    M(READY, struct message_ready, 0)                                                    \
    M(WORN, struct message_worn, 0)                                                      \
    M(LINK, struct message_link, 1)                                                      \
    M(UNLINKED, struct message_unlinked, 0)                                              \
    M(PING, struct message_ping, 0)                                                      \
    M(PONG, struct message_pong, 0)                                                      \
    M(DRAIN, struct message_drain, 0)                                                    \
    M(RELIEVED, struct message_relieved, 0)                                              \
    M(METRICS, struct message_metrics, 2)                                                \
    M(LINKED, struct message_linked, 0)                                                  \
    M(REQUEST, struct message_request, 3)                                                \
    M(FORKED, struct message_forked, 1)                                                  \
    M(START, struct message_start, 0)                                                    \
    M(KILL, struct message_kill, 0)                                                      \
    M(EXITED, struct message_exited, 0)                                                  \
    M(RELOAD, struct message_reload, 1)

enum message_type {
    MESSAGE_NONE,
#define MESSAGE_ENUM(id, payload, fds) MESSAGE_##id,
    MESSAGES(MESSAGE_ENUM)
#undef MESSAGE_ENUM
        MESSAGE_COUNT,
};

/* The layers of the sandbox, as bits: which are in force is said by READY and printed by
 * `check`. */
enum layer {
    LAYER_SECCOMP = 1 << 0,
    LAYER_RLIMITS = 1 << 1,
    LAYER_NO_NEW_PRIVS = 1 << 2,
    LAYER_UNPRIVILEGED_UID = 1 << 3,
    LAYER_CLOSED_FDS = 1 << 4,
    LAYER_NO_NETWORK = 1 << 5,
    LAYER_NO_FILESYSTEM = 1 << 6,
    LAYER_OWN_UID = 1 << 7, /* a uid per live sandbox */
    LAYER_NOTIFY = 1 << 8,  /* forbidden calls are named */
    LAYER_USER_NS = 1 << 9,
    LAYER_PID_NS = 1 << 10,
    LAYER_NET_NS = 1 << 11,
    LAYER_MOUNT_NS = 1 << 12,
    LAYER_IPC_NS = 1 << 13,
    LAYER_UTS_NS = 1 << 14,
    LAYER_EMPTY_ROOT = 1 << 15,
    LAYER_LANDLOCK = 1 << 16,
    LAYER_NOT_DUMPABLE = 1 << 17,
    LAYER_MDWE = 1 << 18,         /* memory that was writable never becomes executable */
    LAYER_MEMORY_GROUP = 1 << 19, /* a control group per live sandbox: memory */
    LAYER_PIDS_GROUP = 1 << 20,   /* and tasks */
    LAYER_CGROUP_NS = 1 << 21,
    LAYER_PARENT_DEATH = 1 << 22, /* no sandbox outlives the zygote */
    LAYER_CPU_LIMIT = 1 << 23,    /* the zygote's timer ends who computes for too long */
    LAYER_WALL_LIMIT = 1 << 24,   /* and its signal, who is to end for any other reason */
};

/* Without these nothing runs. */
#define LAYERS_MANDATORY                                                                 \
    (LAYER_SECCOMP | LAYER_RLIMITS | LAYER_NO_NEW_PRIVS | LAYER_UNPRIVILEGED_UID |       \
     LAYER_CLOSED_FDS | LAYER_NO_NETWORK | LAYER_NO_FILESYSTEM | LAYER_CPU_LIMIT |       \
     LAYER_WALL_LIMIT)

/* How far the supervisor got with namespaces and ids. */
enum isolation {
    ISOLATION_RANGE,  /* user namespace with 65,536 mapped ids, all other namespaces */
    ISOLATION_SINGLE, /* user namespace with one mapped id, all other namespaces */
    ISOLATION_ROOT,   /* no namespaces, but root: ids of its own per sandbox */
    ISOLATION_NONE,   /* no namespaces, one id for all */
};

struct message_setup {
    uint32_t isolation; /* enum isolation */
    uint32_t uid_first; /* first id for sandboxes, in the zygote's view; 0 with one id for
                           all */
    uint32_t uid_count;
    uint32_t sandboxes; /* that can be alive at once */
    uint32_t memory_mb; /* the operator's maximum of a job */
    struct log_manner log;
    uint32_t allow_ctypes; /* a test pool: `_ctypes` may be imported */
    uint32_t forks;        /* after so many it is WORN; 0: never */
    int32_t segment; /* of shared memory, which it must not find in namespaces of its own;
                        -1: there is none */
    char cgroup_ns[32]; /* name of the namespace of control groups that it must have left
                         */
    int64_t hash_seed;  /* of Python; -1: a random one */
    uint32_t groups;    /* GROUP messages that follow: the self-test's, then one per live
                           sandbox; 0: there are no control groups */
    uint32_t group_layers;    /* enum layer: what the groups have files for */
    char library[LIMIT_PATH]; /* where the archive of Python's library is, for people */
    char preload[8192];       /* module names, separated by spaces */
    char host_modules[1024];  /* the same */
    char host_path[2048];     /* folders, separated by colons */
};

struct message_group {
    uint32_t number;
};

#define LOADING_WHAT 512 /* bytes: its name and its file */

struct message_loading {
    char what[LOADING_WHAT]; /* "": none any more */
    uint64_t said;           /* bytes that those before it have printed */
};

struct message_relay {
    uint32_t slot;
    struct log_manner log;
    uint32_t lease_ms;
    uint32_t max_deliveries;
    uint32_t zip_mb; /* the operator's maximum of a ZIP */
    uint32_t waits;  /* 1: the pool runs already: start without Redis and wait for it; 0:
                        a Redis that is not there ends the start */
    int64_t max_cpu_ms, max_wall_ms, max_memory_mb, max_output_kb, max_recording_kb;
    char redis[1024]; /* unix:/path, host:port, or redis://[user:password@]host:port/db */
    uint32_t queue_count;
    struct share queues[LIMIT_QUEUES];
    char owner[128]; /* stable for the slot: HOST.POOL.SLOT */
};

struct message_ready {
    uint32_t version; /* MESSAGE_VERSION */
    uint32_t layers;  /* enum layer: those that held when attacked; of a zygote */
    uint32_t granted; /* enum layer: those that were put in place */
    uint32_t landlock_abi;
    uint32_t modules; /* preloaded */
};

struct message_worn {
    uint32_t forks; /* so far */
};

struct message_link {
    uint32_t slot;
};

struct message_unlinked {
    uint32_t slot;
};

struct message_ping {
    uint32_t unused;
};

struct message_pong {
    uint32_t patience_ms; /* what it does next may keep it silent for so much longer */
};

struct message_drain {
    uint32_t unused;
};

struct message_relieved {
    uint32_t unused;
};

struct message_metrics {
    struct log_manner log;
};

struct message_linked {
    uint32_t slot;
};

/* `sandbox` numbers the sandboxes of a link, given by the relay, never reused on that
 * link. */
struct message_request {
    uint64_t sandbox;
    uint32_t rehearse; /* 1: it has time to get ready while it waits (guest_rehearse) */
};

struct message_forked {
    uint64_t sandbox;
    int32_t
        error; /* 0, or a negative errno: there is none (and the fd is of /dev/null) */
};

struct message_start {
    uint64_t sandbox;
    int64_t cpu_ms;
    int64_t memory_mb;
    int64_t born_ns; /* computing time before the job, from the sandbox; 0: not known */
    int64_t born_kb; /* memory before the job, likewise */
};

enum kill_cause {
    KILL_NONE,
    KILL_CPU,       /* the zygote's timer */
    KILL_FORBIDDEN, /* the zygote's notification */
    KILL_MEMORY,    /* the kernel's, at the limit of its control group */
    KILL_WALL,      /* the relay's: */
    KILL_OUTPUT,
    KILL_GRACE, /* it had ended by itself, and was still there */
    KILL_CANCEL,
    KILL_FAULT, /* no longer wanted; no verdict comes of it */
};

struct message_kill {
    uint64_t sandbox;
    uint32_t cause; /* enum kill_cause */
};

struct message_exited {
    uint64_t sandbox;
    uint32_t cause; /* enum kill_cause: the first reason for which it was killed */
    int32_t exited; /* 1: status is an exit status; 0: a signal */
    int32_t status;
    int64_t cpu_us;     /* since START, all threads, user and system; -1: nobody says, as
                           of the other figures */
    int64_t max_rss_kb; /* of the process, shared pages of the zygote included */
    int64_t shared_kb;  /* of these: what it had before its job; 0: unknown */
    int64_t memory_kb;  /* most of its own, as its control group counts, else what it
                           grew by; 0: unknown */
    char call[32];      /* KILL_FORBIDDEN: name of the system call */
};

struct message_reload {
    int64_t number; /* that is answered with */
};

union message_payload {
#define MESSAGE_MEMBER(id, payload, fds) payload id##_;
    MESSAGES(MESSAGE_MEMBER)
#undef MESSAGE_MEMBER
};

struct message {
    enum message_type type;
    union message_payload payload; /* the member of `type` is valid */
    int fds[LIMIT_FDS]; /* as many as the row says; the receiver owns them; else -1 */
};

const char *message_type_name(enum message_type type);

/* A connected pair, CLOEXEC, non-blocking. */
int message_pair(int ret_fds[2]) must_check;

/* Sends a message with the payload of its type, and with `fds` (as many as its row says;
 * they stay the caller's). Returns 0, -EPIPE if the peer is gone, -EAGAIN if it does not
 * read, or a negative errno. */
int message_send(int socket, enum message_type type, const void *payload,
                 const int *fds) must_check;

/* Receives one message. `permitted` is a bit set of 1 << enum message_type. Returns 1, 0
 * at the end of the connection, -EAGAIN if there is none, -EBADMSG for one that is not
 * permitted or has the wrong size or number of fds (its fds are closed), -EMFILE for one
 * whose fds we had no room for (its type and payload are there), or a negative errno. */
int message_receive(int socket, uint32_t permitted, struct message *ret) must_check;
/* Closes the fds that came with it and were not taken (steal_fd). */
void message_done(struct message *message);
