/* SPDX-License-Identifier: MIT */
/*
 * What each of Paddock's processes is born with. A role inherits exactly the fds 0, 1, 2
 * and ROLE_PEER; everything else comes to it over that socket.
 */
#pragma once

/* The socket (SOCK_SEQPACKET, common/message.h) to the supervisor. */
#define ROLE_PEER 3

/* Exit codes of the supervisor, the zygote and the relay (after skarnet's s6). */
#define ROLE_EXIT_OK        0
#define ROLE_EXIT_USAGE     2  /* of the command line */
#define ROLE_EXIT_AWAY      75 /* Redis can not be reached now; another try may find it */
#define ROLE_EXIT_CONFIG    100 /* wrong configuration */
#define ROLE_EXIT_BUG       101
#define ROLE_EXIT_SYSTEM    111 /* a system call failed */
#define ROLE_EXIT_PERMANENT 125 /* do not restart: it would end the same way */

/* The archive of Python's library, beside paddock-zygote, where paddock-library makes it.
 */
#define LIBRARY_FILE "python-library.zip"
