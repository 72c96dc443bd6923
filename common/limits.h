/* SPDX-License-Identifier: MIT */
/*
 * Every size, count and depth that something outside a process can choose has its bound
 * here, and is checked against it before anything is allocated.
 */
#pragma once

#define KIB(n) ((size_t)(n) << 10)
#define MIB(n) ((size_t)(n) << 20)

/* ---- jobs: what a client may send ---- */
#define LIMIT_JOB_ID 64      /* characters of a job id, [A-Za-z0-9_-] */
#define LIMIT_TENANT 64      /* characters of a tenant's name */
#define LIMIT_QUEUE  64      /* characters of a queue's name, [A-Za-z0-9_.-] */
#define LIMIT_ZIP    MIB(50) /* bytes of a ZIP, whatever the operator configures */
#define LIMIT_STDIN  MIB(1)  /* bytes of the field `stdin` */
#define LIMIT_INPUT  KIB(64) /* bytes of live input in one piece */
#define LIMIT_ARGV   KIB(16) /* bytes of the field `argv` */
#define LIMIT_ENTRY  256     /* bytes of the field `entry` */
#define LIMIT_HOST   KIB(4)  /* bytes of the field `host` */

/* ---- what a sandbox may say ---- */
#define LIMIT_REPORT 4096    /* bytes of a claim's report text */
#define LIMIT_RECORD KIB(32) /* bytes of one record of a recording, framing included */
#define LIMIT_LINE   (8 * LIMIT_RECORD) /* bytes of such a record as a line of JSON */
#define LIMIT_TABLES MIB(1)             /* bytes of files and functions that are named */
#define LIMIT_WAITS  MIB(1)             /* bytes of records about waiting for input */
#define LIMIT_CHUNK  KIB(16) /* bytes of program output in one `out` or `err` record */
#define LIMIT_TOLD   KIB(16) /* bytes of an error on stderr, beside a program's output */
#define LIMIT_LAST   KIB(9)  /* of these for what stands last: its type and text */
#define LIMIT_SIGNAL 64      /* signals that are pending */

/* ---- between Paddock's own processes ---- */
#define LIMIT_MESSAGE                                                                    \
    KIB(16)                /* bytes of one message, header included (common/message.h) */
#define LIMIT_FDS      7   /* file descriptors that travel with one message */
#define LIMIT_WORKERS  256 /* workers of one pool */
#define LIMIT_QUEUES   8   /* queues that one pool serves */
#define LIMIT_POOLS    16  /* pools of one configuration */
#define LIMIT_POOL     32  /* characters of a pool's name, [A-Za-z0-9_-] */
#define LIMIT_PATH     4096
#define LIMIT_LOG_LINE 2048
