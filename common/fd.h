/* SPDX-License-Identifier: MIT */
/* File descriptors: whole reads and writes, and the few ways in which one is born or
 * handed over. */
#pragma once

#include "common/cleanup.h"

#include <stddef.h>
#include <sys/types.h>

/* Read or write all of `size` bytes, going on after EINTR and short counts. Return 0, a
 * negative errno, or -EPIPE when a read meets the end of the file first. */
int fd_read_full(int fd, void *buffer, size_t size) must_check;
int fd_write_full(int fd, const void *bytes, size_t size) must_check;

/* Reads a file of at most `maximum` bytes into fresh memory (*ret_data, owned by the
 * caller, NUL behind it, not counted). Returns 0, -EFBIG when it is larger, or a negative
 * errno. */
int fd_read_file(const char *path, size_t maximum, char **ret_data,
                 size_t *ret_size) must_check;
/* The same from an open fd, to its end; works on pipes. */
int fd_read_all(int fd, size_t maximum, char **ret_data, size_t *ret_size) must_check;

/* To be called first in every main(): where 0, 1 or 2 is closed, the next file or socket
 * that is opened would get its number, and what is meant for a terminal would go there.
 * Opens /dev/null in their place, so that reading the closed input and writing to the
 * closed output still fail (-EBADF), and what goes to a closed stderr vanishes. Returns 0
 * or a negative errno. */
int fd_open_standard(void) must_check;
/* Flushes stdout. Returns 0, or the negative errno with which something that was printed
 * could not be written (-EIO where it cannot be known any more). */
int fd_flush_stdout(void) must_check;

int fd_set_nonblocking(int fd) must_check;
int fd_set_cloexec(int fd, int on) must_check;

/* Moves *fd to the number `target` (dup3 and close of the old one), CLOEXEC or not. The
 * old number is closed also when it fails. Returns 0 or a negative errno. */
int fd_move(int *fd, int target, int cloexec) must_check;

/* Closes every fd from `first` up. Returns 0 or a negative errno. */
int fd_close_from(unsigned first) must_check;

/* A memfd of `size` bytes that nobody can resize afterwards (F_SEAL_SHRINK|GROW|SEAL).
 * Owned by the caller. */
int fd_memfd_sealed(const char *name, size_t size, int *ret_fd) must_check;

/* A Unix stream socket connected to `path`, CLOEXEC, non-blocking. */
int fd_connect_unix(const char *path, int *ret_fd) must_check;

int fd_pidfd_open(pid_t pid, int *ret_fd) must_check;
int fd_pidfd_send_signal(int pidfd, int signo) must_check;
